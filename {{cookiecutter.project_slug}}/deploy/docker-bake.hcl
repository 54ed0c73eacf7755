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

# If not empty, `release` pushes the image by digest and without tags. Pipelines build each platform on a runner of its
# own, and merge the digests afterwards.
variable "BY_DIGEST" {
  default = ""
}

# Values of the labels. A label without a value is left out.
variable "REVISION" {
  default = ""
}

variable "SOURCE" {
  default = ""
}

variable "VERSION" {
  default = ""
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

# Base image to use instead of that in the Dockerfile. Also sets the labels base.name and base.digest.
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

# Return the tag of a branch's cache. The prefix prevents other branches from writing the main branch's cache.
function "cache" {
  params = [branch]
  result = branch == MAIN ? "main" : "branch-${tag(branch)}"
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

  labels = {
    for name, value in {
      revision      = REVISION
      source        = SOURCE
      version       = VERSION
      "base.name"   = regex_replace(BASE, "@.*", "")
      "base.digest" = join("", regexall("sha256:[0-9a-f]{64}$", BASE))
    } : "org.opencontainers.image.${name}" => value if value != ""
  }

  # New branches start with the cache of the main branch. The default, mode=min, would leave out compile-image.
  cache-from = CACHE == "" ? [] : [
    for branch in distinct(compact([BRANCH, MAIN])) :
    "type=registry,ref=${CACHE}:${cache(branch)}{{ suffix }}"
  ]
  cache-to = CACHE == "" || BRANCH == "" ? [] : [
    "type=registry,ref=${CACHE}:${cache(BRANCH)}{{ suffix }},mode=max"
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
  tags      = BY_DIGEST != "" ? [IMAGE] : [for name in compact([TAG, REVISION]) : "${IMAGE}:${tag(name)}{{ suffix }}"]
  # mode=max would record build arguments, which may contain the password of a proxy. The SBOM generator reads every
  # file of the image, so its digest is fixed; no bot updates it.
  attest = [
    "type=provenance,mode=min",
    "type=sbom,generator=docker/buildkit-syft-scanner:stable-1@sha256:ae4f3b554449e7e25548e7d8ccc029d17357348e30c6e3df01b92bc93654d6a9",
  ]
  # Clamp all timestamps to SOURCE_DATE_EPOCH. Docker's own builder can push such an image, but not store it.
  output = [
    "type=image,rewrite-timestamp=true,store=false${BY_DIGEST != "" ? ",push-by-digest=true,name-canonical=true" : ""}"
  ]
}
