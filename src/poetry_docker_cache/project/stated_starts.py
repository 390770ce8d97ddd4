"""Start commands that the project's own Procfile and Dockerfile state, for another image."""

from __future__ import annotations

import itertools
import posixpath
import re
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.dockerfile_syntax import GENERATED
from poetry_docker_cache.docker.final_stage import Command, Stage, final_stage
from poetry_docker_cache.docker.ignore_patterns import is_inside
from poetry_docker_cache.project.command_lines import (
    SHELLS,
    CommandLine,
    DevelopmentError,
    UnclearError,
    parse_line,
    port_of,
    program_words,
)
from poetry_docker_cache.project.model import SourceTreeRoot, StatedStart, WheelRoot
from poetry_docker_cache.project.root.declared import is_file, is_here, text_of
from poetry_docker_cache.system.compat import is_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

_FOLDERS = {
    *(".docker", "build", "ci", "compose", "container", "containers", "deploy", "deployment"),
    *("docker", "infra", "infrastructure", "ops"),
}
_OTHER_USE = re.compile(
    r"(?:^|[./_-])(?:base|bdd|builder?|cypress|db|debug|demo|dev(?:el|container|elopment)?|docs|"
    r"e2e|editable|frontend|lint|local|nginx|patch|postgres|redis|tests?|ui|web-?server)(?=$|[./_-])",
    re.IGNORECASE,
)
_WEB = re.compile(r"^web[ \t]*:[ \t]*(\S.*)$", re.MULTILINE)
_TARGET = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*(?::[\w.]+(?:\(.*\))?)?")
_SERVERS = {
    *("celery", "daphne", "dramatiq", "granian", "gunicorn", "hypercorn", "sanic"),
    *("uvicorn", "uwsgi", "waitress-serve", "arq"),
}
_FILE_SERVERS = {"chainlit", "fastapi", "gradio", "streamlit"}
_CONFIGURING = ("-c", "--config", "--ini", "--log-config")
_ABSOLUTE_FILE = re.compile(r"(?:^|\s)/[\w./-]+\.(?:conf|ini|json|log|py|sh|toml|txt|ya?ml)$")
# Programs that an image lacks: package managers, other servers, tools to change the user.
_LACKING = re.compile(
    r"(?:^|[\s;&|(])"
    r"(apk|apt-get|aws|celery beat|chown|curl|dockerize|eval|gosu|make|nc|nginx|node|npm|pdm"
    r"|pg_isready|pipenv|poetry|psql|service|su-exec|sudo|supervisord|usermod|uv|watchmedo|wget|yarn"
    r"|wait-for\S*|\S*venv/bin/\S+)(?=\s|$)",
    re.MULTILINE,
)
_PREPARES = re.compile(r"set [-+][\w ]+|(?:\.|source) \S*/activate|\w+=\(\s*\)")
_STARTS_CMD = re.compile(r"exec (?:\"\$\{\w+\[@\]\}\" )?\"?\$@\"?")
_SHEBANG = re.compile(r"#! *(?:/usr/bin/env +(?:-S +)?)?(\S+)")


def own_dockerfiles(folder: Path, without: Collection[str] = ()) -> list[str]:
    """List the Dockerfiles that may build the application: the usual one, else all others."""
    if "Dockerfile" not in without and _is_own(folder, "Dockerfile"):
        return ["Dockerfile"]
    found: list[str] = []
    tops = [folder, *(folder / name for name in sorted(_FOLDERS))]
    for top in (top for top in tops if top.is_dir()):
        depths = ("*",) if top == folder else ("*", "*/*")
        for path in (path for depth in depths for path in sorted(top.glob(depth))):
            name = path.relative_to(folder).as_posix()
            kind = re.fullmatch(r"Dockerfile(\..+)?|.+\.[dD]ockerfile", path.name)
            if (
                kind
                and not _OTHER_USE.search(name)
                and _is_own(folder, name)
                and name not in without
            ):
                found.append(name)
    usual = [name for name in found if posixpath.basename(name) == "Dockerfile"]
    return usual or found


