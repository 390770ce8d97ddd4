"""System packages of the image: Debian and Alpine packages that known Python packages need.

Most wheels contain their libraries. A package that is built from source is linked with libraries of
the build image, which the final image needs as well. The tables here prevent a failing build, or a
failing container, in common cases; for other packages, a check in the build names what is missing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.base_names import (
    install_line,
    is_alpine,
    is_debian,
    is_official_alpine,
    package_manager,
    suite,
)
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.image_additions import init_packages

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from poetry_docker_cache.plan.bases import Bases
    from poetry_docker_cache.plan.image_plan import Direct, Layer, Notes
    from poetry_docker_cache.settings.table import Settings


@dataclass(frozen=True, kw_only=True)
class SystemPackages:
    """The system packages to build with, and those of the final image."""

    build: tuple[str, ...]
    runtime: tuple[str, ...]


def plan_system_packages(
    settings: Settings, layers: Sequence[Layer], bases: Bases
) -> tuple[SystemPackages, Notes]:
    """The packages in the settings, and those that the dependencies are known to need.

    Raises DockerCacheError for packages that cannot be installed on a base image.
    """
    refuse_rpm("`runtime-packages`", settings.runtime_packages, bases.final)
    refuse_rpm("`build-packages`", settings.build_packages, bases.build, stage="build")
    built = [name for layer in layers if layer.from_source for name in layer.packages]
    wheels = [name for layer in layers if not layer.from_source for name in layer.packages]
    direct = next((layer.direct for layer in layers if layer.direct), None)
    if is_alpine(bases.stage_image):
        build, runtime = alpine_packages(built, wheels)
    else:
        build, runtime = debian_packages(built, wheels, bases.stage_image)
    if not bases.has_shell:  # nothing can be installed on it
        runtime = ()
    system = "Alpine" if is_alpine(bases.final) else "Debian"
    note = f"{system} packages added for the dependencies: {', '.join(runtime)}."
    packages = SystemPackages(
        build=merged(settings.build_packages, (*tools(bases.build, direct), *build)),
        runtime=merged((*settings.runtime_packages, *init_packages(settings, bases)), runtime),
    )
    return packages, (note,) if runtime else _rpm_notes(built, wheels, bases)


def refuse_rpm(
    setting: str, packages: Sequence[str], image: str, *, stage: str = "runtime"
) -> None:
    """Raise DockerCacheError for packages on a base image that has neither apt nor apk.

    `stage` is the key of `instructions` that can install them.
    """
    manager = package_manager(image)
    if packages and manager not in ("apt", "apk"):
        line = install_line(image, packages)
        raise DockerCacheError(
            f"{setting} are packages of Debian or Alpine, but the base image {image} has"
            f" {manager}.",
            fix="Remove them, and install the packages by the names that they have there:"
            f" `instructions = {{ {stage} = [{json.dumps(line)}] }}`.",
        )


def _rpm_notes(built: Iterable[str], wheels: Iterable[str], bases: Bases) -> Notes:
    """A note on packages of the Red Hat family that the dependencies are known to need."""
    if not bases.has_shell or package_manager(bases.final) in ("apt", "apk", "zypper"):
        return ()
    needed = sorted(
        {
            _RPM_NAMES[name]
            for need in _needs(built, wheels)
            for name in need.runtime
            if name in _RPM_NAMES
        }
    )
    line = json.dumps(install_line(bases.final, needed))
    note = (
        f"The dependencies need system packages that the plugin does not install on {bases.final}:"
        f" {', '.join(needed)}. Unless it has them, add `instructions = {{ runtime = [{line}] }}`."
    )
    return (note,) if needed else ()


def merged(named: Sequence[str], usual: Sequence[str]) -> tuple[str, ...]:
    """The packages that were named, then the usual ones that were not."""
    known = {re.split("[:=~]", package)[0] for package in named}
    return (*named, *(package for package in usual if package not in known))


@dataclass(frozen=True, kw_only=True)
class _Needs:
    runtime: tuple[str, ...]
    build: tuple[str, ...] = ()
    """Those that the full `python` image lacks."""


_DEBIAN_BUILT = {
    "gssapi": _Needs(runtime=("libgssapi-krb5-2",)),
    "lxml": _Needs(runtime=("libxml2", "libxslt1.1")),
    "mysqlclient": _Needs(runtime=("libmariadb3",)),
    "psycopg-c": _Needs(runtime=("libpq5",)),
    "psycopg2": _Needs(runtime=("libpq5",)),
    "pyodbc": _Needs(runtime=("libodbc2",), build=("unixodbc-dev",)),
    "python-ldap": _Needs(
        runtime=("libldap2", "libsasl2-2"), build=("libldap-dev", "libsasl2-dev")
    ),
    "uwsgi": _Needs(runtime=("libxml2",)),
    "xmlsec": _Needs(runtime=("libxmlsec1t64-openssl",), build=("libxmlsec1-dev",)),
}
_OPENCV = _Needs(runtime=("libgl1", "libglib2.0-0", "libxcb1"))
# Their wheels need the packages, too. Most load a library at run time, which no check sees.
_DEBIAN_WHEELS = {
    "cairosvg": _Needs(runtime=("libcairo2",)),
    "lightgbm": _Needs(runtime=("libgomp1",)),
    "opencv-contrib-python": _OPENCV,
    "opencv-python": _OPENCV,
    "pyodbc": _Needs(runtime=("libodbc2",)),
    "python-magic": _Needs(runtime=("libmagic1",)),
    "pyzbar": _Needs(runtime=("libzbar0",)),
    "wand": _Needs(runtime=("libmagickwand-7.q16-10",)),
    "weasyprint": _Needs(runtime=("libharfbuzz-subset0", "libpango-1.0-0", "libpangoft2-1.0-0")),
}
# Names before Debian 13, which still accepts the other old names.
_BOOKWORM = {
    "libldap2": "libldap-2.5-0",
    "libmagickwand-7.q16-10": "libmagickwand-6.q16-6",
    "libxmlsec1t64-openssl": "libxmlsec1-openssl",
}
_BULLSEYE = {**_BOOKWORM, "libldap2": "libldap-2.4-2", "libodbc2": "libodbc1"}
_DEBIAN_OLDER_NAMES = {"bookworm": _BOOKWORM, "bullseye": _BULLSEYE}


def debian_packages(
    built: Iterable[str], wheels: Iterable[str], image: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The Debian packages to build with and to run with; none if the image is not Debian.

    `built` are the normalised names of packages that are built from source, `wheels` those of the
    others, `image` is the base of the final image.
    """
    if not is_debian(image):
        return (), ()
    needs = _needs(built, wheels)
    release = suite(image)  # a mirror may keep `bookworm` in the name of a folder
    older = next((names for name, names in _DEBIAN_OLDER_NAMES.items() if name in release), {})
    build = {package for need in needs for package in need.build}
    runtime = {older.get(package, package) for need in needs for package in need.runtime}
    return tuple(sorted(build)), tuple(sorted(runtime))


