"""`poetry docker verify`: check what a built image contains."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cleo.helpers import argument, option

from poetry_docker_cache.commands.docker_command import DockerCommand

if TYPE_CHECKING:
    from cleo.io.inputs.argument import Argument
    from cleo.io.inputs.option import Option


class VerifyCommand(DockerCommand):
    """Compares the layers of an image with the lock file, and runs nothing."""

    name = "docker verify"
    description = "Checks that a built image contains what poetry.lock says, and nothing unsafe."
    arguments: ClassVar[list[Argument]] = [
        argument("image", "The image: HOST/NAME:TAG, or the path of a .tar archive.")
    ]
    options: ClassVar[list[Option]] = [
        option("as", None, "Name of the image in the settings, if they have several.", flag=False),
        option("platform", None, "Platform to check, if the image has several.", flag=False),
        option("json", None, "Print JSON."),
        *DockerCommand.options,
    ]
    help = """\
Reads the layers of an image and checks them, without running it. The image comes from the engine,
else from its registry. A name that ends with <info>.tar</> is an archive.

The checks: the packages and their versions are those of <info>poetry.lock</> for these groups and
this platform. No file of a package was changed or added, and an attached SBOM lists the same
packages. The user is not root and cannot write the code. The image contains no logins, private
keys, caches of pip, Poetry or <info>.git</>. Console scripts and the start command exist. It also
shows the base image and its age.

Each line starts with a mark. After <info>✗</> and <info>!</>, the next line says what to do.

  <info>✓</>  all is well
  <info>!</>  a warning, or unknown
  <info>✗</>  an error: the exit status is 1
"""

    def work(self) -> int:
        """Check the image and print the result; return 1 if anything is wrong."""
        from poetry_docker_cache.commands.options import VerifyOptions  # noqa: PLC0415  # see docker_command
        from poetry_docker_cache.commands.verify_report import report_content  # noqa: PLC0415  # see docker_command

        self.refuse_after_dashes()
        options = VerifyOptions(
            image=self.argument("image"),
            wanted=self.option("as"),
            platform=self.option("platform"),
            selection=self.selection_options(),
            json=self.option("json"),
        )
        return report_content(options, self.read_poetry(), self.console)
