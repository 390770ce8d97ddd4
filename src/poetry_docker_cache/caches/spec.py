"""A build cache as the user writes it: parsed, checked, and written for BuildKit."""

from __future__ import annotations

import contextlib
import os
import os.path
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from poetry_docker_cache.caches.backends import BACKENDS, BadCache, Use, checked, may_be_shown
from poetry_docker_cache.docker import go_csv
from poetry_docker_cache.docker.image_names import (
    is_reference,
    normalised,
    repository_of,
    with_suffix,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder of this machine."""

    path: str
    """As the user wrote it, until `placed` makes it absolute."""
    written: str = field(default="", compare=False)

    def __str__(self) -> str:
        """Write the cache as in a note."""
        return f"folder {self.written or self.path}"


@dataclass(frozen=True, kw_only=True)
class Store:
    """A backend of BuildKit and its options, in the order given."""

    type: str
    options: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """Return the value of an option."""
        return dict(self.options).get(name)

    @property
    def reference(self) -> str:
        """The image of the backend `registry`; empty for other backends."""
        return (self.get("ref") or "") if self.type == "registry" else ""

    def words(self, *, writing: bool, extra: Mapping[str, str] | None = None) -> str:
        """Write the cache for --cache-from or --cache-to; `extra` options are defaults."""
        known = BACKENDS[self.type].options
        use: Use = "to" if writing else "from"
        options = {name: value for name, value in self.options if known[name].is_for(use)}
        merged = {**options, **{k: v for k, v in (extra or {}).items() if k not in options}}
        return go_csv.record(f"type={self.type}", *(f"{k}={v}" for k, v in merged.items()))

    def __str__(self) -> str:
        """Write the cache as in a note."""
        named = self.reference or self.get("name") or self.get("scope") or self.get("dest")
        return f"{self.type} {named or self.get('src') or ''}".strip()


Cache = Folder | Store


def folders_of(cache: Cache) -> tuple[str, ...]:
    """Return the local folders that a cache is in, as written."""
    if isinstance(cache, Folder):
        return (cache.path,)
    names = ("src", "dest") if cache.type == "local" else ()
    return tuple(dict.fromkeys(path for name in names if (path := cache.get(name))))


def placed(cache: Cache, base: Path) -> Cache:
    """Make the folders of a cache absolute; relative ones start at `base`."""
    if isinstance(cache, Folder):
        return Folder(path=_absolute(cache.path, base), written=cache.path)
    if cache.type != "local":
        return cache
    options = [(k, _absolute(v, base) if k in ("src", "dest") else v) for k, v in cache.options]
    return replace(cache, options=tuple(options))


def _absolute(path: str, base: Path) -> str:
    return os.path.normpath(base / os.path.expanduser(path))  # noqa: PTH111  # an unknown user stays


def is_folder(text: str) -> bool:
    """Return whether this is a folder, by its first characters as `docker build` does."""
    return text in (".", "..") or text.startswith(("./", "../", "/", "~"))


def parse(value: object, use: Use) -> Cache:
    """Parse one cache. Raises BadCache."""
    with _hiding_passwords(value):
        return _parsed(value, use)


def parse_list(text: str, use: Use) -> list[Cache]:
    """Parse an option's value: --cache-from and --cache-to take several images with commas."""
    if use == "both" or "=" in text or is_folder(text) or "," not in text:
        return [parse(text, use)]
    with _hiding_passwords(text):
        return [parse(part, use) for part in _fields(text)]


@contextlib.contextmanager
def _hiding_passwords(value: object) -> Iterator[None]:
    """Mark an error as not quotable if any part of the value may be a password."""
    try:
        yield
    except BadCache as error:
        error.quotable = error.quotable and may_be_shown(str(value))
        raise


def _parsed(value: object, use: Use) -> Cache:
    if isinstance(value, Mapping):
        return _from_table(value, use)
    if not isinstance(value, str):
        raise BadCache("it is neither a string nor a table")
    if any(not c.isprintable() for c in value):
        raise BadCache("it contains a line break or another control character")
    if not value.strip():
        raise BadCache("it is empty")
    if is_folder(value):
        return Folder(path=value)
    return _from_csv(value, use) if "=" in value else _image(value, use)


def _fields(text: str) -> list[str]:
    try:
        return go_csv.fields_of(text)
    except ValueError as error:
        raise BadCache(f"its quotes are not valid ({error})", quotable=False) from error


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
        found[name.lower()] = value  # as BuildKit does
    return _store(found, use)


def _from_table(table: Mapping[object, object], use: Use) -> Store:
    found: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):  # unquoted, registry.insecure is a nested table
            found.update({f"{key}.{name}": _plain(f"{key}.{name}", v) for name, v in value.items()})
        else:
            found[str(key)] = _plain(str(key), value)
    return _store(found, use)


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
            fix="Remove what is before the host.",
        )
    if "," in text:
        raise BadCache("it is more than one cache", fix="Add the others with --cache-from.")
    if not is_reference(text):
        lower = is_reference(text.lower())
        raise BadCache(
            "image names are lower case" if lower else "it is not a valid image name",
            fix="A folder begins with ./ or /, another backend with type=.",
        )
    return _store({"type": "registry", "ref": text}, use)


