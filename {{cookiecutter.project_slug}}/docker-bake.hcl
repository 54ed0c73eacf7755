{%- set every = cookiecutter.strategy == "all" -%}
{%- set suffix = "-${strategy}" if every else "" -%}
{%- macro target(name, among) -%}
target "{{ name }}" {
{%- if every %}
  matrix = { strategy = {{ among | tojson }} }
  name   = "{{ name }}{{ suffix }}"
{% endif %}
{%- endmacro -%}
# docker buildx bake --file docker-bake.hcl                   builds the image{% if every %} of each strategy{% endif %}, for this machine
# docker buildx bake --file docker-bake.hcl test-image        runs the tests in it
{%- if cookiecutter | strategies("artifacts") %}
# docker buildx bake --file docker-bake.hcl artifacts         leaves in dist what a build makes besides the image
{%- endif %}
# docker buildx bake --file docker-bake.hcl --push release    builds the image for every platform, and pushes it
{%- if every %}
#
# For one strategy: image-venv, test-image-pex, and so on.
{%- endif %}

# Without --file, bake would also read a compose.yaml, and fail if it needs a file or a variable that is missing.

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

# Options of pytest for test-image.
variable "PYTEST_ADDOPTS" {
  default = ""
}

# Git allows more characters in the name of a branch or tag than a registry in a tag.
function "tag" {
  params = [name]
  result = substr(regex_replace(regex_replace(name, "[^\\w.-]", "-"), "^[.-]", "_"), 0, 100)
}

group "default" {
  targets = ["image"]
}

{{ target("image", cookiecutter | strategies) }}
{%- if every %}
  dockerfile = "strategies/${strategy}/Dockerfile"
  tags       = ["${IMAGE}:${join("-", compact([tag(TAG), strategy]))}"]
{%- else %}
  tags = ["${IMAGE}:${tag(TAG)}"]
{%- endif %}

  # A new branch begins with what the main one has. The default, mode=min, would forget compile-image.
  cache-from = CACHE == "" ? [] : [
    for branch in distinct(compact([BRANCH, MAIN])) :
    "type=registry,ref=${CACHE}:${tag(branch)}{{ suffix }}"
  ]
  cache-to = CACHE == "" || BRANCH == "" ? [] : [
    "type=registry,ref=${CACHE}:${tag(BRANCH)}{{ suffix }},mode=max"
  ]

  # Provenance holds the time of the build: without it, the same source gives the same image.
  attest = ["type=provenance,disabled=true"]
}

{{ target("test-image", cookiecutter | strategies) }}
  inherits = ["image{{ suffix }}"]
  target   = "test-image"
  args     = { PYTEST_ADDOPTS = PYTEST_ADDOPTS }
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
