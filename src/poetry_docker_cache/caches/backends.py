"""The cache backends of BuildKit, the options of each, and checks of what a user wrote for them.

As in docs.docker.com/build/cache/backends and in BuildKit's cache/remotecache. BuildKit ignores
options that it does not know, so a misspelt one would have no effect.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.docker.image_names import has_digest, is_reference, normalised

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What Go's strconv.ParseBool takes.
_BOOLEANS = ("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False")
_COMPRESSIONS = ("uncompressed", "gzip", "estargz", "zstd")
_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_URL = re.compile(r"https?://[^@?#\s]+")
_HIGHEST_LEVEL = 22


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option: a check of its value, and the directions that have it."""

    takes: str
    fits: Callable[[str], bool]
    reads: bool = True
    writes: bool = True
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One `type`."""

    options: Mapping[str, Option]
    secrets: Mapping[str, str]
    """Options that would show a credential on the command line, and what to do instead."""


def _text(*, required: bool = False) -> Option:
    return Option(takes="a text", fits=lambda value: bool(value.strip()), required=required)


def _of(*values: str) -> Callable[[str], bool]:
    return lambda value: value in values


def _number(lowest: int, highest: int) -> Callable[[str], bool]:
    return lambda value: (
        re.fullmatch("[0-9]{1,9}", value) is not None and lowest <= int(value) <= highest
    )


def _exporting(takes: str, fits: Callable[[str], bool]) -> Option:
    return Option(takes=takes, fits=fits, reads=False)


def _switch() -> Option:
    return _exporting("`true` or `false`", _of(*_BOOLEANS))


_URL_OPTION = Option(
    takes="a URL without credentials, such as https://host/path",
    fits=lambda value: _URL.fullmatch(value) is not None,
)
_TIME_TAKES = "a duration such as `10m`"
_EVERY_EXPORT = {
    "mode": _exporting("`min` or `max`", _of("min", "max")),
    "ignore-error": _switch(),
}
_OCI_EXPORT = {
    **_EVERY_EXPORT,
    "oci-mediatypes": _switch(),
    "image-manifest": _switch(),
    "compression": _exporting(", ".join(f"`{it}`" for it in _COMPRESSIONS), _of(*_COMPRESSIONS)),
    "compression-level": _exporting("a number from 0 to 22", _number(0, _HIGHEST_LEVEL)),
    "force-compression": _switch(),
}
_AWS = {
    "access_key_id": ", and set the environment variable AWS_ACCESS_KEY_ID",
    "secret_access_key": ", and set the environment variable AWS_SECRET_ACCESS_KEY",
    "session_token": ", and set the environment variable AWS_SESSION_TOKEN",
}
_AZURE = (
    ", and set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET in the environment of the "
    "builder's BuildKit"
)
_GITHUB = {
    "token": ", and set the environment variable ACTIONS_RUNTIME_TOKEN",
    "ghtoken": ": it only spares requests to GitHub, and the cache works without",
}

BACKENDS: Mapping[str, Backend] = {
    "registry": Backend(
        options={
            "ref": Option(takes="the name of an image", fits=is_reference, required=True),
            **_OCI_EXPORT,
            "registry.insecure": Option(takes="`true` or `false`", fits=_of(*_BOOLEANS)),
        },
        secrets={},
    ),
    "local": Backend(
        options={
            "src": Option(takes="a folder", fits=bool, writes=False, required=True),
            "dest": Option(takes="a folder", fits=bool, reads=False, required=True),
            "digest": Option(
                takes="a digest, sha256:…",
                fits=lambda value: _DIGEST.fullmatch(value) is not None,
                writes=False,
            ),
            "tag": _text(),
            **_OCI_EXPORT,
            "reset": _switch(),
        },
        secrets={},
    ),
    "gha": Backend(
        options={
            "url": _URL_OPTION,
            "url_v2": _URL_OPTION,
            "scope": _text(),
            **_EVERY_EXPORT,
            "timeout": Option(
                takes=_TIME_TAKES, fits=lambda value: _DURATION.fullmatch(value) is not None
            ),
            "repository": _text(),
            "version": Option(takes="`1` or `2`", fits=_of("1", "2")),
        },
        secrets=_GITHUB,
    ),
    "s3": Backend(
        options={
            "region": _text(required=True),
            "bucket": _text(required=True),
            "name": _text(),
            "endpoint_url": _URL_OPTION,
            "prefix": _text(),
            "blobs_prefix": _text(),
            "manifests_prefix": _text(),
            "upload_parallelism": _exporting("a number, 1 or more", _number(1, 999_999_999)),
            "touch_refresh": _exporting(
                _TIME_TAKES, lambda value: _DURATION.fullmatch(value) is not None
            ),
            "use_path_style": Option(takes="`true` or `false`", fits=_of(*_BOOLEANS)),
            **_EVERY_EXPORT,
        },
        secrets=_AWS,
    ),
    "azblob": Backend(
        options={
            "name": _text(required=True),
            "account_url": _URL_OPTION,
            "account_name": _text(),
            "container": _text(),
            "prefix": _text(),
            "blobs_prefix": _text(),
            "manifests_prefix": _text(),
            **_EVERY_EXPORT,
        },
        secrets=dict.fromkeys(("secret_access_key", "account_key"), _AZURE),
    ),
    "inline": Backend(options={}, secrets={}),
}


Use = Literal["both", "from", "to"]
"""Whether a cache is read and written, only read, or only written."""

_NOBODYS = "docker.io/library/"


class BadCache(Exception):  # noqa: N818  # not an error by itself: the caller knows where it stood
    """A cache that BuildKit would misread: why, and what to write. Never holds a secret."""

    def __init__(self, why: str, *, fix: str = "", quotable: bool = True) -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix
        self.quotable = quotable
        """Whether the value may be shown: it could hold a password."""


def checked(found: Mapping[str, str], use: Use) -> tuple[str, dict[str, str]]:
    """Give the type and the options of a backend, all known and of use. Raises BadCache."""
    kind = found.get("type", "")
    if kind not in BACKENDS:
        near = difflib.get_close_matches(kind.lower(), BACKENDS, n=1)
        listed = ", ".join(BACKENDS)
        raise BadCache(
            f"BuildKit has no cache of the type `{kind}`" if kind else "`type` is missing",
            fix=f"Did you mean type={near[0]}?" if near else f"The types are {listed}.",
            quotable=False,
        )
    if kind == "inline" and use == "from":
        raise BadCache(
            "an inline cache cannot be read by itself", fix="Name the image that carries it."
        )
    backend = BACKENDS[kind]
    options = {name: value for name, value in found.items() if name != "type"}
    _refuse_secrets(kind, backend, options)
    for name, value in options.items():
        _check(kind, backend, name, value, use)
    if kind == "local" and use == "both":
        options = _one_place(options)
    _require(kind, backend, options, use)
    if use != "from" and "ref" in options:
        _check_writable(options["ref"])
    return kind, options


def _refuse_secrets(kind: str, backend: Backend, options: Mapping[str, str]) -> None:
    for name in options:
        instead = backend.secrets.get(name)
        if instead is not None:
            raise BadCache(
                f"`{name}` of type={kind} would show the credential to all who can list this "
                "machine's processes",
                fix=f"Leave it out{instead}.",
                quotable=False,
            )


def _check(kind: str, backend: Backend, name: str, value: str, use: Use) -> None:
    option = backend.options.get(name)
    if option is None:
        spelled = [name.replace("_", "-"), name.replace("-", "_")]
        near = [other for other in spelled if other in backend.options]
        near = near or difflib.get_close_matches(name, backend.options, n=1)
        listed = ", ".join(f"`{it}`" for it in backend.options)
        raise BadCache(
            f"`{name}` is not an option of type={kind}, so it would have no effect",
            fix=f"Did you mean `{near[0]}`?"
            if near
            else (f"Its options are {listed}." if listed else f"type={kind} has no options."),
            quotable=False,
        )
    if use == "from" and not option.reads:
        raise BadCache(
            f"`{name}` is an option of exports only, so it would have no effect",
            fix="Leave it out, or give it to --cache-to.",
        )
    if use == "to" and not option.writes:
        raise BadCache(
            f"`{name}` is an option of imports only, so it would have no effect",
            fix="Leave it out, or give it to --cache-from.",
        )
    if not option.fits(value):
        empty = "" if value else " and is empty: a variable may be unset"
        raise BadCache(f"`{name}` takes {option.takes}{empty}")


def may_be_shown(value: str) -> bool:
    """Whether a value has no place for a password: one stands before an @ or in a URL's query."""
    return "?" not in value and "@" not in value.replace("@sha256:", "")


def _one_place(options: Mapping[str, str]) -> dict[str, str]:
    """Read and write the same folder where only one is named."""
    place = options.get("src") or options.get("dest")
    return {**({"src": place, "dest": place} if place else {}), **options}


def _require(kind: str, backend: Backend, options: Mapping[str, str], use: Use) -> None:
    for name, option in backend.options.items():
        belongs = {"both": True, "from": option.reads, "to": option.writes}[use]
        if option.required and belongs and name not in options:
            raise BadCache(
                f"`{name}` is missing, which type={kind} needs ({option.takes})",
                fix=f"Write type={kind},{name}=….",
            )


def _check_writable(reference: str) -> None:
    if has_digest(reference):
        raise BadCache(
            "nothing can be pushed under a digest", fix="Name a tag, or read it by --cache-from."
        )
    if normalised(reference).startswith(_NOBODYS):
        raise BadCache(
            f"{normalised(reference)} is an official image of Docker Hub, which you cannot push",
            fix=f"For a folder write ./{reference}, for a registry its host too: "
            f"HOST/TEAM/{reference}.",
        )
