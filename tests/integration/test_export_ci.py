"""`poetry docker export --ci`: one file, handled like the Dockerfile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from command_line import Outcome, poetry, snapshot
from projects import make_project, package

from poetry_docker_cache.render.ci_files import CI_KINDS, CI_PATHS, NO_ENGINE
from poetry_docker_cache.render.exported_files import is_ours

if TYPE_CHECKING:
    from pathlib import Path

    from poetry_docker_cache.render.ci_files import CiKind

PYPROJECT = """\
[project]
name = "shop"
version = "1"
requires-python = ">=3.10"
dependencies = ["rich"]

[dependency-groups]
server = ["uvicorn"]
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a project in a folder of a checkout."""
    packages = [package("rich"), package("uvicorn", groups=["server"])]
    return make_project(tmp_path / "checkout" / "shop", PYPROJECT, packages)


def export(folder: Path, *arguments: str | Path, status: int = 0) -> Outcome:
    """Run the command."""
    outcome = poetry(folder, "docker", "export", *arguments)
    assert outcome.status == status, outcome.err
    return outcome


@pytest.mark.parametrize("kind", CI_KINDS)
def test_states_of_the_file(shop: Path, kind: CiKind) -> None:
    """New, up to date, outdated and edited by hand: each state is handled as for the Dockerfile."""
    file, before = shop / CI_PATHS[kind], snapshot(shop)
    assert export(shop, "--ci", kind, "--check", status=1).out.startswith(f"--- {CI_PATHS[kind]}\n")
    assert snapshot(shop) == before
    assert export(shop, "--ci", kind).out == f"Wrote {CI_PATHS[kind]}.\n"
    assert {path for path in snapshot(shop) if path not in before} == {
        str(path) for path in (file, *file.parents) if path.is_relative_to(shop) and path != shop
    }
    text = file.read_text()
    assert is_ours(text)
    assert export(shop, "--ci", kind, "-o", "-").out == text
    assert export(shop, "--ci", kind, "--check").out == "Up to date.\n"

    outcome = export(shop, "--ci", kind, "--with", "server", "--check", status=1)
    assert "+" in outcome.out
    assert f"{CI_PATHS[kind]} is out of date: `poetry docker export --ci {kind}`" in outcome.err
    assert f"Run `poetry docker export --ci {kind}`." in outcome.err
    export(shop, "--ci", kind, "--with", "server")
    assert "poetry docker build --push --with=server" in file.read_text()

    file.write_text(file.read_text() + "# mine\n")
    outcome = export(shop, "--ci", kind, status=1)
    assert "written or edited by hand. Nothing was changed." in outcome.err
    assert "Pass `--force` to replace it, or `-o PATH` to write elsewhere." in outcome.err
    assert file.read_text().endswith("# mine\n")
    outcome = export(shop, "--ci", kind, "--check", status=1)
    assert f"Run `poetry docker export --ci {kind} --force`" in outcome.err
    export(shop, "--ci", kind, "--force")
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("arguments", "says", "fix"),
    [
        (("--ci", "jenkins"), "--ci 'jenkins' is not a kind", "one of github, gitlab, shell"),
        (("--ci", "GitHub"), "--ci 'GitHub' is not a kind", "one of github, gitlab, shell"),
        (("--ci=",), "--ci is empty", "one of github, gitlab, shell"),
        (("--ci", "shell", "--auth-file", "x"), "combined with --auth-file", "Leave one"),
        (("--ci", "shell", "--no-dockerignore"), "combined with --no-dockerignore", "Leave one"),
        (("--ci", "shell", "--check", "-o", "-"), "combined with -o -", "Leave one"),
        (("--ci", "shell", "-o", "."), ". is a folder", "the path of a file"),
        (("--ci", "shell", "--with", "nope"), "The group 'nope' (in --with)", "server"),
    ],
)
def test_invalid_options(shop: Path, arguments: tuple[str, ...], says: str, fix: str) -> None:
    """One message says what to do, and nothing is written."""
    before = snapshot(shop)
    outcome = export(shop, *arguments, status=1)
    assert says in outcome.err
    assert fix in outcome.err
    assert outcome.out == ""
    assert snapshot(shop) == before


@pytest.mark.parametrize("kind", CI_KINDS)
def test_pipeline_without_engine(shop: Path, kind: CiKind) -> None:
    """By the option or the setting; `compile` needs the image's Python."""
    file = shop / CI_PATHS[kind]
    export(shop, "--ci", kind, NO_ENGINE)
    text = file.read_text()
    assert f"poetry docker build {NO_ENGINE} --push" in text
    assert f"`poetry docker export --ci {kind} {NO_ENGINE}`" in text
    export(shop, "--ci", kind, NO_ENGINE, "--check")
    outcome = export(shop, "--ci", kind, "--with=server", NO_ENGINE, "--check", status=1)
    assert f"Run `poetry docker export --ci {kind} {NO_ENGINE}`." in outcome.err

    settings = '[tool.poetry-docker-cache]\npython = "3.12"\nengine = false\ncompile = true\n'
    (shop / "pyproject.toml").write_text(PYPROJECT + settings)
    export(shop, "--ci", kind)
    set_by_table = file.read_text()
    assert f"`poetry docker export --ci {kind}`" in set_by_table
    assert body(set_by_table) == body(text.replace("3.13", "3.12"))


