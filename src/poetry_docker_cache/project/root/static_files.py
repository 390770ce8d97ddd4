"""Finds what a Django project needs to collect its static files."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from poetry_docker_cache.project.model import StaticFiles
from poetry_docker_cache.project.root.declared import is_file, relative, text_of
from poetry_docker_cache.project.root.django_settings import find_static_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MODULE = re.compile(r"DJANGO_SETTINGS_MODULE[\"'] *, *[\"']([\w.]+)[\"']")
_FROM = re.compile(r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+import\b", re.MULTILINE)
_STATIC_ROOT = re.compile(r"^[ \t]*STATIC_ROOT\b[^=\n]*=", re.MULTILINE)
# Without a default, or with an empty one, which Django refuses: `os.environ["X"]`,
# `os.getenv("X", "")`, and the calls of django-environ and python-decouple.
_SECRET_KEY = re.compile(
    r"^[ \t]*SECRET_KEY\b[^=\n]*=[ \t]*(?:\w+\.)*"
    r"(?:environ\[|(?:getenv|env|env\.str|config|environ\.get)\()\s*[\"'](\w+)[\"']"
    r"(?:\s*,\s*(?:default=)?(?:\"\"|''))?\s*[\])]",
    re.MULTILINE,
)
_MOST_MODULES = 20


def find_static_files(folder: Path) -> StaticFiles | None:
    """Return what `collectstatic` needs; None if no settings set `STATIC_ROOT`."""
    places = [folder / "manage.py", *sorted(folder.glob("*/manage.py"))]
    manage = next((path for path in places if is_file(path)), None)
    if manage is None or not (named := _MODULE.search(text_of(manage))):
        return None
    texts = {relative(folder, path): text for path, text in _modules(manage.parent, named[1])}
    if not any(map(_STATIC_ROOT.search, texts.values())):
        return None
    root = posixpath.normpath(find_static_root(texts, named[1]) or ".")
    keys = (_SECRET_KEY.search(text) for text in texts.values())
    return StaticFiles(
        manage=relative(folder, manage),
        folder=None if root in (".", "/") or root.startswith("..") else root,
        secret_key=next((found[1] for found in keys if found), None),
    )


def _modules(place: Path, module: str) -> Iterator[tuple[Path, str]]:
    """Yield the file and text of a settings module, and of the project's modules it imports."""
    waiting = [module]
    seen: set[Path] = set()
    while waiting and len(seen) < _MOST_MODULES:
        name = waiting.pop(0)
        stem = place / name.replace(".", "/")
        files = (stem.with_name(f"{stem.name}.py"), stem / "__init__.py")
        path = next((path for path in files if is_file(path)), None)
        if path is None or path in seen:
            continue
        seen.add(path)
        text = text_of(path)
        yield path, text
        package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        for dots, other in _FROM.findall(text):
            above = package[: len(package) + 1 - len(dots)] if dots else []
            waiting.append(".".join([*above, *filter(None, [other])]))
