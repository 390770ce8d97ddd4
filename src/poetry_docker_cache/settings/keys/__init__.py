"""The keys of `[tool.poetry-docker-cache]`: what parsing, error texts and the README stand on."""

from __future__ import annotations

from poetry_docker_cache.settings.keys.bases import BASES
from poetry_docker_cache.settings.keys.building import BUILDING
from poetry_docker_cache.settings.keys.installing import INSTALLING
from poetry_docker_cache.settings.keys.key import Key
from poetry_docker_cache.settings.keys.running import RUNNING

__all__ = ["KEYS", "Key"]

KEYS: tuple[Key, ...] = (*BASES, *INSTALLING, *RUNNING, *BUILDING)
"""All of them, in the README's order."""
