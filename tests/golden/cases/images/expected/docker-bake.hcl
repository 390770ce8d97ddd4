# Written by `poetry docker export --bake`: change pyproject.toml instead, and run it again.
# The rest of this file has the digest sha256:98eddd53a6b0fdccaf4d994be809f08beeea8c36229b0478e0671752ab69ef27.
# Builds the images: `docker buildx bake`, or `docker buildx bake api` for one of them. What they
# have in common is installed once. A package source with a login needs the secret that `poetry
# docker export --auth-file` writes: AUTH_FILE says where that is, and bake asks for leave to read it.
#
#     AUTH_FILE=$HOME/auth.toml docker buildx bake --allow "fs.read=$HOME/auth.toml"

variable "TAG" {
  default = "1.2.0"
}

variable "AUTH_FILE" {
  default = ""
}

group "default" {
  targets = ["api", "tidy", "worker"]
}

target "api" {
  context    = "."
  dockerfile = "api.Dockerfile"
  tags       = ["registry.example.com/team/shop-api:${TAG}"]
  secret     = AUTH_FILE == "" ? [] : ["id=auth,src=${AUTH_FILE}"]
}

target "tidy" {
  context    = "."
  dockerfile = "tidy.Dockerfile"
  tags       = ["registry.example.com/team/tidy:${TAG}"]
  secret     = AUTH_FILE == "" ? [] : ["id=auth,src=${AUTH_FILE}"]
}

target "worker" {
  context    = "."
  dockerfile = "worker.Dockerfile"
  tags       = ["registry.example.com/team/shop-worker:${TAG}"]
  secret     = AUTH_FILE == "" ? [] : ["id=auth,src=${AUTH_FILE}"]
}
