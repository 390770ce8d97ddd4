"""Build pure wheels on this machine: those of the project, and of source distributions.

The same script as in the build calls the build backend, in a copy of the files that the build's
stage would get, with the same pinned backend. So the wheel has the same content.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from poetry.config.config import Config
from poetry.core import factory
from poetry.core.masonry.builders.wheel import WheelBuilder
from poetry.core.packages.dependency import Dependency
from poetry.utils.env import VirtualEnv
from poetry.utils.isolated_build import IsolatedEnv

from poetry_docker_cache.docker.ignore_patterns import parse
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.direct import ABOVE
from poetry_docker_cache.inside.install import build_wheel, sdist
from poetry_docker_cache.inside.install.failures import explain_own_wheel
from poetry_docker_cache.inside.install.process import with_programs, with_safe_git
from poetry_docker_cache.no_engine.context_walk import visible_paths
from poetry_docker_cache.no_engine.wheel_choice import ANYWHERE, LayerFiles, LockedFile
from poetry_docker_cache.plan.python_version import Python
from poetry_docker_cache.plan.tool_pins import find_pins, pinned_requirements
from poetry_docker_cache.plan.wheels import VERSION_FROM_GIT
from poetry_docker_cache.project.credentials import use_login_variables
from poetry_docker_cache.system.cache_folder import cache_folder
from poetry_docker_cache.system.folder_locks import waiting
from poetry_docker_cache.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from poetry.poetry import Poetry

    from poetry_docker_cache.docker.ignore_patterns import Line
    from poetry_docker_cache.plan.image_plan import Dependencies, Wheel

_CORE = "poetry.core.masonry.api"
_EPOCH = "315532800"
"""1980-01-01, the first day that an archive can name."""
_DATE = (1980, 1, 1, 0, 0, 0)
_COMPLETE = "complete"
_OURS = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
"""Variables of Poetry's own Python."""
_DROPPED = {*_OURS, *VERSION_FROM_GIT.values()}
"""Variables that a build does not get; the version in them is that of the project only."""
_SHOWN = 15
_UNCOMPILED = (
    "Depend on a wheel of that code, or build with a container engine: `poetry docker build`"
    " without `--no-engine`."
)
# The rule of `render.stage_commands.FROM_ABOVE`, which is for sed.
_FROM_ABOVE = re.compile(
    r"""((?:from|readme|file)["']? *= *(?:\[[^]\n]*)?["'](?:\.(?:above)?/)*)\.\.(?=[/"'])"""
)


