"""Read the golden pipelines and the shell scripts in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from poetry_docker_cache.render.ci_files import CI_PATHS

if TYPE_CHECKING:
    from poetry_docker_cache.render.ci_files import CiKind

EXPECTED = Path(__file__).parents[1] / "golden" / "ci"


def golden(name: str, kind: CiKind) -> Path:
    """Return the path of a golden file; its name has no leading dot."""
    return EXPECTED / name / Path(CI_PATHS[kind]).name.lstrip(".")


def scripts(text: str, kind: CiKind) -> list[str]:
    """Return the scripts of a pipeline: the script itself, GitHub's steps, or GitLab's jobs."""
    if kind == "shell":
        return [text]
    document: Any = YAML(typ="safe").load(text)
    if kind == "github":
        jobs = document["jobs"].values()
        return [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    before = document[".docker"]["before_script"]
    jobs = [job for job in document.values() if "script" in job]
    return ["\n".join([*before, *job["script"]]) for job in jobs]
