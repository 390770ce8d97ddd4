"""What a user writes for a cache: an image, a folder, or a backend with its options. Pure."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Union

from poetry_docker_cache import go_csv
from poetry_docker_cache.caches.backends import BACKENDS, Backend
from poetry_docker_cache.image_names import has_digest, is_reference, normalised

if TYPE_CHECKING:
    from pathlib import Path

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


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder of this machine."""

    path: str
    """As it was written, until `placed` makes it absolute."""
    written: str = field(default="", compare=False)

    def __str__(self) -> str:
        """Name it in a note."""
        return f"folder {self.written or self.path}"


@dataclass(frozen=True, kw_only=True)
class Store:
    """A backend of BuildKit's and its options, in the order given."""

    type: str
    options: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """Give the value of an option."""
        return dict(self.options).get(name)

    @property
    def reference(self) -> str:
        """The image that is meant, empty for other backends than `registry`."""
        return (self.get("ref") or "") if self.type == "registry" else ""

    def words(self, *, writing: bool, extra: Mapping[str, str] | None = None) -> str:
        """Spell it for --cache-from or --cache-to, with `extra` options unless they are given."""
        known = BACKENDS[self.type].options
        options = {
            name: value
            for name, value in self.options
            if (known[name].writes if writing else known[name].reads)
        }
        merged = {**options, **{k: v for k, v in (extra or {}).items() if k not in options}}
        return go_csv.record(f"type={self.type}", *(f"{k}={v}" for k, v in merged.items()))

    def __str__(self) -> str:
        """Name it in a note."""
        named = self.reference or self.get("name") or self.get("scope") or self.get("dest")
        return f"{self.type} {named or self.get('src') or ''}".strip()


Cache = Union[Folder, Store]  # noqa: UP007  # a dataclass's field type is evaluated in 3.10


def placed(cache: Cache, base: Path) -> Cache:
    """Give a cache whose folders are absolute; relative ones begin at `base`."""
    if isinstance(cache, Folder):
        return Folder(path=_absolute(cache.path, base), written=cache.path)
    if cache.type != "local":
        return cache
    options = [(k, _absolute(v, base) if k in ("src", "dest") else v) for k, v in cache.options]
    return replace(cache, options=tuple(options))


def _absolute(path: str, base: Path) -> str:
    return os.path.normpath(base / os.path.expanduser(path))  # noqa: PTH111  # an unknown user stays


def is_folder(text: str) -> bool:
    """Say whether this names a folder: its beginning tells, as with `docker build`'s context."""
    return text in (".", "..") or text.startswith(("./", "../", "/", "~"))


def parse(value: object, use: Use) -> Cache:
    """Read one cache of the setting, or of the command line. Raises BadCache."""
    if isinstance(value, Mapping):
        return _from_table(value, use)
    if not isinstance(value, str):
        raise BadCache("that is neither a string nor a table")
    if any(not c.isprintable() for c in value):
        raise BadCache("it has a line break or another control character in it")
    if not value.strip():
        raise BadCache("it is empty")
    if is_folder(value):
        return Folder(path=value)
    return _from_csv(value, use) if "=" in value else _image(value, use)


def parse_list(text: str, use: Use) -> list[Cache]:
    """Read a value of --cache-from or --cache-to: images may be a list with commas."""
    if "=" in text or is_folder(text) or "," not in text:
        return [parse(text, use)]
    return [parse(part, use) for part in _fields(text)]


def _fields(text: str) -> list[str]:
    try:
        return go_csv.fields_of(text)
    except ValueError as error:
        raise BadCache(f"its quotes cannot be read ({error})", quotable=False) from error


def _from_csv(text: str, use: Use) -> Store:
    found: dict[str, str] = {}
    for part in _fields(text):
        name, equals, value = part.partition("=")
        if not equals:
            raise BadCache(
                f"`{name}` is not an option with a value" if name else "it has an empty option",
                fix="Write it as type=…,option=value,….",
                quotable=False,
            )
        found[name.lower()] = value  # BuildKit lowers them, too
    return _checked(found, use)


def _from_table(table: Mapping[object, object], use: Use) -> Store:
    found: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):  # registry.insecure without quotes is a table of a table
            found.update({f"{key}.{name}": _plain(f"{key}.{name}", v) for name, v in value.items()})
        else:
            found[str(key)] = _plain(str(key), value)
    return _checked(found, use)


def _plain(name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and 0 <= value < 2**63:
        return str(int(value))
    if isinstance(value, str) and all(c.isprintable() for c in value):
        return str(value)
    raise BadCache(f"`{name}` is not a line of text, a number or a boolean", quotable=False)


def _image(text: str, use: Use) -> Store:
    if "://" in text:
        raise BadCache(
            "the name of an image has no scheme",
            fix="Leave out what stands before the host.",
            quotable=_may_be_shown(text),
        )
    if not is_reference(text):
        lower = is_reference(text.lower())
        raise BadCache(
            "Docker takes lower case only" if lower else "that is not the name of an image",
            fix="A folder begins with ./ or /, and another backend with type=.",
            quotable=_may_be_shown(text),
        )
    return _checked({"type": "registry", "ref": text}, use)


def _checked(found: Mapping[str, str], use: Use) -> Store:
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
    store = Store(type=kind, options=tuple(options.items()))
    if use != "from":
        _check_writable(store)
    return store


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
        raise BadCache(f"`{name}` takes {option.takes}{empty}", quotable=_may_be_shown(value))


def _may_be_shown(value: str) -> bool:
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


def _check_writable(store: Store) -> None:
    reference = store.reference
    if not reference:
        return
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
