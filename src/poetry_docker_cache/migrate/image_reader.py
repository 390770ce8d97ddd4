"""Reads a Dockerfile: each instruction becomes a setting, needs none, or is left over."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.base_names import is_alpine
from poetry_docker_cache.docker.final_stage import assignments
from poetry_docker_cache.migrate.bases import read_base
from poetry_docker_cache.migrate.copies import ContextCopies, Copying, read_copying
from poetry_docker_cache.migrate.front_ends import FrontEnd, read_front_end
from poetry_docker_cache.migrate.outcomes import Outcome, left_over, setting, unneeded
from poetry_docker_cache.migrate.run_commands import read_command
from poetry_docker_cache.migrate.shell import commands
from poetry_docker_cache.migrate.stage_state import StageState
from poetry_docker_cache.migrate.variables import find_argument, read_argument, read_variable
from poetry_docker_cache.project.command_lines import SHELLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poetry_docker_cache.docker.dockerfile_syntax import Instruction
    from poetry_docker_cache.docker.final_stage import Stage
    from poetry_docker_cache.migrate.stages import Dockerfile, DockerStage
    from poetry_docker_cache.migrate.starts import Starts
    from poetry_docker_cache.migrate.surroundings import Surroundings

SEE_LAST_USER = "see the last USER"
_OTHER_STAGE = "a stage that the image does not use"
_BUILD_STAGE = "a build stage: the build has its own"
_UV = re.compile(r"(?:^|/)(?:uv|poetry)(?=[:@]|$)")
_USUAL_USERS = ((r"no(?:body)", "65534:65534"), ("www-data", "33:33"), ("daemon", "1:1"))
"""Patterns of Debian's own users, and their ids."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A Dockerfile, read."""

    outcomes: tuple[Outcome, ...]
    user: str = "root"
    """The user of its image."""
    users: tuple[tuple[str, str], ...] = ()
    """The users that it creates, as `uid:gid` or an empty text."""
    home: str = "/app"
    """The folder of its application."""
    whole: bool = False
    """Whether it copies the whole project."""
    covered: tuple[str, ...] = ()
    """Copied files that the image has by default."""
    filled: frozenset[str] = frozenset()
    """Places that its commands copy files to."""


def read_image(
    dockerfile: Dockerfile,
    stage: Stage,
    starts: Starts,
    around: Surroundings,
    prefix: str = "",
) -> Reading:
    """Translate all instructions; `stage` is what the production stage says as a whole.

    `prefix` is the project's folder in the build context.
    """
    reader = _Reader(dockerfile, stage, starts, around, prefix)
    outcomes = reader.read()
    return Reading(
        outcomes=tuple(sorted(outcomes, key=lambda outcome: outcome.line)),
        user=reader.state.user,
        users=tuple(reader.state.users.items()),
        home=reader.state.home,
        whole=reader.copies.whole,
        covered=tuple(reader.copies.covered),
        filled=frozenset(reader.state.filled),
    )