def _is_own(folder: Path, name: str) -> bool:
    path = folder / name
    return is_file(path) and is_here(folder, name) and GENERATED not in text_of(path)


def own_stages(folder: Path, without: Collection[str] = ()) -> dict[str, Stage]:
    """Read the last stage of each Dockerfile that may build the application."""
    names = own_dockerfiles(folder, without)
    read = {name: final_stage(text_of(folder / name)) for name in names}
    return {name: stage for name, stage in read.items() if stage}


def stated_starts(
    folder: Path,
    root: WheelRoot | SourceTreeRoot,
    scripts: Collection[str],
    without: Collection[str] = (),
) -> tuple[StatedStart, ...]:
    """Read the command `web` of the Procfile, and those of Dockerfiles.

    `scripts` are the names of the project's console scripts, `without` Dockerfiles to leave out.
    """
    stages = own_stages(folder, without)
    found = (dockerfile_start(folder, root, scripts, *each) for each in stages.items())
    return (*_procfile(folder, root, scripts), *(start for start in found if start))


def _procfile(
    folder: Path, root: WheelRoot | SourceTreeRoot, scripts: Collection[str]
) -> Iterator[StatedStart]:
    path = folder / "Procfile"
    text = text_of(path) if is_file(path) and is_here(folder, "Procfile") else ""
    if match := _WEB.search(text):
        reading = _Reading(folder=folder, root=root, scripts=scripts, stage=Stage(base=""))
        yield reading.start("Procfile", match[1].strip())


def joined(entrypoint: Command, command: Command) -> Command:
    """Return what a container starts, by Docker's rules."""
    if isinstance(entrypoint, str):
        return entrypoint
    if isinstance(command, str):
        return (*entrypoint, "sh", "-c", command) if entrypoint else command
    return (*entrypoint, *command)


def idle_entrypoint(folder: Path, stage: Stage) -> str | None:
    """Return the path of an ENTRYPOINT script that only starts CMD, after `activate` at most."""
    if isinstance(stage.entrypoint, str) or len(stage.entrypoint) != 1:
        return None
    path = stage.origin(posixpath.normpath(posixpath.join(stage.workdir, stage.entrypoint[0])))
    if path is None or not is_here(folder, path) or not is_file(folder / path):
        return None
    lines = re.sub(r"(?m)(?:^|\s)#.*$", "", text_of(folder / path)).splitlines()
    found = [line.strip() for line in lines if line.strip()]
    prepares = all(_PREPARES.fullmatch(line) for line in found[:-1])
    return path if found and prepares and _STARTS_CMD.fullmatch(found[-1]) else None


def dockerfile_start(
    folder: Path,
    root: WheelRoot | SourceTreeRoot,
    scripts: Collection[str],
    name: str,
    stage: Stage,
) -> StatedStart | None:
    """Read the start command of a stage; None if it has none."""
    reading = _Reading(folder=folder, root=root, scripts=scripts, stage=stage)
    first, then = stage.entrypoint, stage.command
    if idle_entrypoint(folder, stage):
        first = ()
    if not first and not then:
        return None
    found = reading.start(name, joined(first, then))
    if found.problem and first and then:
        # The entrypoint usually only prepares what the command needs.
        alone = reading.start(name, then)
        entrypoint = first if isinstance(first, str) else shlex.join(first)
        left_out = (f"its ENTRYPOINT `{entrypoint}`", *alone.changes)
        both = "\n".join(filter(None, (found.evidence, alone.evidence)))
        found = found if alone.problem else replace(alone, changes=left_out)
        found = replace(found, evidence=both or None)
    return found


