"""Where packages come from, without credentials."""

from __future__ import annotations

import pytest

from poetry_docker_cache.sbom.source_urls import file_url, package_url, without_credentials

PURL = "pkg:pypi/acme-lib@1.0"
COMMIT = "0d3b1ce5a1f4b1a1a6f0d4a2d1d9c0b8e7f60912"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://host.test/simple/", "https://host.test/simple/"),
        ("https://me:s3cret@host.test:8443/a%20b", "https://host.test:8443/a%20b"),
        ("https://s3cret@host.test/x.whl?sig=s3cret#s3cret", "https://host.test/x.whl"),
        ("git+https://me:s3cret@host.test/a.git", "https://host.test/a.git"),
        ("ssh://git:s3cret@host.test:22/a.git", "ssh://git@host.test:22/a.git"),
        ("git@host.test:team/a.git", "ssh://git@host.test/team/a.git"),
        ("https://me:s3cret@[::1]:1/a", "https://[::1]:1/a"),
        ("https://[s3cret", ""),
        ("https://me:s3cret@host.test:x/", ""),
        ("../a.whl", ""),
    ],
)
def test_address_has_no_credentials(url: str, expected: str) -> None:
    """An address that cannot be parsed is left out."""
    assert without_credentials(url) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, PURL),
        (
            {"type": "legacy", "url": "https://me:s3cret@host.test/simple", "reference": "acme"},
            f"{PURL}?repository_url=https://host.test/simple",
        ),
        (
            {
                "type": "git",
                "url": "https://me:s3cret@host.test/a.git",
                "reference": "v1",
                "resolved_reference": COMMIT,
                "subdirectory": "lib",
            },
            f"{PURL}?vcs_url=git%2Bhttps://host.test/a.git%40{COMMIT}%23subdirectory%3Dlib",
        ),
        (
            {"type": "url", "url": "https://me:s3cret@host.test/a.whl?key=s3cret"},
            f"{PURL}?download_url=https://host.test/a.whl",
        ),
        ({"type": "file", "url": "vendor/a.whl"}, f"{PURL}?file_name=a.whl"),
        ({"type": "directory", "url": "lib"}, "None"),
    ],
)
def test_package_url_names_the_source(source: dict[str, str], expected: str) -> None:
    """The name is in its normal form."""
    assert str(package_url("Acme.Lib", "1.0", source)) == expected


def test_file_is_listed_on_the_page_of_its_index() -> None:
    """Other files have an address of their own, or only a name."""
    index, legacy = "https://index.test/simple/", {"type": "legacy", "url": "https://own.test"}
    assert file_url("Acme.Lib", "a.whl", {}, index) == f"{index}acme-lib/#a.whl"
    assert file_url("acme-lib", "a.whl", legacy, index) == "https://own.test/acme-lib/#a.whl"
    assert file_url("acme-lib", "a b.whl", {"type": "file", "url": "a b.whl"}, index) == "a%20b.whl"
    assert file_url("acme-lib", "a.whl", {}, "") == "a.whl"
