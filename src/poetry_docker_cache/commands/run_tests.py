"""`poetry docker test`: run the project's tests in its image."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cleo.helpers import option

from poetry_docker_cache.commands.build import BuildCommand, repeatable
from poetry_docker_cache.commands.docker_command import DockerCommand, images_argument

if TYPE_CHECKING:
    from cleo.io.inputs.argument import Argument
    from cleo.io.inputs.option import Option

    from poetry_docker_cache.commands.options import BuildOptions


class RunTestsCommand(BuildCommand):
    """Runs the tests in a build; the exit status is theirs."""

    name = "docker test"
    description = "Runs the project's tests in its Docker image."
    arguments: ClassVar[list[Argument]] = [images_argument("test")]
    options: ClassVar[list[Option]] = [
        repeatable("platform", None, "Platform to run the tests on, such as linux/arm64."),
        repeatable(
            "ssh", None, "SSH agent (`default`) or key (`default=PATH`) for git dependencies."
        ),
        option("network", None, "Network of the build and the tests, such as host.", flag=False),
        repeatable("cache-from", None, "A cache to read."),
        repeatable("cache-to", None, "A cache to write."),
        option("builder", None, "The buildx builder to use.", flag=False),
        option(
            "progress",
            None,
            "Show BuildKit's own progress: auto, plain, tty, rawjson or quiet.",
            flag=False,
        ),
        option("dry-run", None, "Print the commands without running them."),
        *DockerCommand.options,
    ]
    help = """\
Builds the image with the test groups and the project's tests in further layers, and runs the tests
in it as the image's user. The image itself is the same as with <info>poetry docker build</>, and
contains nothing of the tests. The exit status is that of the tests.

Arguments after <info>--</> are passed to pytest:

    <info>poetry docker test -- -x -k cart</>

The default groups are those named test or tests, else dev. To choose other groups for this run:

    <info>poetry docker test --with ci</>

The tests run without a network. If they need one, for example a database on this machine:

    <info>poetry docker test --network host</>
"""

    def work(self) -> int:
        """Run the tests in each image."""
        return self.build_with_engine(self.build_options())

    def build_options(self) -> BuildOptions:
        """Read the command line."""
        from poetry_docker_cache.commands.options import BuildOptions  # noqa: PLC0415  # see docker_command

        network = self.option("network")
        return BuildOptions(
            images=self.image_names(),
            selection=self.selection_options(),
            tags=(),
            push=False,
            load=False,
            output=None,
            no_engine=False,
            platforms=self.many("platform"),
            build_args=(),
            ssh=self.many("ssh"),
            target=None,
            file=None,
            cache=None,
            cache_from=self.many("cache-from"),
            cache_to=self.many("cache-to"),
            builder=self.option("builder"),
            no_cache=bool(self.option("no-cache")),
            pull=False,
            refresh=False,
            progress=self.option("progress"),
            metadata_file=None,
            dry_run=self.option("dry-run"),
            quiet=self.io.output.is_quiet(),
            after_dashes=(f"--network={network}",) if network else (),
            variant="test",
            test_arguments=self.after_dashes,
            network=network,
        )

    def suggest_option(self, option: str) -> str:
        """Suggest passing the option to the tests, which most unknown options belong to."""
        dashes = f"Pass options of the tests after `--`: `-- {option} …`."
        return f"{DockerCommand.suggest_option(self, option)}{dashes}"
