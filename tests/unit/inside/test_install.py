"""Tests of calling pip, explaining its failures, and tidying up after an installation."""

from __future__ import annotations

import base64
import json
import os
import sys
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from poetry_docker_cache.inside.install import (
    installed_files,
    pip_command,
    pip_settings,
    secret,
    tool,
)
from poetry_docker_cache.inside.install.__main__ import format_announcement
from poetry_docker_cache.inside.install.__main__ import main as install
from poetry_docker_cache.inside.install.failures import explain_failure, explain_refusal
from poetry_docker_cache.inside.install.package_indexes import group_by_source, requirement
from poetry_docker_cache.inside.install.process import Outcome, hide_users
from poetry_docker_cache.inside.install.secret import Source

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://host.example:8443/simple/"
SOURCE = Source("my.repo-x", URL)
ANY = [{"file": "click-1-py3-none-any.whl", "hash": "sha256:12"}]
WORDS = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), min_size=1)


# --- The environment ------------------------------------------------------------------------------
@given(WORDS, WORDS)
def test_url_has_the_credentials(
    tmp_path_factory: pytest.TempPathFactory, user: str, word: str
) -> None:
    """Any user name and password reach the server unchanged."""
    known = {"username": user, "password": word}
    found = pip_settings.for_source({}, SOURCE, known, tmp_path_factory.getbasetemp())
    parts = urlsplit(found["PIP_INDEX_URL"])
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (user, word)
    assert (parts.hostname, parts.port, parts.path) == ("host.example", 8443, "/simple/")
    sent = requests.Request("GET", found["PIP_INDEX_URL"]).prepare().headers["Authorization"]
    assert base64.b64decode(sent.split()[1]).decode("latin1") == f"{user}:{word}"


def test_certificates_become_private_files(tmp_path: Path) -> None:
    """A public source has no certificates, and one with `verify = false` is a trusted host."""
    image = {"REQUESTS_CA_BUNDLE": "/image.pem"}
    known = {"ca": "CA", "client-cert": "CLIENT"}
    found = pip_settings.for_source(image, SOURCE, known, tmp_path)
    assert found["PIP_INDEX_URL"] == URL
    for variables, text in (
        ((found["PIP_CERT"], found["REQUESTS_CA_BUNDLE"]), "CA"),
        ((found["PIP_CLIENT_CERT"],), "CLIENT"),
    ):
        (path,) = {tmp_path / variable for variable in variables}
        assert path.read_text() == text
        assert path.stat().st_mode & 0o777 == 0o600
    assert pip_settings.for_source(image, SOURCE, {}, tmp_path) == {**image, "PIP_INDEX_URL": URL}
    trusted = pip_settings.for_source({}, SOURCE, {"verify": False}, tmp_path)
    assert trusted["PIP_TRUSTED_HOST"] == "host.example:8443"


IMAGE = {
    "PATH": "/bin",
    "HTTPS_PROXY": "http://proxy",
    "PYTHONPATH": "/elsewhere",
    "PIP_INDEX_URL": "https://mirror.example/simple",
    "PIP_CERT": "/ca.pem",
    "PIP_DEFAULT_TIMEOUT": "120",
    "PIP_RETRIES": "9",
    "PIP_PROXY": "http://pips.proxy",
    "PIP_TRUSTED_HOST": "mirror.example",
    "PIP_EXTRA_INDEX_URL": "https://extra.example",
    "PIP_FIND_LINKS": "/wheels",
    "PIP_NO_INDEX": "1",
    "PIP_CONSTRAINT": "/constraints.txt",
    "PIP_TARGET": "/else",
    "PIP_PRE": "1",
    "PIP_CONFIG_FILE": "/pip.conf",
}


