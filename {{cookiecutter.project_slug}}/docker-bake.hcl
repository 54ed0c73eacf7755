{%- set every = cookiecutter.strategy == "all" -%}
{%- set suffix = "-${strategy}" if every else "" -%}
{%- macro target(name, among) -%}
target "{{ name }}" {
{%- if every %}
  matrix = { strategy = {{ among | tojson }} }
  name   = "{{ name }}{{ suffix }}"
{% endif %}
{%- endmacro -%}
# docker buildx bake                   builds the image{% if every %} of each strategy{% endif %}, for this machine
# docker buildx bake test-image        runs the tests in it
{%- if cookiecutter | strategies("artifacts") %}
# docker buildx bake artifacts         leaves in dist what a build makes besides the image
{%- endif %}
# docker buildx bake --push release    builds the image for every platform, and pushes it
{%- if every %}
#
# For one strategy: image-venv, test-image-pex, and so on.
{%- endif %}

variable "IMAGE" {
  default = "{{ cookiecutter.project_slug }}"
}

variable "TAG" {
  default = "{% if not every %}latest{% endif %}"
}

# A repository for layers: what one machine has compiled, no other compiles again.
variable "CACHE" {
  default = ""
}

# Whose layers are written there. Without a branch they are only read.
variable "BRANCH" {
  default = ""
}

variable "MAIN" {
  default = "main"
}

variable "PLATFORMS" {
  default = "linux/amd64,linux/arm64"
}

group "default" {
  targets = ["image"]
}

{{ target("image", cookiecutter | strategies) }}
{%- if every %}
  dockerfile = "strategies/${strategy}/Dockerfile"
  tags       = ["${IMAGE}:${join("-", compact([TAG, strategy]))}"]
{%- else %}
  tags = ["${IMAGE}:${TAG}"]
{%- endif %}

  # A new branch begins with what the main one has. The default, mode=min, would forget compile-image.
  cache-from = CACHE == "" ? [] : [
    for branch in distinct(compact([BRANCH, MAIN])) :
    "type=registry,ref=${CACHE}:${replace(branch, "/", "-")}{{ suffix }}"
  ]
  cache-to = CACHE == "" || BRANCH == "" ? [] : [
    "type=registry,ref=${CACHE}:${replace(BRANCH, "/", "-")}{{ suffix }},mode=max"
  ]

  # Provenance holds the time of the build: without it, the same source gives the same image.
  attest = ["type=provenance,disabled=true"]
}

{{ target("test-image", cookiecutter | strategies) }}
  inherits = ["image{{ suffix }}"]
  target   = "test-image"
  tags     = []
  cache-to = []
  output   = ["type=cacheonly"]
}
{%- if cookiecutter | strategies("artifacts") %}

{{ target("artifacts", cookiecutter | strategies("artifacts")) }}
  inherits = ["image{{ suffix }}"]
  target   = "artifacts"
  tags     = []
  cache-to = []
  output   = ["type=local,dest=dist{% if every %}/${strategy}{% endif %}"]
}
{%- endif %}

{{ target("release", cookiecutter | strategies) }}
  inherits  = ["image{{ suffix }}"]
  platforms = compact(split(",", PLATFORMS))
  attest    = ["type=provenance,mode=max", "type=sbom"]
  # No time is later than SOURCE_DATE_EPOCH. Docker's own engine can push such an image, but not keep it.
  output = ["type=image,rewrite-timestamp=true,store=false"]
}
