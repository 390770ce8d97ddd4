"""`poetry docker export`: write a Dockerfile and its ignore file into the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cleo.helpers import option

from poetry_docker_cache.commands.docker_command import DockerCommand, images_argument
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from cleo.io.inputs.argument import Argument
    from cleo.io.inputs.option import Option

    from poetry_docker_cache.commands.options import ExportOptions
    from poetry_docker_cache.render.ci_files import CiKind


class ExportCommand(DockerCommand):
    """Writes the files; needs neither network nor container engine."""

    name = "docker export"
    description = "Writes a Dockerfile and its ignore file for the project."
    arguments: ClassVar[list[Argument]] = [images_argument("export")]
    options: ClassVar[list[Option]] = [
        option(
            "output",
            "o",
            "Write the file to this path (default: the project's root); `-` prints it.",
            flag=False,
        ),
        option(
            "check",
            None,
            "Write nothing; print a diff and exit with 1 if the files are out of date.",
        ),
        option("force", None, "Replace files even if they were written or edited by hand."),
        option("no-dockerignore", None, "Write no ignore file."),
        option("bake", None, "Also write docker-bake.hcl, which builds all images."),
        option("compose", None, "Also write compose.yaml, for development with Docker Compose."),
        option("auth-file", None, "Also write the auth secret to this path.", flag=False),
        option(
            "ci",
            None,
            "Write a CI pipeline that builds and pushes the image: github, gitlab or shell.",
            flag=False,
        ),
        option(
            "no-engine",
            None,
            "With --ci: build without a container engine, as `build --no-engine`.",
        ),
        option(
            "sign",
            None,
            "With --ci github: sign each pushed image by its digest with cosign, without a key.",
        ),
        *DockerCommand.options,
    ]
    help = """\
Writes <info>Dockerfile</> and <info>Dockerfile.dockerignore</> to the project's root. They are
generated from pyproject.toml and poetry.lock. Build the image with <info>docker build .</>

If the settings define several images, each has its own file, such as <info>api.Dockerfile</>. Add
<info>--bake</> to write <info>docker-bake.hcl</>, and build all of them with
<info>docker buildx bake</>.

<info>--compose</> also writes <info>compose.yaml</>, and stages for development and tests into the
Dockerfile. Start the image for development, which follows each change of the source:

    <info>docker compose up --watch</>

For private package sources, write the secret with their credentials and pass it to the build:

    <info>poetry docker export --auth-file ~/auth.toml</>
    <info>docker build --secret id=auth,src=$HOME/auth.toml .</>

<info>--ci</> writes a pipeline that logs in, builds the image with a cache, and pushes it:
.github/workflows/docker.yml for github, .gitlab-ci.yml for gitlab, docker-build.sh for shell. It
runs <info>poetry docker build</>, so no Dockerfile is written.
"""

    def work(self) -> int:
        """Write, print or check the files."""
        from poetry_docker_cache.commands.export_ci import export_ci  # noqa: PLC0415  # see docker_command
        from poetry_docker_cache.commands.export_files import export  # noqa: PLC0415  # see docker_command

        options = self._options()
        if options.ci is None:
            return export(options, self.read_poetry(), self.console)
        return export_ci(options, options.ci, self.read_poetry(), self.console)

    def _options(self) -> ExportOptions:
        from poetry_docker_cache.commands.options import ExportOptions  # noqa: PLC0415  # see docker_command

        self.refuse_after_dashes()
        if self.option("auth-file") == "":
            raise DockerCacheError(
                "--auth-file is empty.",
                fix="Give it a path, or leave it out. A variable in a script may be unset.",
            )
        options = ExportOptions(
            output=self.option("output"),
            check=self.option("check"),
            force=self.option("force"),
            ignore_file=not (self.option("no-dockerignore") or self.option("output") == "-"),
            auth_file=self.option("auth-file"),
            images=self.image_names(),
            selection=self.selection_options(),
            bake=self.option("bake"),
            compose=self.option("compose"),
            ci=self._ci(),
            no_engine=self.option("no-engine"),
            sign=self.option("sign"),
        )
        if options.check and (options.to_stdout or options.auth_file):
            other = "-o -" if options.to_stdout else "--auth-file"
            raise DockerCacheError(
                f"--check writes nothing, so it cannot be combined with {other}.",
                fix="Leave one of them out.",
            )
        whole = "--bake" if options.bake else "--compose" if options.compose else ""
        if whole and options.images:
            raise DockerCacheError(
                f"{whole} writes a file for all images, so it cannot be combined with image names.",
                fix="Leave the names out.",
            )
        if options.no_engine and not options.ci:
            raise DockerCacheError(
                "--no-engine concerns a pipeline: a Dockerfile needs a container engine.",
                fix="Add `--ci` with the kind of pipeline, or leave --no-engine out.",
            )
        if options.sign and options.ci != "github":
            raise DockerCacheError(
                "--sign is for pipelines of GitHub, which sign with their own identity.",
                fix="Use it with `--ci github`. Elsewhere, run `cosign sign` with the digest in the"
                " file of `poetry docker build --metadata-file`.",
            )
        if options.ci and (others := self._refused_with_ci(options)):
            raise DockerCacheError(
                f"--ci writes only the pipeline, so it cannot be combined with {others[0]}.",
                fix="Leave one of them out.",
            )
        return options

    def _refused_with_ci(self, options: ExportOptions) -> list[str]:
        """Return the given options that have no effect on a pipeline."""
        given = {
            "--auth-file": options.auth_file is not None,
            "--no-dockerignore": self.option("no-dockerignore"),
            "--bake": options.bake,
            "--compose": options.compose,
            "image names": bool(options.images),
        }
        return [name for name, wanted in given.items() if wanted]

    def _ci(self) -> CiKind | None:
        """Return the kind of pipeline. Raises DockerCacheError for an unknown one."""
        from poetry_docker_cache.render.ci_files import CI_KINDS  # noqa: PLC0415  # see docker_command

        given = self.option("ci")
        kind = next((kind for kind in CI_KINDS if kind == given), None)
        if given is not None and kind is None:
            raise DockerCacheError(
                f"--ci {given!r} is not a kind of pipeline." if given else "--ci is empty.",
                fix=f"Use one of {', '.join(CI_KINDS)}.",
            )
        return kind