@dataclass(frozen=True, kw_only=True)
class _Build:
    """What a build backend is called with."""

    name: str
    backend: str
    backend_path: Sequence[str]
    requires: Sequence[str]
    constraints: Sequence[str]
    config_settings: str | None
    variables: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class HostBuilder:
    """Builds wheels into a folder of this machine. All methods raise DockerCacheError."""

    poetry: Poetry
    output: Path
    context: Path
    """The build context."""
    ignore_file: str
    """The text of the build's ignore file: what it hides is in no wheel."""
    version: str | None = None
    """The version of the project, if it comes from git."""

    def own_wheel(self, wheel: Wheel) -> Path:
        """Build the wheel of the project or of a path dependency; return its path."""
        value = self.version if wheel.is_application else wheel.version
        build = _Build(
            name="the project" if wheel.is_application else f"the dependency {wheel.folder}",
            backend=wheel.backend,
            backend_path=wheel.backend_path,
            requires=_pinned(wheel.requires) if wheel.pins else wheel.requires,
            constraints=wheel.constraints,
            config_settings=wheel.config_settings,
            variables=dict.fromkeys(wheel.version_variables, value or "0.0.0"),
        )
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder).resolve() / "project"
            lines = [parse(line) for line in self.ignore_file.split("\n")]
            try:
                _copy_sources(wheel, self.context, lines, project)
            except OSError as error:
                raise DockerCacheError(
                    f"The wheel of {build.name} cannot be built: {error}.",
                    fix="Change the permissions of the file, or add it to `ignore` in"
                    " [tool.poetry-docker-cache].",
                ) from error
            return _run(build, self.poetry, project, self.output / wheel.name)

    def sdist(
        self, archive: Path, file: LockedFile, manifest: bytes, dependencies: Dependencies
    ) -> Path:
        """Build a source distribution of the layer with this manifest; return the wheel's path."""
        settings = json.loads(dependencies.build_config_settings or "{}").get(file.name)
        with tempfile.TemporaryDirectory() as folder:
            top = Path(folder).resolve()
            try:
                system = sdist.build_system(archive)
                kind = {} if zipfile.is_zipfile(archive) else {"filter": "data"}
                shutil.unpack_archive(archive, top / "project", **kind)  # type: ignore[arg-type]
            except (OSError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
                raise DockerCacheError(
                    f"{archive.name} is damaged: {error}.", fix=f"Run `poetry update {file.name}`."
                ) from error
            roots = [entry for entry in (top / "project").iterdir() if entry.is_dir()]
            build = _Build(
                name=file.name,
                backend=system["build-backend"],
                backend_path=system.get("backend-path", ()),
                requires=_pinned(system["requires"]),
                constraints=json.loads(manifest).get("build-constraints", {}).get(file.name, []),
                config_settings=json.dumps(settings) if settings else None,
                variables={},
            )
            project = roots[0] if len(roots) == 1 else top / "project"
            return _run(build, self.poetry, project, self.output / file.name)


def as_layer(name: str, wheel: Path) -> LayerFiles:
    """Describe the layer of a wheel that was built here, for its key."""
    project, version, _, _ = parse_wheel_filename(wheel.name)
    digest = f"sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"
    file = LockedFile(
        name=str(project), version=str(version), file=wheel.name, hash=digest, source={}
    )
    return LayerFiles(name=name, files=(file,))


def _pinned(requires: Sequence[str]) -> Sequence[str]:
    """Replace requirements by this release's pins of them and of what they need, if it has any."""
    here = Python(tag="{}.{}".format(*sys.version_info), reason="")
    pins = map(Requirement, pinned_requirements(find_pins(requires, here)))
    fitting = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    return [f"{pin.name}{pin.specifier}" for pin in fitting] or requires


def _copy_sources(wheel: Wheel, context: Path, lines: Sequence[Line], project: Path) -> None:
    """Copy what the stage of the wheel would get."""
    project.mkdir()
    if wheel.has_pyproject:
        shutil.copy(context / wheel.located("pyproject.toml"), project)
    for path in wheel.copied:
        place = wheel.located(path)
        target = "/".join(ABOVE if part == ".." else part for part in path.split("/"))
        for name in _files(context, place, lines):
            _copy(context / name, project / target / os.path.relpath(name, place))
    if wheel.takes_from_above:
        file = project / "pyproject.toml"
        text, count = file.read_text(encoding="utf-8"), 1
        while count:
            text, count = _FROM_ABOVE.subn(rf"\1{ABOVE}", text)
        file.write_text(text, encoding="utf-8")
    if wheel.lists_files_by_git:  # setuptools-scm would ask git
        file = project / "MANIFEST.in"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        file.write_text(f"global-include *\n{text}\n", encoding="utf-8")


def _files(context: Path, place: str, lines: Sequence[Line]) -> Iterator[str]:
    """Yield the paths of the files at a path, or below it, that the ignore file does not hide.

    A link that leaves the context has no target in a build, and must not have this machine's.
    """
    for name in visible_paths(context, place, lines):
        path = context / name
        if path.is_symlink():
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path.readlink()))
            if not re.match(r"/|\.\.(/|$)", target):
                yield name
        elif path.is_file():
            yield name


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target, follow_symlinks=False)


def _run(build: _Build, poetry: Poetry, project: Path, output: Path) -> Path:
    """Build the wheel of a folder."""
    wheels = project.parent / "built"
    text = "" if _build_here(build, project, wheels) else _call(build, poetry, project, wheels)
    found = sorted(wheels.glob("*.whl"))
    if len(found) != 1:
        raise _failed(build, text)
    if not found[0].name.endswith(ANYWHERE):
        raise DockerCacheError(
            f"The wheel of {build.name} is {found[0].name}: it has compiled code, which must be"
            " built on the base image.",
            fix=_UNCOMPILED,
        )
    return _written(found[0], output)


def _build_here(build: _Build, project: Path, wheels: Path) -> bool:
    """Build with the poetry-core of this process, if that makes the same wheel as another one.

    It takes a tenth of the time. A build script would run in this process, files would depend on a
    git repository around the folder, and plugins of Poetry may replace functions of poetry-core. An
    error occurs again in the other process, whose output explains it.
    """
    is_plain = not (build.config_settings or build.constraints or build.variables)
    if not (is_plain and _uses_own_core(build)) or "GIT_DIR" in os.environ:
        return False
    if any((folder / ".git").exists() for folder in (project, *project.parents)):
        return False
    create = factory.Factory.create_poetry
    if create.__code__.co_filename != factory.__file__:
        return False
    try:
        core = factory.Factory().create_poetry(project, with_groups=False)
        if core.package.build_script:
            return False
        WheelBuilder(core).build(wheels)
    except Exception:  # noqa: BLE001  # of poetry-core
        return False
    return True


