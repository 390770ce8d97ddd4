# Written by `poetry docker export --bake`: change pyproject.toml instead, and run it again.
# The rest of this file has the digest sha256:60de6ec4bbc2dba0141838076b5d5e5f3c15948556561ca01aa01005f108b552.
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

# A cache in a registry, as `--cache` names one for `poetry docker build`: `team/shop:cache-main` is
# `team/shop:cache-main-api` for api. It is read, before that of the settings, and written.
variable "CACHE" {
  default = ""
}

# The caches of the settings are always read; `true` has them written, too, without a CACHE.
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

function "to_registry" {
  params = [image]
  result = "type=registry,ref=${image},mode=max,ignore-error=true,oci-mediatypes=true,image-manifest=true"
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
  cache-from = concat(CACHE == "" ? [] : ["${CACHE}-api"], ["type=local,src=./.buildcache-api"])
  cache-to   = CACHE != "" ? [to_registry("${CACHE}-api")] : WRITE_CACHE ? ["type=local,dest=./.buildcache-api,mode=max,ignore-error=true"] : []
}

target "tidy" {
  context    = "."
  dockerfile = "tidy.Dockerfile"
  tags       = [for tag in split(",", TAG) : "registry.example.com/team/tidy:${tag}"]
  platforms  = compact(split(",", coalesce(PLATFORMS, "")))
  secret     = AUTH_FILE == "" ? [] : ["id=auth,src=${AUTH_FILE}"]
  cache-from = concat(CACHE == "" ? [] : ["${CACHE}-tidy"], ["type=local,src=./.buildcache-tidy"])
  cache-to   = CACHE != "" ? [to_registry("${CACHE}-tidy")] : WRITE_CACHE ? ["type=local,dest=./.buildcache-tidy,mode=max,ignore-error=true"] : []
}

target "worker" {
  context    = "."
  dockerfile = "worker.Dockerfile"
  tags       = [for tag in split(",", TAG) : "registry.example.com/team/shop-worker:${tag}"]
  platforms  = compact(split(",", coalesce(PLATFORMS, "")))
  secret     = AUTH_FILE == "" ? [] : ["id=auth,src=${AUTH_FILE}"]
  cache-from = concat(CACHE == "" ? [] : ["${CACHE}-worker"], ["type=local,src=./.buildcache-worker"])
  cache-to   = CACHE != "" ? [to_registry("${CACHE}-worker")] : WRITE_CACHE ? ["type=local,dest=./.buildcache-worker,mode=max,ignore-error=true"] : []
}
