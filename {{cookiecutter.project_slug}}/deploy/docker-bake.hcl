{%- set every = cookiecutter.strategy == "all" -%}
{%- set suffix = "-${strategy}" if every else "" -%}
{%- macro target(name, among) -%}
target "{{ name }}" {
{%- if every %}
  matrix = { strategy = {{ among | tojson }} }
  name   = "{{ name }}{{ suffix }}"
{% endif %}
{%- endmacro -%}
# docker buildx bake --file deploy/docker-bake.hcl                  builds the image{% if every %} of each strategy{% endif %}, for this host
# docker buildx bake --file deploy/docker-bake.hcl test-image       runs the tests in it
{%- if cookiecutter | strategies("artifacts") %}
# docker buildx bake --file deploy/docker-bake.hcl artifacts        exports the other build outputs to dist
{%- endif %}
# docker buildx bake --file deploy/docker-bake.hcl --push release   builds the image for every platform and pushes it
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

# Registry repository for the shared build cache.
variable "CACHE" {
  default = ""
}

# Branch whose cache is written. If empty, the cache is only read.
variable "BRANCH" {
  default = ""
}

variable "MAIN" {
  default = "main"
}

variable "PLATFORMS" {
  default = "linux/amd64,linux/arm64"
}

# Base image, if not that of the Dockerfile.
variable "BASE" {
  default = ""
}

# Files for a private package index. pip and uv also read them from these variables.
variable "NETRC" {
  default = ""
}

variable "PIP_CONFIG_FILE" {
  default = ""
}

variable "UV_CONFIG_FILE" {
  default = ""
}

# Options of pytest for test-image.
variable "PYTEST_ADDOPTS" {
  default = ""
}

# Replace the characters of a branch or tag that registries do not allow in tags.
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

  args = { BASE = BASE == "" ? null : BASE }
  secret = [
    for id, file in { netrc = NETRC, pip = PIP_CONFIG_FILE, uv = UV_CONFIG_FILE } : "id=${id},src=${file}" if file != ""
  ]

  # New branches start with the cache of the main branch. The default, mode=min, would leave out compile-image.
  cache-from = CACHE == "" ? [] : [
    for branch in distinct(compact([BRANCH, MAIN])) :
    "type=registry,ref=${CACHE}:${tag(branch)}{{ suffix }}"
  ]
  cache-to = CACHE == "" || BRANCH == "" ? [] : [
    "type=registry,ref=${CACHE}:${tag(BRANCH)}{{ suffix }},mode=max"
  ]

  # No provenance, because it contains the build time, and the image would not be reproducible.
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
  # Clamp all timestamps to SOURCE_DATE_EPOCH. Docker's own builder can push such an image, but not store it.
  output = ["type=image,rewrite-timestamp=true,store=false"]
}
