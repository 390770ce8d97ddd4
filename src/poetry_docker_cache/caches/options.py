"""Checks what was written for a backend against its table of options. Pure."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.caches.backends import BACKENDS, Backend
from poetry_docker_cache.image_names import has_digest, normalised

if TYPE_CHECKING:
    from collections.abc import Mapping

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
