#!/bin/sh
# Written by `poetry docker export --ci shell`: change pyproject.toml instead, and run it again.
# The rest of this file has the digest sha256:6e79bdd6b3b27d3545afbfe468ecbcfd819d47b06213091e163a559262428bd5.
# Builds the images with the registry's caches, pushes them, and writes the cache of each. Its
# arguments are for each `docker buildx build`. A cache that is not there yet is a first build.
#
#   IMAGE               what the images' names begin with, with its registry, else registry.example.com/team/shop
#   BRANCH              the branch that names the image, else git's
#   GIT_TAG             a version's tag, such as v1.2.3, else git's where no branch is checked out
#   DEFAULT_BRANCH      the branch whose image is the latest, and whose cache others begin with
#   PUSH=no             as for a pull request: caches are read, and nothing is written
#   REGISTRY_USER, REGISTRY_PASSWORD   to log in to the registry, unless Docker knows them
set -eu
cd -- "$(dirname -- "$0")"

IMAGE=${IMAGE:-registry.example.com/team/shop}
BRANCH=${BRANCH:-$(git symbolic-ref --quiet --short HEAD || true)}
GIT_TAG=${GIT_TAG:-}
if [ -z "$BRANCH$GIT_TAG" ]; then # a commit is checked out, as CI does
    GIT_TAG=$(git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null || true)
fi
if [ -z "$BRANCH$GIT_TAG" ]; then
    echo "$0: git is on no branch and no version's tag: set BRANCH or GIT_TAG." >&2
    exit 1
fi
if [ -z "${DEFAULT_BRANCH:-}" ]; then
    DEFAULT_BRANCH=$(git symbolic-ref --quiet --short refs/remotes/origin/HEAD || echo origin/main)
    DEFAULT_BRANCH=${DEFAULT_BRANCH#origin/}
fi
PUSH=${PUSH:-yes}

if [ -n "${REGISTRY_PASSWORD:-}" ]; then
    registry=${IMAGE%%/*}
    case $registry in
    *.* | *:* | localhost) ;;
    *) registry= ;; # Docker Hub
    esac
    printf '%s' "$REGISTRY_PASSWORD" |
        docker login --username "$REGISTRY_USER" --password-stdin ${registry:+"$registry"}
fi

if ! poetry docker build --help >/dev/null 2>&1; then # no Poetry, or none with the plugin
    tools=${XDG_CACHE_HOME:-$HOME/.cache}/poetry-docker-cache/2.5.1-0.1.0
    python3 -m venv "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check \
        "poetry==2.5.1" "poetry-docker-cache==0.1.0"
    PATH=$tools/bin:$PATH
fi

# What Docker takes in a tag: of feature/login that is feature-login.
slug() {
    printf '%s' "$1" | LC_ALL=C tr -cs 'A-Za-z0-9_.-' '-' |
        sed 's/^[.-]*//; s/^$/branch/' | cut -c 1-100
}
common=$IMAGE
# Builds one of the images, of a name here and one in the registry; what follows is for the build.
# What it has in common with those before it is there already.
build() (
    one=$1 IMAGE=$2
    shift 2
    set -- -- "$@" # these are for docker buildx build
    main=$IMAGE:buildcache-$(slug "$DEFAULT_BRANCH")
    if [ "$PUSH" = no ]; then
        name=$(slug "${BRANCH:-$GIT_TAG}")
        set -- --cache-from "$IMAGE:buildcache-$name" --cache-from "$main" --tag "$IMAGE:$name" "$@"
        exec poetry docker build "$one" "$@"
    fi
    if [ -n "$GIT_TAG" ]; then
        # v1.2.3 is the image's 1.2.3 and, unless it is a pre-release, 1.2. It reads main's cache.
        version=$(slug "${GIT_TAG#v}")
        set -- --cache-from "$main" --tag "$IMAGE:$version" "$@"
        case $version in
        *[!0-9.]*) ;;
        *.*.*) set -- --tag "$IMAGE:${version%.*}" "$@" ;;
        esac
    elif [ "$BRANCH" = "$DEFAULT_BRANCH" ]; then
        set -- --cache "$main" --tag "$IMAGE:$(slug "$BRANCH")" --tag "$IMAGE:latest" "$@"
    else
        # A branch has a cache of its own, and begins with main's.
        name=$(slug "$BRANCH")
        set -- --cache "$IMAGE:buildcache-$name" --cache-from "$main" --tag "$IMAGE:$name" "$@"
    fi
    poetry docker build "$one" --push "$@"
)
build api "$common-api" "$@"
build tidy "registry.example.com/team/tidy" "$@"
build worker "$common-worker" "$@"
