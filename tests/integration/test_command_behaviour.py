"""What the two commands do to files, streams and Docker's client, wherever they are called."""

from __future__ import annotations

import base64
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import Client, Outcome, poetry, snapshot
from projects import make_project, package

PYPROJECT = """\
[project]
name = "shop"
version = "1.2.3+local"
requires-python = ">=3.12,<3.13"
dependencies = ["rich>=1"]
[[tool.poetry.source]]
name = "acme"
url = "https://acme.test/simple"
priority = "explicit"
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""
FROM_ACME = {"type": "legacy", "url": "https://acme.test/simple", "reference": "acme"}
FILES = ("Dockerfile", "Dockerfile.dockerignore")
CANARY = "c4n<info>ary</info> %41{x}\\"
EXPORT, BUILD = ("docker", "export"), ("docker", "build")


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_USERNAME", "me")
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_PASSWORD", CANARY)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Give a project with a private source."""
    return make(tmp_path / "shop")


def make(folder: Path) -> Path:
    """Write the project."""
    make_project(folder, PYPROJECT, [package("rich", source=FROM_ACME)])
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    return folder


def done(folder: Path, *arguments: str | Path) -> Outcome:
    """Run what is to succeed."""
    outcome = poetry(folder, *arguments)
    assert outcome.status == 0, outcome
    return outcome


