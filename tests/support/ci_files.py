"""The golden pipelines, and what they run in a shell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from poetry_docker_cache.render.ci_files import CI_PATHS

if TYPE_CHECKING:
    from poetry_docker_cache.render.ci_files import CiKind

EXPECTED = Path(__file__).parents[1] / "golden" / "ci"


def golden(name: str, kind: CiKind) -> Path:
    """Give the file that was reviewed and committed; its name has no leading dot."""
    return EXPECTED / name / Path(CI_PATHS[kind]).name.lstrip(".")


def scripts(text: str, kind: CiKind) -> list[str]:
    """Give what a pipeline runs: the script itself, each step of GitHub's, each job of GitLab's."""
    if kind == "shell":
        return [text]
    document: Any = YAML(typ="safe").load(text)
    if kind == "github":
        jobs = document["jobs"].values()
        return [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    before = document[".docker"]["before_script"]
    jobs = [job for job in document.values() if "script" in job]
    return ["\n".join([*before, *job["script"]]) for job in jobs]
