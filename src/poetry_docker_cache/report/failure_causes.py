"""Known causes of failed builds: patterns in what is printed, and what to type."""

from __future__ import annotations

from typing import NamedTuple


class Cause(NamedTuple):
    """A pattern, and the texts about it, which may name its groups."""

    pattern: str
    problem: str
    fix: str


_LOGIN = (
    r"(?P<why>40[13] \w+|[^:\n]*\bdenied\b.*|authentication required.*|unauthorized.*|"
    r"no basic auth credentials|[^:\n]*authorization failed.*)"
)
_CONNECTION = (
    r"(?P<why>connection refused|connection reset by peer|no such host|broken pipe|i/o timeout|"
    r"network is unreachable|no route to host|TLS handshake timeout|Client\.Timeout.*|"
    r"context deadline exceeded|server misbehaving|(?:unexpected )?EOF|"
    r"use of closed network connection)"
)
_PUSH = r"failed to push (?P<ref>\S+): .*?"
# Matches only at the start of a word: trying each letter of a long one is slow.
_PULL = r"(?<!\S)(?P<ref>\S+): failed to resolve source metadata for \S+: .*?"
_REGISTRY = (
    r"(?<!\S)(?=failed to push |\S+: failed to resolve )(?:failed to push )?(?P<ref>\S+): "
    r"(?:failed to resolve source metadata for \S+: )?.*?"
)
_AGAIN = "then build again: the layers are cached."

# The first that is found in BuildKit's error.
ERRORS = (
    # The registry of the image
    Cause(
        _PUSH + r"(?P<why>[^:\n]*\b(?:immutable|cannot be overwritten)\b.*)",
        "{host} does not allow replacing {ref}: {why}",
        "Push another tag: `-t {repository}:TAG`.",
    ),
    Cause(
        _PUSH + _LOGIN,
        "{host} refused the push of {ref}: {why}.",
        "Log in as a user who may push to {repository}, " + _AGAIN + "\n{login}",
    ),
    Cause(
        _PUSH + r"(?:name unknown|NAME_UNKNOWN|repository with name .* does not exist)",
        "{host} has no repository for {ref}.",
        "Create {repository} there, or correct the name, " + _AGAIN,
    ),
    Cause(
        _PUSH + r"(?P<why>413 \w.*)",
        "{host} refused the size of a layer: {why}.",
        "A proxy in front of the registry limits uploads. Raise its limit"
        " (nginx: client_max_body_size),\n" + _AGAIN,
    ),
    Cause(
        _PUSH + r"(?P<why>(?:405|5\d\d) [^:\n]*|blob upload (?:unknown|invalid).*|no space left.*)",
        "{host} cannot store {ref}: {why}.",
        "The registry may be full or read-only: see its log or ask its owner, " + _AGAIN,
    ),
    # Base images
    Cause(
        r"failed to resolve source metadata for (?P<ref>\S*docker/dockerfile\S*): (?P<why>.*)",
        "BuildKit cannot fetch its frontend {ref}: {why}",
        "Set in [tool.poetry-docker-cache], with Docker 23 or newer:\nsyntax = false",
    ),
    Cause(
        _PULL + r"no match for platform.*",
        "The base image {ref} does not exist for the platform of this build.",
        "Build for another one (`--platform linux/amd64`), or set another `base-image`.",
    ),
    Cause(
        _PULL + r"(?:pull access denied, )?repository does not exist.*",
        "The image {ref} does not exist, or {host} requires a login.",
        "{image}\nIf it is private, log in: {login}",
    ),
    Cause(
        _PULL + r"(?:: not found|manifest unknown|name unknown).*",
        "The image {ref} does not exist.",
        "{image}",
    ),
    Cause(
        _PULL + _LOGIN,
        "{host} refused access to the image {ref}: {why}.",
        "Log in as a user who may pull it, then build again:\n{login}",
    ),
    # Any registry
    Cause(
        _REGISTRY + r"(?P<why>toomanyrequests.*|429 Too Many Requests.*)",
        "{host} limits the number of pulls, and the limit is reached.",
        "Log in for a higher limit, or try again later:\n{login}",
    ),
    Cause(
        _REGISTRY
        + r"(?:server gave HTTP response to HTTPS client|does not look like a TLS handshake)",
        "{host} is a registry without TLS, and the builder does not allow that.",
        "Give the registry a certificate, or allow it in the engine's daemon.json: \"insecure-"
        'registries": ["{host}"]',
    ),
    Cause(
        _REGISTRY + r"x509: (?P<why>.*)",
        "The builder does not trust the certificate of {host}: {why}",
        "Save the certificate of its authority (CA) on the engine's machine, as"
        " /etc/docker/certs.d/{host}/ca.crt.",
    ),
    Cause(
        _PUSH + _CONNECTION,
        "The connection to the registry {host} failed: {why}.",
        "Check the name, and that the registry can be reached, " + _AGAIN,
    ),
    Cause(
        _REGISTRY + _CONNECTION,
        "The registry {host} cannot be reached: {why}.",
        "Check the name of the image {ref} and your network, then build again.",
    ),
    Cause(
        _PUSH + r"(?P<why>.*)", "{ref} was not pushed: {why}", "The layers are cached: try again."
    ),
    # A cache
    Cause(
        r"(?P<why>unexpected commit digest|could not fetch content descriptor|"
        r"416 Requested Range Not Satisfiable)",
        "A layer of {cache} is damaged or was deleted: {why}.",
        "{renew}",
    ),
    Cause(
        r"parent snapshot \S+ does not exist",
        "The engine lost a layer while it unpacked the image (moby/buildkit#6521).",
        "Build again: every step is cached.",
    ),
    # The command line
    Cause(
        r"^(?P<why>unknown (?:shorthand )?flag: .*|flag needs an argument: .*|invalid argument .*)",
        "docker buildx does not accept an option: {why}",
        "Check the options after `--` with `docker buildx build --help`.",
    ),
    Cause(
        r"additional privileges requested",
        "The build needs access to more than its folder, which was not allowed.",
        "If you trust the project, add the `--allow` options of the note above, after `--`.",
    ),
    # The Dockerfile
    Cause(
        r"failed to calculate checksum of ref \S+: \"/?(?P<path>[^\"]+)\": not found",
        "{path} is not in the build context: it does not exist, or the ignore file excludes it.",
        "{show}\n{unhide}",
    ),
    Cause(
        r"dockerfile parse error(?P<line> on line \d+)?: (?P<why>unknown (?:flag|instruction): .*)",
        "{source} is not valid{at}: {why}",
        "{correct}\nIf only a newer frontend of BuildKit supports it, {syntax}.",
    ),
    Cause(
        r"dockerfile parse error(?P<line> on line \d+)?: (?P<why>.*)",
        "{source} is not valid{at}: {why}",
        "{correct}",
    ),
    Cause(
        r"target stage \"(?P<name>[^\"]+)\" could not be found",
        "--target: the Dockerfile has no stage {name}.",
        "Remove --target, or name one of the stages that `poetry docker export -o -` shows.",
    ),
    Cause(
        r"[Mm]ulti-platform build is not supported|docker exporter does not .*manifest lists",
        "This builder cannot build several platforms, or cannot load them.",
        "Create another one, then add `--builder several --push`:\n"
        "docker buildx create --name several --driver docker-container",
    ),
    Cause(
        r"error from sender: (?:open|lstat|read) (?P<path>.+?): permission denied",
        "You may not read {path}, but its folder is sent to the builder.",
        "Add it to `ignore` in [tool.poetry-docker-cache], or change its mode.",
    ),
    Cause(
        r"(?:lstat|stat|open) (?P<path>/\S+): no such file or directory",
        "{path} does not exist in the image that it is copied from.",
        "{show}",
    ),
)