def _store(found: Mapping[str, str], use: Use) -> Store:
    kind, options = checked(found, use)
    return Store(type=kind, options=tuple(options.items()))


_EXPORT = {"mode": "max", "ignore-error": "true"}


def read_words(cache: Cache) -> str:
    """Write a cache for --cache-from; an image without options in BuildKit's short form."""
    if isinstance(cache, Folder):
        return folder_words(cache.path, writing=False)
    words = cache.words(writing=False)
    image = go_csv.record("type=registry", f"ref={cache.reference}")
    return cache.reference if words == image else words


def write_words(cache: Cache, *, as_image: bool = True) -> str:
    """Write a cache for --cache-to: with every stage, and a failure that does not fail the build.

    `as_image`: whether BuildKit can write a registry cache as an image manifest, which ECR needs.
    """
    if isinstance(cache, Folder):
        return folder_words(cache.path, writing=True)
    if cache.type == "inline":
        return cache.words(writing=True)
    return cache.words(writing=True, extra={**_EXPORT, **_format(cache, as_image=as_image)})


def folder_words(path: str, *, writing: bool) -> str:
    """Write a folder for --cache-from or --cache-to."""
    if not writing:
        return go_csv.record("type=local", f"src={path}")
    return go_csv.record("type=local", f"dest={path}", *(f"{k}={v}" for k, v in _EXPORT.items()))


def _format(store: Store, *, as_image: bool) -> dict[str, str]:
    if store.type != "registry":
        return {}
    image = as_image and store.get("oci-mediatypes") is None  # an image manifest needs OCI types
    return {"oci-mediatypes": "true", **({"image-manifest": "true"} if image else {})}


_NAMES = {"gha": "scope", "s3": "name", "azblob": "name"}
"""The option that distinguishes the caches of a backend."""
_BUILDKIT = "buildkit"
"""BuildKit's default for that option."""


def cache_of(image: str, cache: Cache) -> Cache:
    """Derive the cache of one image from the cache that is configured for all images.

    >>> cache_of("api", Folder(path="./.buildcache")).path
    './.buildcache-api'
    """
    if isinstance(cache, Folder):
        path = _beside(cache.path, image)
        return Folder(path=path, written=cache.written and _beside(cache.written, image))
    options = dict(cache.options)
    for name in ("src", "dest"):
        if cache.type == "local" and name in options:
            options[name] = _beside(options[name], image)
    if cache.type == "registry":
        options["ref"] = with_suffix(options["ref"], image)
    if name := _NAMES.get(cache.type, ""):
        options[name] = f"{options.get(name, _BUILDKIT)}-{image}"
    return replace(cache, options=tuple(options.items()))


def named_cache(
    image: str, cache: Cache, *, setting: Cache | None, tags: Sequence[str] = ()
) -> Cache:
    """Return the cache of one image if an option names a cache.

    The image's own cache (`setting`) and one in the repository of its tags are used unchanged; any
    other is meant for all images.
    """
    repositories = [repository_of(tag) for tag in tags if is_reference(tag)]
    is_own = setting is not None and place_of(cache) == place_of(setting)
    if isinstance(cache, Store) and cache.reference:
        is_own = is_own or repository_of(cache.reference) in repositories
    return cache if is_own else cache_of(image, cache)


def place_of(cache: Cache) -> str:
    """Return a key that is equal for caches that would overwrite each other, or "".

    >>> place_of(Folder(path="./.buildcache/"))
    '.buildcache'
    """
    if isinstance(cache, Folder):
        return _place(cache.path)
    if cache.type == "registry":
        return normalised(cache.reference)
    if cache.type == "local":
        return _place(cache.get("dest") or "")
    if cache.type == "inline":
        return ""
    name = _NAMES.get(cache.type, "")
    options = {name: _BUILDKIT, **dict(cache.options)}
    return replace(cache, options=tuple(sorted(options.items()))).words(writing=False)


def _place(path: str) -> str:
    return os.path.normpath(path) if _beside(path, "x") != path else ""


def _beside(path: str, image: str) -> str:
    folder = path.rstrip("/")
    # A folder without a name of its own is an error elsewhere.
    return path if folder.rpartition("/")[2] in ("", ".", "..", "~") else f"{folder}-{image}"
