"""`poetry docker layers`: show packages by size and layer, and propose a better split."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cleo.helpers import option

from poetry_docker_cache.commands.docker_command import DockerCommand, images_argument

if TYPE_CHECKING:
    from cleo.io.inputs.argument import Argument
    from cleo.io.inputs.option import Option


class LayersCommand(DockerCommand):
    """Shows what an update of one package costs, and a split that costs less."""

    name = "docker layers"
    description = "Shows the image's packages by size and layer, and proposes a better split."
    arguments: ClassVar[list[Argument]] = [images_argument("show")]
    options: ClassVar[list[Option]] = [
        option(
            "from",
            None,
            "Take sizes from this origin only: environment, image or index.",
            flag=False,
        ),
        option("image", None, "Take sizes from this built image.", flag=False),
        option("write", None, "Write the proposed settings into pyproject.toml."),
        option("json", None, "Print JSON."),
        *DockerCommand.options,
    ]
    help = """\
Shows each package with its size and layer, and the average cost of updating one package, in
packages and bytes: with the current settings, and with better ones if it finds any. Add
<info>--write</> to write the better ones to <info>[tool.poetry-docker-cache]</> as
<info>layers</> and <info>own-layers</>.

If the settings define several images, one table shows all that share layers. It lists each package
once. If only some images have a package, the name of its layer ends with their names. Run
<info>poetry docker layers api</> to show a single image.

Below the table are the front ends and build steps (<info>assets</>, <info>run</>), and what runs
them again.

Sizes come from the project's virtual environment if it has the locked version, then from a built
image. Otherwise they are estimated from the size of the download in the package index.
"""

    def work(self) -> int:
        """Find the sizes, show the table, and write the settings with `--write`."""
        from poetry_docker_cache.commands.layer_report import report_layers  # noqa: PLC0415  # see docker_command
        from poetry_docker_cache.commands.options import LayersOptions  # noqa: PLC0415  # see docker_command

        self.refuse_after_dashes()
        options = LayersOptions(
            images=self.image_names(),
            selection=self.selection_options(),
            origin=self.option("from"),
            built_image=self.option("image"),
            write=self.option("write"),
            json=self.option("json"),
        )
        return report_layers(options, self.read_poetry(), self.console)
