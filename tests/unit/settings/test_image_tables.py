"""The settings of named images: how they extend the common ones, and the errors for mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import tomlkit

from poetry_docker_cache.caches.spec import Folder, Store, cache_of, named_cache, parse
from poetry_docker_cache.settings.image_tables import parse_images
from poetry_docker_cache.settings.image_values import Instructions
from poetry_docker_cache.settings.setting_errors import SettingsError

if TYPE_CHECKING:
    from poetry_docker_cache.settings.table import Settings

COMMON = """\
image = "team/shop"
groups = ["main", "web"]
build-args = { RELEASE = "0" }
env = { A = "1", B = "2" }
labels = { "org.team" = "web" }
instructions = { build = ["ENV X=1"], runtime = ["RUN a"] }
cache = "./.cache"
ports = [8000]
"""


def images(text: str) -> dict[str, Settings]:
    """Parse settings; those of an image follow `[images.NAME]`."""
    return parse_images(tomlkit.parse(text))


def test_project_without_named_images() -> None:
    """The setting is missing or empty."""
    assert images(COMMON) == {}
    assert images("images = {}") == {}


def test_images_extend_common_settings() -> None:
    """Tables are merged key by key; anything else is replaced."""
    found = images(
        COMMON
        + """\
[images.worker]
[images.api]
groups = ["api"]
build-args = { SHA = "1" }
env = { B = "3", C = "4" }
instructions = { runtime = [] }
ports = []
"""
    )
    assert list(found) == ["api", "worker"]
    api, worker = found["api"], found["worker"]
    assert worker.groups == ("main", "web")
    assert worker.env == (("A", "1"), ("B", "2"))
    assert worker.ports == ("8000",)
    assert api.groups == ("api",)
    assert api.env == (("A", "1"), ("B", "3"), ("C", "4"))
    assert [each.name for each in api.build_args] == ["RELEASE", "SHA"]
    assert api.labels == (("org.team", "web"),)
    assert api.instructions == Instructions(build=("ENV X=1",))
    assert api.ports == ()
    assert api.images == worker.images == ()


def test_images_get_separate_names_and_caches() -> None:
    """The image's name is added to the common ones, unless the image sets its own."""
    found = images(f'{COMMON}[images.a]\n[images.b]\nimage = "team/b"\ncache = "h.io/b:c"\n')
    assert found["a"].image == "team/shop-a"
    assert found["a"].cache == Folder(path="./.cache-a")
    assert found["b"].image == "team/b"
    assert found["b"].cache == Store(type="registry", options=(("ref", "h.io/b:c"),))
    assert images("[images.a]")["a"].image is None


@pytest.mark.parametrize(
    ("written", "api", "worker"),
    [
        ("team/shop:main", "team/shop-api:main", "h.io/w:main"),
        ("docker.io/team/shop", "team/shop-api:latest", "h.io/w:latest"),
        ("team/shop-api:main", "team/shop-api:main", "team/shop-api:main"),
        (f"team/shop@sha256:{'0' * 64}",) * 3,
    ],
)
def test_images_reuse_their_own_earlier_image(written: str, api: str, worker: str) -> None:
    """The common name is replaced, because no image is pushed under it; any other name is kept."""
    found = images(
        f'{COMMON}reuse-image = "{written}"\n[images.api]\n[images.worker]\nimage = "h.io/w"\n'
    )
    assert (found["api"].reuse_image, found["worker"].reuse_image) == (api, worker)
    own = f'{COMMON}reuse-image = "{written}"\n[images.api]\nreuse-image = "team/shop:x"\n'
    assert images(own)["api"].reuse_image == "team/shop:x"


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("h.io/shop:cache", "h.io/shop:cache-api"),
        ("h.io/own:mine", "h.io/own:mine"),
        ("h.io/own", "h.io/own:api"),
        ("h.io/api:main", "h.io/api:main"),
        ("docker.io/library/shop-api:main", "docker.io/library/shop-api:main"),
    ],
)
def test_option_may_name_own_cache_of_image(option: str, expected: str) -> None:
    """A name that belongs to this image is kept; any other is extended by the image's name."""
    own, tags = parse("h.io/own:mine", "both"), ["h.io/api:1.0", "shop-api:1.0"]
    found = named_cache("api", parse(option, "from"), setting=own, tags=tags)
    assert isinstance(found, Store)
    assert found.reference == expected


