"""`poetry docker build`: run BuildKit on the project, with its credentials as a secret."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, ClassVar

from cleo.helpers import option

from poetry_docker_cache.commands.docker_command import DockerCommand, images_argument
from poetry_docker_cache.errors import BuildError, DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cleo.io.inputs.argument import Argument
    from cleo.io.inputs.option import Option

    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.commands.options import BuildOptions


def repeatable(name: str, shortcut: str | None, description: str) -> Option:
    """Define an option that may be repeated."""
    return option(name, shortcut, description, flag=False, multiple=True)


_SIGNAL = 128
"""The least exit status after a signal."""
_ENGINE_CHANGED = (
    "The engine or its builder has changed in the last few minutes. Run the command again."
)


class BuildCommand(DockerCommand):
    """Builds the image; the exit status is BuildKit's."""

    name = "docker build"
    description = "Builds a Docker image of the project."
    arguments: ClassVar[list[Argument]] = [images_argument("build")]
    options: ClassVar[list[Option]] = [
        repeatable("tag", "t", "Name of the image; `:TAG` adds a tag to its default name."),
        option("push", None, "Push the image to its registry."),
        option("load", None, "Load the image into the engine's image store (the default)."),
        option(
            "output", None, "Write the image to this OCI archive (with --no-engine).", flag=False
        ),
        option("no-engine", None, "Make the image from wheels, without a container engine."),
        repeatable("platform", None, "Platform to build for, such as linux/arm64."),
        repeatable(
            "build-arg", None, "Value of a build argument: NAME=VALUE, or NAME for a variable's."
        ),
        repeatable(
            "ssh", None, "SSH agent (`default`) or key (`default=PATH`) for git dependencies."
        ),
        option("target", None, "Build up to this stage.", flag=False),
        option("file", "f", "Use this Dockerfile instead of generating one.", flag=False),
        option(
            "cache",
            None,
            "Cache to read and write: an image name, a folder (./…), or type=… with options.",
            flag=False,
        ),
        repeatable("cache-from", None, "Another cache to read; given alone, no cache is written."),
        repeatable("cache-to", None, "Another cache to write."),
        option("builder", None, "The buildx builder to use.", flag=False),
        option("pull", None, "Pull newer versions of the base images."),
        option("refresh", None, "As --pull, and install the image's system packages again."),
        option(
            "progress",
            None,
            "Show BuildKit's own progress: auto, plain, tty, rawjson or quiet.",
            flag=False,
        ),
        option("dev", None, "Build the image for development: with the dev groups, reloading."),
        option("test", None, "Run the tests first, and build only if they pass."),
        option("metadata-file", None, "Write what was built to this JSON file.", flag=False),
        option("dry-run", None, "Print the commands without running them."),
        *DockerCommand.options,
    ]
    help = """\
Builds the image from pyproject.toml and poetry.lock, with the credentials that Poetry has for the
package sources. Arguments after <info>--</> are passed to <info>docker buildx build</>:

    <info>poetry docker build -t shop:dev -- --network=host</>

If the settings define several images, all are built in one call of <info>docker buildx bake</>,
unless you name some: <info>poetry docker build api worker</>. Arguments after <info>--</> are then
those of bake, such as <info>--set '*.args.VERSION=1.2.3'</>.

Use a cache on fresh CI machines. It is read if it exists, and written after the build:

    <info>poetry docker build --push -t host/team/shop:1 --cache host/team/shop:cache</>

Get the security updates of the base image and of the system packages, for example once a week. A
cache would keep the old ones. The dependencies stay cached:

    <info>poetry docker build --refresh</>

Poetry's option <info>--no-cache</> makes BuildKit run every step again, including those that
install dependencies. It deletes no cache, in the builder or in a registry.

Without Docker, make the image from wheels, if <info>--dry-run</> says that the project qualifies.
Add <info>--push</>, <info>--output</> or <info>--load</>. The cache is then an earlier image:

    <info>poetry docker build --no-engine --push -t host/team/shop:1 --cache host/team/shop:main</>

Build the image for development, with the dev groups and a start command that reloads:

    <info>poetry docker build --dev</>

Push only if the tests pass, as <info>poetry docker test</> runs them:

    <info>poetry docker build --push --test -t host/team/shop:1</>

In pull requests, read a cache without writing one: pass <info>--cache-from</> alone. The setting
<info>cache</> is always read, and written by <info>--push</> if no option names a cache.
"""

    def work(self) -> int:
        """Read the project while docker answers about the engine, then run BuildKit.

        With `--no-engine`, there is no engine.
        """
        options = self.build_options()
        if options.no_engine or self._has_no_engine():
            from poetry_docker_cache.commands.no_engine_build import build_without_engine  # noqa: PLC0415  # see docker_command

            return build_without_engine(options, self.read_poetry(), self.console)
        if options.output is not None:
            path = shlex.quote(options.output)
            raise DockerCacheError(
                "--output writes an archive only with --no-engine.",
                fix=f"Pass it to BuildKit: `-- --output=type=oci,dest={path}`.",
            )
        if options.variant or options.tests_first:
            from poetry_docker_cache.commands.variant_build import refuse_combinations  # noqa: PLC0415  # see docker_command

            refuse_combinations(options)
        return self.build_with_engine(options)

    def _has_no_engine(self) -> bool:
        """Return whether the settings of any image ask for a build without an engine."""
        from poetry_docker_cache.project.reader import settings_table  # noqa: PLC0415  # see docker_command

        table = settings_table(self.read_poetry())
        images = table.get("images", {})
        tables = [table, *(images.values() if isinstance(images, dict) else ())]
        return any(isinstance(each, dict) and each.get("engine") is False for each in tables)

    def build_with_engine(self, options: BuildOptions) -> int:
        """Query the engine while the project is read, then run the tests and the build."""
        from poetry_docker_cache.buildx.known_engine import known_or_probing  # noqa: PLC0415  # see docker_command

        with known_or_probing(options.builder) as probe:
            from poetry_docker_cache.commands.image_build import build_images  # noqa: PLC0415  # see docker_command

            failure = None
            try:
                status = self._tested(options, probe)
                if not status and options.variant != "test":
                    status = build_images(options, self.read_poetry(), probe, self.console)
            except BuildError as error:
                status, failure = error.status, error
        if 0 < status < _SIGNAL:  # BuildKit's own message about a lost engine is `EOF`
            try:
                with known_or_probing(options.builder, fresh=True) as again:
                    if again() != probe():
                        self.console.note(_ENGINE_CHANGED)
            except DockerCacheError as lost:
                raise BuildError(lost.problem, fix=lost.fix, status=status) from failure
        if failure:
            raise failure
        return status

    def _tested(self, options: BuildOptions, probe: Callable[[], EngineInfo]) -> int:
        """Run the tests if the options ask for it; return the exit status."""
        if not options.tests_first and options.variant != "test":
            return 0
        from poetry_docker_cache.commands.image_build import run_tests  # noqa: PLC0415  # see docker_command

        return run_tests(options, self.read_poetry(), probe, self.console)

    def build_options(self) -> BuildOptions:
        """Read the command line. Raises DockerCacheError if --file is not a Dockerfile."""
        from poetry_docker_cache.commands.options import BuildOptions  # noqa: PLC0415  # see docker_command

        file = self.option("file")
        _refuse_missing(file)
        return BuildOptions(
            images=self.image_names(),
            selection=self.selection_options(),
            tags=self.many("tag"),
            push=self.option("push"),
            load=self.option("load"),
            output=self.option("output"),
            no_engine=self.option("no-engine"),
            platforms=self.many("platform"),
            build_args=self.many("build-arg"),
            ssh=self.many("ssh"),
            target=self.option("target"),
            file=file,
            cache=self.option("cache"),
            cache_from=self.many("cache-from"),
            cache_to=self.many("cache-to"),
            builder=self.option("builder"),
            no_cache=bool(self.option("no-cache")),
            pull=self.option("pull"),
            refresh=self.option("refresh"),
            progress=self.progress(),
            metadata_file=self.option("metadata-file"),
            dry_run=self.option("dry-run"),
            quiet=self.io.output.is_quiet(),
            after_dashes=self.after_dashes,
            variant="dev" if self.option("dev") else None,
            tests_first=self.option("test"),
        )

    def suggest_option(self, option: str) -> str:
        """Suggest passing the option to buildx, which most unknown options belong to."""
        dashes = f"Pass options of `docker buildx build` after `--`: `-- {option} …`."
        return f"{super().suggest_option(option)}{dashes}"

    def progress(self) -> str | None:
        """Return the progress style; without `--progress`, Poetry's own options choose it."""
        given: str | None = self.option("progress")
        if given is None and self.io.output.is_quiet():
            return "quiet"
        if given is None and self.option("no-ansi"):
            return "plain"
        return given


def _refuse_missing(file: str | None) -> None:
    """Raise DockerCacheError if --file is not a file, before BuildKit would fail on it."""
    from poetry_docker_cache.system.compat import exists, is_folder  # noqa: PLC0415  # see docker_command

    if file is None or file == "-":  # BuildKit reads its standard input
        return
    if is_folder(file) or not exists(file):
        why = "is a folder" if is_folder(file) else "does not exist"
        raise DockerCacheError(
            f"--file: {file} {why}." if file else "--file is empty.",
            fix="Run `poetry docker export` to write a Dockerfile, or leave --file out.",
        )
