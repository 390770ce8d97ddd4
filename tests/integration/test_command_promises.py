"""Behaviour that depends on several parts of the commands working together."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from command_line import ERROR, Client, poetry, snapshot
from poetry.factory import Factory
from projects import make_project, package

from poetry_docker_cache.buildx.build_folder import PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    from poetry.poetry import Poetry

PYPROJECT = """\
[project]
name = "shop"
version = "1.2.3"
requires-python = ">=3.12,<3.13"
dependencies = ["rich>=1"]
[[tool.poetry.source]]
name = "acme"
url = "https://acme.test/simple"
priority = "explicit"
[[tool.poetry.source]]
name = "other"
url = "https://other.test/simple"
priority = "explicit"
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
[tool.poetry-docker-cache]
"""
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@acme.test")
REFUSING_GIT = """\
#!/bin/sh
echo "fatal: detected dubious ownership in repository at '/x'
To add an exception for this directory, call:

\tgit config --global --add safe.directory /x" >&2
exit 128
"""
FROM_ACME = {"type": "legacy", "url": "https://acme.test/simple", "reference": "acme"}
EXPORT, BUILD = ("docker", "export"), ("docker", "build")


def make(folder: Path, settings: str = "", pyproject: str = PYPROJECT) -> Path:
    """Write a project, with plugin settings."""
    make_project(folder, pyproject + settings, [package("rich", source=FROM_ACME)])
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    return folder


def build(folder: Path, client: Client, *options: str) -> list[str]:
    """Build successfully, and return the arguments that docker got."""
    outcome = poetry(folder, *BUILD, *options)
    assert outcome.status == 0, outcome
    return client.argv


def option_values(argv: list[str], option: str) -> list[str]:
    """Return the values of an option in a command line."""
    return [value for name, value in itertools.pairwise(argv) if name == option]


def test_options_reach_buildkit(tmp_path: Path, client: Client) -> None:
    """Options with values are repeated in their order; flags are passed on; no others are added."""
    values = {
        "--tag": ["t/a:1", "t/b:2"],
        "--platform": ["linux/amd64", "linux/arm64"],
        "--target": ["check"],
        "--cache-from": ["type=local,src=/x", "b"],
        "--cache-to": ["type=inline"],
        "--builder": ["far-away"],
        "--progress": ["plain"],
    }
    shop = make(tmp_path / "shop")
    plain = build(shop, client)
    words = [word for name, many in values.items() for value in many for word in (name, value)]
    argv = build(shop, client, *words, "--push", "--pull", "--no-cache")
    for name, many in values.items():
        assert option_values(argv, name) == many
        assert name == "--tag" or name not in plain
    for flag in ("--push", "--pull", "--no-cache"):
        assert flag in argv
        assert flag not in plain
    assert "--load" in build(shop, client, "--load", "--platform=linux/amd64,linux/arm64")


def test_selected_builder_is_queried(tmp_path: Path, client: Client) -> None:
    """The capabilities of the selected builder, not the default one, determine the Dockerfile."""
    real = client.folder / "docker"
    real.rename(client.folder / "answer")
    log, answer = client.folder / "asked", client.folder / "answer"
    real.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\nexec "{answer}" "$@"\n')
    real.chmod(0o755)
    build(make(tmp_path / "shop"), client, "--builder=far-away")
    assert "buildx inspect far-away" in client.kept("asked").splitlines()


@pytest.mark.parametrize(
    ("settings", "options", "tags"),
    [
        ("", [], ["shop:1.2.3"]),
        ('image = "host:5000/team/x"', [], ["host:5000/team/x:1.2.3"]),
        ('image = "team/x"', ["-t", "mine"], ["mine"]),
    ],
)
def test_image_tags(
    settings: str, options: list[str], tags: list[str], tmp_path: Path, client: Client
) -> None:
    """The tag is the project's name or `image`, with the version; `-t` replaces it."""
    argv = build(make(tmp_path / "shop", settings), client, *options)
    assert option_values(argv, "--tag") == tags