def test_only_network_settings_of_the_image_are_kept() -> None:
    """No setting of the image adds an index or changes what is installed."""
    kept = pip_settings.clean_environment(IMAGE, {})
    assert {name for name in kept if name.startswith("PIP_")} == {
        *("PIP_INDEX_URL", "PIP_CERT", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES", "PIP_PROXY"),
        *("PIP_TRUSTED_HOST", "PIP_CONFIG_FILE"),
    }
    assert kept["PIP_CONFIG_FILE"] == os.devnull
    assert kept["PATH"] == "/bin"
    assert "PYTHONPATH" not in kept
    assert kept["PYTHONDONTWRITEBYTECODE"] == "1"


def test_settings_in_pip_files() -> None:
    """They are treated like variables, and those of `install` override global ones."""
    listing = (
        ":env:.timeout='9'\n"
        "install.index-url='https://install.example/simple'\n"
        "global.index-url='https://global.example/simple'\n"
        "global.trusted-host='one.example\\ntwo.example'\n"
        "global.extra-index-url='https://extra.example'\n"
        "download.index-url='https://download.example'\n"
    )
    files = pip_settings.read_config_list(listing)
    assert files["PIP_INDEX_URL"] == "https://install.example/simple"
    found = pip_settings.clean_environment({"PIP_CERT": "/ca.pem"}, files)
    assert found["PIP_TRUSTED_HOST"] == "one.example two.example"
    assert "PIP_EXTRA_INDEX_URL" not in found
    assert pip_settings.clean_environment(IMAGE, files)["PIP_INDEX_URL"] == IMAGE["PIP_INDEX_URL"]


def test_pip_configuration_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place of a pip.conf is found; without one, pip is not started."""
    monkeypatch.setattr(pip_settings, "FOR_ALL", str(tmp_path / "all.conf"))
    monkeypatch.setattr("sys.base_prefix", str(tmp_path / "prefix"))
    empty = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "xdg")}
    assert not pip_settings.has_pip_configuration(empty)
    for place, variables in (
        ("named.conf", {"PIP_CONFIG_FILE": str(tmp_path / "named.conf")}),
        ("all.conf", {}),
        ("prefix/pip.conf", {}),
        ("xdg/pip/pip.conf", {}),
        (".config/pip/pip.conf", {}),
        (".pip/pip.conf", {}),
    ):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        assert pip_settings.has_pip_configuration({**empty, **variables}), place
        assert not pip_settings.has_pip_configuration({**empty, "PIP_CONFIG_FILE": os.devnull})
        path.unlink()


def test_pip_only_downloads_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the image's own pip, isolated from the folder that it runs in."""
    seen: list[str] = []

    def record(command: list[str], _: object) -> tuple[int, str]:
        seen.extend(command)
        return 0, ""

    monkeypatch.setattr(pip_command, "run", record)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: ModuleSpec(name, None))
    wanted = tmp_path / "requirements.txt"
    pip_command.download(tmp_path, wanted, {}, ["linux_s390x", "any"])
    assert seen[:5] == [sys.executable, "-I", "-m", "pip", "download"]
    assert {"--only-binary=:all:", "--no-deps", "--require-hashes"} < set(seen)
    assert seen[-4:-2] == ["--platform=linux_s390x", "--platform=any"]
    assert seen[-2:] == [f"--dest={tmp_path}", f"--requirement={wanted}"]


def test_missing_pip_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says what to do, in each of the commands that may run first."""
    said = Outcome(1, "/usr/bin/python: No module named pip\n")
    monkeypatch.setattr(pip_command, "run", lambda *_: said)
    monkeypatch.setattr("venv.create", lambda *_, **__: None)
    monkeypatch.setattr(pip_settings, "image_settings", lambda _: {})  # would start pip
    monkeypatch.setenv("PIP_TIMEOUT", "30")  # only pip follows it
    message = pip_command.MISSING
    assert tool.main(["--venv", str(tmp_path / "poetry"), "poetry"]) == 1
    assert capsys.readouterr().out == f"\npoetry-docker-cache: {message}\n"
    entry = {**package("click"), "files": ANY}
    wanted = tmp_path / "manifest.json"
    wanted.write_text(json.dumps({"packages": [entry], "sources": []}))
    options = ["--manifest", str(wanted), "--venv", str(tmp_path / "venv")]
    assert install([*options, "--secret", str(tmp_path / "none")]) == 1
    assert (
        capsys.readouterr().out == f"Installing click 1!1.0+cpu\n\npoetry-docker-cache: {message}\n"
    )


def test_first_line_names_the_packages() -> None:
    """It has at most 79 columns, and no package twice."""
    packages = [{"name": "a", "version": "1.0"}, {"name": "b-c", "version": "1!2.0"}]
    assert format_announcement({"packages": packages * 2}) == "Installing a 1.0, b-c 1!2.0"
    many = [{"name": f"package-{number}", "version": "1.0"} for number in range(9)]
    line = format_announcement({"packages": many})
    assert line.startswith("Installing package-0 1.0, package-1 1.0, ")
    assert line.endswith("…")
    assert len(line) == 79


@pytest.mark.parametrize("source", [(), ("--source", "acme", URL)])
def test_arguments_after_dashes_go_to_pip(
    source: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A constraints file is passed in this way. With a source, which has a secret, wheels only."""
    seen: list[str] = []

    def record(command: str, arguments: list[str], *_: object) -> tuple[int, str]:
        seen.extend([command, *arguments])
        return 0, ""

    monkeypatch.setattr("venv.create", lambda *_, **__: None)
    monkeypatch.setattr(tool, "run_pip", record)
    monkeypatch.setattr(pip_settings, "image_settings", lambda _: {})  # would start pip
    compiled: list[Path] = []
    monkeypatch.setattr(installed_files, "compile_all", compiled.append)
    options = ["--venv", str(tmp_path / "build"), "--compile", *source]
    assert tool.main([*options, "--", "--constraint=/opt/constraints.txt", "hatchling"]) == 0
    assert seen[-2:] == ["--constraint=/opt/constraints.txt", "hatchling"]
    assert seen[0] == "wheel"
    assert compiled == [tmp_path / "build"]
    assert ("--only-binary=:all:" in seen) == bool(source)


