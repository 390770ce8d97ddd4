"""Tests of the checks of an image: each finds its own change, and the unchanged image is fine."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from plans import plan, project
from projects import package
from shop_images import (
    KEY,
    SITE,
    STDLIB,
    Item,
    Layer,
    distribution,
    program,
    stored,
)

from poetry_docker_cache.doctor.checks import CONTENT, as_lines, is_ok, ordered
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.settings.content_values import Directory
from poetry_docker_cache.verify.whole_image import check_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poetry_docker_cache.doctor.checks import Check
    from poetry_docker_cache.images.stored_image import StoredImage

NOW = datetime(2026, 1, 8, tzinfo=timezone.utc)
LOCKED = (package("gunicorn", "23.0.0"), package("a-lib", "1.0"))
INFO = f"{SITE}/a_lib-1.0.dist-info"
REMOVED = Item(b"")


def checks(
    image: StoredImage,
    *locked: Mapping[str, Any],
    version: str = "1.0",
    from_git: bool = False,
    **settings: Any,  # noqa: ANN401  # values of settings
) -> list[Check]:
    """Check an image against these locked packages."""
    packages = [dict(each) for each in locked or LOCKED]
    settings = {"python": "3.13", "directories": (Directory(path="data"),), **settings}
    wanted = plan(project(*packages), **settings)
    tables = [{**each, "marker": each.get("marker", "")} for each in packages]
    found = check_image(
        image, wanted, tables, name="shop", version=version, from_git=from_git, now=NOW
    )
    return ordered(found, CONTENT)


def problems(found: list[Check]) -> list[str]:
    """Return the lines that are not fine, each with its mark."""
    marks = {"error": "✗", "warning": "!"}
    return [f"{marks[each.status]} {each.message}" for each in found if each.status != "ok"]


def test_unchanged_image_is_fine() -> None:
    """One line for each check; a key that a package publishes is not secret."""
    found = checks(stored())
    lines = [f"{line.mark} {line.text}".strip() for line in as_lines(found, sections=CONTENT)]
    assert lines == [
        "Packages",
        "✓ All 2 packages are those of poetry.lock.",
        "✓ The project is installed: shop 1.0.",
        "✓ All 14 files of packages match their RECORD.",
        "✓ No SBOM is attached.",
        "",
        "Safety",
        "✓ The image runs as the user 10001:10001, not as root.",
        "✓ The user cannot write the code.",
        "✓ No logins, tokens or private keys were found.",
        "✓ No cache of pip, no Poetry and no .git were found.",
        "",
        "Start",
        "✓ All 2 programs of packages call modules that exist.",
        "✓ The image starts `gunicorn shop:app --bind 0.0.0.0:8000`, which exists.",
        "",
        "Image",
        "✓ The base image is python:3.13-slim (sha256:111111111111). Built 7 days ago.",
        "",
        "No problems found.",
    ]


CHANGES: dict[str, tuple[Layer, str]] = {
    "removed package": (
        {f"{SITE}/.wh.a_lib": REMOVED, f"{SITE}/.wh.a_lib-1.0.dist-info": REMOVED},
        "✗ Missing: a-lib 1.0.",
    ),
    "additional package": (
        distribution("b-lib", "2.0"),
        "✗ Not in poetry.lock for these groups: b-lib 2.0.",
    ),
    "two versions": (
        {f"{SITE}/a_lib-2.0.dist-info/METADATA": Item(b"Name: a_lib\nVersion: 2.0\n")},
        "✗ Other versions: a-lib twice, 1.0 and 2.0.",
    ),
    "other version": (
        {f"{SITE}/.wh.a_lib-1.0.dist-info": REMOVED, **distribution("a.lib", "1.1")},
        "✗ Other versions: a-lib 1.1, locked 1.0.",
    ),
    "changed file": (
        {f"{SITE}/a_lib/__init__.py": Item(b"import os")},
        f"✗ Changed since they were installed: /{SITE}/a_lib/__init__.py.",
    ),
    "removed file": (
        {f"{SITE}/a_lib/.wh.__init__.py": REMOVED},
        f"✗ Missing: /{SITE}/a_lib/__init__.py.",
    ),
    "emptied folder": (
        {f"{SITE}/a_lib/.wh..wh..opq": REMOVED},
        f"✗ Missing: /{SITE}/a_lib/__init__.py, /{SITE}/a_lib/test.pem.",
    ),
    "additional file": (
        {f"{SITE}/x.pth": Item(b"import x")},
        f"✗ Not part of any package: /{SITE}/x.pth.",
    ),
    "additional bytecode": (
        {f"{SITE}/a_lib/__pycache__/b.pyc": Item(b"")},
        f"✗ Not part of any package: /{SITE}/a_lib/__pycache__/b.pyc.",
    ),
    "additional program": ({"venv/bin/ls": program()}, "✗ Not part of any package: /venv/bin/ls."),
    "removed RECORD": ({f"{INFO}/.wh.RECORD": REMOVED}, "✗ Without a RECORD: a-lib 1.0."),
    "file of others": (
        {f"{SITE}/a_lib/__init__.py": Item(b"", mode=0o646)},
        f"✗ The user can write code: /{SITE}/a_lib/__init__.py.",
    ),
    "folder of the user": (
        {"app": Item(mode=0o755, uid=10001)},
        "✗ The user can write code: /app.",
    ),
    "file of the group": (
        {"app/main.py": Item(b"", mode=0o664, gid=10001)},
        "✗ The user can write code: /app/main.py.",
    ),
    "standard library of the user": (
        {f"{STDLIB}/os.py": Item(b"", uid=10001)},
        f"✗ The user can write code: /{STDLIB}/os.py.",
    ),
    "cache of pip": (
        {"root/.cache/pip/http-v2/a/b": Item(b""), "root/.cache/pip/selfcheck": Item(b"")},
        "✗ The image contains pip's cache: /root/.cache/pip.",
    ),
    "repository": (
        {"app/.git/HEAD": Item(b"")},
        "✗ The image contains a git repository: /app/.git.",
    ),
    "Poetry": (
        {"opt/poetry/lib/python3.13/site-packages/poetry-2.1.0.dist-info/METADATA": Item(b"")},
        "✗ The image contains Poetry: /opt/poetry/lib/python3.13/site-packages.",
    ),
    "private key": (
        {"app/deploy": Item(b"# my key\n" + KEY)},
        "✗ The image contains a private key: /app/deploy.",
    ),
    "logins": (
        {
            "root/.netrc": Item(b"machine a.test login b password c\n"),
            "root/.config/pypoetry/auth.toml": Item(b'[http-basic.a]\npassword = "b"\n'),
            "app/.npmrc": Item(b"//a.test/:_authToken=abc\n"),
            "etc/pip.conf": Item(b"[global]\nindex-url = https://a:b@c.test/\n"),
        },
        (
            "✗ The image contains a token of npm: /app/.npmrc; a login of a package index:"
            " /etc/pip.conf; logins of Poetry: /root/.config/pypoetry/auth.toml;"
            " logins: /root/.netrc."
        ),
    ),
    "removed program": ({"venv/bin/.wh.shop": REMOVED}, "✗ Missing programs: shop (shop)."),
    "script of a package": (
        distribution("a-lib", "1.0", scripts={"a": "a_lib.cli:main"}),
        "! Modules that the packages do not contain: a (a-lib) calls a_lib.cli.",
    ),
    "own script": (
        distribution("shop", "1.0", scripts={"shop": "shop.cli:main"}),
        "✗ Modules that do not exist: shop (shop) calls shop.cli.",
    ),
    "removed start": (
        {"venv/bin/.wh.gunicorn": REMOVED},
        "✗ The image starts `gunicorn shop:app --bind 0.0.0.0:8000`, but has no program gunicorn.",
    ),
    "start without module": (
        {f"{SITE}/.wh.shop": REMOVED},
        "✗ The image starts `gunicorn shop:app --bind 0.0.0.0:8000`, but has no module shop.",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_files_are_found(change: str) -> None:
    """Each change has its line."""
    layer, expected = CHANGES[change]
    assert expected in problems(checks(stored(layer)))


def test_secret_that_a_later_layer_removes_is_found() -> None:
    """It is still in the image."""
    image = stored({"app/key": Item(KEY)}, {"app/.wh.key": REMOVED})
    assert problems(checks(image)) == [
        "✗ The image contains a private key: /app/key (in a layer below)."
    ]


def test_harmless_files_are_not_reported() -> None:
    """Data of the user, references to variables, and files that look like secrets."""
    layer = {
        "app/data/db": Item(b"", mode=0o666, uid=10001),
        "home/app/x": Item(b"", uid=10001),
        "app/.npmrc": Item(b"//a.test/:_authToken=${TOKEN}\n"),
        "etc/pip.conf": Item(b"[global]\nindex-url = https://c.test/\n"),
        "app/keys.py": Item(b'BEGIN = "-----BEGIN PRIVATE KEY-----"\n'),
        "app/.gitignore": Item(b""),
        "app/cert.pem": Item(b"-----BEGIN CERTIFICATE-----\nMIIEowIBAAKCAQEA0123456789\n"),
        "app/link": Item(link="/nowhere", mode=0o777),
    }
    assert problems(checks(stored(layer))) == []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"User": ""}, "✗ The image runs as root."),
        ({"User": "0:10001"}, "✗ The image runs as root."),
        ({"User": "root"}, "✗ The image runs as root."),
        ({"User": "missing"}, "✗ The user 'missing' does not exist in the image."),
        ({"Cmd": None}, "! The image starts nothing: no start command is set."),
        ({"Cmd": ["python", "-m", "a_lib.x"]}, "has no module a_lib.x."),
        ({"Cmd": ["python", "-u", "run.py"]}, "has no file /app/run.py."),
        ({"Entrypoint": ["/bin/nothing"]}, "has no program /bin/nothing."),
        ({"Labels": {}}, "! Unknown base image: the image has no label for it. Built 7 days ago."),
    ],
)
def test_changed_configuration_is_found(config: dict[str, Any], expected: str) -> None:
    """Each value has its line."""
    (found,) = problems(checks(stored(config=config)))
    assert expected in found


@pytest.mark.parametrize(
    "config",
    [
        {"User": "www-data"},
        {"Cmd": ["python", "-m", "http.server"]},
        {"Cmd": ["/bin/sh", "-c", "exec anything"]},
        {"Cmd": ["python", "-c", "1"]},
        {"Entrypoint": ["python", "-Xdev", "-m", "gunicorn"]},
    ],
)
def test_valid_configurations_are_fine(config: dict[str, Any]) -> None:
    """Programs and modules are found as in a container."""
    assert problems(checks(stored(config=config))) == []


def test_user_with_a_group_of_the_system_can_write_its_files() -> None:
    """Groups come from /etc/group."""
    layer = {"app/x": Item(b"", mode=0o664, gid=4)}
    assert problems(checks(stored(layer, config={"User": "www-data"}))) == [
        "✗ The user can write code: /app/x."
    ]
    assert problems(checks(stored(layer, config={"User": "33:33"}))) == []
    layer = {"app/x": Item(b"", mode=0o664)}
    assert problems(checks(stored(layer, config={"User": "10001"}))) == [
        "✗ The user can write code: /app/x."
    ]
    layer = {"app/x": Item(b"", mode=0o666)}
    assert problems(checks(stored(layer, config={"User": "root"}))) == [
        "✗ The image runs as root.",
        "✗ The user can write code: /app/x.",
    ]


def test_root_that_the_settings_want_is_a_warning() -> None:
    """It is a decision of the project."""
    found = checks(stored(config={"User": "root"}), user="root")
    assert problems(found) == ["! The image runs as root, as the settings say."]
    assert is_ok(found)


def test_markers_are_decided_for_the_platform_and_the_patch_version() -> None:
    """What the kernel decides may be there or not."""
    markers = {
        "b-lib": 'platform_machine == "aarch64"',
        "c-lib": 'python_full_version < "3.13.5"',
        "d-lib": 'platform_release == "6"',
        "a-lib": 'platform_machine == "x86_64"',
    }
    locked = [{**package(name, "1.0"), "marker": marker} for name, marker in markers.items()]
    assert problems(checks(stored(), LOCKED[0], *locked)) == []
    assert problems(checks(stored(distribution("d-lib", "1.0")), LOCKED[0], *locked)) == []
    assert problems(checks(stored(distribution("b-lib", "1.0")), LOCKED[0], *locked)) != []


@pytest.mark.parametrize(
    ("commit", "expected"),
    [
        ("1" * 40, []),
        ("2" * 40, ["✗ Other versions: a-lib 1.0 of commit 222222222222, locked 111111111111."]),
        ("", ["! Unknown commits: a-lib 1.0."]),
    ],
)
def test_commits_of_git_dependencies_are_compared(commit: str, expected: list[str]) -> None:
    """direct_url.json names the commit."""
    source = {"type": "git", "url": "https://git.test/a", "reference": "main"}
    locked = {**LOCKED[1], "source": {**source, "resolved_reference": "1" * 40}}
    layer = {**distribution("a-lib", "1.0", files={"a_lib/test.pem": KEY}, commit=commit)}
    assert problems(checks(stored(layer), LOCKED[0], locked)) == expected


def test_version_of_the_project_is_compared() -> None:
    """A version from git changes with each commit."""
    assert problems(checks(stored(), version="2.0")) == [
        "✗ The project is shop 1.0; pyproject.toml has 2.0."
    ]
    assert is_ok(checks(stored(), version="2.0", from_git=True))


def test_other_python_is_found() -> None:
    """Another minor version cannot run the packages."""
    assert "✗ The image has python3.13, not python3.12." in problems(
        checks(stored(), python="3.12")
    )


def component(name: str, version: str, **more: object) -> dict[str, object]:
    """Return a Python package of an SBOM."""
    return {"name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}", **more}


LISTED = (
    component("gunicorn", "23.0.0"),
    component("c-lib", "1.0", scope="optional"),
    {"name": "libc6", "purl": "pkg:deb/debian/libc6"},
)
PATH = {"name": "a-lib", "version": "0", "properties": [{"name": "poetry-docker-cache:path"}]}


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        ((component("a-lib", "1.0"), *LISTED), []),
        ((PATH, *LISTED), []),
        ((component("a-lib", "1.1"), *LISTED), ["a-lib 1.0 is listed as 1.1"]),
        (LISTED, ["a-lib 1.0 is not listed"]),
        ((PATH, component("d", "1"), *LISTED), ["d is not installed"]),
    ],
)
def test_attached_sbom_is_compared(
    components: tuple[dict[str, object]], expected: list[str]
) -> None:
    """The project itself is not a component; packages of the system are not compared."""
    document = json.dumps({"components": components}).encode()
    start = "✗ The attached SBOM does not agree with the image:"
    assert problems(checks(stored(sbom=document))) == [f"{start} {each}." for each in expected]


@pytest.mark.parametrize("document", [b"text", b"[]", b"{}", b'{"components": [1]}'])
def test_strange_sbom_is_an_error(document: bytes) -> None:
    """It is not a CycloneDX document."""
    assert problems(checks(stored(sbom=document))) == ["✗ The attached SBOM cannot be read."]


def test_registry_that_hides_its_documents_is_a_warning() -> None:
    """The other checks are made."""

    def denied(_: str) -> list[bytes]:
        raise DockerCacheError("The registry denies access.")

    found = checks(replace(stored(), find_attached=denied))
    assert problems(found) == ["! The registry denies access."]


def test_old_image_is_a_warning() -> None:
    """Also an image on another base than in the settings."""
    labels = {"Labels": {"org.opencontainers.image.base.name": "python:3.13-alpine"}}
    assert problems(checks(stored(config=labels))) == [
        "! The base image is python:3.13-alpine, not python:3.13-slim. Built 7 days ago."
    ]


@pytest.mark.parametrize("env", [[], ["VIRTUAL_ENV=/other"]])
def test_image_of_another_project_is_an_error(env: list[str]) -> None:
    """It has no virtual environment."""
    with pytest.raises(DockerCacheError, match="was not built by `poetry docker build`"):
        checks(stored(config={"Env": env}))
