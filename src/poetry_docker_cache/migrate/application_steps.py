"""Build steps that need the installed application: what `run` can do."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from poetry_docker_cache.migrate.outcomes import Outcome, left_over, setting, unneeded
from poetry_docker_cache.project.model import SourceTreeRoot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.migrate.shell import ShellCommand
    from poetry_docker_cache.migrate.stage_state import StageState

_GETTEXT = ["gettext"]
_NLTK_DATA = "/usr/local/share/nltk_data"


def read_application_step(
    command: ShellCommand, words: tuple[str, ...], state: StageState
) -> Outcome:
    """Translate a command that runs a program of the image, such as `manage.py collectstatic`."""
    step = _Step(command, words, state)
    if state.is_final and (verb := step.django_verb):
        return step.django(verb)
    if state.is_final and step.words[:2] == ["pybabel", "compile"]:
        return step.pybabel()
    if state.is_final and step.words[:3] == ["python", "-m", "nltk.downloader"]:
        return step.nltk()
    if step.words[:3] == ["python", "-m", "spacy"] or step.words[:2] == ["spacy", "download"]:
        return left_over(
            "The model is a Python package. Run `poetry add` with the URL of its wheel, so that"
            " its version is locked."
        )
    if not state.is_final and words[0] in ("cp", "mv") and ".whl" in " ".join(words):
        return unneeded("the build makes and installs the wheels itself")
    if not state.is_final and words[0] in ("cp", "mv", "git", "make", "tar", "unzip"):
        return left_over(_STAGE)
    if words[0] in ("cp", "mv"):
        state.filled.add(state.inner(state.place(words[-1])))
        return left_over('Copy the file to its place: `copy = [{ from = "…", to = "…" }]`.')
    if words[0] in ("git", "make", "gcc", "g++", "cmake", "tar", "unzip", "cargo", "go"):
        return left_over(_STAGE)
    if words[0] == "playwright" or step.words[:3] == ["python", "-m", "playwright"]:
        return left_over(
            "Browsers need system packages as well. Use `instructions.runtime` with the packages,"
            " and a step of `run` with `network = true` whose `output` is PLAYWRIGHT_BROWSERS_PATH."
        )
    return left_over(step.advice)


_STAGE = (
    'Build this in an image of its own, and copy the result: `copy = [{ image = "…", from ='
    ' "…", to = "…" }]`. Or add the lines to `instructions.runtime`.'
)


class _Step:
    """One command with what it needs to become a step of `run`."""

    def __init__(self, command: ShellCommand, words: tuple[str, ...], state: StageState) -> None:
        self.state = state
        self.environment = {name: state.expand(value) for name, value in command.environment}
        self.words = [*words]
        if re.fullmatch(r"python[\d.]*", posixpath.basename(words[0])):
            self.words[0] = "python"
        elif words[0] in ("./manage.py", "manage.py") or words[0].endswith("/manage.py"):
            self.words = ["python", *words]

    @property
    def django_verb(self) -> str | None:
        """The command of Django, if it is one."""
        words = self.words
        if words[0] == "django-admin" and len(words) > 1:
            return words[1]
        named = [at for at, word in enumerate(words) if posixpath.basename(word) == "manage.py"]
        if words[0] != "python" or not named or len(words) < named[0] + 2:
            return None
        return words[named[0] + 1]

    def django(self, verb: str) -> Outcome:
        """Return the step for a command of Django."""
        if verb in ("check", "diffsettings", "showmigrations"):
            return unneeded("it only checks the project: run it in CI")
        if verb == "migrate":
            return left_over(
                "An image is built without a database: migrate when you deploy, with `docker run"
                " IMAGE python manage.py migrate`."
            )
        if verb == "collectstatic":
            root = self.state.around.static_root(self._settings_module)
            if root is None:
                return left_over(
                    f"Add `{self._line(['…'])}` with the folder STATIC_ROOT of your settings as its"
                    " output."
                )
            return self._run([root], [])
        if verb in ("compilemessages", "compilejsi18n"):
            found = self.state.around.translations()
            if not found or not isinstance(self.state.around.project.root, SourceTreeRoot):
                return left_over(
                    f"Add `{self._line(['…'], _GETTEXT)}` with your folders of translations as its"
                    " output."
                )
            return self._run(found, _GETTEXT)
        return left_over(self.advice)

    @property
    def _settings_module(self) -> str:
        """The module of Django's settings, if the Dockerfile names it."""
        name = "DJANGO_SETTINGS_MODULE"
        return self.environment.get(name, self.state.values.get(name, ""))

    def pybabel(self) -> Outcome:
        """Return the step that compiles translations with Babel."""
        words = self.words
        places = [
            words[at + 1] for at, word in enumerate(words[:-1]) if word in ("-d", "--directory")
        ]
        places += [word.partition("=")[2] for word in words if word.startswith("--directory=")]
        places = [posixpath.join(self._folder or ".", place) for place in places]
        if len(places) != 1 or self.state.around.in_wheel(posixpath.normpath(places[0])):
            return left_over(self.advice)
        return self._run([posixpath.normpath(places[0])], [])

    def nltk(self) -> Outcome:
        """Return the step that downloads data of NLTK."""
        words = self.words
        place = words[words.index("-d") + 1] if "-d" in words[:-1] else _NLTK_DATA
        given = words if "-d" in words else [*words[:3], "-d", place, *words[3:]]
        self.words = given
        return self._run([place], [], network=True)

    @property
    def advice(self) -> str:
        """What to do with a command that may write anything."""
        return (
            "If the image needs what this writes, add"
            f" `{self._line(['…'])}` with the paths that it writes as its output, and `network ="
            " true` if it downloads them."
        )

    def _run(
        self, output: Sequence[str], packages: Sequence[str], *, network: bool = False
    ) -> Outcome:
        if self._folder is None or any("$" in word for word in self.words):
            return left_over(self.advice)
        return setting("run", [self._step(output, packages, network=network)])

    @property
    def _folder(self) -> str | None:
        """The folder of the command, relative to that of the application; None if elsewhere."""
        state = self.state
        if state.folder in (state.home, "/"):
            return "."
        inner = state.inner(state.folder)
        return None if inner.startswith("/") else inner

    def _step(
        self, output: Sequence[str], packages: Sequence[str], *, network: bool = False
    ) -> dict[str, object]:
        words = [self.state.inner(word) for word in self.words]
        folder = self._folder
        if folder and folder != "." and any(word.endswith(".py") for word in words):
            words = [
                posixpath.normpath(posixpath.join(folder, word)) if word.endswith(".py") else word
                for word in words
            ]
        elif folder and folder != ".":
            words = ["sh", "-c", f"cd {shlex.quote(folder)} && {shlex.join(words)}"]
        step: dict[str, object] = {"command": words}
        environment = {**self.state.secrets, **self.environment}
        step.update({"env": environment} if environment else {})
        step["output"] = [*output]
        step.update({"packages": [*packages]} if packages else {})
        step.update({"network": True} if network else {})
        return step

    def _line(self, output: Sequence[str], packages: Sequence[str] = ()) -> str:
        step = self._step(output, packages)
        inner = ", ".join(
            f"{key} = {json.dumps(value, ensure_ascii=False)}"
            for key, value in step.items()
            if key != "env"
        )
        return f"run = [{{ {inner} }}]"
