"""The base of the commands: options for groups and extras, and error messages.

`poetry list` imports the commands to describe them, so whatever does the work is imported only when
a command runs.
"""

from __future__ import annotations

import logging
import re
import traceback
from typing import TYPE_CHECKING, Any, ClassVar

from cleo.exceptions import CleoError
from cleo.formatters.formatter import Formatter
from cleo.helpers import argument, option
from cleo.io.inputs.argv_input import ArgvInput
from cleo.io.io import IO
from cleo.io.outputs.output import Verbosity
from poetry.console.commands.group_command import GroupCommand
from poetry.console.exceptions import PoetryRuntimeError

from poetry_docker_cache.errors import BuildError, DockerCacheError

if TYPE_CHECKING:
    from cleo.io.inputs.argument import Argument
    from cleo.io.inputs.option import Option
    from poetry.poetry import Poetry

    from poetry_docker_cache.commands.console import CleoConsole
    from poetry_docker_cache.project.selection import SelectionOptions

# Options whose value may be `-`, in the only spelling that cleo accepts for it.
_PIPES = {
    **dict.fromkeys(("-o", "--output"), "--output=-"),
    **dict.fromkeys(("-f", "--file"), "--file=-"),
}
_UNKNOWN = re.compile(r'The option "-*(?P<name>[^"]+)" does not exist')
_ALIKE = 0.85
"""The least similarity of a misspelt option; `--build-arg` is less similar to `--builder`."""


def images_argument(verb: str) -> Argument:
    """Define the argument for the names of images."""
    return argument(
        "images",
        f"Images to {verb}, if the settings define several (default: all).",
        optional=True,
        multiple=True,
    )