MEMORY = Cause(
    r"exit code: (?:137|247)\b(?!: context canceled)|cannot allocate memory(?! in static TLS)|"
    r"Killed signal terminated|\(signal: 9\b|Signals\.SIGKILL|(?:by|signal|with) SIGKILL\b|"
    r"^Killed$|^make.*\] Killed$|: line \d+: +\d+ Killed\b|^MemoryError$",
    "{step} was killed (signal 9): the builder most likely ran out of memory.",
    "Give Docker more memory (Docker Desktop: Settings > Resources), or build on a larger machine."
    "\nCompiling needs the most memory: use a version of the package that has a wheel.",
)
SPACE = Cause(
    r"(?i)no space left on device|disk quota exceeded|not have enough free space",
    "{step} failed: no space is left on the builder's disk.",
    "Remove old build caches and unused images, then build again:\n"
    "docker buildx prune\ndocker image prune",
)

# The first that is found in what the step printed. Without a network, apt finds no package either.
OUTPUTS = (
    # A front end
    Cause(
        r"`npm ci` can only install packages when your package\.json and"
        r"|ERR_PNPM_OUTDATED_LOCKFILE"
        r"|Your lockfile needs to be updated"
        r"|YN0028\b.*lockfile would have been modified"
        r"|lockfile had changes, but lockfile is frozen",
        "{step} failed: the lock file of the front end does not match its package.json.",
        "Install there with its package manager, for example `npm install`, and commit the lock"
        " file.",
    ),
    Cause(
        r"npm (?:error|ERR!) code E40[13]\b|ERR_PNPM_FETCH_40[13]\b"
        r"|Request failed \"40[13] |YN0041: .*Invalid authentication",
        "{step} failed: the npm registry refused access to a package of the front end.",
        "Log in: `npm login --registry=URL` writes to ~/.npmrc. `poetry docker build` passes the"
        " login on;\nwith `docker build`, add `--secret id=npmrc,src=$HOME/.npmrc`.",
    ),
    Cause(
        r"(?:npm (?:error|ERR!) |ERR_PNPM_NO_SCRIPT.*)Missing script: "
        r"|error Command \"[^\"]+\" not found\."
        r"|Couldn't find a script named \""
        r"|error: Script not found \"",
        "{step} failed: package.json of the front end does not have the script to run.",
        "Add the script, or set `build` in `assets` in [tool.poetry-docker-cache].",
    ),
    Cause(
        r"chmod: cannot access '(?P<name>[^']+)'",
        "{step} failed: the build of the front end did not write {name}.",
        "Correct `output` in `assets` in [tool.poetry-docker-cache]: it is relative to `folder`.",
    ),
    Cause(
        r"(?P<why>SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT_LOCALLY"
        r"|UNABLE_TO_VERIFY_LEAF_SIGNATURE)",
        "Node.js does not trust the certificate of the npm registry ({why}).",
        "Set `image` in `assets` to an image that has the certificate of its authority, and"
        " NODE_EXTRA_CA_CERTS set to its path.",
    ),
    Cause(
        r"npm (?:error|ERR!) network request to https?://(?P<name>[^/\s]+)\S* failed",
        "The npm registry {name} cannot be reached from the build.",
        "Check your network. If it needs a proxy, pass it on: `-- --build-arg"
        ' HTTP_PROXY="$HTTP_PROXY"`.',
    ),
    Cause(
        r"getaddrinfo (?:EAI_AGAIN|ENOTFOUND) (?P<name>[\w.-]+)",
        "{step} cannot reach {name}: install scripts and builds of front ends have no network.",
        "If they need it, set `network = true` in `assets` in [tool.poetry-docker-cache].",
    ),
    Cause(
        r"\b(?P<name>npm|node|bun): not found$",
        "The image of the front end lacks {name}.",
        "Set `image` in `assets` in [tool.poetry-docker-cache], for example:\n"
        'image = "node:22-slim"',
    ),
    # The image
    Cause(
        r"E: The repository '(?P<name>[^']+)' (?:does not have a|no longer has a) Release file",
        "{name} is no longer served: the release of the base image is too old.",
        "Set a newer `base-image` or `python` in [tool.poetry-docker-cache].",
    ),
    Cause(
        r"Failed to fetch https?://(?P<name>[^/\s]+)\S*\s+(?P<why>[45]\d\d .*)",
        "{name} does not have a system package: {why}",
        "Try again later: its mirrors may be changing. Or set a newer `base-image`.",
    ),
    Cause(
        r"(?:Could not resolve '|Temporary failure resolving '|Unable to connect to |"
        r"Could not connect to |Cannot initiate the connection to |Could not resolve host: |"
        r"Failed to fetch https?://)(?P<name>[\w.-]+)",
        "{name} cannot be reached from the build.",
        "Check your network. If it needs a proxy, pass it on: `-- --build-arg"
        ' HTTP_PROXY="$HTTP_PROXY"`.',
    ),
    Cause(
        r"(?P<why>Temporary failure in name resolution|Name or service not known|"
        r"Network is unreachable|bad address '[^']*')",
        "{step} cannot reach the network: {why}.",
        "Check your network. If it needs a proxy, pass it on: `-- --build-arg"
        ' HTTP_PROXY="$HTTP_PROXY"`.',
    ),
    Cause(
        r"E: Unable to locate package (?P<name>\S+)|(?<!\S)(?P<apk>\S+) \(no such package\)",
        "{name} is not a package of the image's Linux distribution.",
        "Correct `build-packages` or `runtime-packages` in [tool.poetry-docker-cache]."
        "\nNames differ between releases: run `apt-cache search` or `apk search` in the image.",
    ),
    Cause(
        r"\b(?P<name>python3?): not found$|No module named '?(?P<module>pip|venv|ensurepip)\b",
        "The base image lacks {name}, which the build needs.",
        "Set another `base-image`, or install it. On Debian:\n"
        'instructions = {{ build = ["RUN apt-get update && apt-get install -y python-is-python3'
        ' python3-venv python3-pip"] }}',
    ),
    Cause(
        r"(?i)exec format error",
        "A program in the build is for another platform.",
        "Build for this machine's platform, or install emulators:\n"
        "docker run --privileged --rm tonistiigi/binfmt --install all",
    ),
)
