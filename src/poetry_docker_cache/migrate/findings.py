"""What the old Dockerfile costs and risks: one small detector for each finding."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import hiding_line, parse
from poetry_docker_cache.migrate.shell import commands
from poetry_docker_cache.migrate.system_tools import is_build_tool
from poetry_docker_cache.project.selection import DEVELOPMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from poetry_docker_cache.docker.dockerfile_syntax import Instruction
    from poetry_docker_cache.docker.final_stage import Stage
    from poetry_docker_cache.migrate.stages import Dockerfile
    from poetry_docker_cache.project.model import Project

_INSTALL = re.compile(
    r"poetry(?:\s+-\S+)*\s+(?:install|sync)\b|pip[\d.]*\s+install\b.*(?:-r\s*\S|\s\.(?:\[|\s|$))"
)
_POETRY = re.compile(
    r"(?:pip[\d.]*|pipx)\s+install\s[^&;|]*?(?<![\w/.-])[\"']?poetry(?!-)([=<>~!@][^\s\"']*)?"
)
_INSTALL_SCRIPT = re.compile(
    r"\b(?:curl|wget)\b[^&;]*\|\s*(?:\S+=\S+\s+)*(?:sudo\s+)?\S*(?:sh|python3?)\b"
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A cost or risk of a Dockerfile."""

    text: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OldImage:
    """A Dockerfile as the detectors see it."""

    dockerfile: Dockerfile
    stage: Stage
    user: str
    project: Project

    @property
    def final(self) -> list[Instruction]:
        """The instructions of the production stage and those that it is based on."""
        if not self.dockerfile.stages:
            return []
        lineage = self.dockerfile.lineage(self.dockerfile.target)
        return [each for stage in lineage for each in stage.instructions]

    @property
    def used(self) -> list[Instruction]:
        """The instructions of all stages that the image is made of."""
        used = self.dockerfile.used
        stages = [stage for stage in self.dockerfile.stages if stage.number in used]
        return [each for stage in stages for each in stage.instructions]

    def runs(self, instructions: Sequence[Instruction]) -> Iterator[tuple[int, str, str]]:
        """Yield the line and text of each command, and the text of its whole RUN."""
        for each in instructions:
            if each.keyword == "RUN":
                for command in commands(each):
                    yield command.line, command.text, each.text

    def copies(self, instructions: Sequence[Instruction]) -> list[Instruction]:
        """List what copies from the build context."""
        return [
            each
            for each in instructions
            if each.keyword in ("COPY", "ADD") and "--from=" not in each.text
        ]

    @property
    def install_lines(self) -> list[int]:
        """The lines that install the dependencies."""
        return [line for line, text, _ in self.runs(self.used) if _INSTALL.search(text)]

    def copies_all(self, each: Instruction) -> bool:
        """Whether an instruction copies the whole build context."""
        return bool(re.search(r"\s[\"']?\.{1,2}/?[\"']?[\s,]+\S+\s*\]?$", f" {each.arguments}"))


def find_costs(old: OldImage) -> list[Finding]:
    """List what the Dockerfile costs and risks, the most frequent first."""
    found = []
    for text, detect in _DETECTORS:
        lines = detect(old)
        if lines is not None:
            found.append(Finding(text=text, lines=tuple(sorted({*lines}))))
    return found


Lines = list[int] | None
"""The lines of a finding; None without one."""


def _some(lines: list[int]) -> Lines:
    return lines or None


def _reinstalls(old: OldImage) -> Lines:
    installs = old.install_lines
    return _some(
        [
            each.line
            for each in old.copies(old.used)
            if installs
            and each.line < max(installs)
            and (
                "pyproject.toml" in each.arguments or old.copies_all(each) or "*.toml" in each.text
            )
        ]
    )


def _no_healthcheck(old: OldImage) -> Lines:
    return None if any(each.keyword == "HEALTHCHECK" for each in old.final) else []


def _root(old: OldImage) -> Lines:
    users = [each.line for each in old.final if each.keyword == "USER"]
    return users[-1:] if old.user.partition(":")[0] in ("", "root", "0") else None


def _poetry_stays(old: OldImage) -> Lines:
    installs = [
        line
        for line, text, _ in old.runs(old.final)
        if _POETRY.search(text) or "install.python-poetry.org" in text or "get-poetry" in text
    ]
    copied = [
        each.line
        for each in old.final
        if each.keyword == "COPY"
        and "--from=" in each.text
        and re.search(r"POETRY_HOME|/opt/poetry", each.text)
    ]
    return _some(installs + copied)


def _caches(old: OldImage) -> Lines:
    off = any("PIP_NO_CACHE_DIR" in each.text for each in old.final if each.keyword == "ENV")
    return _some(
        [
            line
            for line, text, whole in old.runs(old.final)
            if (re.search(r"pip[\d.]*\s+install", text) and not off and "no-cache" not in text)
            or (re.search(r"poetry\s+install", text) and "--no-cache" not in text)
            if "type=cache" not in whole and not re.search(r"rm\s+-\w*r.*cache|cache clear", whole)
        ]
    )


def _compilers(old: OldImage) -> Lines:
    found = [
        line
        for line, text, _ in old.runs(old.final)
        if re.search(r"\b(?:apt-get|apt|apk)\b.*\b(?:install|add)\b", text)
        and "--virtual" not in text
        and any(is_build_tool(word) for word in text.split())
    ]
    full = re.fullmatch(
        r"(?:.*/)?python:\d[\d.]*(?:-(?:bookworm|bullseye|buster|trixie))?", old.stage.base
    )
    froms = (
        [each.start.line for each in old.dockerfile.lineage(old.dockerfile.target)[:1]]
        if full
        else []
    )
    return _some([*froms, *found])