def _call(build: _Build, poetry: Poetry, project: Path, wheels: Path) -> str:
    """Call the build backend in a process of its own; return its output if it fails."""
    python = _backend_python(build, poetry)
    script = str(Path(build_wheel.__file__))
    command = [str(python), "-I", script, f"--backend={build.backend}", f"--wheel-dir={wheels}"]
    command += [f"--backend-path={path}" for path in build.backend_path]
    command += [f"--config-settings={build.config_settings}"] * bool(build.config_settings)
    kept = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    own = {"GIT_CEILING_DIRECTORIES": str(project.parent), "SOURCE_DATE_EPOCH": _EPOCH}
    environment = with_programs({**kept, **own, **build.variables}, python.parent)
    done = subprocess.run(
        command,
        cwd=project,
        env=with_safe_git(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        shutil.rmtree(wheels, ignore_errors=True)
    return printable(done.stdout)


def _failed(build: _Build, output: str) -> DockerCacheError:
    lines = [line for line in output.splitlines() if line.strip()]
    what = f"The wheel of {build.name}"
    # What else it explains is for a build on the base image.
    explained = explain_own_wheel(what, output).partition("\n")[0]
    fix = f"Compiled code must be built on the base image. {_UNCOMPILED}" if explained else ""
    return DockerCacheError(
        explained or f"{what} could not be built: {lines[-1] if lines else 'no output'}",
        fix="\n".join(filter(None, [fix, "The build backend printed:", *lines[-_SHOWN:]])),
    )


def _written(wheel: Path, output: Path) -> Path:
    """Write a wheel without compression and times: both depend on the machine."""
    output.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(output / wheel.name, "w") as target:
        for member in sorted(source.infolist(), key=lambda info: info.filename):
            plain = zipfile.ZipInfo(member.filename, _DATE)
            plain.external_attr = member.external_attr
            plain.create_system = member.create_system
            plain.file_size = member.file_size
            with source.open(member) as content, target.open(plain, "w") as file:
                shutil.copyfileobj(content, file)
    return output / wheel.name


def _backend_python(build: _Build, poetry: Poetry) -> Path:
    """Return the Python of an environment with the build backend; keep it for later builds."""
    if _uses_own_core(build):
        return Path(sys.executable)
    inputs = [*build.requires, "", *build.constraints, sys.version, sys.prefix]
    inputs += [repository.name for repository in poetry.pool.repositories]
    digest = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:32]
    place = cache_folder() / "backends" / digest
    place.mkdir(parents=True, exist_ok=True)
    with waiting(place):
        environment = VirtualEnv(place / "venv")
        if not (place / _COMPLETE).exists():
            shutil.rmtree(place / "venv", ignore_errors=True)
            venv.create(place / "venv", symlinks=os.name != "nt")
            _install(environment, build, poetry)
            (place / _COMPLETE).touch()
    return Path(environment.python)


def _uses_own_core(build: _Build) -> bool:
    """Return whether all that the build requires is exactly the poetry-core of Poetry itself."""
    if build.backend != _CORE or build.backend_path or len(build.requires) != 1:
        return False
    requirement = Requirement(build.requires[0])
    is_core = canonicalize_name(requirement.name) == "poetry-core" and not requirement.url
    return is_core and str(requirement.specifier) == f"=={metadata.version('poetry-core')}"


def _install(environment: VirtualEnv, build: _Build, poetry: Poetry) -> None:
    more: dict[str, Any] = {}
    if build.constraints:  # only Poetry 2.3 and newer read them
        more["constraints"] = [Dependency.create_from_pep_508(each) for each in build.constraints]
    failure = ""
    use_login_variables(poetry)
    # In one thread: of several, one may send no credentials.
    Config.create().merge({"installer": {"parallel": False}})
    try:
        IsolatedEnv(environment, poetry.pool).install([*build.requires], **more)
    except Exception as error:  # noqa: BLE001  # of Poetry, requests, urllib3 or a keyring
        failure = printable(str(error)).strip() or type(error).__name__
    if failure:  # raised outside the handler: the exception may contain a secret
        raise DockerCacheError(
            f"The build backend of {build.name} cannot be installed: {failure.splitlines()[0]}",
            fix="Check `requires` of [build-system] in pyproject.toml, and your network.",
        )