def _needs(built: Iterable[str], wheels: Iterable[str]) -> list[_Needs]:
    either = {**_DEBIAN_WHEELS, **_DEBIAN_BUILT}
    needs = [either[name] for name in built if name in either]
    return needs + [_DEBIAN_WHEELS[name] for name in wheels if name in _DEBIAN_WHEELS]


# The names of Debian's packages in the Red Hat family.
_RPM_NAMES = {
    "libcairo2": "cairo",
    "libgl1": "mesa-libGL",
    "libglib2.0-0": "glib2",
    "libgomp1": "libgomp",
    "libgssapi-krb5-2": "krb5-libs",
    "libharfbuzz-subset0": "harfbuzz",
    "libldap2": "openldap",
    "libmagic1": "file-libs",
    "libmagickwand-7.q16-10": "ImageMagick-libs",
    "libmariadb3": "mariadb-connector-c",
    "libodbc2": "unixODBC",
    "libpango-1.0-0": "pango",
    "libpq5": "libpq",
    "libsasl2-2": "cyrus-sasl-lib",
    "libxcb1": "libxcb",
    "libxml2": "libxml2",
    "libxmlsec1t64-openssl": "xmlsec1-openssl",
    "libxslt1.1": "libxslt",
    "libzbar0": "zbar",
}


# Names from Alpine's package recipes (aports). Names that begin with `so:` are libraries, whichever
# package provides them, from WeasyPrint's documentation.
_ALPINE_BUILD = {
    "cffi": ("libffi-dev",),
    "gssapi": ("krb5-dev",),
    "lxml": ("libxml2-dev", "libxslt-dev"),
    "mysqlclient": ("mariadb-connector-c-dev",),
    "psutil": ("linux-headers",),
    "psycopg-c": ("libpq-dev",),
    "psycopg2": ("libpq-dev",),
    "pyodbc": ("unixodbc-dev",),
    "python-ldap": ("cyrus-sasl-dev", "openldap-dev"),
    "uwsgi": ("linux-headers",),
    "xmlsec": ("xmlsec-dev",),
}
_ALPINE_RUN = {
    "gssapi": ("krb5-libs",),
    "lxml": ("libxml2", "libxslt"),
    "mysqlclient": ("mariadb-connector-c",),
    "psycopg-c": ("libpq",),
    "psycopg2": ("libpq",),
    "pyodbc": ("unixodbc",),
    "python-ldap": ("libldap", "libsasl"),
    "xmlsec": ("xmlsec",),
}
# Pure wheels that load a library at run time, which no check sees.
_ALPINE_LOADED = {
    "cairosvg": ("so:libcairo.so.2",),
    "python-magic": ("libmagic",),
    "wand": ("imagemagick",),
    "weasyprint": (
        "so:libfontconfig.so.1",
        "so:libgobject-2.0.so.0",
        "so:libharfbuzz-subset.so.0",
        "so:libharfbuzz.so.0",
        "so:libpango-1.0.so.0",
        "so:libpangoft2-1.0.so.0",
    ),
}


def alpine_packages(
    built: Iterable[str], wheels: Iterable[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The Alpine packages to build with and to run with.

    `built` are the normalised names of packages that are built from source, `wheels` those of the
    others.
    """
    built = tuple(built)
    build = {package for name in built for package in _ALPINE_BUILD.get(name, ())}
    run = {package for name in built for package in _ALPINE_RUN.get(name, ())}
    run |= {package for name in (*built, *wheels) for package in _ALPINE_LOADED.get(name, ())}
    return tuple(sorted(build)), tuple(sorted(run))


def tools(image: str, direct: Direct | None = None) -> tuple[str, ...]:
    """The compiler, and the tools that fetch direct dependencies: only Alpine images lack them."""
    if not is_official_alpine(image):
        return ()
    fetch = ("git", *["openssh-client"] * bool(direct.ssh)) if direct else ()
    return ("build-base", *fetch)
