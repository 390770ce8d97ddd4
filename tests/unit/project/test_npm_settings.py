"""Credentials for npm registries."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.model import FrontEnd
from poetry_docker_cache.project.npm_settings import credential_variables, refuse_unset, user_npmrc

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC = FrontEnd(
    folder="web",
    lock="package-lock.json",
    scopes=frozenset({"@types"}),
    hosts=("public.test",),
)


def passed(folder: Path, text: str, *front_ends: FrontEnd, **environment: str) -> list[str]:
    """Return the lines of a user's `.npmrc` that builds of these front ends get."""
    path = folder / "npmrc"
    path.write_text(text, encoding="utf-8")
    return user_npmrc(front_ends, {"NPM_CONFIG_USERCONFIG": str(path), **environment}).splitlines()


def test_login_of_unused_registry_stays_here(tmp_path: Path) -> None:
    """Neither another company's token nor paths of this machine leave it."""
    text = """\
//public.test/:_authToken=public
//npm.acme.test/:_authToken=acme
//npm.other.test/:_authToken=other
@acme:registry=https://npm.acme.test/
@other:registry=https://npm.other.test/
cache=/home/ada/.npm
"""
    acme = replace(PUBLIC, scopes=frozenset({"@acme"}))
    assert passed(tmp_path, text, PUBLIC) == ["//public.test/:_authToken=public"]
    assert passed(tmp_path, text, acme) == [
        "//public.test/:_authToken=public",
        "//npm.acme.test/:_authToken=acme",
        "@acme:registry=https://npm.acme.test/",
    ]
    assert passed(tmp_path, text) == []


def test_login_of_registry_in_lock_file(tmp_path: Path) -> None:
    """The lock file names the addresses of packages."""
    front_end = FrontEnd(folder="web", lock="package-lock.json", hosts=("npm.acme.test:8443",))
    lines = ["//npm.acme.test:8443/npm/:_password=x", "//npm.acme.test:8443/npm/:username=ada"]
    assert passed(tmp_path, "\n".join(lines), front_end) == lines


def test_registry_of_the_user_replaces_public_one(tmp_path: Path) -> None:
    """Its login is passed, unless the lock file names another; the variable wins, as for npm."""
    front_end = replace(PUBLIC, hosts=())
    text = "registry=https://a.test\n//a.test/:_auth=a\n//b.test/:_auth=b\n"
    text += "//public.test/:_authToken=public\n"
    assert passed(tmp_path, text, front_end) == ["registry=https://a.test", "//a.test/:_auth=a"]
    changed = passed(tmp_path, text, front_end, npm_config_registry="https://b.test/npm/")
    assert changed == ["registry=https://b.test/npm/", "//b.test/:_auth=b"]


def test_certificates_of_private_authorities_are_passed(tmp_path: Path) -> None:
    """Their file is not in the build, so its content is; a list has several lines."""
    one, two = (
        f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----" for text in ("MA", "MB")
    )
    (tmp_path / "ca.pem").write_text(f"# Ours\n{one}\n{two}\n")
    lines = [f"ca[]={json.dumps(one)}", f"ca[]={json.dumps(two)}"]
    assert passed(tmp_path, f"cafile={tmp_path}/ca.pem\n", PUBLIC) == lines
    assert passed(tmp_path, "cafile=${HERE}/ca.pem\n", PUBLIC, HERE=str(tmp_path)) == lines
    assert passed(tmp_path, "\n".join(lines), PUBLIC) == lines
    with pytest.raises(DockerCacheError, match=r"`cafile` in the user's .npmrc cannot be read"):
        passed(tmp_path, "cafile=/no/such/file\n", PUBLIC)


def test_variables_are_filled_in(tmp_path: Path) -> None:
    """The build does not have the user's environment."""
    text = "//public.test/:_authToken=${TOKEN}\n"
    assert passed(tmp_path, text, PUBLIC, TOKEN="x") == ["//public.test/:_authToken=x"]
    assert passed(tmp_path, text, PUBLIC) == [text.strip()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("//npm.acme.test/:_authToken=${NPM_TOKEN}\n", ("NPM_TOKEN",)),
        ("npmAuthToken: '${ACME_TOKEN:-}'\n", ("ACME_TOKEN",)),
        ("# _authToken=x\nsave-exact=true\n", ()),
        ("cache=${HOME}/npm\n", ()),
    ],
)
def test_variables_with_credentials(text: str, found: tuple[str, ...]) -> None:
    """Only those of credentials are secrets."""
    assert credential_variables({"web/.npmrc": text}) == found


@pytest.mark.parametrize(
    "line",
    [
        "//npm.acme.test/:_authToken=hunter2",
        "_auth = aGk6aHVudGVyMg==",
        '//npm.acme.test/:_password="aHVudGVyMg=="',
        '  npmAuthIdent: "ada:hunter2"',
    ],
)
def test_credential_in_the_project(line: str) -> None:
    """The file would be part of a stage. The error does not repeat the value."""
    with pytest.raises(DockerCacheError, match=r"web/\.npmrc contains a credential") as caught:
        credential_variables({"web/.npmrc": f"save-exact=true\n{line}\n"})
    assert "hunter2" not in str(caught.value)
    assert "NPM_TOKEN" in caught.value.fix


def test_unset_variable() -> None:
    """The build would fail with a message of the registry."""
    refuse_unset(["NPM_TOKEN"], {"NPM_TOKEN": "x"})
    with pytest.raises(DockerCacheError, match="NPM_TOKEN, which is not set"):
        refuse_unset(["NPM_TOKEN"], {})