# --- The secret -----------------------------------------------------------------------------------
def test_secret_of_one_source(tmp_path: Path) -> None:
    """Only the table of that source is read, and the secret may not exist."""
    path = tmp_path / "auth.toml"
    assert secret.read(path) == {}
    path.write_text(
        '[http-basic.a.b]\nusername = "x"\n'
        '[poetry-docker-cache.sources."a.B"]\nusername = "u"\npassword = "{p}"\n'
    )
    found = secret.read(path)
    assert secret.get_source(found, "a.b") == {"username": "u", "password": "{p}"}
    assert secret.get_source(found, "other") == {}


def test_user_names_are_hidden() -> None:
    """A user name may be a token."""
    line = b"Looking in indexes: https://tok%40en:****@host/simple, http://token@h:1/x\n"
    assert hide_users(line) == b"Looking in indexes: https://host/simple, http://h:1/x\n"


# --- The requirements -----------------------------------------------------------------------------
def package(name: str, reference: str = "", kind: str = "legacy", **more: str) -> dict[str, Any]:
    """Return an entry of a manifest."""
    origin = {"type": kind, "url": f"https://{reference}.example/simple", "reference": reference}
    source = {"source": origin} if reference else {}
    files = [{"file": "x.whl", "hash": "sha256:12"}, {"file": "y.whl", "hash": "sha256:34"}]
    return {"name": name, "version": "1!1.0+cpu", "files": files, **source, **more}


def test_requirement_lines() -> None:
    """A line has the version and the hashes of the locked files."""
    assert requirement(package("a")) == "a==1!1.0+cpu --hash=sha256:12 --hash=sha256:34\n"


@pytest.mark.parametrize(
    ("version", "of_file", "line"),
    [
        ("1.0", "1.0", "===1.0"),
        ("1!2.0rc1.post3.dev4", "1!2.0rc1.post3.dev4", "===1!2.0rc1.post3.dev4"),
        ("1.0", "1.0.0", "==1.0"),
        ("2021.05.30", "2021.05.30", "==2021.05.30"),
        ("1.0+cpu", "1.0+cpu", "==1.0+cpu"),
    ],
)
def test_local_version_is_not_confused(version: str, of_file: str, line: str) -> None:
    """`===` excludes `1.0+cpu` for 1.0, if the file names have the version in its normal form."""
    entry = package("a", version=version)
    for file in entry["files"]:
        file["file"] = f"a-{of_file}-py3-none-any.whl"
    assert requirement(entry).split()[0] == f"a{line}"


def test_package_has_one_source() -> None:
    """It is the source in the lock, with the URL in the project, or PyPI."""
    a, b = package("a", "One"), package("b")
    found = group_by_source({"packages": [a, b], "sources": [{"name": "one", "url": URL}]})
    assert found == [(Source(), [b]), (Source("one", URL), [a])]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([{"name": "one", "url": URL, "priority": "primary"}], Source("one", URL)),
        ([{"name": "one", "url": URL, "priority": "supplemental"}], Source()),
        (
            [
                {"name": "one", "url": URL, "priority": "primary"},
                {"name": "PyPI", "priority": "supplemental"},
            ],
            Source(),
        ),
    ],
)
def test_package_without_a_source(sources: list[dict[str, str]], expected: Source) -> None:
    """It comes from PyPI, or from the primary source that replaces PyPI."""
    ((found, _),) = group_by_source({"packages": [package("a")], "sources": sources})
    assert found == expected


