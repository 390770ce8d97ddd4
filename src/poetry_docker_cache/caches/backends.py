"""BuildKit's cache backends, their options, and the checks of what a user writes for them.

See docs.docker.com/build/cache/backends and BuildKit's cache/remotecache. BuildKit ignores unknown
options, so a misspelt one would silently have no effect.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.docker.image_names import has_digest, is_reference, normalised
from poetry_docker_cache.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

Use = Literal["both", "from", "to"]
"""Whether a cache is read and written, only read, or only written."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option: its values, and whether it applies to imports (`from`), exports (`to`) or both."""

    takes: str
    pattern: str
    use: Use = "both"
    required: bool = False

    def is_for(self, use: Use) -> bool:
        """Return whether the option has an effect on a cache that is used like this."""
        return "both" in (use, self.use) or use == self.use


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A `type` of cache."""

    options: Mapping[str, Option]
    secrets: Mapping[str, str]
    """Options that would show a credential on the command line, and what to do instead."""


_TEXT = Option(takes="a string", pattern=r"(?s).*\S.*")
_REQUIRED = replace(_TEXT, required=True)
_FOLDER = Option(takes="a folder", pattern="(?s).+", required=True)
_URL = Option(
    takes="a URL without credentials, such as https://host/path", pattern=r"https?://[^@?#\s]+"
)
_DURATION = Option(takes="a duration such as `10m`", pattern=r"([0-9]+(\.[0-9]+)?([nuµm]?s|m|h))+")
_BOOLEAN = Option(  # what Go's strconv.ParseBool accepts
    takes="`true` or `false`", pattern="1|t|T|TRUE|true|True|0|f|F|FALSE|false|False"
)
_SWITCH = replace(_BOOLEAN, use="to")
_EVERY_EXPORT = {
    "mode": Option(takes="`min` or `max`", pattern="min|max", use="to"),
    "ignore-error": _SWITCH,
}
_OCI_EXPORT = {
    **_EVERY_EXPORT,
    "oci-mediatypes": _SWITCH,
    "image-manifest": _SWITCH,
    "compression": Option(
        takes="`uncompressed`, `gzip`, `estargz`, `zstd`",
        pattern="uncompressed|gzip|estargz|zstd",
        use="to",
    ),
    "compression-level": Option(
        takes="a number from 0 to 22", pattern="[0-9]|1[0-9]|2[0-2]", use="to"
    ),
    "force-compression": _SWITCH,
}
_AZURE = (
    ", and set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET in the environment of the"
    " builder's BuildKit"
)

BACKENDS: Mapping[str, Backend] = {
    "registry": Backend(
        options={
            "ref": replace(_REQUIRED, takes="the name of an image"),
            **_OCI_EXPORT,
            "registry.insecure": _BOOLEAN,
        },
        secrets={},
    ),
    "local": Backend(
        options={
            "src": replace(_FOLDER, use="from"),
            "dest": replace(_FOLDER, use="to"),
            "digest": Option(takes="a digest, sha256:…", pattern="sha256:[0-9a-f]{64}", use="from"),
            "tag": _TEXT,
            **_OCI_EXPORT,
            "reset": _SWITCH,
        },
        secrets={},
    ),
    "gha": Backend(
        options={
            "url": _URL,
            "url_v2": _URL,
            "scope": _TEXT,
            **_EVERY_EXPORT,
            "timeout": _DURATION,
            "repository": _TEXT,
            "version": Option(takes="`1` or `2`", pattern="1|2"),
        },
        secrets={
            "token": ", and set the environment variable ACTIONS_RUNTIME_TOKEN",
            "ghtoken": ": the cache works without it, with a few more requests to GitHub",
        },
    ),
    "s3": Backend(
        options={
            "region": _REQUIRED,
            "bucket": _REQUIRED,
            "name": _TEXT,
            "endpoint_url": _URL,
            "prefix": _TEXT,
            "blobs_prefix": _TEXT,
            "manifests_prefix": _TEXT,
            "upload_parallelism": Option(
                takes="a number, 1 or more", pattern="[1-9][0-9]{0,8}", use="to"
            ),
            "touch_refresh": replace(_DURATION, use="to"),
            "use_path_style": _BOOLEAN,
            **_EVERY_EXPORT,
        },
        secrets={
            name: f", and set the environment variable AWS_{name.upper()}"
            for name in ("access_key_id", "secret_access_key", "session_token")
        },
    ),
    "azblob": Backend(
        options={
            "name": _REQUIRED,
            "account_url": _URL,
            "account_name": _TEXT,
            "container": _TEXT,
            "prefix": _TEXT,
            "blobs_prefix": _TEXT,
            "manifests_prefix": _TEXT,
            **_EVERY_EXPORT,
        },
        secrets=dict.fromkeys(("secret_access_key", "account_key"), _AZURE),
    ),
    "inline": Backend(options={}, secrets={}),
}

_OFFICIAL = "docker.io/library/"


class BadCache(Exception):  # noqa: N818  # not shown: the caller turns it into an error
    """What is wrong with a cache and what to write instead. Never holds a secret."""

    def __init__(self, why: str, *, fix: str = "", quotable: bool = True) -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix
        self.quotable = quotable
        """Whether the value may be shown: it could contain a password."""


def checked(found: Mapping[str, str], use: Use) -> tuple[str, dict[str, str]]:
    """Return the type and the options of a backend. Raises BadCache for an unusable one."""
    kind = found.get("type", "")
    if kind not in BACKENDS:
        raise BadCache(
            f"BuildKit has no cache of the type `{kind}`" if kind else "`type` is missing",
            fix=f"{did_you_mean(kind, BACKENDS)}The types are {', '.join(BACKENDS)}.",
            quotable=False,
        )
    if kind == "inline" and use == "from":
        raise BadCache("an inline cache is read with its image", fix="Name that image.")
    options = {name: value for name, value in found.items() if name != "type"}
    for name, value in options.items():
        _check(kind, name, value, use)
    if kind == "local" and use == "both" and (place := options.get("src") or options.get("dest")):
        options = {"src": place, "dest": place, **options}
    for name, option in BACKENDS[kind].options.items():
        if option.required and option.is_for(use) and name not in options:
            raise BadCache(
                f"`{name}` is missing, which type={kind} needs ({option.takes})",
                fix=f"Write type={kind},{name}=….",
            )
    if use != "from" and "ref" in options:
        _check_writable(options["ref"])
    return kind, options


def _check(kind: str, name: str, value: str, use: Use) -> None:
    backend = BACKENDS[kind]
    if name in backend.secrets:
        raise BadCache(
            f"`{name}` of type={kind} would show the credential to all who can list this"
            " machine's processes",
            fix=f"Leave it out{backend.secrets[name]}.",
            quotable=False,
        )
    option = backend.options.get(name)
    if option is None:
        listed = ", ".join(backend.options)
        raise BadCache(
            f"`{name}` is not an option of type={kind}, so it would have no effect",
            fix=f"{did_you_mean(name, backend.options)}Its options are {listed}."
            if listed
            else f"Leave it out: type={kind} has no options.",
            quotable=False,
        )
    if not option.is_for(use):
        only, other = ("exports", "to") if use == "from" else ("imports", "from")
        raise BadCache(
            f"`{name}` is an option of {only} only, so it would have no effect",
            fix=f"Leave it out, or add it to --cache-{other}.",
        )
    fits = is_reference(value) if name == "ref" else re.fullmatch(option.pattern, value)
    if not fits:
        empty = "" if value else " and is empty: a variable may be unset"
        raise BadCache(f"`{name}` takes {option.takes}{empty}")


def may_be_shown(value: str) -> bool:
    """Return whether a value cannot hold a password, which is before an @ or in a URL's query."""
    return "?" not in value and "@" not in value.replace("@sha256:", "")


def _check_writable(reference: str) -> None:
    if has_digest(reference):
        raise BadCache(
            "an image cannot be pushed to a digest", fix="Name a tag, or use --cache-from."
        )
    if normalised(reference).startswith(_OFFICIAL):
        raise BadCache(
            f"{normalised(reference)} is an official image of Docker Hub, which you cannot push",
            fix=f"For a folder write ./{reference}, for a registry its host too:"
            f" HOST/TEAM/{reference}.",
        )
