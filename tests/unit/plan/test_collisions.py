"""Several images have a place each, however it is spelled."""

from __future__ import annotations

import pytest
import tomlkit

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.collisions import refuse_collisions
from poetry_docker_cache.settings.image_tables import parse_images


def refuse(api: str, worker: str, *, name: str | None = "shop", common: str = "") -> None:
    """Look at two images with these settings."""
    text = f"{common}\n[images.api]\n{api}\n[images.worker]\n{worker}\n"
    refuse_collisions(parse_images(tomlkit.parse(text)), name=name, version="1.0")


@pytest.mark.parametrize(
    ("api", "worker"),
    [
        ('image = "x"', 'image = "x"'),
        ('image = "shop-worker"', ""),
        ('image = "shop"', 'image = "docker.io/library/shop"'),
        ('image = "index.docker.io/team/shop"', 'image = "team/shop"'),
    ],
)
def test_two_images_have_two_names(api: str, worker: str) -> None:
    """One would take the other's place in the engine, or in the registry."""
    with pytest.raises(DockerCacheError, match="images api and worker are both called") as raised:
        refuse(api, worker)
    assert "[tool.poetry-docker-cache.images.worker]" in raised.value.fix


def test_names_that_docker_spells_alike() -> None:
    """A repository of the project's own name has no underscore."""
    images = parse_images(tomlkit.parse("[images.a-b]\n[images.a_b]\n"))
    with pytest.raises(DockerCacheError, match=r"called docker\.io/library/shop-a-b:1\.0"):
        refuse_collisions(images, name="shop", version="1.0")


@pytest.mark.parametrize(
    ("api", "worker", "place"),
    [
        ("h.io/shop:cache", "h.io/shop:cache", "h.io/shop:cache"),
        ("team/c", "docker.io/team/c:latest", "docker.io/team/c:latest"),
        ("./.cache", "././.cache/", ".cache"),
        ("./.cache", "type=local,src=a,dest=.cache", ".cache"),
        ("type=gha,mode=max", "type=gha,scope=buildkit", "scope=buildkit"),
        ("type=s3,region=r,bucket=b", "type=s3,bucket=b,region=r,name=buildkit", "bucket=b"),
    ],
)
def test_two_images_have_two_caches(api: str, worker: str, place: str) -> None:
    """What the one writes, the other would replace."""
    with pytest.raises(DockerCacheError, match="cache of the image worker") as raised:
        refuse(f'cache = "{api}"', f'cache = "{worker}"')
    assert place in raised.value.problem
    assert "the cache of api is there as well" in raised.value.problem


def test_a_cache_is_no_image() -> None:
    """Under another image's name it would replace that."""
    with pytest.raises(DockerCacheError, match="and the image api has the same name"):
        refuse('image = "h.io/shop"', 'cache = "h.io/shop:1.0"')


@pytest.mark.parametrize(
    ("api", "worker", "common"),
    [
        ("", "", 'cache = "h.io/shop:1.0"\nimage = "h.io/shop"'),
        ("", "", 'cache = "type=gha"'),
        ("", "", 'cache = "type=inline"'),
        ('cache = "type=inline"', 'cache = "type=inline"', ""),
        ('cache = "type=gha,scope=a"', 'cache = "type=gha"', ""),
        ('image = "h.io/a/shop"', 'image = "h.io/b/shop"', ""),
        ('cache = "h.io/shop:1.1"', 'image = "h.io/shop"', ""),
    ],
)
def test_what_is_apart(api: str, worker: str, common: str) -> None:
    """Common settings give each image a place of its own, and other places are no concern."""
    refuse(api, worker, common=common)


def test_without_a_name_there_is_nothing_to_compare() -> None:
    """Whether a name is needed, what needs it says."""
    refuse("", "", name=None)
