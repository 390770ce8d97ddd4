"""The plugin: it names the commands, and imports them when one of them runs."""

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


def _layers() -> Command:
    from poetry_docker_cache.commands.layers import LayersCommand  # noqa: PLC0415  # as above

    return LayersCommand()


class DockerCachePlugin(ApplicationPlugin):
    """Registers `poetry docker build`, `poetry docker export` and `poetry docker layers`."""

    def activate(self, application: Application) -> None:
        """Register the commands by factory: nothing of theirs is imported until one runs."""
        application.command_loader.register_factory("docker build", _build)
        application.command_loader.register_factory("docker export", _export)
        application.command_loader.register_factory("docker layers", _layers)
