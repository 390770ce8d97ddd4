"""Make small wheels and source distributions, so that tests need only their own index."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Extension:
    """A module in C, and its linker options."""

    code: str
    links: Sequence[str] = ()


def make_wheel(  # noqa: PLR0913  # what a wheel may have
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    tag: str = "py3-none-any",
    files: Mapping[str, str | bytes] | None = None,
    scripts: Mapping[str, str] | None = None,
    licence: str = "",
) -> Path:
    """Write a wheel and return its path; without `files` it contains one module with a VERSION.

    With a licence, a metadata file is beside it, for an index that serves these.
    """
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    content: dict[str, str | bytes] = dict(
        files if files is not None else {f"{module}/__init__.py": f'VERSION = "{version}"\n'}
    )
    metadata = _metadata(name, version, requires)
    if licence:
        metadata += f"License-Expression: {licence}\n"
        (folder / f"{module}-{version}-{tag}.whl.metadata").write_text(metadata, encoding="utf-8")
    content[f"{info}/METADATA"] = metadata
    pure = "true" if tag.endswith("-any") else "false"
    content[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"
    )
    if scripts:
        lines = "".join(f"{script} = {target}\n" for script, target in scripts.items())
        content[f"{info}/entry_points.txt"] = f"[console_scripts]\n{lines}"
    records = [f"{path},{_digest(data)},{len(_bytes(data))}" for path, data in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*records, f"{info}/RECORD,,", ""])
    path = folder / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in content.items():
            # With a fixed time, the same wheel has the same hash in every run.
            entry = zipfile.ZipInfo(member, date_time=(2020, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return path


def make_sdist(  # noqa: PLR0913  # what a source distribution may have
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    extension: Extension | None = None,
    setup: str = "",
) -> Path:
    """Write a source distribution with one module, which poetry-core or a C compiler builds.

    `setup` is the text of a setup.py that makes the module itself, without a pyproject.toml.
    """
    module = name.replace("-", "_")
    stem = f"{module}-{version}"
    dependencies = ", ".join(f'"{requirement}"' for requirement in requires)
    project = (
        f'[project]\nname = "{name}"\nversion = "{version}"\ndependencies = [{dependencies}]\n\n'
    )
    content = {"PKG-INFO": _metadata(name, version, requires)}
    if setup:
        content["setup.py"] = setup
    elif extension:
        made = f'Extension("{module}", ["{module}.c"], extra_link_args={list(extension.links)})'
        content |= {
            "pyproject.toml": f'{project}[build-system]\nrequires = ["setuptools"]\n',
            "setup.py": f"from setuptools import Extension, setup\nsetup(ext_modules=[{made}])\n",
            f"{module}.c": extension.code,
        }
    else:
        backend = 'requires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
        content |= {
            "pyproject.toml": f"{project}[build-system]\n{backend}",
            f"src/{module}/__init__.py": f'VERSION = "{version}"\n',
        }
    path = folder / f"{stem}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member, text in content.items():
            entry = tarfile.TarInfo(f"{stem}/{member}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def _metadata(name: str, version: str, requires: Sequence[str]) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [
        "Requires-Python: >=3.9",
        *(f"Requires-Dist: {requirement}" for requirement in requires),
    ]
    return "\n".join([*lines, ""])


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _digest(data: str | bytes) -> str:
    value = base64.urlsafe_b64encode(hashlib.sha256(_bytes(data)).digest())
    return f"sha256={value.decode().rstrip('=')}"
