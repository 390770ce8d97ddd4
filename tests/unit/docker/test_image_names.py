"""Names and tags of images."""

from __future__ import annotations

import pytest

from poetry_docker_cache.docker.image_names import default_tag, tagged
from poetry_docker_cache.errors import DockerCacheError


@pytest.mark.parametrize(
    ("name", "version", "image", "tag"),
    [
        ("My.Shop_API", "1.2.3", None, "my-shop-api:1.2.3"),
        ("shop", "1!2.0+local.1", None, "shop:1-2.0-local.1"),
        ("shop", None, None, "shop:latest"),
        ("shop", "", None, "shop:latest"),
        ("shop", "1.0", "ghcr.io/Me/my_shop", "ghcr.io/Me/my_shop:1.0"),
        ("", "1.0", "localhost:5000/shop", "localhost:5000/shop:1.0"),
        ("@acme/Shop front!", "1.0", None, "acme-shop-front:1.0"),
        ("Crème brûlée", "1.0", None, "creme-brulee:1.0"),
        ("日本", "1.0", None, "app:1.0"),
        ("a" * 64, "1.0", None, "app:1.0"),
        ("long " * 60, "1.0", None, "app:1.0"),
    ],
)
def test_default_tag_has_name_and_version(
    name: str, version: str | None, image: str | None, tag: str
) -> None:
    """The name is the setting `image` or the project's name."""
    assert default_tag(name, version, image=image) == tag


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (":dev", "localhost:5000/shop:dev"),
        (":1.2.3-rc_1", "localhost:5000/shop:1.2.3-rc_1"),
        (f":{'x' * 128}", f"localhost:5000/shop:{'x' * 128}"),
        ("other", "other"),
        ("h.io/other:1", "h.io/other:1"),
    ],
)
def test_tag_alone_keeps_the_name(tag: str, expected: str) -> None:
    """Any other `-t` is the complete name."""
    assert tagged("localhost:5000/shop:1.0", tag) == expected


@pytest.mark.parametrize("tag", [":", "::x", ":a/b", ":a:b", ":.a", ":-a", ":a b", f":{'x' * 129}"])
def test_colon_without_valid_tag_is_an_error(tag: str) -> None:
    """An unset variable in `-t ":$TAG"` leads to one."""
    with pytest.raises(DockerCacheError, match="is not a valid tag") as caught:
        tagged("shop:1.0", tag)
    assert "unset" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "version", "image", "cause"),
    [
        ("shop", "1.0+" + "x" * 128, None, "128"),
        ("shop", "1.0", "shop:dev", "tag or digest"),
    ],
)
def test_invalid_default_tag_is_an_error(
    name: str, version: str, image: str | None, cause: str
) -> None:
    """The fix is to use `-t`."""
    with pytest.raises(DockerCacheError, match=cause) as caught:
        default_tag(name, version, image=image)
    assert "-t" in caught.value.fix


def test_invalid_default_tag_of_one_of_several_images() -> None:
    """The fix names the image, because `-t` is for a single one."""
    with pytest.raises(DockerCacheError) as caught:
        default_tag("shop", "x" * 129, among="api")
    assert "`poetry docker build api -t NAME:TAG`" in caught.value.fix
