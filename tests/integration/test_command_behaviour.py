"""What the commands do to files, streams and the Docker client, from any directory."""

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

from poetry_docker_cache.docker.image_labels import CONTENTS

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
SCRIPTS = "Dockerfile.scripts"
WROTE = f"Wrote {', '.join(FILES)} and {SCRIPTS}.\n"
CANARY = "c4n<info>ary</info> %41{x}\\"
EXPORT, BUILD = ("docker", "export"), ("docker", "build")


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_USERNAME", "me")
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_PASSWORD", CANARY)
    monkeypatch.setenv("POETRY_REPOSITORIES_ACME_URL", "https://acme.test/simple")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a project with a private source."""
    return make(tmp_path / "shop")


def make(folder: Path) -> Path:
    """Write the project."""
    make_project(folder, PYPROJECT, [package("rich", source=FROM_ACME)])
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    return folder


def run_successfully(folder: Path, *arguments: str | Path) -> Outcome:
    """Run a command that must succeed."""
    outcome = poetry(folder, *arguments)
    assert outcome.status == 0, outcome
    return outcome


def run_in_new_process(folder: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    """Run `poetry` in a new process, as a shell does; its output is bytes."""
    return subprocess.run(
        [sys.executable, "-m", "poetry", *command], cwd=folder, capture_output=True, check=False
    )


def forms(secret: str) -> list[str]:
    """Return the forms in which a secret could leak."""
    text = base64.b64encode(f"me:{secret}".encode()).decode()
    return [secret, secret.replace("{", "{{"), secret.encode().hex(), text, "c4n"]


def test_export_from_another_directory(shop: Path, tmp_path: Path) -> None:
    """`-C` and `-P` select the project: identical files are written to its root."""
    run_successfully(shop, *EXPORT)
    expected = snapshot(shop)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for option, value in (("-C", "../shop"), ("-P", "../shop"), ("-C", shop), ("-P", shop)):
        for name in FILES:
            (shop / name).unlink()
        run_successfully(elsewhere, option, value, *EXPORT)
        assert snapshot(shop) == expected
        assert run_successfully(elsewhere, *EXPORT, "--check", option, value).out == "Up to date.\n"
    assert list(elsewhere.iterdir()) == []


def test_export_from_a_subfolder(shop: Path) -> None:
    """Without `-o`, files go to the project's root; `-o` is relative to the working directory."""
    below = shop / "shop"
    run_successfully(below, *EXPORT)
    assert sorted(path.name for path in below.iterdir()) == ["__init__.py"]
    assert all((shop / name).is_file() for name in FILES)
    run_successfully(below, *EXPORT, "-o", "Dockerfile")
    assert (below / "Dockerfile").is_file()
    assert run_successfully(below, *EXPORT, "-o", "../Dockerfile", "--check").out == "Up to date.\n"


def test_output_option_moves_both_files(shop: Path) -> None:
    """The ignore file is written next to the Dockerfile, with a matching name."""
    (shop / "docker").mkdir()
    outcome = run_successfully(shop, *EXPORT, "-o", "docker/web.Dockerfile")
    moved = [f"docker/web.{name}" for name in FILES]
    assert outcome.out == f"Wrote {', '.join(moved)} and docker/Dockerfile.scripts.\n"
    assert all((shop / name).is_file() for name in moved)
    assert not any((shop / name).exists() for name in FILES)


def test_output_option_makes_the_folder(shop: Path) -> None:
    """Missing parent folders are created, too."""
    run_successfully(shop, *EXPORT, "-o", "deploy/docker/Dockerfile")
    assert sorted(path.name for path in (shop / "deploy" / "docker").iterdir()) == [*FILES, SCRIPTS]


def test_stdout_of_a_source_tree_needs_a_dockerignore(shop: Path) -> None:
    """`docker build -f -` reads it, so it filters what the image takes."""
    (shop / "manage.py").touch()
    assert poetry(shop, *EXPORT, "-o", "-").status == 1
    (shop / ".dockerignore").write_text(".git\n")
    outcome = run_successfully(shop, *EXPORT, "-o", "-")
    assert "\nCOPY . .\n" in outcome.out
    assert "Docker reads the .dockerignore of the build context" in outcome.err