def test_project_without_a_name(tmp_path: Path, client: Client) -> None:
    """The image is named after the folder; without a version the tag is `latest`."""
    text = PYPROJECT.replace('name = "shop"\nversion = "1.2.3"\n', "").replace(
        '[project]\nrequires-python = ">=3.12,<3.13"\ndependencies = ["rich>=1"]\n',
        '[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\npython = "~3.12"\n'
        'rich = ">=1"\n',
    )
    note = "The image is named my-shop, after the project's folder. Set `image` to change it."
    shop = make(tmp_path / "My Shop!", pyproject=text)
    for options, tag, noted in (("", "my-shop:latest", True), ("-tmine", "mine", False)):
        outcome = poetry(shop, *BUILD, *options.split())
        assert outcome.status == 0, outcome.err
        assert (option_values(client.argv, "--tag"), note in outcome.err) == ([tag], noted)
    (shop / "pyproject.toml").write_text((shop / "pyproject.toml").read_text() + 'image = "x"\n')
    assert option_values(build(shop, client), "--tag") == ["x:latest"]


@pytest.mark.parametrize(
    ("setting", "engine", "line"),
    [
        ('"auto"', "28.5.1", None),
        ('"auto"', "20.10.24", "# syntax=docker/dockerfile:1"),
        ("false", "28.5.1", None),
        ('"docker/dockerfile:1.7"', "28.5.1", "# syntax=docker/dockerfile:1.7"),
    ],
)
def test_syntax_line_of_a_build(
    setting: str, engine: str, line: str | None, tmp_path: Path, client: Client
) -> None:
    """By default it is only written if the engine's own frontend is too old."""
    client.answer(server=engine)
    build(make(tmp_path / "shop", f"syntax = {setting}"), client)
    first = client.kept("Dockerfile").partition("\n")[0]
    assert first == line if line else first.startswith("# Generated by")


def test_old_frontend(tmp_path: Path, client: Client) -> None:
    """With Docker 20.10 a note names the fetched frontend, and `syntax = false` is an error."""
    client.answer(server="20.10.24")
    told = poetry(make(tmp_path / "auto"), *BUILD)
    assert told.status == 0
    own = "Docker Engine 20.10.24 supports Dockerfile syntax 1.2 only"
    assert f"{own}: the build fetches a newer frontend, docker/dockerfile:1." in told.err
    (client.folder / "argv").unlink()
    shop = make(tmp_path / "false", "syntax = false")
    for how in ((), ("--dry-run",)):
        refused = poetry(shop, *BUILD, *how, colours=True)
        assert (refused.status, refused.out, refused.err.count(ERROR)) == (1, "", 1)
        assert f"{own}. The image's Dockerfile needs 1.4" in refused.err
        assert 'Leave `syntax` at "auto"' in refused.err
        assert not (client.folder / "argv").exists()
    (shop / "Dockerfile").write_text("FROM scratch\n")
    vendored = poetry(shop, *BUILD, "--file=Dockerfile")
    assert (vendored.status, "syntax" in vendored.err) == (0, False)


def test_old_engine(tmp_path: Path, client: Client) -> None:
    """The error is reported before anything is built."""
    client.answer(server="18.03.1")
    shop = make(tmp_path / "shop")
    before = snapshot(shop)
    outcome = poetry(shop, *BUILD, colours=True)
    assert (outcome.status, outcome.out, outcome.err.count(ERROR)) == (1, "", 1)
    assert "Docker Engine 18.3.1 is too old" in outcome.err
    assert snapshot(shop) == before
    assert not (client.folder / "argv").exists()


def test_image_that_cannot_be_loaded_is_noted(tmp_path: Path, client: Client) -> None:
    """The classic image store loads only one platform, and BuildKit does not say so."""
    several = ("--platform=linux/amd64,linux/arm64",)
    outcome = poetry(make(tmp_path / "shop"), *BUILD, *several)
    assert outcome.status == 0
    assert "--load" not in client.argv
    assert "The image stays in the builder's cache" in outcome.err