@dataclass(frozen=True, kw_only=True)
class _Use:
    """What one command needs."""

    given: tuple[str, ...]
    paths: list[str] = field(default_factory=list)
    """Files and folders of the project."""
    programs: list[str] = field(default_factory=list)
    replaced: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Words that differ in the image."""
    ports: list[str] = field(default_factory=list)
    """The ports that its configuration names."""
    relative: list[str] = field(default_factory=list)
    """The paths that are relative to the folder of the command."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words for the image."""
        return tuple(new for word in self.given for new in self.replaced.get(word, (word,)))

    def text(self, given: str) -> str:
        """Return a text for a shell with the words for the image."""
        words = given.split(" ")
        return " ".join(
            " ".join(map(_quoted, self.replaced[word])) if word in self.replaced else word
            for word in words
        )

    def take(
        self, word: str, path: str, base: str, interpreter: str = "", prefix: str = ""
    ) -> None:
        """Note that a word is the path of a file, relative to a folder in the image."""
        self.paths.append(path)
        self.relative.append(path)
        new = prefix + posixpath.relpath(path, base)
        self.replaced[word] = (interpreter, new) if interpreter else (new,)


def _quoted(word: str) -> str:
    """Quote a word for a shell, except for variables."""
    return word if re.fullmatch(r"[\w@%+=:,./${}-]+", word) else shlex.quote(word)