def body(text: str) -> list[str]:
    """Return the lines after the banner."""
    lines = text.splitlines()
    return lines[next(n for n, line in enumerate(lines) if "Digest of" in line) + 1 :]


def test_dockerfile_needs_an_engine(shop: Path) -> None:
    """The option is for pipelines."""
    outcome = export(shop, NO_ENGINE, status=1)
    assert f"{NO_ENGINE} concerns a pipeline" in outcome.err
    assert "Add `--ci`" in outcome.err


def test_folder_that_cannot_be_created(shop: Path) -> None:
    """A file exists where the folder `.github` is needed."""
    (shop / ".github").touch()
    outcome = export(shop, "--ci", "github", status=1)
    assert "cannot be created" in outcome.err
    assert "give `-o` another path" in outcome.err


@pytest.mark.parametrize(
    ("kind", "path", "says"),
    [
        ("github", ".github/workflows/shop.yml", 'working-directory: "shop"'),
        ("gitlab", ".gitlab-ci.yml", '- "cd shop"'),
        ("shell", "ci/shop.sh", 'cd -- "$(dirname -- "$0")"/../shop'),
    ],
)
def test_project_below_the_checkout(shop: Path, kind: CiKind, path: str, says: str) -> None:
    """A pipeline starts in the checkout, a script in its own folder: both find the project."""
    file = shop.parent / path
    file.parent.mkdir(parents=True, exist_ok=True)
    export(shop, "--ci", kind, "-o", f"../{path}")
    assert says in file.read_text()
    export(shop, "--ci", kind, "-o", f"../{path}", "--check")
    export(shop, "--ci", kind)
    assert says not in (shop / CI_PATHS[kind]).read_text()


@pytest.mark.parametrize("kind", CI_KINDS)
def test_unused_location_is_noted(shop: Path, kind: CiKind) -> None:
    """A note gives the command that writes the file where CI reads it."""
    looks = "reads the pipeline only from the root of the repository"
    assert looks not in export(shop, "--ci", kind).err
    (shop.parent / ".git").mkdir()
    outcome = export(shop, "--ci", kind)
    assert (looks in outcome.err) == (kind != "shell")
    if kind != "shell":
        line = f"`poetry docker export --ci {kind} -o ../{CI_PATHS[kind]}`"
        assert line in outcome.err
        assert looks not in export(shop, "--ci", kind, "-o", f"../{CI_PATHS[kind]}").err
        assert "cd shop" in (written := (shop.parent / CI_PATHS[kind]).read_text()) or (
            'working-directory: "shop"' in written
        )


def test_file_to_include(shop: Path) -> None:
    """GitLab jobs start in the checkout, even if another file includes this one."""
    (shop / "ci").mkdir()
    export(shop, "--ci", "gitlab", "-o", "ci/docker.yml")
    assert "cd " not in (shop / "ci" / "docker.yml").read_text()


def test_export_from_another_folder(shop: Path, tmp_path: Path) -> None:
    """The file is at the project's root, whatever the current folder."""
    outcome = poetry(tmp_path, "-C", str(shop), "docker", "export", "--ci", "shell")
    assert outcome.status == 0, outcome.err
    assert (shop / "docker-build.sh").is_file()


@pytest.mark.parametrize("options", [(), ("--ci", "gitlab"), ("--ci", "shell")])
def test_only_pipelines_of_github_sign(shop: Path, options: tuple[str, ...]) -> None:
    """The others have no identity that needs no key."""
    before = snapshot(shop)
    assert "--sign is for pipelines of GitHub" in export(shop, "--sign", *options, status=1).err
    assert snapshot(shop) == before