def test_secret_has_only_sources_of_the_lock(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other credentials are left out, in an export and in a build."""
    for name in ("ACME", "OTHER"):
        monkeypatch.setenv(f"POETRY_HTTP_BASIC_{name}_USERNAME", "me")
        monkeypatch.setenv(f"POETRY_HTTP_BASIC_{name}_PASSWORD", f"c4nary-{name}")
    shop = make(tmp_path / "shop")
    build(shop, client)
    assert poetry(shop, *EXPORT, "-o", "-", "--auth-file", "../auth.toml").status == 0
    for secret in (client.kept("secret"), (tmp_path / "auth.toml").read_text()):
        assert "c4nary-ACME" in secret
        assert "c4nary-OTHER" not in secret


def test_missing_files_are_reported(tmp_path: Path) -> None:
    """The error is reported before anything is written, instead of a COPY that fails."""
    shop = make(tmp_path / "shop", 'files = ["alembic.ini"]')
    before = snapshot(shop)
    outcome = poetry(shop, *EXPORT, colours=True)
    assert (outcome.status, outcome.out, outcome.err.count(ERROR)) == (1, "", 1)
    assert "names 'alembic.ini', which does not exist" in outcome.err
    assert snapshot(shop) == before


def test_files_that_instructions_may_copy(tmp_path: Path) -> None:
    """A file that the build would certainly miss is an error, and the suggested line fixes it."""
    lines = [
        "COPY --from=busybox /bin/sh /bin/sh",
        "COPY optional*.txt $CONF ./",
        "ADD https://files.test/a.txt /srv/",
        "COPY <<EOF /srv/made",
        "COPY nothing /here",
        "EOF",
        'COPY ["conf/tls.key", "/srv/"]',
        "COPY \\",
        "  node_modules  /srv/",
        "COPY run.sh ./",
    ]
    settings = f'instructions = {{ runtime = {json.dumps(lines)} }}\nentrypoint = ["./run.sh"]\n'
    shop = make(tmp_path / "shop", settings)
    for name in ("conf/tls.key", "node_modules/x/index.js", "run.sh"):
        (shop / name).parent.mkdir(parents=True, exist_ok=True)
        (shop / name).touch()
    for _ in range(2):
        refused = poetry(shop, *EXPORT)
        assert refused.status == 1
        pyproject = (shop / "pyproject.toml").read_text()
        (line,) = re.findall("Write `(ignore = .*)` in", refused.err)
        kept = [each for each in pyproject.splitlines() if not each.startswith("ignore =")]
        (shop / "pyproject.toml").write_text("\n".join([*kept, line, ""]))
    outcome = poetry(shop, *EXPORT)
    assert outcome.status == 0, outcome.err


def test_local_git_excludes_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git excludes that are not in the repository do not change an export."""
    shop = make(tmp_path / "shop")
    (shop / ".gitignore").write_text("*.tmp\n")
    for name in ("kept.tmp", "data.log"):
        (shop / "shop" / name).touch()
    subprocess.run([*GIT, "init", "-q"], cwd=shop, check=True)
    subprocess.run([*GIT, "add", "--all", "--force"], cwd=shop, check=True)
    assert poetry(shop, *EXPORT).status == 0
    assert "\n!shop/kept.tmp\n" in (shop / "Dockerfile.dockerignore").read_text()
    (tmp_path / "excludes").write_text("*.log\n")
    (shop / ".git" / "info" / "exclude").write_text("*.log\n")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.excludesFile")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(tmp_path / "excludes"))
    assert poetry(shop, *EXPORT, "--check").out == "Up to date.\n"


def test_git_variables_of_a_hook_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They name the repository, and make git treat the current directory as its root."""
    shop = make(tmp_path / "services" / "shop")
    (shop / ".gitignore").write_text("*.tmp\n")
    (shop / "shop" / "kept.tmp").touch()
    subprocess.run([*GIT, "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*GIT, "add", "--all", "--force"], cwd=tmp_path, check=True)
    assert poetry(shop, *EXPORT).status == 0
    assert "\n!shop/kept.tmp\n" in (shop / "Dockerfile.dockerignore").read_text()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / ".git" / "index.lock"))
    assert poetry(shop, *EXPORT, "--check").out == "Up to date.\n"


@pytest.mark.parametrize("requirement", ["setuptools", "setuptools_scm[simple]>=8"])
def test_setuptools_scm_with_data_ignored_by_git(requirement: str, tmp_path: Path) -> None:
    """setuptools_scm leaves it out of the wheel when git is available, but not in the build."""
    backend = PYPROJECT.replace("poetry.core.masonry.api", "setuptools.build_meta")
    pyproject = backend.replace('["poetry-core"]', f'["{requirement}"]')
    shop = make(tmp_path / "shop", pyproject=pyproject)
    (shop / ".gitignore").write_text("local.db\n_version.py\n")
    for name in ("local.db", "_version.py", "kept.txt"):
        (shop / "shop" / name).touch()
    subprocess.run([*GIT, "init", "-q"], cwd=shop, check=True)
    told = (
        "The image contains files that git ignores: shop/local.db. Set `ignore` to leave them out."
    )
    assert (told in poetry(shop, *EXPORT).err) == ("scm" in requirement)
    with (shop / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('ignore = ["/shop/local.db"]')
    assert "git ignores" not in poetry(shop, *EXPORT).err


@pytest.mark.parametrize("installed", [True, False])
def test_failing_git(installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's git often refuses a repository of another owner; a note says so."""
    shop = make(tmp_path / "shop")
    (shop / ".git").mkdir()
    (shop / ".gitignore").write_text("*.tmp\n!keep.tmp\n")
    (shop / "shop" / "keep.tmp").touch()
    programs = tmp_path / "bin"
    programs.mkdir()
    if installed:
        (programs / "git").write_text(REFUSING_GIT)
        (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    outcome = poetry(shop, *EXPORT)
    assert outcome.status == 0
    why = "`git config --global --add safe.directory /x`" if installed else "not installed"
    assert f"{why}): files of a package that match .gitignore" in outcome.err
    lines = (shop / "Dockerfile.dockerignore").read_text().splitlines()
    assert lines.index("shop/**/*.tmp") < lines.index("!shop/keep.tmp")


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BuildKit would silently replace such a file by an empty one."""
    shop = make(tmp_path / "shop")
    (shop / "shop" / "[un]locked.py").touch()
    may = os.access

    def access(path: str | Path, mode: int) -> bool:
        return not str(path).endswith("locked.py") and may(path, mode)

    monkeypatch.setattr(os, "access", access)
    outcome = poetry(shop, *EXPORT)
    assert outcome.status == 1
    assert "No permission to read shop/[un]locked.py." in outcome.err
    line = r'ignore = ["/shop/\\[un\\]locked.py"]'
    assert line in outcome.err
    with (shop / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(line)
    assert poetry(shop, *EXPORT).status == 0


def test_links_out_of_the_build_context_are_noted(tmp_path: Path) -> None:
    """Docker copies the links unchanged, and their targets are missing."""
    text = PYPROJECT.replace("[tool.poetry-docker-cache]", "[tool.poetry]\npackage-mode = false\n")
    shop = make(tmp_path / "shop", pyproject=text)
    (shop / "common").symlink_to("../common")
    assert "These links leave the build context: common." in poetry(shop, *EXPORT).err


@pytest.mark.usefixtures("client")
def test_source_date_epoch_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new value makes BuildKit rebuild every layer."""
    shop = make(tmp_path / "shop")
    assert "SOURCE_DATE_EPOCH" not in poetry(shop, *BUILD).err
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert poetry(shop, *BUILD).err.count("SOURCE_DATE_EPOCH is set") == 1
    images = "[tool.poetry-docker-cache.images.{}]\n"
    several = make(tmp_path / "several", images.format("a") + images.format("b"))
    assert poetry(several, *BUILD).err.count("SOURCE_DATE_EPOCH is set") == 1


def test_dockerfile_from_stdin(tmp_path: Path, client: Client) -> None:
    """`--file -` works as in `docker build`."""
    shop = make(tmp_path / "shop")
    for option in (["--file", "-"], ["-f", "-"], ["--file=-"], ["-f-"]):
        assert option_values(build(shop, client, *option), "--file") == ["-"]


def test_export_needs_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Incomplete credentials are only an error if the secret is written too."""
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_USERNAME", "me")
    shop = make(tmp_path / "shop")
    assert poetry(shop, *EXPORT).status == 0
    assert poetry(shop, *EXPORT, "--auth-file", "../auth.toml").status == 1


def test_credentials_in_url_are_refused_before_lock_check(tmp_path: Path) -> None:
    """Otherwise `poetry lock`, the remedy for a stale lock, would copy the password into it."""
    shop = make(tmp_path / "shop")
    pyproject = shop / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(text.replace("//acme.test", "//u:c4nary@acme.test"), encoding="utf-8")
    outcome = poetry(shop, *EXPORT)
    assert outcome.status == 1
    assert "The URL of the source 'acme' contains credentials" in outcome.err
    assert "c4nary" not in outcome.err


def test_check_suggests_force_for_an_edited_file(tmp_path: Path) -> None:
    """Without `--force`, the suggested command would be refused."""
    shop = make(tmp_path / "shop")
    poetry(shop, *EXPORT)
    with (shop / "Dockerfile").open("a", encoding="utf-8") as file:
        file.write("# mine\n")
    outcome = poetry(shop, *EXPORT, "--check")
    assert outcome.status == 1
    assert "`poetry docker export --force`" in outcome.err


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_signal_before_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The status is the shell's for the signal, as during a build."""
    number = signal.Signals[name]
    shop = make(tmp_path / "shop")
    monkeypatch.setattr(
        "poetry_docker_cache.commands.planned_image.read_project",
        lambda *_, **__: os.kill(os.getpid(), number),
    )
    with pytest.raises(SystemExit) as ended:
        poetry(shop, *EXPORT)
    assert ended.value.code == 128 + number


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("command", [EXPORT, (*BUILD, "--dry-run")])
def test_every_command_removes_folders_of_killed_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """They contain credentials."""
    shop = make(tmp_path / "shop")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    dead = tmp_path / f"{PREFIX}{'0' * 16}"
    dead.mkdir(mode=0o700)
    (dead / "auth.toml").touch()
    assert poetry(shop, *command).status == 0
    assert not dead.exists()


def test_version_from_git_plugin_reaches_the_build(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """poetry-dynamic-versioning sets the version of Poetry's package, not that in the file."""
    backend = 'requires = ["poetry-core", "poetry-dynamic-versioning"]'
    text = PYPROJECT.replace('requires = ["poetry-core"]', backend)
    shop = make(tmp_path / "shop", pyproject=text)
    assert option_values(build(shop, client), "--build-arg") == []
    create = Factory.create_poetry

    def dynamic(*arguments: Any, **keys: Any) -> Poetry:  # noqa: ANN401  # as it is called
        found = create(*arguments, **keys)
        found.package.version = "4.5.6"
        return found

    monkeypatch.setattr(Factory, "create_poetry", dynamic)
    argv = build(shop, client)
    assert option_values(argv, "--build-arg") == ["VERSION=4.5.6"]
    assert option_values(argv, "--tag") == ["shop:4.5.6"]
    # The backend's own variable comes first, as in `poetry build`.
    monkeypatch.setenv("POETRY_DYNAMIC_VERSIONING_BYPASS", "7.8.9")
    assert option_values(build(shop, client), "--build-arg") == ["VERSION=7.8.9"]
    poetry(shop, *EXPORT)
    assert 'ARG VERSION="1.2.3"' in (shop / "Dockerfile").read_text(encoding="utf-8")