class _Reader:
    def __init__(
        self,
        dockerfile: Dockerfile,
        stage: Stage,
        starts: Starts,
        around: Surroundings,
        prefix: str,
    ) -> None:
        self._dockerfile = dockerfile
        self._stage = stage
        self._starts = starts
        self._around = around
        self._prefix = prefix
        self.state = self._new_state(is_final=True)
        self.copies = ContextCopies(self.state, prefix, starts)
        self._front_ends: dict[int, FrontEnd | None] = {}
        self._left: dict[int, int] = {}
        """Stages with a result that has no setting, and the line that copies it."""
        self._labelled: set[str] = set()
        """The build arguments that are the value of a label."""

    def _new_state(self, *, is_final: bool) -> StageState:
        return StageState(
            around=self._around,
            home=_home(self._stage, self._prefix),
            used=self._starts.texts,
            is_final=is_final,
            alpine=is_alpine(self._stage.base),
        )

    def read(self) -> list[Outcome]:
        file = self._dockerfile
        outcomes = [_of(each, unneeded("read where it is used")) for each in file.arguments]
        if not file.stages:
            return outcomes
        lineage = file.lineage(file.target)
        numbers = {stage.number for stage in lineage}
        used = file.used
        for stage in lineage:
            outcomes += self._read_final(stage)
        for stage in file.stages:
            if stage.number in numbers:
                continue
            if stage.number not in used:
                outcomes += [
                    _of(each, unneeded(_OTHER_STAGE)) for each in (stage.start, *stage.instructions)
                ]
            elif stage.number in self._front_ends:
                front = self._front_ends[stage.number]
                outcomes += _only(stage, front.outcomes) if front else self._read_other(stage)
            else:
                outcomes += self._read_build_stage(stage)
        return outcomes

    # The production stage.

    def _read_final(self, stage: DockerStage) -> Iterator[Outcome]:
        state = self.state
        if stage.parent is None:
            yield _of(stage.start, read_base(stage.image, self._around.project, self._stage))
        else:
            yield _of(stage.start, unneeded("the stage that it is based on is read"))
            state.arguments = {}
        for each in stage.instructions:
            yield from self._read(each)

    def _read(self, each: Instruction) -> Iterator[Outcome]:
        state, rest = self.state, each.arguments
        match each.keyword:
            case "RUN":
                state.folder = state.workdir
                found = commands(each)
                for command in found:
                    outcome = read_command(command, state)
                    yield replace(outcome, line=command.line, text=f"RUN {command.text}")
                if not found:
                    yield _of(each, unneeded("it runs nothing"))
                return
            case "COPY" | "ADD":
                copying = read_copying(each, state)
                if copying is None:
                    yield _of(each, left_over("Docker would refuse this instruction."))
                    return
                many = self._from(copying) if copying.origin else self.copies.read(copying)
                other = self._dockerfile.find(copying.origin)
                if other and any(outcome.advice for outcome in many):
                    self._left.update(
                        {
                            stage.number: each.line
                            for stage in self._dockerfile.lineage(other.number)
                        }
                    )
                yield from (_of(each, outcome) for outcome in many)
                return
            case "ENV":
                yield from (_of(each, outcome) for outcome in self._variables(rest))
                return
            case "ARG":
                given = {
                    name: self._dockerfile.values[name]
                    for name in rest.split()
                    if name in self._dockerfile.values
                }
                given.update(assignments(rest, state.values))
                for name in re.findall(r"(?:^|\s)([A-Za-z_]\w*)(?==|\s|$)", rest):
                    state.arguments.setdefault(name, given.get(name))
                state.values.update(given)
                yield _of(each, read_argument(rest))
                return
            case "WORKDIR":
                path = state.expand(rest.strip("\"'"))
                state.workdir = posixpath.normpath(posixpath.join(state.workdir, path))
                yield _of(each, self._workdir(state.workdir))
            case "USER":
                state.user = state.expand(rest.strip("\"'"))
                yield _of(each, unneeded(SEE_LAST_USER))
            case "LABEL":
                yield from (_of(each, outcome) for outcome in self._labels(rest))
            case "MAINTAINER":
                yield _of(each, setting("labels", {"maintainer": rest.strip("\"'")}))
            case "EXPOSE":
                yield _of(each, _ports(state.expand(rest)))
            case "VOLUME":
                yield _of(each, self._volumes(rest))
            case "STOPSIGNAL":
                signal = state.expand(rest)
                default = signal.upper() in ("SIGTERM", "TERM", "15")
                yield _of(
                    each,
                    unneeded("Docker's default") if default else setting("stop-signal", signal),
                )
            case "HEALTHCHECK":
                yield _of(each, self._healthcheck(rest))
            case "CMD":
                yield _of(each, self._starts.command)
            case "ENTRYPOINT":
                yield _of(each, self._starts.entrypoint)
            case "SHELL":
                yield _of(each, unneeded("the shell of the old RUN instructions"))
            case _:
                yield _of(
                    each,
                    left_over(
                        "There is no setting for this instruction. Add it to"
                        " `instructions.runtime` if the image needs it."
                    ),
                )

    def _workdir(self, place: str) -> Outcome:
        home = self.state.home
        if place != home or home == "/app":
            return unneeded(f"the application is in {home}")
        return setting("workdir", home)

    def _variables(self, rest: str) -> list[Outcome]:
        state = self.state
        raw = _raw_assignments(rest)
        if not raw:
            return [left_over("Docker would refuse this instruction.")]
        found = []
        for name, value in raw:
            expanded = state.expand(value)
            found.append(read_variable(name, value, expanded, state))
            state.values[name] = expanded
        kept = [outcome for outcome in found if not outcome.reason]
        return kept or found[:1]

    def _labels(self, rest: str) -> list[Outcome]:
        arguments: dict[str, object] = {}
        known: dict[str, str] = {}
        is_unclear = False
        for name, raw in _raw_assignments(rest, r"[\w.\"/-]+"):
            argument, value = find_argument(raw, self.state), self.state.expand(raw)
            if argument and argument[0] not in self._labelled:
                self._labelled.add(argument[0])
                arguments[argument[0]] = {"default": argument[1], "label": name}
            elif value and "$" not in value:
                known[name] = value
            else:
                is_unclear = is_unclear or "$" in value
        outcomes = [setting("build-args", arguments)] if arguments else []
        outcomes += [setting("labels", known)] if known else []
        if is_unclear or not outcomes:
            outcomes.append(
                left_over(
                    "The value comes from a build argument: add it to `build-args` with `label`."
                )
            )
        return outcomes

    def _volumes(self, rest: str) -> Outcome:
        try:
            words = json.loads(rest) if rest.startswith("[") else rest.split()
        except ValueError:
            words = rest.strip("[]").replace('"', "").replace(",", " ").split()
        places = [
            posixpath.normpath(posixpath.join(self.state.workdir, self.state.expand(str(word))))
            for word in words
        ]
        if any("$" in place for place in places):
            return left_over("Add the folder to `volumes`.")
        return setting("volumes", [self.state.inner(place) for place in places])

    def _healthcheck(self, rest: str) -> Outcome:
        options: dict[str, object] = {}
        text = self.state.expand(rest)
        while match := re.match(r"--([a-z-]+)=(\S+)\s+", text):
            options[match[1]] = int(match[2]) if match[2].isdecimal() else match[2]
            text = text[match.end() :]
        if text.strip().upper() == "NONE":
            return unneeded("the base image has no health check")
        if not text.upper().startswith("CMD"):
            return left_over("Set `healthcheck` to the command.")
        command = health_command(text[3:].strip())
        if command and command[:2] != ["python", "-c"]:
            if self._starts.health is None:
                return left_over(
                    f"It {self._starts.health_problem or 'is not clear'}. Set `healthcheck` to a"
                    " command that the image has."
                )
            command = [*self._starts.health]
        if command is None:
            return left_over(
                "The image has no curl or wget. Set `healthcheck` to a command of Python, such as"
                ' `["python", "-c", "import urllib.request as r; r.urlopen(\'http://localhost:8000\')"]`.'
            )
        value: object = {"command": command, **options} if options else command
        return setting("healthcheck", value)

    # What comes from other stages and images.

    def _from(self, copying: Copying) -> list[Outcome]:
        other = self._dockerfile.find(copying.origin)
        if other is None:
            if _UV.search(copying.origin):
                return [unneeded("the build installs the packages of poetry.lock itself")]
            return [self._from_image(copying.origin, copying)]
        if other.is_front_end:
            return [self._assets(other, copying)]
        if all(_changes_nothing(each) for each in other.instructions) and (
            other.parent is None and not re.search(r"(?:^|/)python:", other.image)
        ):
            return [self._from_image(other.image, copying)]
        return self._from_build_stage(other, copying)

    def _from_image(self, image: str, copying: Copying) -> Outcome:
        if "$" in image or image == "scratch":
            return left_over('Add the files with `copy = [{ image = "…", from = "…", to = "…" }]`.')
        entries = []
        for source in copying.sources:
            target = posixpath.normpath(posixpath.join(self.state.workdir, copying.target))
            into = copying.target.endswith(("/", "/.")) or len(copying.sources) > 1
            is_folder = source.endswith("/") or "." not in posixpath.basename(source)
            if into and not (is_folder and source.endswith("/")):
                target = posixpath.join(target, posixpath.basename(source))
            entry = {"image": image, "from": source.rstrip("/") or "/", "to": target}
            if re.fullmatch(r"0?[0-7]{3,4}", copying.mode):
                entry["mode"] = copying.mode.zfill(4)
            entries.append(entry)
        return setting("copy", entries)

    def _assets(self, stage: DockerStage, copying: Copying) -> Outcome:
        if stage.number not in self._front_ends:
            lineage = self._dockerfile.lineage(stage.number)
            front = read_front_end(
                lineage, self._around, dict(self._dockerfile.values), self._prefix
            )
            for each in lineage:
                self._front_ends[each.number] = front
        front = self._front_ends[stage.number]
        target = posixpath.normpath(posixpath.join(self.state.workdir, copying.target))
        entries = [
            entry
            for source in copying.sources
            if front
            for entry in [front.entry(source, self.state.inner(target))]
            if entry
        ]
        if len(entries) == len(copying.sources):
            return setting("assets", entries)
        if any("node_modules" in source for source in copying.sources):
            return left_over(
                "The image has the output of a front end only. If Python needs files of"
                " node_modules, let the build copy them into its output."
            )
        return left_over(
            'Describe the front end: `assets = { folder = "…", output = "…", to = "…" }`.'
        )

    def _from_build_stage(self, stage: DockerStage, copying: Copying) -> list[Outcome]:
        origin = self._new_state(is_final=False)
        for each in (
            each for s in self._dockerfile.lineage(stage.number) for each in s.instructions
        ):
            _follow(each, origin, self._dockerfile.values)
        copied = self._copied_in(stage)
        found = []
        for source in copying.sources:
            place = posixpath.normpath(posixpath.join("/", self.state.expand(source)))
            path = _origin(place, copied)
            if origin.is_tool_folder(place) or re.search(
                r"venv|site-packages|/usr/local/(?:bin|lib)/?$|\.local|poetry|pypoetry|wheels"
                r"|requirements\S*\.txt|dist|pyproject|/install$|/opt/pysetup|/deps|/dependencies",
                place,
            ):
                if path == "." or (path and self._around.has_code(path)):
                    found += self.copies.read(replace(copying, sources=(path,), origin=""))
                else:
                    found.append(unneeded("the build installs the packages of poetry.lock itself"))
            elif path is None and (inside := _inside(place, copied)):
                for inner, below in inside:
                    context = posixpath.join(self._prefix, inner) if self._prefix else inner
                    target = posixpath.join(copying.target, below)
                    found += self.copies.read(
                        replace(copying, sources=(context,), target=target, origin="")
                    )
            elif path is not None:
                context = posixpath.join(self._prefix, path) if self._prefix else path
                found += self.copies.read(replace(copying, sources=(context,), origin=""))
            else:
                found.append(
                    left_over(
                        "The old build made these files in another stage. Make them with a step of"
                        ' `run`, or in an image of their own: `copy = [{ image = "…", from ='
                        ' "…", to = "…" }]`.'
                    )
                )
        return found

    def _copied_in(self, stage: DockerStage) -> dict[str, str]:
        """Return places in a build stage with the paths of the project that were copied there."""
        state = self._new_state(is_final=False)
        copies = ContextCopies(state, self._prefix)
        for each in (
            each for s in self._dockerfile.lineage(stage.number) for each in s.instructions
        ):
            _follow(each, state, self._dockerfile.values)
            copying = read_copying(each, state) if each.keyword in ("COPY", "ADD") else None
            if copying and not copying.origin:
                copies.read(copying)
        return state.copied

    # Other stages.

    def _read_build_stage(self, stage: DockerStage) -> Iterator[Outcome]:
        yield _of(stage.start, unneeded(_BUILD_STAGE))
        state = self._new_state(is_final=False)
        for ancestor in self._dockerfile.lineage(stage.number)[:-1]:
            for each in ancestor.instructions:
                _follow(each, state, self._dockerfile.values)
        for each in stage.instructions:
            _follow(each, state, self._dockerfile.values)
            found = commands(each) if each.keyword == "RUN" else ()
            if not found:
                yield _of(each, unneeded(_BUILD_STAGE))
            state.folder = state.workdir
            for command in found:
                outcome = read_command(command, state)
                if outcome.advice and stage.number in self._left:
                    outcome = unneeded(f"see line {self._left[stage.number]}")
                yield replace(outcome, line=command.line, text=f"RUN {command.text}")

    def _read_other(self, stage: DockerStage) -> Iterator[Outcome]:
        yield _of(stage.start, unneeded("see the COPY that takes files from this stage"))
        for each in stage.instructions:
            yield _of(each, unneeded("see the COPY that takes files from this stage"))


