"""`poetry docker sbom`: print what an image holds, from the lock file."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cleo.helpers import argument, option

from poetry_docker_cache.commands.docker_command import DockerCommand

if TYPE_CHECKING:
    from cleo.io.inputs.argument import Argument
    from cleo.io.inputs.option import Option


class SbomCommand(DockerCommand):
    """Prints the SBOM of an image without building it."""

    name = "docker sbom"
    description = "Prints the contents of an image as a CycloneDX document, without building it."
    arguments: ClassVar[list[Argument]] = [
        argument("image", "Image to describe, if the settings define several.", optional=True)
    ]
    options: ClassVar[list[Option]] = [
        option(
            "platform",
            None,
            "Platform of the image, such as linux/arm64 (default: this machine's).",
            flag=False,
        ),
        option("output", "o", "Write to this file instead of stdout.", flag=False),
        *DockerCommand.options,
    ]
    help = """\
Prints the software bill of materials (SBOM) of an image for one platform, in CycloneDX 1.6: the
locked packages with their sources, hashes, groups and dependencies, the base image and the system
packages. It is made from <info>poetry.lock</> and the settings, so it needs no engine and no built
image. Licences that are not known on this machine yet are requested from the package sources.
The same project always gives the same document.

<info>poetry docker build --push</> attaches the same document to the pushed image.
"""

    def work(self) -> int:
        """Print the document, or write it to a file."""
        from poetry_docker_cache.commands.print_sbom import print_sbom  # noqa: PLC0415  # see docker_command

        self.refuse_after_dashes()
        print_sbom(
            self.read_poetry(),
            self.console,
            image=self.argument("image"),
            selection=self.selection_options(),
            platform=self.option("platform"),
            output=self.option("output"),
        )
        return 0
