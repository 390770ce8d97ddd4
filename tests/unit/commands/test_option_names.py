"""The names of options work with the options that Poetry reads before it knows the command."""

from __future__ import annotations

import pytest
from poetry.console.application import Application

from poetry_docker_cache.commands.build import BuildCommand
from poetry_docker_cache.commands.doctor import DoctorCommand
from poetry_docker_cache.commands.export import ExportCommand
from poetry_docker_cache.commands.layers import LayersCommand


@pytest.mark.parametrize("command", [BuildCommand, DoctorCommand, ExportCommand, LayersCommand])
def test_no_option_is_short_for_one_of_poetry(
    command: type[BuildCommand | DoctorCommand | ExportCommand | LayersCommand],
) -> None:
    """Poetry reads `--direct`, for example, as `--directory`."""
    own = {each.name for each in command.options}
    for each in Application().definition.options:
        assert [name for name in own if each.name.startswith(name)] == []