def _changes_nothing(each: Instruction) -> bool:
    idle = ("echo", "true", "ls")
    return each.keyword in ("ARG", "ENV", "LABEL") or (
        each.keyword == "RUN" and all(command.program in idle for command in commands(each))
    )


def _of(instruction: Instruction, outcome: Outcome) -> Outcome:
    return replace(outcome, line=instruction.line, text=" ".join(instruction.text.split()))


def _only(stage: DockerStage, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes of one stage."""
    lines = {line for each in (stage.start, *stage.instructions) for _, line in each.starts}
    lines |= {line for each in stage.instructions for line, _ in each.heredocs}
    return [outcome for outcome in outcomes if outcome.line in lines]


def _follow(each: Instruction, state: StageState, outer: dict[str, str] | object) -> None:
    """Follow variables and folders, without a result."""
    values = outer if isinstance(outer, dict) else {}
    if each.keyword in ("ENV", "ARG"):
        names = each.arguments.split() if each.keyword == "ARG" else []
        state.values.update({name: values[name] for name in names if name in values})
        state.values.update(assignments(each.arguments, state.values))
    elif each.keyword == "WORKDIR":
        path = state.expand(each.arguments.strip("\"'"))
        state.workdir = posixpath.normpath(posixpath.join(state.workdir, path))


def _origin(place: str, copied: dict[str, str]) -> str | None:
    for target, path in sorted(copied.items(), key=lambda pair: -len(pair[0])):
        inner = posixpath.relpath(place, target)
        if not inner.startswith(".."):
            return posixpath.normpath(posixpath.join(path, inner))
    return None


def _inside(place: str, copied: dict[str, str]) -> list[tuple[str, str]]:
    """List the paths that were copied below a place, and where."""
    return [
        (path, posixpath.relpath(target, place))
        for target, path in copied.items()
        if target.startswith(f"{place}/")
    ]


def _home(stage: Stage, prefix: str) -> str:
    """Return the folder of the image that corresponds to the project's."""
    places = [target for path, target in stage.copied if path in (".", prefix)]
    home = places[-1] if places else stage.workdir
    tools = {stage.variables.get(name) for name in ("PYSETUP_PATH", "POETRY_HOME", "VIRTUAL_ENV")}
    return home if home not in {"/", *tools} else "/app"


def _raw_assignments(rest: str, name: str = r"\w+") -> list[tuple[str, str]]:
    """Return names and values, with the variables in them."""
    if not re.match(rf"{name}=", rest):
        first, _, value = rest.partition(" ")
        return [(first.strip("\"'"), value.strip().strip("\"'"))] if value.strip() else []
    try:
        words = shlex.split(rest)
    except ValueError:
        return []
    pairs = (word.partition("=") for word in words)
    return [(key, value) for key, equals, value in pairs if equals]


def _ports(text: str) -> Outcome:
    found: list[object] = []
    for word in text.split():
        number, _, kind = word.partition("/")
        if not number.isdecimal():
            return left_over("Set `ports` to the numbers of the ports.")
        found.append(int(number) if kind in ("", "tcp") else word)
    return setting("ports", found)


def health_command(text: str) -> list[str] | None:
    """Return the check in exec form; a check by curl or wget becomes one by Python."""
    if text.startswith("["):
        try:
            words = [str(word) for word in json.loads(text)]
        except ValueError:
            return None
    else:
        simple = re.sub(r"\s*\|\|\s*exit\s+1\s*$", "", text)
        plain = not re.search(r"[|&;<>`$()]", simple)
        words = shlex.split(simple) if plain and _closed(simple) else ["sh", "-c", text]
    if words and words[0] in SHELLS and len(words) > 2 and words[1] == "-c":  # noqa: PLR2004  # sh -c TEXT
        inner = re.sub(r"\s*\|\|\s*exit\s+1\s*$", "", words[2])
        if re.match(r"(?:curl|wget)\s", inner) and not re.search(r"[|&;<>`$()]", inner):
            words = shlex.split(inner) if _closed(inner) else words
    if words[:1] and words[0] in ("curl", "wget"):
        addresses = [
            word for word in words if re.match(r"(?:https?://)?(?:localhost|127\.|0\.)", word)
        ]
        special = {"-H", "--header", "-X", "--request", "-d", "--data", "-k", "--insecure", "-u"}
        if len(addresses) != 1 or special & {*words}:
            return None
        address = addresses[0] if "://" in addresses[0] else f"http://{addresses[0]}"
        return ["python", "-c", f"import urllib.request as r; r.urlopen({address!r}, timeout=5)"]
    if any(re.search(r"\b(?:curl|wget)\b", word) for word in words):
        return None
    if words[:2] == ["poetry", "run"]:
        words = words[2:]
    return words or None


def _closed(text: str) -> bool:
    try:
        return bool(shlex.split(text))
    except ValueError:
        return False


def user_outcome(user: str, users: dict[str, str], *, may_have: bool) -> Outcome:
    """Return the outcome of the last USER."""
    name = user.partition(":")[0]
    if name in ("", "root", "0"):
        return unneeded("the image runs as a user without rights, not as root")
    if re.fullmatch(r"\d+(?::\d+)?", user):
        return setting("user", user)
    if name in users:
        ids = users[name]
        return setting("user", ids) if ids else unneeded("the image has its own user")
    if known := [ids for pattern, ids in _USUAL_USERS if re.fullmatch(pattern, name)]:
        return setting("user", known[0])
    if may_have:
        return setting("user", name)
    return unneeded("the image has its own user")
