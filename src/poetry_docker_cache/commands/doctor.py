"""`poetry docker doctor`: check machine and project before a build."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cleo.helpers import option

from poetry_docker_cache.commands.docker_command import DockerCommand, images_argument

if TYPE_CHECKING:
    from cleo.io.inputs.argument import Argument
    from cleo.io.inputs.option import Option


class DoctorCommand(DockerCommand):
    """Finds what would prevent a build, with the fix of each problem."""

    name = "docker doctor"
    description = "Checks this machine and the project, and says how to fix what is wrong."
    arguments: ClassVar[list[Argument]] = [images_argument("check")]
    options: ClassVar[list[Option]] = [
        option("json", None, "Print JSON."),
        *DockerCommand.options,
    ]
    help = """\
Checks what a build needs, and changes nothing: the container engine, buildx, disk space and
platforms; the lock file, the package sources with your credentials, and which packages are built
from source; the base image, the start command, the files that the image takes, and whether the
image can be built without an engine.

Each line starts with a mark. After <info>✗</> and <info>!</>, the next line says what to do.

  <info>✓</>  all is well
  <info>!</>  a warning, or not checked, with the reason
  <info>✗</>  an error that prevents a build: the exit status is 1

With <info>-q</>, only the exit status says whether anything prevents a build. Servers have 20
seconds to answer; without them and without an engine, the other checks still run.
"""

    def work(self) -> int:
        """Run the checks and print them; return 1 if anything prevents a build."""
        from poetry_docker_cache.commands.doctor_report import report_health  # noqa: PLC0415  # see docker_command
        from poetry_docker_cache.commands.options import DoctorOptions  # noqa: PLC0415  # see docker_command

        self.refuse_after_dashes()
        options = DoctorOptions(
            images=self.image_names(),
            selection=self.selection_options(),
            json=self.option("json"),
        )
        return report_health(options, self.read_poetry, self.console)
