"""The cache backends that BuildKit has, with the options of each.

As in docs.docker.com/build/cache/backends and in BuildKit's cache/remotecache. What is not listed
here BuildKit passes over without a word, so that a misspelt option would never have an effect.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.image_names import is_reference

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
