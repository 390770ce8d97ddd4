"""What both commands share: GROUPS options, reading the project, and saying what went wrong."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cleo.formatters.formatter import Formatter
from cleo.helpers import option
from cleo.io.inputs.argv_input import ArgvInput
from cleo.io.io import IO
from cleo.io.outputs.output import Type, Verbosity
from poetry.console.commands.group_command import GroupCommand

from poetry_docker_cache.commands.unreadable import unreadable
from poetry_docker_cache.credentials import refuse_credentials_in_urls
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.planner import make_plan, used_sources
from poetry_docker_cache.project import project_folder, read_project, settings_table
from poetry_docker_cache.selection import SelectionOptions, select
from poetry_docker_cache.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from cleo.io.inputs.option import Option
    from poetry.poetry import Poetry

    from poetry_docker_cache.plan import ImagePlan


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A project that was read and planned."""

    poetry: Poetry
    folder: Path
    settings: Settings
    plan: ImagePlan
    name: str | None
    version: str | None
    sources: tuple[str, ...]
    """The names of the sources that a build contacts."""


class DockerCommand(GroupCommand):
    """A command that plans an image of the project; it needs no virtual environment."""

    options: ClassVar[list[Option]] = [
        *GroupCommand._group_dependency_options(),  # noqa: SLF001  # as `poetry install` does
        option("all-groups", None, "Install dependencies from all groups."),
        option("extras", "E", "Extra sets of dependencies to install.", flag=False, multiple=True),
        option("all-extras", None, "Install all extra dependencies."),
    ]

    after_dashes: tuple[str, ...] = ()
    """What stood behind `--` on the command line, untouched."""

    def run(self, io: IO) -> int:
        """Take from the command line what cleo cannot: `-` as a value, and all after `--`."""
        if isinstance(io.input, ArgvInput):
            tokens = list(io.input._tokens)  # noqa: SLF001  # cleo gives no other way
            if "--" in tokens:
                dashes = tokens.index("--")
                tokens, self.after_dashes = tokens[:dashes], tuple(tokens[dashes + 1 :])
            io.input._set_tokens(_dash_as_value(tokens))  # noqa: SLF001  # as above
        return super().run(io)

    def handle(self) -> int:
        """Do the work; a problem of the user's becomes one `<error>` and exit status 1."""
        try:
            return self.work()
        except DockerCacheError as error:
            self._report(error)
            return 1

    def work(self) -> int:
        """What the command does; its exit status. Raises DockerCacheError."""
        raise NotImplementedError

    def prepare(self, *, notes: bool = True) -> Prepared:
        """Read the project, decide on its image, and say on stderr what was decided and why."""
        poetry = self._load_poetry()
        settings = Settings.parse(settings_table(poetry))
        project = read_project(poetry)
        refuse_credentials_in_urls({source.name: source.url for source in project.sources})
        selection = select(
            self._selection_options(),
            default_groups=settings.groups,
            default_extras=settings.extras,
            groups=project.groups,
            extras=project.extras,
        )
        plan = make_plan(project, settings, selection)
        for note in plan.notes if notes else ():
            self.note(note)
        return Prepared(
            poetry=poetry,
            folder=project_folder(poetry),
            settings=settings,
            plan=plan,
            name=project.metadata.name,
            version=project.metadata.version,
            sources=used_sources(project, selection, plan.runtime.python),
        )

    def note(self, text: str) -> None:
        """One line on stderr, as it is: cleo would take `<…>` in it for a style."""
        self.line_error(f"<comment>-</comment> {Formatter.escape(text)}")

    def raw_line(self, text: str) -> None:
        """One line on stdout, as it is and at any verbosity: it is what was asked for."""
        self.io.output.write_line(text, verbosity=Verbosity.QUIET, type=Type.RAW)

    def _report(self, error: DockerCacheError) -> None:
        if self.io.is_verbose():
            self.line_error(Formatter.escape(traceback.format_exc()))
        self.line_error(f"<error>{Formatter.escape(error.problem)}</error>")
        if error.fix:
            self.line_error(Formatter.escape(error.fix))

    def _load_poetry(self) -> Poetry:
        """The project; with `-vvv` Poetry tells of its loading on stdout, which is ours."""
        application = self.get_application()
        application._io = IO(self.io.input, self.io.error_output, self.io.error_output)  # noqa: SLF001
        try:
            return self.poetry
        except Exception as error:
            raise unreadable(error, application.project_directory) from error
        finally:
            application._io = self.io  # noqa: SLF001

    def _selection_options(self) -> SelectionOptions:
        def many(name: str) -> list[str]:
            value: Any = self.option(name)
            return list(value or [])

        return SelectionOptions(
            with_groups=many("with"),
            without_groups=many("without"),
            only_groups=many("only"),
            all_groups=bool(self.option("all-groups")),
            extras=many("extras"),
            all_extras=bool(self.option("all-extras")),
        )


def _dash_as_value(tokens: list[str]) -> list[str]:
    """`-o -` and `--output -`, which cleo refuses, as `--output=-`."""
    result: list[str] = []
    for word in tokens:
        if word == "-" and result and result[-1] in ("-o", "--output"):
            result[-1] = "--output=-"
        else:
            result.append("--output=-" if word == "-o-" else word)
    return result
