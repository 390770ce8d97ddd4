"""`poetry docker diff`: say before a build what it would change and rebuild."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cleo.helpers import option

from poetry_docker_cache.commands.docker_command import DockerCommand, images_argument

if TYPE_CHECKING:
    from cleo.io.inputs.argument import Argument
    from cleo.io.inputs.option import Option


class DiffCommand(DockerCommand):
    """Compares what the project installs now with an image or a git revision."""

    name = "docker diff"
    description = "Shows what the next build changes, compared with an image or a git revision."
    arguments: ClassVar[list[Argument]] = [images_argument("compare")]
    options: ClassVar[list[Option]] = [
        option("against", None, "Git revision or image to compare with.", flag=False),
        option("json", None, "Print JSON."),
        option("markdown", None, "Print Markdown, for a pull request."),
        *DockerCommand.options,
    ]
    help = """\
Shows which packages are updated, added and removed, which dependency layers are rebuilt and why,
and how much of the image stays. It builds nothing and changes no file.

  <info>poetry docker diff --against main</>               a branch, tag or commit of git
  <info>poetry docker diff --against ghcr.io/acme/shop:1</> an image in the engine or in a registry

Without <info>--against</>, it compares with the image that <info>poetry docker build</> names, if
that exists, else with the commit HEAD. It reads only labels and sizes of an image, and only
<info>poetry docker build</> writes these labels. Neither a git revision nor an image in a registry
needs an engine.
"""

    def work(self) -> int:
        """Compare and print."""
        from poetry_docker_cache.commands.image_diff import report_differences  # noqa: PLC0415  # see docker_command
        from poetry_docker_cache.commands.options import DiffOptions  # noqa: PLC0415  # see docker_command

        self.refuse_after_dashes()
        options = DiffOptions(
            images=self.image_names(),
            selection=self.selection_options(),
            against=self.option("against"),
            json=self.option("json"),
            markdown=self.option("markdown"),
        )
        return report_differences(options, self.read_poetry(), self.console)