@pytest.mark.parametrize("verbosity", ["-q", "", "-v", "-vv", "-vvv"])
def test_stdout_is_exactly_the_dockerfile(shop: Path, verbosity: str) -> None:
    """At any verbosity, stdout is exactly the file; stderr says that no ignore file is read."""
    run_successfully(shop, *EXPORT, "-o", "../Dockerfile")
    # With -vvv Poetry lists the configuration files that it reads.
    for folder in (shop, Path(os.environ["POETRY_CONFIG_DIR"])):
        for name in ("poetry.toml", "config.toml", "auth.toml"):
            (folder / name).write_text("[virtualenvs]\nin-project = true\n")
    before = snapshot(shop)
    printed = run_in_new_process(shop, *EXPORT, "-o", "-", *filter(None, [verbosity]))
    assert printed.returncode == 0
    assert printed.stdout == (shop.parent / "Dockerfile").read_bytes()
    said = b"Without Dockerfile.dockerignore" in printed.stderr
    assert said == (verbosity != "-q")
    assert snapshot(shop) == before


@pytest.mark.parametrize("option", ["-o -", "--output -", "--output=-", "-o-"])
def test_every_form_of_stdout(shop: Path, option: str) -> None:
    """Each form is one that other programs accept."""
    assert "FROM python:3.12-slim" in run_successfully(shop, *EXPORT, *option.split()).out


def test_closed_pipe_is_not_an_error(shop: Path) -> None:
    """`poetry docker export -o - | head -1` ends without a traceback."""
    command = f"{sys.executable} -m poetry docker export -o - | head -c 10"
    ended = subprocess.run(command, shell=True, cwd=shop, capture_output=True, check=False)
    assert ended.stdout == b"# syntax=d"
    assert b"Error" not in ended.stderr
    assert b"Broken" not in ended.stderr


def test_export_without_ignore_file(shop: Path) -> None:
    """Only the Dockerfile is written; stderr says what Docker reads instead of the ignore file."""
    outcome = run_successfully(shop, *EXPORT, "--no-dockerignore")
    assert outcome.out == "Wrote Dockerfile and Dockerfile.scripts.\n"
    assert "Docker reads the .dockerignore of the build context" in outcome.err
    assert not (shop / FILES[1]).exists()
    assert run_successfully(shop, *EXPORT, "--no-dockerignore", "--check").out == "Up to date.\n"


def test_check_shows_a_diff(shop: Path) -> None:
    """Nothing is written; a changed file is shown as a diff that `patch` accepts."""
    before = snapshot(shop)
    outcome = poetry(shop, *EXPORT, "--check")
    assert snapshot(shop) == before
    assert outcome.status == 1
    assert outcome.out.startswith("--- Dockerfile\n+++ Dockerfile (as `poetry docker export`")
    run_successfully(shop, *EXPORT)
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
    run_successfully(shop, *EXPORT, "--force")
    (shop / FILES[1]).unlink()
    assert poetry(shop, *EXPORT, "--check", "-q") == Outcome(status=1, out="", err="")


