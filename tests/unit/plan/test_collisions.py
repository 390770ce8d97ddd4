"""Images and caches of one project must not overwrite each other, however they are spelled."""

from __future__ import annotations

import pytest
import tomlkit

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.collisions import refuse_collisions
from poetry_docker_cache.settings.image_tables import parse_images


def refuse(api: str, worker: str, *, name: str = "shop", common: str = "") -> None:
    """Check two images with these settings for collisions."""
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
def test_rejects_two_images_with_same_name(api: str, worker: str) -> None:
    """One would replace the other in the engine or in the registry."""
    with pytest.raises(DockerCacheError, match="images api and worker are both called") as raised:
        refuse(api, worker)
    assert "[tool.poetry-docker-cache.images.worker]" in raised.value.fix


def test_rejects_names_that_docker_spells_the_same() -> None:
    """Underscores become hyphens in a repository name that is derived from the project's name."""
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
def test_rejects_two_images_with_same_cache(api: str, worker: str, place: str) -> None:
    """Each build would replace the cache of the other image."""
    with pytest.raises(DockerCacheError, match="cache of the image worker") as raised:
        refuse(f'cache = "{api}"', f'cache = "{worker}"')
    assert place in raised.value.problem
    assert "the cache of api is there as well" in raised.value.problem


def test_rejects_cache_with_name_of_another_image() -> None:
    """The cache would replace the image."""
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
def test_accepts_images_and_caches_in_different_places(api: str, worker: str, common: str) -> None:
    """Common settings are extended by each image's name."""
    refuse(api, worker, common=common)