def test_required_setting_may_be_in_each_image() -> None:
    """If it is missing in one, the error names that image."""
    text = 'base-image = "team/base:1"\n'
    assert images(f'{text}[images.a]\npython = "3.12"\n')["a"].python == "3.12"
    with pytest.raises(SettingsError, match=r"`images\.a\.python` in .* is missing"):
        images(f"{text}[images.a]\n")


def test_build_steps_know_which_images_have_them() -> None:
    """The same step at the same place is one; others belong to their images."""
    common = 'run = [{ command = ["a"], output = ["a"] }, { command = ["b"], output = ["b"] }]'
    own = 'run = [{ command = ["a"], output = ["a"] }, { command = ["c"], output = ["b"] }]'
    found = images(f"{common}\n[images.api]\n[images.web]\n[images.job]\n{own}")
    families = {name: [step.family for step in each.run] for name, each in found.items()}
    assert families == {"api": ["", "api.web"], "web": ["", "api.web"], "job": ["", "job"]}


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ('[images.api]\ncomand = ["x"]', "images.api.comand", "Did you mean `images.api.command`?"),
        ("[images.api]\nbase_image = 1", "images.api.base_image", "`images.api.base-image`?"),
        ("[images.api.images.x]", "images.api.images", "is not a setting"),
        ('[images.api]\ninstaller = "uv"', "images.api.installer", "was removed: pip installs"),
        ('[images.api]\ncommand = "x y"', "images.api.command", '["x", "y"]'),
        ("[images.api]\nports = [80, 0]", "images.api.ports[1]", "not a port"),
        ("[images.api.env]\nA = 1", "images.api.env.A", "put it in quotes"),
        ("[images.api.instructions]\nrutime = []", "images.api.instructions.rutime", "runtime`?"),
        ("[images]\napi = 5", "images.api", "that is a number, not a table"),
        ("images = 5", "images", "that is a number, not a table"),
        ("[images.Api]", "images.Api", "lower-case letters"),
        ("[images.a-]", "images.a-", "between them"),
        ('[images."a.b"]', 'images."a.b"', "lower-case letters"),
        ("[images.default]", "images.default", "for all images"),
        ("[image.api]", "image", "not a string"),
    ],
)
def test_error_names_full_path_of_setting(text: str, path: str, words: str) -> None:
    """It says what to write instead."""
    with pytest.raises(SettingsError) as caught:
        images(text)
    assert f"`{path}`" in caught.value.problem
    assert words in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("h.io/shop:cache", "h.io/shop:cache-api"),
        ("h.io/shop", "h.io/shop:api"),
        (f"h.io/shop@sha256:{'0' * 64}", f"h.io/shop@sha256:{'0' * 64}"),
        ("./.cache/", "./.cache-api"),
        ("..", ".."),
        ("type=gha", {"scope": "buildkit-api"}),
        ("type=gha,scope=x", {"scope": "x-api"}),
        (
            "type=local,src=a/b,dest=c",
            {"src": "a/b-api", "dest": "c-api"},
        ),
        (
            "type=s3,region=r,bucket=b,name=n",
            {"region": "r", "bucket": "b", "name": "n-api"},
        ),
        ("type=inline", {}),
    ],
)
def test_cache_of_image_has_its_name(written: str, expected: str | dict[str, str]) -> None:
    """It is stored beside the caches of the other images."""
    found = cache_of("api", parse(written, "from" if "@" in written else "both"))
    if isinstance(found, Folder):
        assert found.path == expected
    elif isinstance(expected, str):
        assert found.reference == expected
    else:
        assert dict(found.options) == expected
