"""`poetry docker export`: write the Dockerfile and its ignore file into the project."""

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
    """Writes the files; asks no network and no container engine."""

    name = "docker export"
    description = "Writes a Dockerfile, and its ignore file, for the project."
    arguments: ClassVar[list[Argument]] = [images_argument("write")]
    options: ClassVar[list[Option]] = [
        option(
            "output",
            "o",
            "The file to write, instead of the one at the project's root; `-` prints it.",
            flag=False,
        ),
        option("check", None, "Write nothing; exit 1, with a diff, if the files are out of date."),
        option("force", None, "Replace files that were written or edited by hand."),
        option("no-dockerignore", None, "Write no ignore file."),
        option("bake", None, "Also write docker-bake.hcl, which builds all images of several."),
        option("auth-file", None, "Also write the auth secret, to this path.", flag=False),
        option(
            "ci",
            None,
            "Write a pipeline that builds and pushes the image: github, gitlab or shell.",
            flag=False,
        ),
        *DockerCommand.options,
    ]
    help = """\
Writes <info>Dockerfile</> and <info>Dockerfile.dockerignore</>, made from pyproject.toml and
poetry.lock, at the project's root. Build with the vendored file by <info>docker build .</>

Of several images each has a file of its own, such as <info>api.Dockerfile</>. With
<info>--bake</> there is also <info>docker-bake.hcl</>, by which <info>docker buildx bake</> builds
all of them in one call.

Private sources: <info>poetry docker export --auth-file ~/auth.toml</> writes the secret that
<info>docker build --secret id=auth,src=$HOME/auth.toml .</> takes.

<info>--ci github</> writes .github/workflows/docker.yml, <info>--ci gitlab</> .gitlab-ci.yml,
<info>--ci shell</> docker-build.sh: log in, cache, build, push. Nothing else is written, since
<info>poetry docker build</> needs no Dockerfile.
"""

    def work(self) -> int:
        """Write, print or check the files."""
        from poetry_docker_cache.commands.export_ci import export_ci  # noqa: PLC0415  # see base
        from poetry_docker_cache.commands.export_files import export  # noqa: PLC0415  # see base

        options = self._options()
        if options.ci is None:
            return export(options, self.read_poetry(), self.console)
        return export_ci(options, options.ci, self.read_poetry(), self.console)

    def _options(self) -> ExportOptions:
        from poetry_docker_cache.commands.options import ExportOptions  # noqa: PLC0415  # see base

        self.refuse_after_dashes()
        if self.option("auth-file") == "":
            raise DockerCacheError(
                "--auth-file is empty: the auth secret has nowhere to go.",
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
            ci=self._ci(),
        )
        if options.check and (options.to_stdout or options.auth_file):
            other = "-o -" if options.to_stdout else "--auth-file"
            raise DockerCacheError(
                f"--check writes nothing, so it cannot be combined with {other}.",
                fix="Leave one of them out.",
            )
        if options.bake and options.images:
            raise DockerCacheError(
                "--bake writes a file for all images, so it cannot be combined with some names.",
                fix="Leave the names out.",
            )
        if options.ci and (others := self._beside_ci(options)):
            raise DockerCacheError(
                f"--ci writes nothing but the pipeline, so it cannot be combined with {others[0]}.",
                fix="Leave one of them out.",
            )
        return options

    def _beside_ci(self, options: ExportOptions) -> list[str]:
        """What was asked for that is no part of a pipeline."""
        asked = {
            "--auth-file": options.auth_file is not None,
            "--no-dockerignore": self.option("no-dockerignore"),
            "--bake": options.bake,
            "names of images": bool(options.images),
        }
        return [name for name, wanted in asked.items() if wanted]

    def _ci(self) -> CiKind | None:
        """The kind of pipeline. Raises DockerCacheError for one that there is not."""
        from poetry_docker_cache.render.ci_files import CI_KINDS  # noqa: PLC0415  # see base

        given = self.option("ci")
        kind = next((kind for kind in CI_KINDS if kind == given), None)
        if given is not None and kind is None:
            raise DockerCacheError(
                f"--ci {given!r} is no kind of pipeline." if given else "--ci is empty.",
                fix=f"Use one of {', '.join(CI_KINDS)}.",
            )
        return kind