class DockerCommand(GroupCommand):
    """A command that plans the project's images, without a virtual environment."""

    options: ClassVar[list[Option]] = [
        *GroupCommand._group_dependency_options(),  # noqa: SLF001  # as `poetry install` does
        option("all-groups", None, "Install dependencies from all groups."),
        option("extras", "E", "Extra sets of dependencies to install.", flag=False, multiple=True),
        option("all-extras", None, "Install all extra dependencies."),
    ]

    after_dashes: tuple[str, ...] = ()
    """The arguments after `--`, unchanged."""

    def run(self, io: IO) -> int:
        """Handle what cleo cannot parse: `-` as a value, and arguments after `--`."""
        _log_to_stderr(io)
        if isinstance(io.input, ArgvInput):
            tokens = list(io.input._tokens)  # noqa: SLF001  # cleo has no public way
            if "--" in tokens:
                dashes = tokens.index("--")
                tokens, self.after_dashes = tokens[:dashes], tuple(tokens[dashes + 1 :])
            io.input._set_tokens(_dash_as_value(tokens))  # noqa: SLF001  # as above
        try:
            return super().run(io)
        except CleoError as error:
            unknown = _UNKNOWN.fullmatch(str(error))
            if not unknown:
                raise
            name = unknown["name"]
            option = f"-{name}" if len(name) == 1 else f"--{name}"
            text = f"The option {option} does not exist. {self.suggest_option(option)}"
            raise type(error)(text.rstrip()) from error

    def suggest_option(self, option: str) -> str:
        """Suggest what to type instead of an unknown option."""
        from poetry_docker_cache.text import did_you_mean  # noqa: PLC0415  # only on errors

        known = [f"--{defined.name}" for defined in self.definition.options]
        return did_you_mean(option, known, cutoff=_ALIKE)

    def handle(self) -> int:
        """Do the work; print any error that the user can fix, and return exit status 1.

        A signal ends it with the status that shells use, after cleaning up.
        """
        from poetry_docker_cache.buildx.build_folder import sweep  # noqa: PLC0415  # when one runs
        from poetry_docker_cache.system.signals import handled, leave  # noqa: PLC0415  # when one runs

        with handled(leave):
            sweep()
            return self._work()

    def _work(self) -> int:
        try:
            return self.work()
        except BuildError as error:
            self._report(error)
            return error.status
        except DockerCacheError as error:
            self._report(error)
        except (CleoError, PoetryRuntimeError):  # Poetry prints these itself
            raise
        except Exception as error:  # noqa: BLE001  # the last place to report it as a bug
            self._report(_bug(error))
        return 1

    def work(self) -> int:
        """Do the command's work and return the exit status. Raises DockerCacheError."""
        raise NotImplementedError

    def refuse_after_dashes(self) -> None:
        """Raise DockerCacheError if there are arguments after `--`."""
        if self.after_dashes:
            raise DockerCacheError(
                f"`poetry {self.name}` takes no arguments after `--`.",
                fix="`poetry docker build` passes them on to `docker buildx build`.",
            )

    def selection_options(self) -> SelectionOptions:
        """Read the options that choose groups and extras."""
        from poetry_docker_cache.project.selection import SelectionOptions  # noqa: PLC0415  # when one runs

        return SelectionOptions(
            with_groups=self.many("with"),
            without_groups=self.many("without"),
            only_groups=self.many("only"),
            all_groups=bool(self.option("all-groups")),
            extras=self.many("extras"),
            all_extras=bool(self.option("all-extras")),
        )

    @property
    def console(self) -> CleoConsole:
        """The output of the command."""
        from poetry_docker_cache.commands.console import CleoConsole  # noqa: PLC0415  # when one runs

        return CleoConsole(self.io)

    def read_poetry(self) -> Poetry:
        """Read the project, and keep what Poetry prints with `-vvv` away from stdout."""
        application = self.get_application()
        application._io = IO(self.io.input, self.io.error_output, self.io.error_output)  # noqa: SLF001
        try:
            return self.poetry
        except Exception as error:
            from poetry_docker_cache.project.reader import unreadable  # noqa: PLC0415  # when one runs

            raise unreadable(error, application.project_directory) from error
        finally:
            application._io = self.io  # noqa: SLF001

    def _report(self, error: DockerCacheError) -> None:
        """Print an error, even with `-q`, as BuildKit does."""
        if self.io.is_verbose():
            self.line_error(Formatter.escape(traceback.format_exc()))
        problem = f"<error>{Formatter.escape(error.problem)}</error>"
        for text in filter(None, (problem, Formatter.escape(error.fix))):
            self.line_error(text, verbosity=Verbosity.QUIET)

    def many(self, name: str) -> tuple[str, ...]:
        """Return the values of an option that may be repeated."""
        value: Any = self.option(name)
        return tuple(value or ())

    def image_names(self) -> tuple[str, ...]:
        """Return the names of images on the command line."""
        return tuple(self.argument("images") or ())


def _bug(error: Exception) -> DockerCacheError:
    return DockerCacheError(
        f"This is a bug in poetry-docker-cache: {type(error).__name__}: {error}",
        fix="Please report it with the output of the same command with `-v` (without secrets).",
    )


def _log_to_stderr(io: IO) -> None:
    """Send Poetry's log to stderr: with `-vvv` it would mix with requested output on stdout."""
    from poetry.console.logging.io_handler import IOHandler  # noqa: PLC0415  # when one runs

    for handler in logging.getLogger().handlers:
        if isinstance(handler, IOHandler):
            handler._io = IO(io.input, io.error_output, io.error_output)  # noqa: SLF001  # it has no public way


def _dash_as_value(tokens: list[str]) -> list[str]:
    """Spell `-o -` and `--output -`, which cleo refuses, as `--output=-`; `--file` likewise."""
    result: list[str] = []
    for word in tokens:
        if word == "-" and result and result[-1] in _PIPES:
            result[-1] = _PIPES[result[-1]]
        else:
            result.append(_PIPES[word[:2]] if word in ("-o-", "-f-") else word)
    return result
