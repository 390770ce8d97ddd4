"""The plugin: it registers the commands, and imports each one only when it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry.plugins.application_plugin import ApplicationPlugin

if TYPE_CHECKING:
    from cleo.commands.command import Command
    from poetry.console.application import Application


def _build() -> Command:
    from poetry_docker_cache.commands.build import BuildCommand  # noqa: PLC0415  # keep start fast

    return BuildCommand()


def _export() -> Command:
    from poetry_docker_cache.commands.export import ExportCommand  # noqa: PLC0415  # as above

    return ExportCommand()


def _init() -> Command:
    from poetry_docker_cache.commands.init import InitCommand  # noqa: PLC0415  # as above

    return InitCommand()


def _layers() -> Command:
    from poetry_docker_cache.commands.layers import LayersCommand  # noqa: PLC0415  # as above

    return LayersCommand()


def _sbom() -> Command:
    from poetry_docker_cache.commands.sbom import SbomCommand  # noqa: PLC0415  # as above

    return SbomCommand()


def _test() -> Command:
    from poetry_docker_cache.commands.run_tests import RunTestsCommand  # noqa: PLC0415  # as above

    return RunTestsCommand()


def _doctor() -> Command:
    from poetry_docker_cache.commands.doctor import DoctorCommand  # noqa: PLC0415  # as above

    return DoctorCommand()


class DockerCachePlugin(ApplicationPlugin):
    """Registers `poetry docker build`, `export`, `init`, `layers`, `sbom`, `doctor` and `test`."""

    def activate(self, application: Application) -> None:
        """Register factories, so that no command is imported before it runs."""
        application.command_loader.register_factory("docker build", _build)
        application.command_loader.register_factory("docker export", _export)
        application.command_loader.register_factory("docker init", _init)
        application.command_loader.register_factory("docker layers", _layers)
        application.command_loader.register_factory("docker sbom", _sbom)
        application.command_loader.register_factory("docker test", _test)
        application.command_loader.register_factory("docker doctor", _doctor)
