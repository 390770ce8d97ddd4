"""Options that only BuildKit understands are refused, each with the way out."""

from __future__ import annotations

from typing import Any

import pytest

from poetry_docker_cache.commands.no_engine_options import option_obstacles
from poetry_docker_cache.commands.options import BuildOptions
from poetry_docker_cache.project.selection import SelectionOptions


def options(**given: Any) -> BuildOptions:  # noqa: ANN401  # values of many types
    """Return the options of a command line."""
    found: dict[str, Any] = {
        **dict.fromkeys(("images", "tags", "platforms", "ssh", "cache_from", "cache_to"), ()),
        **dict.fromkeys(("output", "target", "file", "cache", "builder", "progress")),
        **dict.fromkeys(("push", "load", "no_cache", "pull", "refresh", "dry_run", "quiet"), False),
        "metadata_file": None,
        "no_engine": True,
        "after_dashes": (),
        "build_args": (),
        "selection": SelectionOptions(),
    }
    return BuildOptions(**{**found, **given})


@pytest.mark.parametrize(
    ("given", "what", "fix"),
    [
        ({"target": "check"}, "`--target check`", "Remove `--target`"),
        ({"ssh": ("default",)}, "`--ssh default`", "Remove `--ssh`"),
        ({"progress": "rawjson"}, "`--progress rawjson`", "Use `--metadata-file`"),
        ({"progress": "quiet"}, "`--progress quiet`", "Use `-q`"),
        ({"cache": "./folder"}, "`./folder` is not an image", "`--cache registry"),
        ({"cache": ""}, "`` is not an image", "`--cache registry"),
        ({"cache_from": ("type=gha",)}, "`type=gha` is not an image", "`--cache registry"),
        ({"cache_to": ("host.test/a:b",)}, "`--cache-to host.test/a:b`", "`--cache IMAGE`"),
        ({"after_dashes": ("--build-context", "a b=.")}, "`-- --build-context 'a b=.'`", "it"),
    ],
)
def test_options_for_buildkit_are_refused(given: dict[str, Any], what: str, fix: str) -> None:
    """As they were typed."""
    (found,) = option_obstacles(options(**given))
    assert what in found.what
    assert fix in found.fix


def test_other_options_mean_the_same() -> None:
    """`-q` chooses a progress style itself; a new base image is always found."""
    quiet = options(quiet=True, progress="quiet", pull=True, refresh=True, no_cache=True)
    assert option_obstacles(quiet) == ()
    assert option_obstacles(options(progress="plain", cache="host.test/shop:main")) == ()