def _unverified(old: OldImage) -> Lines:
    return _some([line for line, text, _ in old.runs(old.used) if _INSTALL_SCRIPT.search(text)])


def _dev_groups(old: OldImage) -> Lines:
    if not old.project.default_groups & DEVELOPMENT:
        return None
    return _some(
        [
            line
            for line, text, _ in old.runs(old.used)
            if re.search(r"poetry(?:\s+-\S+)*\s+(?:install|sync)\b", text)
            and not re.search(r"--(?:no-dev|only|without|no-root\s+--only)\b", text)
            and "$" not in text
        ]
    )


def _poetry_unpinned(old: OldImage) -> Lines:
    pinned = any("POETRY_VERSION" in each.text for each in old.used) or any(
        "POETRY_VERSION" in each.text for each in old.dockerfile.arguments
    )
    found = []
    for line, text, _ in old.runs(old.used):
        match = _POETRY.search(text)
        script = re.search(r"install\.python-poetry\.org|get-poetry", text)
        if (match and not match[1]) or (script and not pinned and "--version" not in text):
            found.append(line)
    return _some(found)


def _no_ignore_file(old: OldImage) -> Lines:
    return [] if old.project.dockerignore is None else None


def _apt_lists(old: OldImage) -> Lines:
    return _some(
        [
            line
            for line, text, whole in old.runs(old.final)
            if re.search(r"\bapt(?:-get)?\b.*\binstall\b", text)
            and "/var/lib/apt" not in whole
            and "apt/lists" not in whole
        ]
    )


def _source_first(old: OldImage) -> Lines:
    installs = old.install_lines
    return _some(
        [
            each.line
            for each in old.copies(old.used)
            if installs and each.line < max(installs) and old.copies_all(each)
        ]
    )


def _git_inside(old: OldImage) -> Lines:
    lines = [parse(line) for line in (old.project.dockerignore or "").split("\n")]
    hidden = hiding_line(lines, ".git") >= 0 or hiding_line(lines, ".git/config") >= 0
    return (
        None
        if hidden
        else _some([each.line for each in old.copies(old.final) if old.copies_all(each)])
    )


def _not_from_lock(old: OldImage) -> Lines:
    return _some(
        [
            line
            for line, text, _ in old.runs(old.used)
            if re.search(
                r"poetry\s+(?:update|lock)\b|pip[\d.]*\s+install\s+(?:-\S+\s+)*\.(?:\s|\[|$)", text
            )
            and "--check" not in text
        ]
    )


def _no_signal(old: OldImage) -> Lines:
    starts = [each for each in old.final if each.keyword in ("CMD", "ENTRYPOINT")]
    first = [each for each in starts if each.keyword == "ENTRYPOINT"] or starts
    return _some(
        [
            each.line
            for each in first[-1:]
            if not each.arguments.startswith("[") and not re.match(r"exec\s", each.arguments)
        ]
    )


def _beside_lock(old: OldImage) -> Lines:
    found = []
    locked = {str(package["name"]) for package in old.project.lock.packages}
    for line, text, _ in old.runs(old.used):
        match = re.search(r"pip[\d.]*\s+install\s+(.*)", text)
        words = match[1].split() if match and "-r" not in match[1].split() else []
        names = [
            re.split(r"[=<>~!\[@]", word.strip("\"'"))[0].lower().replace("_", "-")
            for word in words
            if re.match(r"[\"']?[A-Za-z]", word)
        ]
        tools = {"pip", "setuptools", "wheel", "poetry", "uv", "pipx", "virtualenv"}
        if any(
            name not in tools and not name.startswith("poetry-") and name not in locked
            for name in names
        ):
            found.append(line)
    return _some(found)


def _no_hashes(old: OldImage) -> Lines:
    return _some([line for line, text, _ in old.runs(old.used) if "--without-hashes" in text])


_DETECTORS: tuple[tuple[str, Callable[[OldImage], Lines]], ...] = (
    (
        "Any edit of pyproject.toml, even of a linter's setting, installs all packages again.",
        _reinstalls,
    ),
    ("HEALTHCHECK is missing: add `healthcheck` if your platform uses it.", _no_healthcheck),
    ("The application runs as root, and can change its own code.", _root),
    ("Poetry is in the image.", _poetry_stays),
    ("The caches of pip or Poetry stay in the image.", _caches),
    ("Compilers and headers are in the image.", _compilers),
    ("A downloaded script runs without a check of its content.", _unverified),
    ("Groups for development are installed.", _dev_groups),
    ("The version of Poetry is not pinned.", _poetry_unpinned),
    (
        "There is no .dockerignore: caches, secrets and `.env` files can get into the image.",
        _no_ignore_file,
    ),
    ("The package lists of apt stay in the image.", _apt_lists),
    (
        "The source is copied before the packages are installed: any edit installs them again.",
        _source_first,
    ),
    ("The image contains `.git`, the whole history of the repository.", _git_inside),
    ("Packages are not installed from poetry.lock: two builds can differ.", _not_from_lock),
    (
        "A shell starts the application, which does not get SIGTERM: stopping takes 10 seconds.",
        _no_signal,
    ),
    ("pip installs packages beside the lock file, in any version.", _beside_lock),
    ("The hashes of poetry.lock are not checked.", _no_hashes),
)
