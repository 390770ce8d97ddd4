"""Explain why an installation or a build failed, and say what to do about it."""

from __future__ import annotations

import re
import shlex
import shutil
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .secret import Source

PREFIX = "poetry-docker-cache: "
"""Starts an explanation, the last text of a step: the error of the build repeats it."""
UNREACHABLE = re.compile(
    r"Could not fetch URL \S+ (?:(?:proxy )?connection error|There was a problem)"  # pip
    r"|Max retries exceeded|Unable to connect to proxy"
    r"|All attempts to connect to"  # Poetry
)
GONE = """\
{name} lists {what}, but does not have it.
If that does not change, run `poetry update` to lock another version."""
AWAY = """\
{name} cannot be reached from the build.
Check that it runs. If it runs on this machine, add `-- --network=host` to the command. If it needs
a proxy, add `-- --build-arg HTTPS_PROXY="$HTTPS_PROXY"`."""
UNTRUSTED = """\
{name} has a certificate that the build does not trust.
Run `poetry config certificates.{source}.cert PATH`, with the certificate of its authority."""
# Messages of pip and Poetry about a download, with their explanations.
DOWNLOADS = (
    (re.compile(r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"), UNTRUSTED),
    (UNREACHABLE, AWAY),
    (
        re.compile(r"incomplete-download|Connection broken|IncompleteRead|Read timed out"),
        "{name} stopped during a download. Try again.",
    ),
    (
        re.compile(r"\b(429|5\d\d) (?:Client|Server) Error\b"),
        "{name} answered with the error {what}. Try again later.",
    ),
    (
        re.compile(r"\b404 Client Error: [\w ]* for url: \S+/([^/\s]+\.(?:whl|gz|zip|bz2))\b"),
        GONE,
    ),
)
OTHER_HASH = re.compile(
    r"DO NOT MATCH THE HASHES"  # pip
    r"|did not match any known checksums|not found in known hashes"  # Poetry
)
PINS = "the pinned versions of build tools"
LOCK = "run `poetry lock --no-cache`."
UNPIN = "set in [tool.poetry-docker-cache]:\npinned-tools = false"
MISSING = re.compile(
    r"No matching distribution found for (\S+)"  # pip
    r"|Unable to find installation candidates for (\S+ \(\S+\))"  # Poetry
)


def print_explanation(why: str) -> None:
    """Print why a step failed, after the output of its programs; nothing if there is no more."""
    if why:
        print(f"\n{PREFIX}{why}", flush=True)


def explain_failure(
    output: str, source: Source, *, known: bool, locked: bool = True, pinned: bool = False
) -> str:
    """Explain the failure of an installation from one source; "" if there is nothing to add.

    `known`: the build has credentials. `locked`: the package is one of poetry.lock. `pinned`: it is
    a tool in one of the pinned versions.
    """
    name = _name(source)
    if source.name and REFUSED.search(output):
        return explain_refusal(source.name, source.url, known=known)
    if OTHER_HASH.search(output):
        other, fix = (PINS, UNPIN) if pinned else ("poetry.lock", LOCK)
        return (
            f"{name} serves a file whose hash does not match {other}: see above."
            f"\nIf you are sure that it was replaced on purpose, {fix}"
        )
    # A failed build comes first: its output may look like any other failure.
    return explain_build(output) or _unavailable(output, source, locked=locked, pinned=pinned)


def _name(source: Source) -> str:
    return f"The package source {source.name!r}" if source.name else "The package index"


def _unavailable(output: str, source: Source, *, locked: bool, pinned: bool) -> str:
    """Explain what could not be downloaded; "" if something else failed."""
    name = _name(source)
    for pattern, text in DOWNLOADS:
        if found := pattern.search(output):
            what = found[1] if pattern.groups else ""
            return text.format(name=name, source=source.name or "NAME", what=what)
    if found := MISSING.search(output):
        package = next(filter(None, found.groups()), "")
        if pinned:
            return f"{name} has no {package}, one of {PINS}.\nAdd it to the source, or {UNPIN}"
        if not locked:
            return (
                f"{name} has no {package} for this Python, and the build needs it."
                "\nCorrect [build-system] in pyproject.toml if it is named there, or set another"
                " `python`."
            )
        return (
            f"{name} has no file of {package} that is in poetry.lock and fits this Python."
            "\nIt may have been deleted. Run `poetry update` to lock another version."
        )
    return ""


REFUSED = re.compile(
    r"\b401 Error, Credentials not correct\b"  # pip
    r"|\b40[13] Client Error\b"  # pip, Poetry
    r"|\bAuthorization error accessing\b"  # Poetry
)


def explain_refusal(source: str, url: str, *, known: bool) -> str:
    """Explain that a source refused access, with or without credentials."""
    variable = "POETRY_HTTP_BASIC_" + re.sub(r"[^A-Z0-9]", "_", source.upper())
    setting = shlex.quote(f"http-basic.{source}")
    cause = "it does not accept the credentials" if known else "no credentials were"
    return (
        f"The package source {source!r} ({urlsplit(url).netloc}) refused access: {cause} given for"
        f" this build.\nRun `poetry config {setting} USERNAME`"
        f" (asks for the password)\nor set {variable}_USERNAME and {variable}_PASSWORD,"
        "\nthen run `poetry docker build` again."
    )


# Poetry's messages before and after the output of a failed build, and pip's after it.
FAILURE = re.compile(
    r"^PEP517 build of a dependency failed$(?P<output>.*?)"
    r"issues with (?P<name>\S+) \((?P<version>[^)]+)\)$"
    r"|^ *ERROR: Failed building wheel for (?P<by_pip>\S+)$",
    re.DOTALL | re.MULTILINE,
)
# Messages of compilers, shells, Python and build tools about a missing NAME.
WORDINGS = (
    r"fatal error: '?([\w./+-]+\.h\w*)'?(?:: No such file| file not found)",
    r"sh: (?:\d+: |line \d+: )?NAME: (?:command )?not found",
    r"\[Errno 2\] No such file or directory: '([\w+-]+)'",  # with a dot, it is probably a file
    r"[Cc]ommand 'NAME' failed: No such file or directory",
    r"unable to execute 'NAME'",
    r"Command 'pkg-config --exists NAME' returned non-zero exit status",
    r"Command 'NAME[^']*' returned non-zero exit status 127",
    r"NAME executable not found",
    r"error: NAME is not installed or not in path",
    r"Unable to invoke NAME",
    r"make sure the NAME(?: and NAME)? development packages are installed",
    r"library files could not be found for NAME,",
    r"Dependency \"?NAME\"? not found",
    r"No package 'NAME' found",
    r"Package '?NAME'?,? (?:required by '[^']*', )?(?:was )?not found",
    r"NAME: cannot open shared object file",
    r"cannot find -l?NAME",
    r"need (a C compiler)",
    r"Unknown (compiler)\(s\)",
    r"(CMAKE_\w+_COMPILER) (?:not set|could be found)",
    r"NAME must be installed to build",
    r"(Rust) (?:compiler|not found)",
    r"(Cargo), the Rust package manager, is not installed",
)
NOT_FOUND = re.compile("|".join(WORDINGS).replace("NAME", r"([\w.+-]*[\w+])"))
COMPILER = re.compile(r"(\w+-)*(cc|gcc|c\+\+|g\+\+|make)|compiler|CMAKE_\w+")
HEADER = re.compile(r"\.h\w*$")
RUST = ("Rust", "Cargo", "rustc", "cargo")
NO_NETWORK = re.compile(
    r"Could not resolve host|[Tt]emporary failure in name resolution|Name or service not known"
    r"|Network is unreachable|Could not connect to server|Failed to establish a new connection"
)
# Debian packages of well-known names. The full `python` image has many of them.
PACKAGES = {
    "a C compiler": "build-essential",
    "CMake": "cmake",
    "Python.h": "python3-dev",
    "cairo": "libcairo2-dev",
    "cmake": "cmake",
    "curl-config": "libcurl4-openssl-dev",
    "ffi.h": "libffi-dev",
    "gdal-config": "libgdal-dev",
    "geos": "libgeos-dev",
    "geos-config": "libgeos-dev",
    "geos_c.h": "libgeos-dev",
    "gfortran": "gfortran",
    "git": "git",
    "graphviz/cgraph.h": "libgraphviz-dev",
    "gssapi/gssapi.h": "libkrb5-dev",
    "hdf5.h": "libhdf5-dev",
    "jpeg": "libjpeg-dev",
    "krb5-config": "libkrb5-dev",
    "lber.h": "libldap-dev",
    "ldap.h": "libldap-dev",
    "libxml2": "libxml2-dev",
    "libxslt": "libxslt1-dev",
    "mysql.h": "default-libmysqlclient-dev",
    "mysql_config": "default-libmysqlclient-dev",
    "mysqlclient": "default-libmysqlclient-dev",
    "openssl/ssl.h": "libssl-dev",
    "pg_config": "libpq-dev",
    "pkg-config": "pkg-config",
    "portaudio.h": "portaudio19-dev",
    "libhdf5.so": "libhdf5-dev",
    "libpq-fe.h": "libpq-dev",
    "sasl/sasl.h": "libsasl2-dev",
    "snappy-c.h": "libsnappy-dev",
    "sql.h": "unixodbc-dev",
    "swig": "swig",
    "sybdb.h": "freetds-dev",
    "xmlsec1": "libxmlsec1-dev",
    "zlib": "zlib1g-dev",
    "zlib.h": "zlib1g-dev",
    **dict.fromkeys(RUST, "cargo"),
}

# Alpine's names for these packages, if they differ.
ALPINE = {
    "build-essential": "build-base",
    "default-libmysqlclient-dev": "mariadb-connector-c-dev",
    "libcairo2-dev": "cairo-dev",
    "libcurl4-openssl-dev": "curl-dev",
    "libgdal-dev": "gdal-dev",
    "libgeos-dev": "geos-dev",
    "libgraphviz-dev": "graphviz-dev",
    "libhdf5-dev": "hdf5-dev",
    "libjpeg-dev": "libjpeg-turbo-dev",
    "libkrb5-dev": "krb5-dev",
    "libldap-dev": "openldap-dev",
    "libsasl2-dev": "cyrus-sasl-dev",
    "libsnappy-dev": "snappy-dev",
    "libssl-dev": "openssl-dev",
    "libxmlsec1-dev": "xmlsec-dev",
    "libxslt1-dev": "libxslt-dev",
    "pkg-config": "pkgconf",
    "portaudio19-dev": "portaudio-dev",
    "zlib1g-dev": "zlib-dev",
}


def explain_build(output: str) -> str:
    """Explain each failed build in an installer's output; "" without any."""
    return "\n".join(_explanation(*failure) for failure in _failures(output))


def explain_sdist(package: str, output: str) -> str:
    """Explain why a package could not be built from its source distribution."""
    if NO_NETWORK.search(output):
        return (
            f"{package} could not be built from source: its build downloads something itself, but"
            "\nhas no access to the network. Add to [tool.poetry-docker-cache]:"
            "\nbuild-network = true"
        )
    return _explanation(package, output)


def explain_own_wheel(wheel: str, output: str) -> str:
    """Explain why a wheel of the project was not built; "" if there is nothing to add."""
    is_known = any(name in PACKAGES or HEADER.search(name) for name in _missing(output))
    return _explanation(wheel, output) if is_known else ""


def _failures(output: str) -> Iterator[tuple[str, str]]:
    """Yield each package whose build failed, with the output of the build."""
    for found in FAILURE.finditer(output):
        if found["by_pip"]:
            yield found["by_pip"], output[: found.start()]
        else:
            yield f"{found['name']} ({found['version']})", found["output"]


def _missing(output: str) -> list[str]:
    groups = (name for names in NOT_FOUND.findall(output) for name in names if name)
    return list(dict.fromkeys(map(_normalize, groups)))


def _explanation(package: str, output: str) -> str:
    missing = _missing(output)
    # If one of several is enough, as with compilers, name those with a known package.
    named = [name for name in missing if name in PACKAGES or HEADER.search(name)] or missing
    cause = f"its build did not find {', '.join(named)}" if named else "see the output above"
    lines = [f"{package} could not be built from source: {cause}."]
    system = "Alpine" if shutil.which("apk") else "Debian"
    known = sorted({PACKAGES[name] for name in named if name in PACKAGES})
    if system == "Alpine":
        known = sorted(ALPINE.get(name, name) for name in known)
    if known:
        packages = ", ".join(f'"{name}"' for name in known)
        lines += [
            "Add to [tool.poetry-docker-cache], or set a `build-image` that has it:",
            f"build-packages = [{packages}]",
        ]
    else:
        lines += [
            f"If a program or library is missing, add its {system} package to `build-packages`.",
            "If the code does not compile, this version may be too old for the image's Python.",
        ]
    lines += [
        f"To find its package, run `apt-file search /{name}` on Debian."
        for name in named
        if name not in PACKAGES and HEADER.search(name) and system == "Debian"
    ]
    if "cargo" in known:
        lines.append("If that Rust is too old for it, set a `build-image` with a newer one.")
    return "\n".join(lines)


def _normalize(name: str) -> str:
    return "a C compiler" if COMPILER.fullmatch(name) else name
