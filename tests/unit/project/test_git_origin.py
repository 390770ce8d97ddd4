"""The web address of a git remote."""

from __future__ import annotations

import pytest

from poetry_docker_cache.project.git_origin import web_address

TOKEN = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("git@git.example:team/shop.git", "https://git.example/team/shop"),
        ("git.example:team/shop", "https://git.example/team/shop"),
        ("ssh://git@git.example:2222/team/shop.git", "https://git.example/team/shop"),
        ("git+ssh://git@git.example/team/shop/", "https://git.example/team/shop"),
        ("git://git.example/shop.git", "https://git.example/shop"),
        ("https://git.example/team/shop.git", "https://git.example/team/shop"),
        (f"https://ci:{TOKEN}@git.example/team/shop.git", "https://git.example/team/shop"),
        (f"https://{TOKEN}@git.example:8443/shop", "https://git.example:8443/shop"),
        (f"https://git.example/shop.git?token={TOKEN}#x", "https://git.example/shop"),
        ("http://git/team/shop", "http://git/team/shop"),
        ("git@work:team/shop.git", ""),
        ("git@git.example-work:team/shop.git", ""),
        ("git@ssh.git.example:v3/team/shop", ""),
        ("/srv/git/shop.git", ""),
        ("../shop.git", ""),
        ("file:///srv/git/shop.git", ""),
        (r"C:\git\shop", ""),
        (f"https://ci:{TOKEN}@[::1/shop", ""),
        ("https://git.example:port/shop", ""),
        ("https://git.example/my shop", ""),
        ("", ""),
    ],
)
def test_web_address_of_a_remote(url: str, address: str) -> None:
    """It has no credentials; what is not on the web has none."""
    assert web_address(url) == address
