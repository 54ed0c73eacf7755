# docker buildx bake --load            builds every strategy, as {{ cookiecutter.project_slug }}:<strategy>
# docker buildx bake --load venv       builds one

group "default" {
  targets = ["image"]
}

target "image" {
  name       = strategy
  matrix     = { strategy = {{ strategies() | tojson }} }
  dockerfile = "strategies/${strategy}/Dockerfile"
  tags       = ["{{ cookiecutter.project_slug }}:${strategy}"]
}