def _started(program: str) -> str:
    return rf"(?m)(?:^|[;&|]|\bexec\b)[ \t]*{re.escape(program)}(?=\s)"


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """The project and the stage in which a command is stated."""

    folder: Path
    root: WheelRoot | SourceTreeRoot
    scripts: Collection[str]
    stage: Stage

    def start(self, file: str, given: Sequence[str] | str) -> StatedStart:
        """Read a command for the image of the plan."""
        try:
            line = parse_line(given, self.stage.variables)
            return replace(self._start(file, line), evidence=self._evidence(given))
        except UnclearError as error:
            development = isinstance(error, DevelopmentError)
            return StatedStart(
                file=file,
                problem=str(error),
                ports=self.stage.exposed,
                evidence=None if development else self._evidence(given),
            )

    def _evidence(self, given: Sequence[str] | str) -> str:
        """Return the command as it is written, and the texts of the scripts in it."""
        words = given.split() if isinstance(given, str) else [*given]
        words += ["Makefile"] if "make" in words else []
        paths = [self._path(word.strip("\"'"), ".") for word in words]
        return "\n".join((*words, *(text_of(self.folder / path) for path in paths if path)))

    def _start(self, file: str, line: CommandLine) -> StatedStart:
        place = posixpath.normpath(posixpath.join(self.stage.workdir, line.folder))
        origin = self.stage.origin(place) if self.stage.copied else posixpath.normpath(line.folder)
        base = origin if origin and is_folder(self.folder / origin) else "."
        uses = [self._uses(words, base) for words in line.commands]
        needs_folder = base != "." and any(use.relative for use in uses)
        paths = tuple(dict.fromkeys(path for use in uses for path in use.paths))
        programs = tuple(dict.fromkeys(name for use in uses for name in use.programs))
        texts = [use.text(text) for use, text in zip(uses, line.texts, strict=False)]
        shell = ""
        if texts or needs_folder:
            texts = texts or [" ".join(map(_quoted, uses[-1].words))]
            before = [f"cd {shlex.quote(base)}"] if needs_folder else []
            last = f"exec env {texts[-1]}" if re.match(r"\w+=", texts[-1]) else f"exec {texts[-1]}"
            shell = " && ".join([*before, *texts[:-1], last])
        single = len(uses) == 1 and not needs_folder and not re.match(r"\w+=", uses[0].words[0])
        port = port_of(uses[-1].words)
        ports = self.stage.exposed or ((port,) if port else tuple(uses[-1].ports))
        return StatedStart(
            file=file,
            words=uses[-1].words if single else (),
            last=uses[-1].words,
            shell=shell,
            programs=programs,
            paths=paths,
            ports=ports,
            changes=line.changes,
        )

    def _uses(self, words: tuple[str, ...], base: str) -> _Use:
        """Find what a command needs. Raises UnclearError if the image cannot have it."""
        at = len(words) - len(program_words(words))
        if at == len(words):
            raise UnclearError("starts no program")
        use = _Use(given=words)
        first, rest = words[at], words[at + 1 :]
        if re.fullmatch(r"(.*/)?python[\d.]*", first):
            use.replaced[first] = ("python",)
            self._python(use, rest, base)
        elif posixpath.basename(first) in SHELLS and rest:
            use.replaced[first] = (posixpath.basename(first),)
            self._script(use, rest[0], base)
        elif "/" in first or first.endswith((".sh", ".py")):
            self._file_or_program(use, first, rest, base)
        else:
            use.programs.append(first)
            self._targets(use, first, rest, base)
        self._refuse_absolute(use)
        return use

    def _python(self, use: _Use, rest: tuple[str, ...], base: str) -> None:
        while rest and rest[0] in ("-u", "-O", "-B", "-I", "-E"):
            rest = rest[1:]
        if not rest:
            raise UnclearError("starts Python without a program")
        if rest[0] in ("-m", "-um") and len(rest) > 1:
            module = rest[1]
            if not self._module(use, module, base):
                use.programs.append(f"-m {module.split('.')[0]}")
                self._targets(use, module, rest[2:], base)
        elif rest[0] != "-c":
            path = self._existing(rest[0], base)
            if installed := self._wheel_module(path):
                use.replaced[rest[0]] = ("-m", installed)
            else:
                use.take(rest[0], path, base)

    def _script(self, use: _Use, word: str, base: str, interpreter: str = "") -> None:
        path = self._existing(word, base)
        text = re.sub(r"(?m)^\s*#.*$", "", text_of(self.folder / path))
        if match := _LACKING.search(text):
            raise UnclearError(f"starts {path}, which runs {match[1]}")
        if self.stage.workdir not in ("/", "/app") and f"{self.stage.workdir}/" in text:
            raise UnclearError(f"starts {path}, which uses paths in {self.stage.workdir}")
        if any(re.search(rf"(?<!\w){name}(?!\w)", text) for name in ("runserver", "--reload")):
            raise DevelopmentError(f"starts {path}, which starts a development server")
        use.programs.extend(name for name in sorted(_SERVERS) if re.search(_started(name), text))
        use.take(word, path, base, interpreter)

    def _file_or_program(self, use: _Use, word: str, rest: tuple[str, ...], base: str) -> None:
        found = self._path(word, base)
        if found is None and "/bin/" in word:
            program = posixpath.basename(word)
            use.replaced[word] = (program,)
            use.programs.append(program)
            self._targets(use, program, rest, base)
            return
        path = self._existing(word, base)
        shebang = _SHEBANG.match(text_of(self.folder / path))
        interpreter = posixpath.basename(shebang[1]) if shebang else "sh"
        if interpreter.startswith("python"):
            self._python(use, (word, *rest), base)
            use.replaced[word] = ("python", *use.replaced[word])
        elif interpreter in SHELLS:
            self._script(use, word, base, interpreter)
        else:
            raise UnclearError(f"starts {word}, which needs {interpreter}")

    def _targets(self, use: _Use, program: str, rest: tuple[str, ...], base: str) -> None:
        """Find the module or file that a server or worker starts."""
        if program in _FILE_SERVERS:
            for word in [word for word in rest if word.endswith(".py")][:1]:
                path = self._existing(word, base)
                if self._wheel_module(path):
                    raise UnclearError(f"starts {word}, which is only in the wheel")
                use.take(word, path, base)
            return
        if program not in _SERVERS:
            return
        is_configured = self._configured(use, rest, base)
        words = [word.partition("=")[2] if word.startswith("--") else word for word in rest]
        named = [
            word
            for word in words
            if _TARGET.fullmatch(word.strip("\"'")) and word not in use.replaced
        ]
        for word in [word for word in named if word.endswith((".ini", ".yaml", ".yml", ".json"))]:
            use.take(word, self._existing(word, base), base)
            is_configured = True
            named.remove(word)
        if any(self._module(use, word.strip("\"'").partition(":")[0], base) for word in named):
            return
        files = [self._path(word.rpartition("=")[2], base) for word in rest if "=" in word]
        if program == "uwsgi" and any(files):  # `--mount /shop=shop/wsgi.py`
            found = [path for path in files if path and not self._wheel_module(path)]
            use.paths.extend(found)
            use.relative.extend(found)
            return
        values = [
            word for option, word in itertools.pairwise(("", *rest)) if option.startswith("-")
        ]
        shown = next((word for word in named if word not in values), None)
        if shown or not is_configured:
            raise UnclearError(f"starts {shown or program}, which is not a module of the project")

    def _configured(self, use: _Use, rest: tuple[str, ...], base: str) -> bool:
        """Find the file with the configuration of a server, which may name the module."""
        found = False
        for before, word in zip(("", *rest), rest, strict=False):
            option, _, value = word.rpartition("=")
            if option not in _CONFIGURING and (option or before not in _CONFIGURING):
                continue
            found = True
            value = value.removeprefix("file:")
            if not value.startswith("python:"):
                path = self._existing(value, base)
                bound = re.search(
                    r"^\s*bind\s*=.*:(\d+)", text_of(self.folder / path), re.MULTILINE
                )
                use.ports.extend([bound[1]] if bound else [])
                if not self._wheel_module(path):
                    use.take(word, path, base, prefix=f"{option}=" if option else "")
        return found

    def _refuse_absolute(self, use: _Use) -> None:
        """Raise UnclearError for other absolute paths of files, which the image does not have."""
        for word in use.words[1:]:
            value = word.rpartition("=")[2] if word.startswith("-") else word
            if _ABSOLUTE_FILE.search(value):
                raise UnclearError(f"needs {value}, which is not in the project")

    def _existing(self, word: str, base: str) -> str:
        path = self._path(word, base)
        if path is None:
            raise UnclearError(f"needs {word}, which is not in the project")
        return path

    def _path(self, word: str, base: str) -> str | None:
        """Return the path in the project of a file in the stage."""
        name = posixpath.normpath(posixpath.join(base, word))
        if word.startswith("/"):
            found = self.stage.origin(posixpath.normpath(word))
            if found is None:
                return None
            name = found
        inside = not name.startswith("../") and is_here(self.folder, name)
        return name if inside and is_file(self.folder / name) else None

    def _module(self, use: _Use, module: str, base: str) -> bool:
        """Whether the project has this module, or the module that has this attribute."""
        if isinstance(self.root, SourceTreeRoot):
            places = [*dict.fromkeys([self.root.import_folder or ".", "."])]
        else:
            places = [*self.root.import_folders] or ["."]
        above = dict(getattr(self.root, "packages_above", ()))
        if (
            module in above
            or module.rpartition(".")[0] in above
            or any(module.startswith(f"{name}.") for name in above)
        ):
            return True
        for place in dict.fromkeys([*places, ".", base]):
            path = _module_path(self.folder, place, module)
            if path is None:
                continue
            if place in places and (isinstance(self.root, SourceTreeRoot) or self._in_wheel(path)):
                return True
            if self._in_wheel(path):
                continue
            use.paths.append(path)
            use.relative.extend([path] if place == base else [])
            return True
        return False

    def _in_wheel(self, path: str) -> bool:
        return isinstance(self.root, WheelRoot) and is_inside(path, self.root.paths)

    def _wheel_module(self, path: str) -> str | None:
        """Return the name of a module that is installed from the wheel, not copied."""
        if not isinstance(self.root, WheelRoot) or not self._in_wheel(path):
            return None
        if not path.endswith(".py"):
            return None
        for place in self.root.import_folders or (".",):
            inner = posixpath.relpath(path, place)
            if not inner.startswith(".."):
                return inner.removesuffix(".py").removesuffix("/__main__").replace("/", ".")
        return None


def _module_path(folder: Path, place: str, module: str) -> str | None:
    name = posixpath.normpath(posixpath.join(place, module.replace(".", "/")))
    for path in (name, posixpath.dirname(name)) if "." in module else (name,):
        if path in ("", ".", place):
            continue
        if is_file(folder / f"{path}.py"):
            return f"{path}.py"
        if is_folder(folder / path) and (path == name or is_file(folder / path / "__init__.py")):
            return path
    return None
