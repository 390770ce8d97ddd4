# Written by `poetry docker export --bake`: change pyproject.toml instead, and run it again.
# The rest of this file has the digest sha256:deeacb0580994f8d1f18ee816299fa64d8e91cca796f9e0959e140cee8b4f750.
# Builds the images: `docker buildx bake`, or `docker buildx bake api` for one; `--push` pushes them.
# What they have in common is installed once. The environment sets the variables; for all else there
# is `--set`, or a docker-bake.override.hcl of your own. `--print` shows what comes of it.

# The tags of each image, with commas between them.
variable "TAG" {
  default = "1.2.0"
}

# What the images are for, with commas between the platforms. Unset: what the settings say. Empty:
# the platform of the machine that builds; the classic image store takes one only.
variable "PLATFORMS" {
  default = null
}

# The caches of the settings are always read; `true` has them written, too, as with `--push`.
variable "WRITE_CACHE" {
  default = false
}

# A package source with a login needs the secret that `poetry docker export --auth-file` writes. This
# says where it is, and bake has to be allowed to read it.
#
#     AUTH_FILE=$HOME/auth.toml docker buildx bake --allow "fs.read=$HOME/auth.toml"
variable "AUTH_FILE" {
  default = ""
}

group "default" {
  targets = ["api", "tidy", "worker"]
}

target "api" {
  context    = "."
  dockerfile = "api.Dockerfile"
  tags       = [for tag in split(",", TAG) : "registry.example.com/team/shop-api:${tag}"]
  platforms  = compact(split(",", coalesce(PLATFORMS, "")))
  secret     = AUTH_FILE == "" ? [] : ["id=auth,src=${AUTH_FILE}"]
  cache-from = ["type=local,src=./.buildcache-api"]
  cache-to   = WRITE_CACHE ? ["type=local,dest=./.buildcache-api,mode=max,ignore-error=true"] : []
}

target "tidy" {
  context    = "."
  dockerfile = "tidy.Dockerfile"
  tags       = [for tag in split(",", TAG) : "registry.example.com/team/tidy:${tag}"]
  platforms  = compact(split(",", coalesce(PLATFORMS, "")))
  secret     = AUTH_FILE == "" ? [] : ["id=auth,src=${AUTH_FILE}"]
  cache-from = ["type=local,src=./.buildcache-tidy"]
  cache-to   = WRITE_CACHE ? ["type=local,dest=./.buildcache-tidy,mode=max,ignore-error=true"] : []
}

target "worker" {
  context    = "."
  dockerfile = "worker.Dockerfile"
  tags       = [for tag in split(",", TAG) : "registry.example.com/team/shop-worker:${tag}"]
  platforms  = compact(split(",", coalesce(PLATFORMS, "")))
  secret     = AUTH_FILE == "" ? [] : ["id=auth,src=${AUTH_FILE}"]
  cache-from = ["type=local,src=./.buildcache-worker"]
  cache-to   = WRITE_CACHE ? ["type=local,dest=./.buildcache-worker,mode=max,ignore-error=true"] : []
}
