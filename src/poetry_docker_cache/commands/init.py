"""`poetry docker init`: propose the settings that replace a Dockerfile written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cleo.helpers import option

from poetry_docker_cache.commands.docker_command import DockerCommand

if TYPE_CHECKING:
    from cleo.io.inputs.option import Option


class InitCommand(DockerCommand):
    """Reads the project's Dockerfile, and writes settings into pyproject.toml."""

    name = "docker init"
    description = "Proposes settings that replace the project's own Dockerfile."
    options: ClassVar[list[Option]] = [
        option(
            "from",
            None,
            "The Dockerfile to replace (default: the project's own, if it has one).",
            flag=False,
        ),
        option(
            "target", None, "Its production stage (default: chosen by CI or by name).", flag=False
        ),
        option("yes", "y", "Write the settings without asking."),
        option("dry-run", None, "Write nothing."),
        option("json", None, "Print JSON."),
    ]
    help = """\
Reads the project's Dockerfile and what belongs to it (.dockerignore, Compose file, Procfile, GitHub
workflow), and shows the settings that replace it, as a diff of pyproject.toml. Lines without a
setting are listed, each with what to do. Before it writes the settings, it asks.

Without a Dockerfile, it asks for the name, the Python version, the port and the start command.

<info>--dry-run --json</> prints an object with <info>settings</>, <info>left_over</> and
<info>differences</>.
"""

    def work(self) -> int:
        """Read, show, ask and write."""
        from poetry_docker_cache.commands.init_report import InitOptions, init  # noqa: PLC0415  # see docker_command

        self.refuse_after_dashes()
        options = InitOptions(
            dockerfile=self.option("from"),
            target=self.option("target") or "",
            yes=self.option("yes"),
            dry_run=self.option("dry-run"),
            json=self.option("json"),
        )
        return init(options, self.read_poetry(), self.console, self)