def test_check_on_a_terminal_without_unicode(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The diff is UTF-8 for `patch`, even if the terminal cannot show it."""
    path = shop / "pyproject.toml"
    path.write_text(path.read_text().replace("[project]", '[project]\ndescription = "Fähre"'))
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    outcome = run_in_new_process(shop, *EXPORT, "--check")
    assert outcome.returncode == 1
    assert '.description="Fähre"' in outcome.stdout.decode()
    assert (
        b"The files on disk are out of date: `poetry docker export` would write" in outcome.stderr
    )


def test_force_replaces_both_files(shop: Path) -> None:
    """`--force` also replaces files written by hand."""
    for name in FILES:
        (shop / name).write_text("mine\n")
    run_successfully(shop, *EXPORT, "--force")
    run_successfully(shop, *EXPORT, "--check")


def test_notes_are_on_stderr(shop: Path) -> None:
    """Only the names of the written files are on stdout."""
    outcome = run_successfully(shop, "-n", *EXPORT)
    assert outcome.out == WROTE
    assert outcome.err.startswith("- Python 3.12: ")


@pytest.mark.parametrize("name", ["with  spaces", "日本 é", "a'b\"c$d`e", "<info>x</info>", "-x"])
def test_unusual_project_paths(tmp_path: Path, name: str) -> None:
    """Every folder name gives the same files, and is printed unchanged."""
    plain, odd = make(tmp_path / "plain"), make(tmp_path / name)
    run_successfully(plain, *EXPORT)
    assert f"Wrote {name}/Dockerfile, " in run_successfully(tmp_path, "-P", odd, *EXPORT).out
    for file in FILES:
        assert (odd / file).read_bytes() == (plain / file).read_bytes()


def test_windows_line_endings(shop: Path) -> None:
    """After a checkout with CRLF, the files are up to date and identical when exported again."""
    run_successfully(shop, *EXPORT)
    expected = [(shop / name).read_bytes() for name in FILES]
    for path in [*map(shop.joinpath, FILES), shop / "pyproject.toml", shop / "poetry.lock"]:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert run_successfully(shop, *EXPORT, "--check").out == "Up to date.\n"
    run_successfully(shop, *EXPORT)
    assert [(shop / name).read_bytes() for name in FILES] == expected


def test_symlink_is_kept(shop: Path) -> None:
    """Only the target of the link is written."""
    run_successfully(shop, *EXPORT)
    (shop / "real").mkdir()
    (shop / "Dockerfile").rename(shop / "real" / "Dockerfile")
    (shop / "Dockerfile").symlink_to("real/Dockerfile")
    with (shop / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('[tool.poetry-docker-cache]\nworkdir = "/srv"\n')
    assert poetry(shop, *EXPORT, "--check").status == 1
    run_successfully(shop, *EXPORT)
    assert (shop / "Dockerfile").is_symlink()
    assert [path.name for path in (shop / "real").iterdir()] == ["Dockerfile"]
    assert run_successfully(shop, *EXPORT, "--check").out == "Up to date.\n"


FILE, FOLDER, MISSING = "../outside/file", "../outside", "missing"


@pytest.mark.parametrize(
    ("link", "target", "command"),
    [
        ("Dockerfile", MISSING, EXPORT),
        ("Dockerfile", FILE, (*EXPORT, "--check")),
        ("Dockerfile.dockerignore", FILE, (*EXPORT, "--force")),
        ("Dockerfile.dockerignore", "../outside/new", EXPORT),
        ("Dockerfile.scripts", FOLDER, EXPORT),
        ("Dockerfile.scripts/check.py", f"../{FILE}", (*EXPORT, "--force")),
        ("docker", FOLDER, (*EXPORT, "-o", "docker/Dockerfile")),
        (".dockerignore", FILE, (*EXPORT, "-o", "-")),
        (".dockerignore", MISSING, EXPORT),
        ("auth.toml", FILE, (*EXPORT, "--auth-file", "auth.toml")),
        (".github", FOLDER, (*EXPORT, "--ci", "github")),
        (".gitlab-ci.yml", MISSING, (*EXPORT, "--ci", "gitlab")),
        ("build.sh", FILE, (*EXPORT, "--ci", "shell", "-o", "build.sh")),
    ],
)
def test_links_out_of_the_project_are_refused(
    shop: Path, tmp_path: Path, link: str, target: str, command: tuple[str, ...]
) -> None:
    """Nothing is read or written through them, or through dangling ones."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").touch()
    (shop / link).parent.mkdir(exist_ok=True)
    (shop / link).symlink_to(target)
    before = snapshot(tmp_path)
    outcome = poetry(shop, *command)
    assert outcome.status == 1
    assert f"{shop / link} is a link that is not followed" in outcome.err
    assert outcome.out == ""
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("existing", [False, True])
def test_secret_is_private_when_created(
    shop: Path, tmp_path: Path, existing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mode is 0600, regardless of the umask and of an existing file."""
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
        run_successfully(shop, *EXPORT, "-o", "-", "--auth-file", "../auth.toml")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [mode & 0o777 for mode in modes] == [0o600]
    assert "c4n" in path.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["auth.toml", "shop"]


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
    """No secret in stdout, stderr, a traceback or the project's files."""
    client.answer(status=1)
    before = snapshot(shop)
    outcome = poetry(shop, *command, verbosity)
    for form in forms(CANARY):
        assert form not in outcome.out
        assert form not in outcome.err
    changed = {path for path, state in snapshot(shop).items() if before.get(path) != state}
    written = [str(shop / name) for name in (*FILES, SCRIPTS)]
    assert {path for path in changed if not path.startswith(tuple(written))} <= {str(shop)}
    if client.folder.joinpath("argv").exists():
        assert "c4n" in client.kept("secret")  # control: the secret exists
        assert not any("c4n" in word for word in client.argv)


def test_unexpected_error_shows_no_secret(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback contains lines of code, but no values."""

    def fail(*_: Any) -> None:  # noqa: ANN401
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("poetry_docker_cache.commands.export_files.write_private", fail)
    outcome = poetry(shop, *EXPORT, "--auth-file", "../auth.toml", "-vvv")
    assert outcome.status == 1
    assert "unforeseen" in outcome.err
    assert "c4n" not in outcome.err + outcome.out


def test_commands_need_no_virtual_environment(
    shop: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No virtual environment is created, looked for or needed."""

    def fail(*_: Any, **__: Any) -> None:  # noqa: ANN401
        raise AssertionError("an environment")

    for name in ("get", "create_venv", "activate"):
        monkeypatch.setattr(f"poetry.utils.env.EnvManager.{name}", fail)
    run_successfully(shop, *EXPORT)
    run_successfully(shop, *BUILD)
    assert client.argv
    environments = Path(os.environ["POETRY_CACHE_DIR"]) / "virtualenvs"
    assert not environments.exists()
    assert not (shop / ".venv").exists()


def test_read_only_project(shop: Path, tmp_path: Path) -> None:
    """`-o -` and `--check` do not write; an export reports what is wrong."""
    mounts = ["unshare", "--mount", "sh", "-c"]
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    if not shutil.which("unshare") or subprocess.run([*mounts, "true"], check=False).returncode:
        pytest.skip("this user may not mount")
    expected = run_successfully(shop, *EXPORT, "-o", "-").out
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
    assert "cannot be written: Read-only file system" in refused.stderr
    assert "give `-o` another path" in refused.stderr
    assert run("--check").returncode == 1
    assert snapshot(tmp_path) == before


def test_build_uses_what_export_writes(shop: Path, client: Client, tmp_path: Path) -> None:
    """Only the syntax line, the digests and the rules for the exported scripts differ."""
    exported = make(tmp_path / "exported")
    run_successfully(exported, *EXPORT, "--auth-file", "../auth.toml")
    before = snapshot(shop)
    run_successfully(shop, *BUILD)
    assert snapshot(shop) == before

    def body(text: str) -> str:
        return text.partition("# Digest of the rest of this file")[2].partition("\n")[2]

    assert body(client.kept("Dockerfile")) == body((exported / FILES[0]).read_text()) != ""
    assert client.kept("Dockerfile").startswith("# Generated by")
    rules = rf"# .*\n!{SCRIPTS}\n!{SCRIPTS}/\*\*\n\n"
    ignored, found = re.subn(rules, "", body((exported / FILES[1]).read_text()))
    assert (body(client.kept("ignore")), found) == (ignored, 1)
    assert client.kept("secret") == (tmp_path / "auth.toml").read_text()
    secret = Path(client.kept("secret-path").strip().partition("src=")[2])
    assert not secret.parents[1].exists()


def test_build_command_line(shop: Path, client: Client, tmp_path: Path) -> None:
    """The plugin's options come first, then the arguments after `--`, then the context."""
    after = ["--no-cache", "-q", "-vvv", "-P", "/x", "-C", "/y", "--with", "a b", "--", "-", ""]
    outcome = run_successfully(
        tmp_path, "-C", "shop", *BUILD, "-t", "t/a", "--tag=t/b:1", "--push", "--", *after
    )
    assert outcome.out == "t/a\n"
    argv = client.argv
    assert argv[-len(after) - 1 :] == [*after, str(shop)]
    ours = argv[: -len(after) - 1]
    assert "--no-cache" not in ours
    assert "--load" not in ours
    words = " ".join(ours)
    assert "--tag t/a --tag t/b:1" in words
    assert "--push" in words


def test_poetry_options_reach_buildkit(shop: Path, client: Client) -> None:
    """`--no-ansi` and `--no-cache` are passed on; `--progress` takes precedence."""
    for given, expected in (
        (["--no-ansi"], "--progress plain"),
        (["-q", "--progress", "tty"], "--progress tty"),
        (["--no-cache"], "--no-cache"),
    ):
        run_successfully(shop, *BUILD, *given)
        assert expected in " ".join(client.argv)
    for quiet in ([], ["-q"]):
        assert bool(run_successfully(shop, *BUILD, *quiet).err) != bool(quiet)
        assert "--progress" not in client.argv
    assert "--no-cache" not in client.argv
    assert "--load" in client.argv
    assert "--tag shop:1.2.3-local" in " ".join(client.argv)


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_dry_run_prints_a_shell_command(shop: Path, client: Client, quiet: list[str]) -> None:
    """It is the command of a build, except for the temporary files and what the image holds."""
    given = [*BUILD, *quiet, "-t", "a", "--", "--label", "x=a b'c", "--secret", "<info>"]
    line = run_successfully(shop, *given[:2], "--dry-run", *given[2:]).out
    run_successfully(shop, *given)
    assert line.count("\n") == 1
    words = shlex.split(line)
    assert words[0] == "docker"
    temporary = re.compile("<(dockerfile|auth|metadata|scripts)>")
    dry = [word for word in words[1:] if not temporary.search(word)]
    wet = [word for word in client.argv if "poetry-docker-cache-" not in word]
    wet = [re.sub(f"^({CONTENTS}=).*", r"\1<contents>", word) for word in wet]
    assert dry == wet
    assert "<info>" in dry


def test_refresh_runs_stages_with_system_packages_again(shop: Path, client: Client) -> None:
    """Without such packages, a newer base is enough; `--no-cache` includes the stages."""
    again = ["--pull", "--no-cache-filter", "base", "--no-cache-filter", "check"]

    def added(*options: str) -> list[str]:
        run_successfully(shop, *BUILD, "--progress=plain", "--refresh", *options)
        words = client.argv[client.argv.index("--load") + 1 :]
        return words[: words.index("--progress")]

    assert added() == ["--pull"]
    (shop / "Mine").write_text("FROM python:3.13 as Base\n")
    assert added("--file=Mine") == again
    text = (shop / "pyproject.toml").read_text()
    setting = '[tool.poetry-docker-cache]\nruntime-packages = ["libpq5"]\n'
    (shop / "pyproject.toml").write_text(text + setting)
    assert added() == again
    assert added("--no-cache") == ["--no-cache", "--pull"]


@pytest.mark.parametrize("status", [0, 1, 17, 130])
def test_status_is_that_of_buildkit(shop: Path, client: Client, status: int) -> None:
    """The plugin's own errors have status 1; BuildKit's status is passed on."""
    client.answer(status=status)
    assert poetry(shop, *BUILD).status == status


def test_build_with_vendored_dockerfile(shop: Path, client: Client) -> None:
    """`--file` is relative to the working directory and used unchanged, with the secret."""
    (shop / "shop" / "Mine").write_text("FROM scratch\n")
    outcome = run_successfully(shop / "shop", *BUILD, "--file", "Mine")
    assert client.kept("Dockerfile") == "FROM scratch\n"
    assert "c4n" in client.kept("secret")
    assert client.argv[-1] == str(shop)
    assert outcome.err == "Building shop:1.2.3-local\n"


def test_build_notes_a_dockerfile_that_it_does_not_use(shop: Path, client: Client) -> None:
    """A Dockerfile that was written or edited by hand is noted, with how to build with it."""
    note = "The image is not built from your own Dockerfile. To build from it, run `poetry"
    run_successfully(shop, *EXPORT)
    assert note not in run_successfully(shop, *BUILD).err
    (shop / "Dockerfile").write_text("FROM scratch\n")
    assert f"- {note} docker build --file Dockerfile`." in run_successfully(shop, *BUILD).err
    assert note not in run_successfully(shop, *BUILD, "--file", "Dockerfile").err
    assert client.kept("Dockerfile") == "FROM scratch\n"


def test_help_explains_no_cache(shop: Path) -> None:
    """Poetry's own text for this option speaks of Poetry's caches only."""
    text = " ".join(run_successfully(shop, *BUILD, "--help").out.split())
    assert "--no-cache makes BuildKit run every step again" in text
