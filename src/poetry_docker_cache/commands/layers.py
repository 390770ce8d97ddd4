"""`poetry docker layers`: the packages by size, their layers, and a better split."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cleo.helpers import option

from poetry_docker_cache.commands.docker_command import DockerCommand, images_argument

if TYPE_CHECKING:
    from cleo.io.inputs.argument import Argument
    from cleo.io.inputs.option import Option


class LayersCommand(DockerCommand):
    """Shows what one changed package costs, and how it could cost less."""

    name = "docker layers"
    description = "Shows the image's packages by size and layer, and proposes a better split."
    arguments: ClassVar[list[Argument]] = [images_argument("show")]
    options: ClassVar[list[Option]] = [
        option(
            "from",
            None,
            "Take the sizes from here only: environment, image or index.",
            flag=False,
        ),
        option(
            "image", None, "Take the sizes from this image, which was built before.", flag=False
        ),
        option("write", None, "Write the better setting into pyproject.toml."),
        option("json", None, "Print JSON."),
        *DockerCommand.options,
    ]
    help = """\
Shows the packages of the image by size, the layer that each falls into, and what one random
changed package costs, in packages and in bytes: under the present settings, and under better ones
if there are any. <info>--write</> puts those into <info>[tool.poetry-docker-cache]</> as
<info>layers</> and <info>own-layers</>.

Of several images, those that share their layers are one table, with each package once: the name of
its layer ends with the images that have it, unless all do. <info>poetry docker layers api</> shows
one of them; the better setting is better for all that share.

The sizes come from the project's environment; what that does not have in its locked version, from
a built image; the rest from the package index, which knows sizes of downloads only.
"""

    def work(self) -> int:
        """Find the sizes, show them, perhaps write."""
        from poetry_docker_cache.commands.layer_report import report_layers  # noqa: PLC0415  # see base
        from poetry_docker_cache.commands.options import LayersOptions  # noqa: PLC0415  # see base

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
