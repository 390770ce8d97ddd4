"""The keys of the dependency layers of each golden Dockerfile: what decides whether one is rebuilt.

They are recorded at each minor release; until the next one, they must stay the same.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict
from unittest.mock import patch

from golden_cases import SCRIPTS, copy_case, expected, is_dockerfile, project_in
from packaging.version import Version

from poetry_docker_cache.docker.dockerfile_syntax import instructions, read_instructions
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.render.build_scripts import all_scripts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "tests" / "golden" / "layer_keys.json"
"""Missing until the first release."""
MANIFEST = "poetry_docker_cache.inside.manifest"
_FROM = re.compile(r"FROM (?:--\S+ )*(?P<base>\S+)(?: AS (?P<name>\S+))?", re.IGNORECASE)
_MOUNT = re.compile(r"--mount=type=bind,from=(scripts|[\w-]*manifests),source=/([^,\s]+)")
_TOOL = re.compile(r"--mount=type=bind,from=([^,\s]+),source=/opt/")
_COPIED = re.compile(r"COPY --link --from=(\S+) /\S+/venv /venv")


class Case(TypedDict):
    """What is recorded of a golden case."""

    project: str
    """The digest of the project's files: with others, the layers may differ."""
    layers: dict[str, str]
    """The key of each dependency layer, by its name."""


class Record(TypedDict):
    """The content of the recorded file."""

    version: str
    cases: dict[str, Case]


def read_record() -> Record | None:
    """Return what was recorded at a release, if there was one."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else None


def changed_layers(record: Record | None, version: str, cases: Mapping[str, Case]) -> list[str]:
    """List the layers that a user of the recorded minor version would rebuild for nothing.

    A new minor version may change any. A case with another project cannot be compared.
    """
    if record is None or _minor(record["version"]) != _minor(version):
        return []
    return [
        f"{name}: {layer}"
        for name, old in record["cases"].items()
        if (new := cases.get(name)) and new["project"] == old["project"]
        for layer, key in old["layers"].items()
        if new["layers"].get(layer) != key
    ]


def case_keys(name: str, folder: Path) -> Case:
    """Return the keys of a golden case, whose project is copied to a new folder."""
    case = copy_case(name, folder)
    files = {
        path.relative_to(case).as_posix(): path.read_bytes()
        for path in sorted(case.rglob("*"))
        if path.is_file()
    }
    texts = expected(name)
    names = texts[SCRIPTS].splitlines()
    scripts = {path: text for path, text in all_scripts().items() if path in names}
    layers: dict[str, str] = {}
    for file, text in texts.items():
        if is_dockerfile(file):
            manifests = run_manifest(text, project_in(case), folder.with_name(f"{name}.{file}"))
            found = layer_keys(text, scripts=scripts, manifests=manifests)
            image = file.removesuffix("Dockerfile").removesuffix(".")
            layers |= {" ".join(filter(None, (image, layer))): key for layer, key in found.items()}
    return {"project": _digest(f"{path} {files[path]!r}" for path in files), "layers": layers}


def layer_keys(
    dockerfile: str, *, scripts: Mapping[str, str], manifests: Mapping[str, str]
) -> dict[str, str]:
    """Return the key of each dependency layer of a Dockerfile, by the name of its stage.

    It covers all instructions down to the base image, the scripts and tools that they mount, and
    the layer's manifest. The downloaded files that a step mounts follow from the manifest.
    """
    stages: dict[str, list[str]] = {}
    for each in read_instructions(dockerfile):
        if start := _FROM.match(each.text):
            stages[start["name"] or str(len(stages))] = lines = []
        lines.append("\n".join((each.text, *(text for _, text in each.heredocs))))

    def parts(stage: str) -> Iterable[str]:
        for line in stages[stage]:
            yield line
            if (start := _FROM.match(line)) and start["base"] in stages:
                yield from parts(start["base"])
            for tool in _TOOL.findall(line):
                yield from parts(tool)
            for place, source in _MOUNT.findall(line):
                content = scripts if place == "scripts" else manifests
                found = [path for path in content if f"{path}/".startswith(f"{source}/")]
                assert found, f"{stage} mounts {source}, which does not exist"
                yield from (f"{path} {content[path]}" for path in found)

    copied = [name for lines in stages.values() for name in _COPIED.findall("\n".join(lines))]
    return {
        name: _digest(parts(name))
        for name in dict.fromkeys(copied)
        if re.search(r"from=[\w-]*manifests,", "".join(stages.get(name, ())))
    }


def run_manifest(dockerfile: str, project: Path, output: Path) -> dict[str, str]:
    """Run the steps that write manifests, as on the image's Python; return them by file name."""
    pythons: dict[str, str] = {}
    for line in instructions(dockerfile):
        if start := _FROM.match(line):
            image = start["base"]
            number = re.search(r"\d+\.\d+", image)
            python = pythons.get(image, f"{number[0]}.9" if number else "3.13.9")
            pythons[start["name"] or ""] = python
        if command := re.search(r"python -m manifest(\S*) (.*)", line):
            module = import_module(f"{MANIFEST}{command[1] or '.__main__'}")
            arguments = [*shlex.split(command[2]), f"--project={project}", f"--output={output}"]
            with patch.object(Target, "here", return_value=Target.linux(python)):
                assert module.main(arguments) == 0
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(output.glob("*"))}


def _minor(version: str) -> tuple[int, ...]:
    return Version(version).release[:2]


def _digest(parts: Iterable[str]) -> str:
    text = json.dumps(list(parts))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