def in_process_of_its_own(folder: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    """Run `poetry` as a shell does; its streams as bytes."""
    return subprocess.run(
        [sys.executable, "-m", "poetry", *command], cwd=folder, capture_output=True, check=False
    )


def forms(secret: str) -> list[str]:
    """Give the ways in which a secret could leak."""
    text = base64.b64encode(f"me:{secret}".encode()).decode()
    return [secret, secret.replace("{", "{{"), secret.encode().hex(), text, "c4n"]


def test_from_elsewhere(shop: Path, tmp_path: Path) -> None:
    """`-C` and `-P` name the project: the files go to its root, and are the same bytes."""
    done(shop, *EXPORT)
    expected = snapshot(shop)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for option, value in (("-C", "../shop"), ("-P", "../shop"), ("-C", shop), ("-P", shop)):
        for name in FILES:
            (shop / name).unlink()
        done(elsewhere, option, value, *EXPORT)
        assert snapshot(shop) == expected
        assert done(elsewhere, *EXPORT, "--check", option, value).out == "Up to date.\n"
    assert list(elsewhere.iterdir()) == []


def test_from_a_sub_folder(shop: Path) -> None:
    """Without `-o` the root is the place; what `-o` names counts from where one stands."""
    below = shop / "shop"
    done(below, *EXPORT)
    assert sorted(path.name for path in below.iterdir()) == ["__init__.py"]
    assert all((shop / name).is_file() for name in FILES)
    done(below, *EXPORT, "-o", "Dockerfile")
    assert (below / "Dockerfile").read_bytes() == (shop / "Dockerfile").read_bytes()
    assert done(below, *EXPORT, "-o", "../Dockerfile", "--check").out == "Up to date.\n"


def test_output_moves_both(shop: Path) -> None:
    """The ignore file stands beside the Dockerfile, under its name."""
    (shop / "docker").mkdir()
    outcome = done(shop, *EXPORT, "-o", "docker/web.Dockerfile")
    moved = [f"docker/web.{name}" for name in FILES]
    assert outcome.out == f"Wrote {' and '.join(moved)}.\n"
    assert all((shop / name).is_file() for name in moved)
    assert not any((shop / name).exists() for name in FILES)


@pytest.mark.parametrize("verbosity", ["-q", "", "-v", "-vv", "-vvv"])
def test_printed_byte_for_byte(shop: Path, verbosity: str) -> None:
    """Standard output is the file at any verbosity; stderr says that no ignore file is read."""
    done(shop, *EXPORT, "-o", "../Dockerfile")
    # With -vvv Poetry tells of each file that it is configured by.
    for folder in (shop, Path(os.environ["POETRY_CONFIG_DIR"])):
        for name in ("poetry.toml", "config.toml", "auth.toml"):
            (folder / name).write_text("[virtualenvs]\nin-project = true\n")
    before = snapshot(shop)
    printed = in_process_of_its_own(shop, *EXPORT, "-o", "-", *filter(None, [verbosity]))
    assert printed.returncode == 0
    assert printed.stdout == (shop.parent / "Dockerfile").read_bytes()
    said = b"Without Dockerfile.dockerignore" in printed.stderr
    assert said == (verbosity != "-q")
    assert snapshot(shop) == before


@pytest.mark.parametrize("option", ["-o -", "--output -", "--output=-", "-o-"])
def test_ways_to_print(shop: Path, option: str) -> None:
    """Each form that other programs take."""
    assert "FROM python:3.12-slim" in done(shop, *EXPORT, *option.split()).out


def test_a_closed_pipe_is_no_error(shop: Path) -> None:
    """`poetry docker export -o - | head -1` ends without a traceback."""
    command = f"{sys.executable} -m poetry docker export -o - | head -c 10"
    ended = subprocess.run(command, shell=True, cwd=shop, capture_output=True, check=False)
    assert ended.stdout == b"# syntax=d"
    assert b"Error" not in ended.stderr
    assert b"Broken" not in ended.stderr


def test_without_the_ignore_file(shop: Path) -> None:
    """One file, and a word on stderr about what Docker reads instead."""
    outcome = done(shop, *EXPORT, "--no-dockerignore")
    assert outcome.out == "Wrote Dockerfile.\n"
    assert "Docker reads the .dockerignore of the context" in outcome.err
    assert not (shop / FILES[1]).exists()
    assert done(shop, *EXPORT, "--no-dockerignore", "--check").out == "Up to date.\n"


def test_check(shop: Path) -> None:
    """Nothing is written; a drifted file shows as a diff that `patch` takes."""
    before = snapshot(shop)
    outcome = poetry(shop, *EXPORT, "--check")
    assert snapshot(shop) == before
    assert outcome.status == 1
    assert outcome.out.startswith("--- Dockerfile\n+++ Dockerfile (as `poetry docker export`")
    done(shop, *EXPORT)
    written = (shop / "Dockerfile").read_bytes()
    drifted = written.replace(b"USER 10001:10001", b"USER root").rstrip(b"\n")
    (shop / "Dockerfile").write_bytes(drifted)
    outcome = poetry(shop, *EXPORT, "--check")
    assert outcome.status == 1
    assert "\n-USER root\n" in outcome.out
    assert "\n+USER 10001:10001\n" in outcome.out
    assert (shop / "Dockerfile").read_bytes() == drifted
    if shutil.which("patch"):
        subprocess.run(["patch", "Dockerfile"], cwd=shop, input=outcome.out.encode(), check=True)
        assert (shop / "Dockerfile").read_bytes() == written
    done(shop, *EXPORT, "--force")
    (shop / FILES[1]).unlink()
    assert poetry(shop, *EXPORT, "--check", "-q") == Outcome(status=1, out="", err="")


def test_a_check_on_a_terminal_without_unicode(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The difference is what `patch` is to read, not what a terminal can show."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    outcome = in_process_of_its_own(shop, *EXPORT, "--check")
    assert outcome.returncode == 1
    assert "+# The image is described from `FROM … AS venv` on" in outcome.stdout.decode()
    assert (
        b"The files on disk are out of date: `poetry docker export` would write" in outcome.stderr
    )


def test_force_replaces_both(shop: Path) -> None:
    """What was written by hand goes when that is asked for."""
    for name in FILES:
        (shop / name).write_text("mine\n")
    done(shop, *EXPORT, "--force")
    done(shop, *EXPORT, "--check")


def test_notes_are_on_stderr(shop: Path) -> None:
    """Standard output says what was written; the reasons stand elsewhere."""
    outcome = done(shop, "-n", *EXPORT)
    assert outcome.out == "Wrote Dockerfile and Dockerfile.dockerignore.\n"
    assert outcome.err.startswith("- Python 3.12: ")


@pytest.mark.parametrize("name", ["with  spaces", "日本 é", "a'b\"c$d`e", "<info>x</info>", "-x"])
def test_odd_paths(tmp_path: Path, name: str) -> None:
    """Any folder gives the same bytes, and its name is printed as it is."""
    plain, odd = make(tmp_path / "plain"), make(tmp_path / name)
    done(plain, *EXPORT)
    assert f"Wrote {name}/Dockerfile and " in done(tmp_path, "-P", odd, *EXPORT).out
    for file in FILES:
        assert (odd / file).read_bytes() == (plain / file).read_bytes()


def test_line_endings_of_windows(shop: Path) -> None:
    """A checkout with CRLF is still ours, up to date, and gives the same bytes."""
    done(shop, *EXPORT)
    expected = [(shop / name).read_bytes() for name in FILES]
    for path in [*map(shop.joinpath, FILES), shop / "pyproject.toml", shop / "poetry.lock"]:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert done(shop, *EXPORT, "--check").out == "Up to date.\n"
    done(shop, *EXPORT)
    assert [(shop / name).read_bytes() for name in FILES] == expected


def test_a_symlink_stays_one(shop: Path) -> None:
    """The file that it leads to is written, beside nothing else."""
    (shop / "real").mkdir()
    (shop / "Dockerfile").symlink_to("real/Dockerfile")
    done(shop, *EXPORT)
    assert (shop / "Dockerfile").is_symlink()
    assert [path.name for path in (shop / "real").iterdir()] == ["Dockerfile"]
    assert done(shop, *EXPORT, "--check").out == "Up to date.\n"


@pytest.mark.parametrize("existing", [False, True])
def test_the_secret_is_private_from_its_creation(
    shop: Path, tmp_path: Path, existing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mode 0600, whatever the umask, and whatever the file had that stood there."""
    path = tmp_path / "auth.toml"
    if existing:
        path.write_text("old")
        path.chmod(0o644)
    modes: list[int] = []
    replace = Path.replace

    def watched(own: Path, to: Path) -> Path:
        modes.append(own.stat().st_mode)
        return replace(own, to)

    monkeypatch.setattr(Path, "replace", watched)
    before = os.umask(0)
    try:
        done(shop, *EXPORT, "-o", "-", "--auth-file", "../auth.toml")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [mode & 0o777 for mode in modes] == [0o600]
    assert "c4n" in path.read_text()
    assert sorted(it.name for it in tmp_path.iterdir()) == ["auth.toml", "shop"]


@pytest.mark.parametrize("verbosity", ["-q", "-v", "-vvv"])
@pytest.mark.parametrize(
    "command",
    [
        (*EXPORT, "--auth-file", "../auth.toml"),
        (*EXPORT, "--auth-file", "../missing/auth.toml"),
        (*EXPORT, "--auth-file", "auth.toml"),
        BUILD,
        (*BUILD, "--dry-run"),
        (*BUILD, "--", "--bad"),
    ],
    ids=lambda command: " ".join(command[1:]),
)
def test_no_secret_is_shown(
    shop: Path, client: Client, command: tuple[str, ...], verbosity: str
) -> None:
    """Not on stdout, not on stderr, not in a traceback, not in a file of the project."""
    client.answer(status=1)
    before = snapshot(shop)
    outcome = poetry(shop, *command, verbosity)
    for form in forms(CANARY):
        assert form not in outcome.out
        assert form not in outcome.err
    changed = {path for path, state in snapshot(shop).items() if before.get(path) != state}
    assert changed <= {str(shop), *(str(shop / name) for name in FILES)}
    if client.folder.joinpath("argv").exists():
        assert "c4n" in client.kept("secret")  # the control: it was there to be shown
        assert not any("c4n" in word for word in client.argv)


def test_a_failure_that_nobody_foresaw_shows_no_secret(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback shows lines of code, not the values in them."""

    def fail(*_: Any) -> None:  # noqa: ANN401
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("poetry_docker_cache.commands.export_files.write_private", fail)
    outcome = poetry(shop, *EXPORT, "--auth-file", "../auth.toml", "-vvv")
    assert outcome.status == 1
    assert "unforeseen" in outcome.err
    assert "c4n" not in outcome.err + outcome.out


def test_no_virtual_environment(
    shop: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is made, looked for or needed."""

    def fail(*_: Any, **__: Any) -> None:  # noqa: ANN401
        raise AssertionError("an environment")

    for name in ("get", "create_venv", "activate"):
        monkeypatch.setattr(f"poetry.utils.env.EnvManager.{name}", fail)
    done(shop, *EXPORT)
    done(shop, *BUILD)
    assert client.argv
    environments = Path(os.environ["POETRY_CACHE_DIR"]) / "virtualenvs"
    assert not environments.exists()
    assert not (shop / ".venv").exists()


def test_a_read_only_project(shop: Path, tmp_path: Path) -> None:
    """`-o -` and `--check` need no right to write; writing says what is wrong."""
    mounts = ["unshare", "--mount", "sh", "-c"]
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    if not shutil.which("unshare") or subprocess.run([*mounts, "true"], check=False).returncode:
        pytest.skip("this user may not mount")
    expected = done(shop, *EXPORT, "-o", "-").out
    command = [*mounts, script, "sh", str(shop), sys.executable, "-m", "poetry", *EXPORT]
    before = snapshot(tmp_path)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments], cwd=shop, capture_output=True, text=True, check=False
        )

    printed = run("-o", "-")
    assert (printed.returncode, printed.stdout) == (0, expected)
    refused = run()
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Dockerfile cannot be written: Read-only file system" in refused.stderr
    assert "give `-o` another path" in refused.stderr
    assert run("--check").returncode == 1
    assert snapshot(tmp_path) == before


def test_a_build_is_what_export_writes(shop: Path, client: Client, tmp_path: Path) -> None:
    """Its Dockerfile but for the syntax line and the digest, its ignore file, its secret."""
    done(shop, *EXPORT, "-o", "../Dockerfile", "--auth-file", "../auth.toml")
    before = snapshot(shop)
    done(shop, *BUILD)
    assert snapshot(shop) == before

    def body(text: str) -> str:
        return text.partition("# The rest of this file has the digest")[2].partition("\n")[2]

    assert body(client.kept("Dockerfile")) == body((tmp_path / "Dockerfile").read_text())
    assert client.kept("Dockerfile").startswith("# Written by")
    assert body(client.kept("ignore")) == body((tmp_path / FILES[1]).read_text())
    assert client.kept("secret") == (tmp_path / "auth.toml").read_text()
    secret = Path(client.kept("secret-path").strip().partition("src=")[2])
    assert not secret.parents[1].exists()


def test_the_command_line_of_a_build(shop: Path, client: Client, tmp_path: Path) -> None:
    """Ours first, then what stood behind `--`, untouched, then the context."""
    after = ["--no-cache", "-q", "-vvv", "-P", "/x", "-C", "/y", "--with", "a b", "--", "-", ""]
    outcome = done(tmp_path, "-C", "shop", *BUILD, "-t", "a", "--tag=b:1", "--push", "--", *after)
    assert outcome.out == ""
    argv = client.argv
    assert argv[-len(after) - 1 :] == [*after, str(shop)]
    ours = argv[: -len(after) - 1]
    assert "--no-cache" not in ours
    assert "--load" not in ours
    words = " ".join(ours)
    assert "--tag a --tag b:1" in words
    assert "--push" in words


def test_poetrys_own_options_reach_buildkit(shop: Path, client: Client) -> None:
    """`-q`, `--no-ansi` and `--no-cache` mean what they mean; `--progress` wins."""
    for given, expected in (
        (["-q"], "--progress quiet"),
        (["--no-ansi"], "--progress plain"),
        (["-q", "--progress", "tty"], "--progress tty"),
        (["--no-cache"], "--no-cache"),
    ):
        done(shop, *BUILD, *given)
        assert expected in " ".join(client.argv)
    done(shop, *BUILD)
    assert "--progress" not in client.argv
    assert "--no-cache" not in client.argv
    assert "--load" in client.argv
    assert "--tag shop:1.2.3-local" in " ".join(client.argv)


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_dry_run_prints_a_line_for_the_shell(shop: Path, client: Client, quiet: list[str]) -> None:
    """It is the command that a build runs, but for the temporary files."""
    given = [*BUILD, *quiet, "-t", "a", "--", "--label", "x=a b'c", "--secret", "<info>"]
    line = done(shop, *given[:2], "--dry-run", *given[2:]).out
    done(shop, *given)
    assert line.count("\n") == 1
    words = shlex.split(line)
    assert words[0] == "docker"
    temporary = re.compile("<(dockerfile|auth|metadata)>")
    dry = [word for word in words[1:] if not temporary.search(word)]
    wet = [word for word in client.argv if "poetry-docker-cache-" not in word]
    assert dry == wet
    assert "<info>" in dry


@pytest.mark.parametrize("status", [0, 1, 17, 130])
def test_the_status_is_buildkits(shop: Path, client: Client, status: int) -> None:
    """Ours is 1 for our own errors, and theirs for theirs."""
    client.answer(status=status)
    assert poetry(shop, *BUILD).status == status


def test_a_vendored_dockerfile(shop: Path, client: Client) -> None:
    """`--file` is taken as it is, from where one stands; the secret goes along."""
    (shop / "shop" / "Mine").write_text("FROM scratch\n")
    outcome = done(shop / "shop", *BUILD, "--file", "Mine")
    assert client.kept("Dockerfile") == "FROM scratch\n"
    assert "c4n" in client.kept("secret")
    assert client.argv[-1] == str(shop)
    assert outcome.err == ""
