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

UNREACHABLE = re.compile(
    r"Could not fetch URL \S+ (?:connection error|There was a problem)|Max retries exceeded"  # pip
    r"|All attempts to connect to"  # Poetry
)
OTHER_HASH = re.compile(
    r"DO NOT MATCH THE HASHES"  # pip
    r"|did not match any known checksums|not found in known hashes"  # Poetry
)
MISSING = re.compile(
    r"No matching distribution found for (\S+)"  # pip
    r"|Unable to find installation candidates for (\S+ \(\S+\))"  # Poetry
)


def reason(output: str, source: Source, *, known: bool, locked: bool = True) -> str:
    """Explain the failure of a call to one source, "" if its own words must do.

    `known` says whether there were credentials; `locked`, that poetry.lock asked for the package.
    """
    name = f"The package source {source.name!r}" if source.name else "The package index"
    if source.name and REFUSED.search(output):
        return refusal(source.name, source.url, known=known)
    if OTHER_HASH.search(output):
        return (
            f"{name} serves another file than the one that poetry.lock names: see the hashes above."
            "\nDo not install it unless you know that it was replaced on purpose."
            " `poetry lock --no-cache` takes the new one."
        )
    # A failed build comes first: what it prints may look like anything.
    return explain_build(output) or _unavailable(output, name, locked=locked)


def _unavailable(output: str, name: str, *, locked: bool) -> str:
    """Explain what could not be had; "" if it was something else."""
    if UNREACHABLE.search(output):
        return f"{name} cannot be reached from the build."
    if found := MISSING.search(output):
        package = next(filter(None, found.groups()), "")
        if not locked:
            return f"{name} has no {package} that this Python can install, and the build needs it."
        return (
            f"{name} has no file of {package} that poetry.lock allows and this Python can install:"
            "\nit may have been deleted there. `poetry update` locks a version that is there."
        )
    return ""


REFUSED = re.compile(
    r"\b401 Error, Credentials not correct\b"  # pip
    r"|\b40[13] Client Error\b"  # pip, Poetry
    r"|\bAuthorization error accessing\b"  # Poetry
)


def refusal(source: str, url: str, *, known: bool) -> str:
    """Explain that the source refused the credentials, or their absence."""
    variable = "POETRY_HTTP_BASIC_" + re.sub(r"[^A-Z0-9]", "_", source.upper())
    setting = shlex.quote(f"http-basic.{source}")
    reason = "it does not accept the credentials" if known else "there are no credentials"
    return (
        f"The package source {source!r} ({urlsplit(url).netloc}) refused access: {reason} that"
        f" this build was given for it.\nType `poetry config {setting} USERNAME`"
        f" (asks for the password)\nor set {variable}_USERNAME and {variable}_PASSWORD,"
        "\nthen `poetry docker build` again."
    )


# What Poetry says around the output of a build that failed, and what pip says behind it.
FAILURE = re.compile(
    r"^PEP517 build of a dependency failed$(?P<output>.*?)"
    r"issues with (?P<name>\S+) \((?P<version>[^)]+)\)$"
    r"|^ *ERROR: Failed building wheel for (?P<by_pip>\S+)$",
    re.DOTALL | re.MULTILINE,
)
# How compilers, shells, Python and build tools say what they do not find; NAME is what it is.
WORDINGS = (
    r"fatal error: '?([\w./+-]+\.h\w*)'?(?:: No such file| file not found)",
    r"sh: (?:\d+: |line \d+: )?NAME: (?:command )?not found",
    r"\[Errno 2\] No such file or directory: '([\w+-]+)'",  # with a dot it is rather a file
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
# The Debian packages of the best known of these; for many of them, the full `python` image has it.
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

# What Alpine calls these, where it has another name for them.
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
    """Explain each failed build in an installer's output; "" if there is none."""
    return "\n".join(_explanation(*failure) for failure in _failures(output))


def explain_own(wheel: str, output: str) -> str:
    """Explain why a wheel of the project's own was not built; "" if its own words must do."""
    telling = any(name in PACKAGES or HEADER.search(name) for name in _missing(output))
    return _explanation(wheel, output) if telling else ""


def _failures(output: str) -> Iterator[tuple[str, str]]:
    """Give the package, and what was said while it was built."""
    for found in FAILURE.finditer(output):
        if found["by_pip"]:
            yield found["by_pip"], output[: found.start()]
        else:
            yield f"{found['name']} ({found['version']})", found["output"]


def _missing(output: str) -> list[str]:
    groups = (name for names in NOT_FOUND.findall(output) for name in names if name)
    return list(dict.fromkeys(map(_named, groups)))


def _explanation(package: str, output: str) -> str:
    missing = _missing(output)
    # Where one of several would do, as with compilers, the known ones are those to take.
    telling = [name for name in missing if name in PACKAGES or HEADER.search(name)] or missing
    reason = f"its build did not find {', '.join(telling)}" if telling else "see what it said above"
    lines = [f"{package} could not be built from source: {reason}."]
    system = "Alpine" if shutil.which("apk") else "Debian"
    known = sorted({PACKAGES[name] for name in telling if name in PACKAGES})
    if system == "Alpine":
        known = sorted(ALPINE.get(name, name) for name in known)
    if known:
        packages = ", ".join(f'"{name}"' for name in known)
        lines += [
            "Add to [tool.poetry-docker-cache], or choose a `build-image` that has it:",
            f"build-packages = [{packages}]",
        ]
    else:
        what = "Is a program, header or library lacking"
        lines += [
            f"{what}: name its {system} package in `build-packages`.",
            "Does its code not compile: this version may be too old for the image's Python.",
        ]
    lines += [
        f"`apt-file search /{name}` on a Debian machine names its package."
        for name in telling
        if name not in PACKAGES and HEADER.search(name) and system == "Debian"
    ]
    if "cargo" in known:
        lines.append("Is that Rust too old for it, a `build-image` with a newer one will do.")
    return "\n".join(lines)


def _named(name: str) -> str:
    return "a C compiler" if COMPILER.fullmatch(name) else name