def test_package_without_an_index_is_refused() -> None:
    """The error names the package from git."""
    manifest = {"packages": [package("a", "main", kind="git")], "sources": []}
    with pytest.raises(ValueError, match=r"^a does not come from a package index \(git\)"):
        group_by_source(manifest)


# --- Failures -------------------------------------------------------------------------------------
@pytest.mark.parametrize("known", [True, False])
def test_refused_access(known: bool) -> None:
    """The explanation names the source, and the command to run."""
    said = explain_refusal("my.repo-x", URL, known=known)
    assert "'my.repo-x' (host.example:8443)" in said
    assert ("does not accept" in said) == known
    assert ("no credentials" in said) != known
    assert "poetry config http-basic.my.repo-x USERNAME` (asks" in said
    assert "POETRY_HTTP_BASIC_MY_REPO_X_PASSWORD" in said


FETCH = "Could not fetch URL https://h/alpha/"
NO_MATCH = "ERROR: No matching distribution found for alpha==1.0"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("401 Error, Credentials not correct for https://h/", "refused access"),
        ("403 Client Error: Forbidden for url: https://h/", "refused access"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE R", "does not match poetry.lock"),
        (NO_MATCH, "no file of alpha==1.0 that"),
        (f"{FETCH}: 404 Client Error: Not Found\n{NO_MATCH}", "no file of alpha==1.0 that"),
        ("  | Unable to find installation candidates for alpha (1.0)", "no file of alpha (1.0)"),
        (f"{FETCH}: connection error: HTTPConnectionPool\n{NO_MATCH}", "cannot be reached"),
    ],
)
def test_failures_are_explained(output: str, said: str) -> None:
    """Messages of pip and Poetry are recognized, and the source is named."""
    found = explain_failure(f"before\n{output}\nafter", SOURCE, known=True)
    assert said in found
    assert "'my.repo-x'" in found


def test_missing_tool() -> None:
    """If Poetry itself is not found, poetry.lock is not mentioned."""
    output = "ERROR: No matching distribution found for poetry==9\n"
    assert "poetry.lock" not in explain_failure(output, SOURCE, known=True, locked=False)
    assert "has no poetry==9" in explain_failure(output, SOURCE, known=True, locked=False)


# --- What is left ---------------------------------------------------------------------------------
@pytest.fixture
def installed_venv(tmp_path: Path) -> Path:
    """Write an environment with one package, which has compiled modules."""
    place = tmp_path / "lib" / "python3.13" / "site-packages"
    info = place / "be_ta.x-1.0+cpu.dist-info"
    info.mkdir(parents=True)
    (place / "be_ta" / "__pycache__" / "old" / "__pycache__").mkdir(parents=True)
    (place / "be_ta" / "__pycache__" / "a.pyc").touch()
    (place / "be_ta" / "a.py").touch()
    (info / "RECORD").write_text(f"be_ta/a.py,,0\n{info.name}/RECORD,,\n")
    (tmp_path / "lib64").symlink_to("lib")
    (tmp_path / "broken").symlink_to("nowhere")
    return tmp_path


def test_bytecode_is_removed(installed_venv: Path) -> None:
    """Nothing else is."""
    before = {path.name for path in installed_venv.rglob("*")}
    installed_files.remove_bytecode(installed_venv)
    after = {path.name for path in installed_venv.rglob("*")}
    assert before - after == {"__pycache__", "old", "a.pyc"}


def times(folder: Path) -> set[int]:
    """Return the times of a folder and of everything in it."""
    return {path.lstat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


def test_set_times_sets_one_time(installed_venv: Path) -> None:
    """The time depends only on what is installed, and symbolic links have it too."""
    (record,) = installed_venv.rglob("lib/*/*/*/RECORD")
    content = record.read_text()
    installed_files.set_times(installed_venv)
    (one,) = times(installed_venv)
    record.write_text(content.replace("a.py,,0", "a.py,,1"))
    installed_files.set_times(installed_venv)
    assert times(installed_venv) != {one}
    record.write_text(content)
    installed_files.set_times(installed_venv)
    assert times(installed_venv) == {one}
    assert 315532800 <= one / 10**9 < 315532800 + 10**9
