"""The keys of what is installed into the image, by what, and in which layers."""

from __future__ import annotations

from poetry_docker_cache.settings import install, values
from poetry_docker_cache.settings.keys.key import Key

_NAMES = values.set_of(install.name)
_PACKAGES = values.set_of(install.system_package)

INSTALLING = (
    Key(
        name="poetry-version",
        takes="the version of a final release in quotes, 2.1 or newer",
        default="the one that wrote the lock, if it can install into the image",
        meaning="Poetry in the build; it installs what is built from source, and all with "
        '`installer = "poetry"`',
        example='poetry-version = "2.1.4"',
        read=install.poetry_version,
    ),
    Key(
        name="installer",
        takes='`"pip"`, `"uv"` or `"poetry"`',
        default='`"pip"`',
        meaning="what installs the wheels: all three install the same",
        example='installer = "uv"',
        read=install.installer,
    ),
    Key(
        name="uv-version",
        takes="the version of a release in quotes",
        default=f'`"{install.NEWEST_UV}"`',
        meaning='uv in the build, with `installer = "uv"`',
        example='uv-version = "0.9.2"',
        read=install.uv_version,
    ),
    Key(
        name="groups",
        takes="a list of names",
        default='`["main"]`',
        meaning="dependency groups to install; `--with` and `--without` start from them, "
        "`--only` replaces them",
        example='groups = ["main", "server"]',
        read=_NAMES,
    ),
    Key(
        name="extras",
        takes="a list of names",
        default="`[]`",
        meaning="extras to install; `-E` adds to them",
        example='extras = ["postgres"]',
        read=_NAMES,
    ),
    Key(
        name="build-packages",
        takes="a list of Debian packages, or Alpine's, each with `:arch` or `=version` if need be",
        default="`[]`",
        meaning="packages of the system for the stages that build from source",
        example='build-packages = ["libpq-dev"]',
        read=_PACKAGES,
    ),
    Key(
        name="runtime-packages",
        takes="a list of Debian packages, or Alpine's, each with `:arch` or `=version` if need be",
        default="`[]`",
        meaning="packages of the system for the final image",
        example='runtime-packages = ["libpq5"]',
        read=_PACKAGES,
    ),
    Key(
        name="optional-libraries",
        takes='a list of names such as `"libtbb.so.12"`',
        default="`[]`",
        meaning="shared libraries that the image may lack although a module asks for them: it is "
        "never imported",
        example='optional-libraries = ["libtbb.so.12"]',
        read=values.set_of(install.shared_library),
    ),
    Key(
        name="ssh-known-hosts",
        takes="a list of lines of OpenSSH's `known_hosts`, as `ssh-keyscan HOST` prints them",
        default="`[]`",
        meaning="the keys of the hosts that git dependencies come from over ssh; no other host is "
        "trusted",
        example='ssh-known-hosts = ["git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ"]',
        read=values.set_of(install.known_host),
    ),
    Key(
        name="layers",
        takes='`"auto"` or a number from 1 to 48, without quotes',
        default='`"auto"`',
        meaning="into how many layers the dependencies are split",
        example="layers = 8",
        read=install.layers,
    ),
    Key(
        name="own-layers",
        takes="a list of names of packages",
        default="`[]`",
        meaning="packages that get a layer each, beside those of `layers`: the heaviest, as "
        "`poetry docker layers` proposes",
        example='own-layers = ["numpy", "pandas"]',
        read=install.own_layers,
    ),
)
