"""Every error of the commands: message, exit status, and that nothing was changed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from command_line import ERROR, Client, poetry, snapshot
from fault_rows import ENGINE, LOCK_FILES, Row, fault
from projects import make_project, package, sdist

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BACKEND = '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
PYPROJECT = f"""\
[project]
name = "shop"
version = "1.2.3"
requires-python = ">=3.10"
dependencies = ["rich>=1"]
[project.optional-dependencies]
pg = ["psy>=1"]
[tool.poetry.group.dev.dependencies]
pytest = "*"
{BACKEND}"""
ACME = '[[tool.poetry.source]]\nname = "acme"\nurl = "{}"\npriority = "explicit"\n'
FROM_ACME = {"type": "legacy", "url": "https://acme.test/simple", "reference": "acme"}
OVER_SSH = {"type": "git", "url": "git@git.test:rich.git", "resolved_reference": "0" * 40}
PACKAGES = [
    package("rich"),
    package("psy", optional=True, markers='extra == "pg"'),
    package("pytest", groups=["dev"]),
]
EXPORT, BUILD = ("docker", "export"), ("docker", "build")


def make(folder: Path, more: str = "", **rich: Any) -> Path:  # noqa: ANN401  # lock keys
    """Write the shop, with additions to its pyproject.toml and to the lock entry of rich."""
    make_project(folder, PYPROJECT + more, [package("rich", **rich), *PACKAGES[1:]])
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    return folder


def settings(text: str) -> str:
    """Return the plugin's table of settings."""
    return f"[tool.poetry-docker-cache]\n{text}\n"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A mistake: how to make it, and the expected message."""

    says: str
    fix: str
    command: tuple[str, ...] = EXPORT
    more: str = ""
    rich: dict[str, Any] = field(default_factory=dict)
    arrange: Callable[[Path], object] = lambda _: None
    env: dict[str, str] = field(default_factory=dict)


def _edit(name: str, old: str, new: str) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return edit


def _write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _folder_instead(folder: Path) -> None:
    (folder / "poetry.lock").unlink()
    (folder / "poetry.lock").mkdir()


def _huge(folder: Path) -> None:
    body = "A" * 60 * 1024 * 10
    pem = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
    (folder.parent / "huge.pem").write_text(pem)


def _link(name: str, target: str) -> Callable[[Path], object]:
    return lambda folder: (folder.parent / name).symlink_to(folder / target)


def _moved(name: str) -> Callable[[Path], object]:
    def move(folder: Path) -> None:
        (folder / name).rename(folder.parent / name)
        (folder / name).symlink_to(f"../{name}")

    return move


def _source_tree(folder: Path) -> None:
    text = PYPROJECT.replace(BACKEND, "[tool.poetry]\npackage-mode = false\n")
    make_project(folder, text, PACKAGES)


def _source_tree_with_secret(folder: Path) -> None:
    _source_tree(folder)
    (folder / ".git").mkdir()
    (folder / ".env").touch()
    (folder / ".dockerignore").write_text(".git/*\n")


def _some_files(folder: Path) -> None:
    for name in ("conf/app.ini", "conf/tls.key", "conf/run.sh", "node_modules/x/index.js"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


HALF = {"POETRY_HTTP_BASIC_ACME_USERNAME": "me"}
HUGE = {"POETRY_CERTIFICATES_ACME_CERT": "../huge.pem"}
SECRET = ACME.format("https://acme.test/simple")
AUTH = (*EXPORT, "--auth-file", "../auth.toml")

LOCK = {
    "no lock": Case(
        says="poetry.lock not found",
        fix="Run `poetry lock`",
        arrange=lambda folder: (folder / "poetry.lock").unlink(),
    ),
    "stale lock": Case(
        says="pyproject.toml changed significantly since poetry.lock was written",
        fix="Run `poetry lock`.",
        arrange=_edit("pyproject.toml", "rich>=1", "rich>=2"),
    ),
    "old lock": Case(
        says="poetry.lock has the format 0.9, which is too old. It was written by",
        fix="Run `poetry lock --regenerate`.",
        arrange=_edit("poetry.lock", 'lock-version = "2.1"', 'lock-version = "0.9"'),
    ),
    "older lock without a required package": Case(
        says="poetry.lock lacks poor, which is required.",
        fix="Run `poetry lock` with Poetry 2.1 or newer, which keeps the locked versions",
        rich={"dependencies": {"poor": "*"}},
        arrange=_edit("poetry.lock", 'lock-version = "2.1"', 'lock-version = "2.0"'),
    ),
    "newer lock": Case(
        says="poetry.lock has the format 3.0, which is newer than this release supports. It was",
        fix="poetry self update poetry-docker-cache",
        arrange=_edit("poetry.lock", 'lock-version = "2.1"', 'lock-version = "3.0"'),
    ),
    "conflicted lock": Case(
        says="poetry.lock cannot be read",
        fix="Restore it from version control",
        arrange=_edit("poetry.lock", "[[package]]", "<<<<<<< HEAD\n[[package]]"),
    ),
    "broken lock": Case(
        says="poetry.lock is damaged: the entry of rich",
        fix="Restore it from version control",
        rich={"groups": "main"},
    ),
    "lock is a folder": Case(
        says="poetry.lock cannot be read",
        fix="Restore it from version control",
        arrange=_folder_instead,
    ),
}
PROJECT = {
    "no pyproject": Case(
        says="could not find a pyproject.toml file",
        fix="add `-C FOLDER`",
        # Poetry looks in all parent folders, and those of the temporary folder may have one.
        command=("-C", "/proc", "docker", "export"),
    ),
    "TOML syntax": Case(
        says="The project cannot be read: Invalid TOML file",
        fix="Fix ",
        arrange=_write("pyproject.toml", b"[project\n"),
    ),
    "not UTF-8": Case(
        says="can't decode byte 0xff",
        fix="Fix ",
        arrange=_write("pyproject.toml", b"\xff\xfe[project]\n"),
    ),
    "no table": Case(
        says="'project' in pyproject.toml must be a table",
        fix="Fix ",
        arrange=_write("pyproject.toml", b"project = 3\n"),
    ),
    "name is a number": Case(
        says="project.name must be string",
        fix="Fix ",
        arrange=_edit("pyproject.toml", 'name = "shop"', "name = 3"),
    ),
    "dependencies are a string": Case(
        says="project.dependencies must be array",
        fix="Fix ",
        arrange=_edit("pyproject.toml", '["rich>=1"]', '"rich"'),
    ),
    "invalid requirement": Case(
        says='invalid version constraint ">>>"',
        fix="Fix ",
        arrange=_edit("pyproject.toml", "rich>=1", "rich >>>"),
    ),
    "TOML syntax of Poetry's settings": Case(
        says="poetry.toml: Unexpected character",
        fix="Fix that file.",
        arrange=_write("poetry.toml", b"[x\n"),
    ),
    "another Poetry is required": Case(
        says="This project requires Poetry >9",
        fix="Fix ",
        more='[tool.poetry]\nrequires-poetry = ">9"\n',
    ),
    "file is a link": Case(
        says="conf.ini is a link that leaves the project, so the build does not have",
        fix="Copy the target into the project",
        more=settings('files = ["conf.ini"]'),
        arrange=lambda folder: (folder / "conf.ini").symlink_to(__file__),
    ),
    "invalid ignore pattern": Case(
        says="Line 2 of .dockerignore is not a valid pattern, so Docker cannot build: '[data'.",
        fix="Close its brackets",
        arrange=_write(".dockerignore", b"*.md\r\n[data\r\n"),
    ),
    "file name is not UTF-8": Case(
        says="File name is not valid UTF-8: 'shop/\\udcff.txt'. BuildKit cannot send it",
        fix="Rename it",
        arrange=lambda folder: (folder / "shop" / "\udcff.txt").touch(),
    ),
    "wrong name of the settings table": Case(
        says="`tool.poetry_docker_cache` in pyproject.toml is not the name of this plugin",
        fix="Write [tool.poetry-docker-cache].",
        more="[tool.poetry_docker_cache.images.api]\n",
    ),
    "pyproject.toml is a link": Case(
        says="pyproject.toml is a link that leaves the project, so the build does not have",
        fix="`poetry -C FOLDER`",
        arrange=_moved("pyproject.toml"),
    ),
    "poetry.lock is a link": Case(
        says="poetry.lock is a link that leaves the project, so the build does not have",
        fix="Copy the target into the project",
        arrange=_moved("poetry.lock"),
    ),
    "unknown host key": Case(
        says="A git dependency is cloned from git.test over ssh, but the host key is not known",
        fix="Run `ssh-keyscan git.test`",
        rich={"files": [], "source": OVER_SSH},
    ),
    "SSH agent that is not allowed": Case(
        says="rich in poetry.lock is cloned from git over ssh, but the build may not use",
        fix="add `--ssh default` to the command, or `ssh = true`",
        command=BUILD,
        more=settings('ssh-known-hosts = ["git.test ssh-ed25519 AAAA"]'),
        rich={"files": [], "source": OVER_SSH},
    ),
    "no SSH agent": Case(
        says="The build needs your SSH agent, but none is running",
        fix="ssh-add",
        command=BUILD,
        more=settings('ssh = true\nssh-known-hosts = ["git.test ssh-ed25519 AAAA"]'),
        rich={"files": [], "source": OVER_SSH},
        env={"SSH_AUTH_SOCK": ""},
    ),
    "path": Case(
        says="No wheel can be built from the path dependency rich (../rich): the folder does",
        fix="`--without`",
        rich={"source": {"type": "directory", "url": "../rich"}},
    ),
    "file": Case(
        says="rich is a file dependency with an absolute path (/srv/rich.whl)",
        fix="Run `poetry lock`",
        rich={"source": {"type": "file", "url": "/srv/rich.whl"}},
    ),
    "missing file dependency": Case(
        says="poetry.lock has a dependency on the file 'libs/rich.whl', which does not exist",
        fix="Restore it",
        rich={"source": {"type": "file", "url": "libs/rich.whl"}},
    ),
    "credentials in the URL of a file": Case(
        says="The URL of the URL dependency rich contains credentials",
        fix="https://acme.test/rich.whl",
        rich={"source": {"type": "url", "url": "https://me:hunter2@acme.test/rich.whl"}},
    ),
    "missing source": Case(
        says="rich in poetry.lock comes from the source 'acme', which pyproject.toml does not",
        fix="Add it as a [[tool.poetry.source]]",
        rich={"source": FROM_ACME},
    ),
    "credentials in a URL": Case(
        says="The URL of the source 'acme' contains credentials",
        fix="poetry config http-basic.acme USERNAME",
        more=ACME.format("https://me:hunter2@acme.test/simple"),
    ),
    "refresh of a Dockerfile without the stage": Case(
        says="--refresh runs the stage `base` again, but Mine has no such stage.",
        fix="(`FROM IMAGE AS base`), or use --pull",
        command=(*BUILD, "--refresh", "--file=Mine"),
        arrange=_write("Mine", b"FROM python:3.13 AS build\n# FROM x AS base\n"),
    ),
    "refresh of a Dockerfile from a pipe": Case(
        says="--refresh needs to read the Dockerfile first",
        fix="Save the Dockerfile, and pass its path.",
        command=(*BUILD, "--refresh", "--file=-"),
    ),
    "foreign ignore file only": Case(
        says="Dockerfile.dockerignore was written or edited by hand. Nothing was changed.",
        fix="Pass `--force`",
        arrange=_write("Dockerfile.dockerignore", b"*\n"),
    ),
    "foreign Dockerfile": Case(
        says="Dockerfile was written or edited by hand. Nothing was changed.",
        fix="Pass `--force` to replace it, `-o PATH` to write elsewhere, or build with it",
        arrange=_write("Dockerfile", b"FROM scratch\n"),
    ),
    "ignore file is a folder": Case(
        says="Dockerfile.dockerignore is not a regular file",
        fix="Give `-o` the path of a file",
        command=(*EXPORT, "--force"),
        arrange=lambda folder: (folder / "Dockerfile.dockerignore").mkdir(),
    ),
    "missing password": Case(
        says="The source 'acme' has a user name but no password",
        fix="POETRY_HTTP_BASIC_ACME_PASSWORD",
        command=AUTH,
        more=SECRET,
        rich={"source": FROM_ACME},
        env=HALF,
    ),
    "missing password in a build": Case(
        says="The source 'acme' has a user name but no password",
        fix="POETRY_HTTP_BASIC_ACME_PASSWORD",
        command=BUILD,
        more=SECRET,
        rich={"source": FROM_ACME},
        env=HALF,
    ),
    "secret is too large": Case(
        says="certificates has 600 KiB. BuildKit's limit is 500 KiB",
        fix="poetry config certificates.NAME.cert PATH",
        command=AUTH,
        more=SECRET,
        rich={"source": FROM_ACME},
        arrange=_huge,
        env=HUGE,
    ),
    "source tree without an ignore file": Case(
        says="every file that the ignore file does not exclude: without one",
        fix='`files = ["…"]` in [tool.poetry-docker-cache]',
        command=(*EXPORT, "-o", "-"),
        arrange=_source_tree,
    ),
    "source tree with files that .dockerignore does not exclude": Case(
        says="every file that .dockerignore does not exclude, such as .env.",
        fix="Add a line for each to .dockerignore",
        command=(*EXPORT, "-o", "-"),
        arrange=_source_tree_with_secret,
    ),
    "check of a hand-written Dockerfile": Case(
        says="Dockerfile was written by hand, not by `poetry docker export`, so it is not",
        fix="or build with it: `poetry docker build --file Dockerfile`.",
        command=(*EXPORT, "--check"),
        arrange=_write("Dockerfile", b"FROM scratch\n"),
    ),
    "unknown platform": Case(
        says="--platform 'linux/amd46' is not a known platform of Linux images.",
        fix="Did you mean linux/amd64?",
        command=(*BUILD, "--platform", "linux/amd46"),
    ),
    **{
        f"copied file: {line}": Case(
            says=f"`instructions` copies {says}",
            fix=fix,
            more=settings(f'{more}\ninstructions = {{ runtime = ["COPY {line} /srv/"] }}'),
            arrange=_some_files,
        )
        for line, more, says, fix in (
            ("conf/ap.ini", "", "'conf/ap.ini', which does not", "Did you mean conf/app.ini?"),
            (
                "--chmod=0644 conf/tls.key",
                "",
                "'conf/tls.key', which the ignore file excludes.",
                'Write `ignore = ["!conf/tls.key"]` in [tool.poetry-docker-cache].',
            ),
            (
                "./conf/app.ini",
                'ignore = ["conf"]',
                "'./conf/app.ini', which the ignore file excludes.",
                'Write `ignore = ["conf", "!conf/app.ini"]`',
            ),
            (
                "node_modules",
                "",
                "'node_modules', which the ignore file excludes.",
                'Write `ignore = ["!node_modules"',
            ),
        )
    },
    **{
        f"program: {text}": Case(
            says=says, fix=fix, more=settings(text), arrange=_some_files, command=command
        )
        for text, says, fix, command in (
            (
                'entrypoint = ["./conf/run.sh"]',
                "`entrypoint` in [tool.poetry-docker-cache] starts './conf/run.sh', which the",
                'Write `files = ["conf/run.sh"]`.',
                BUILD,
            ),
            (
                'files = ["conf/app.ini"]\ncommand = ["conf/run.sh"]',
                "`command` in [tool.poetry-docker-cache] starts 'conf/run.sh', which the image",
                'Write `files = ["conf/app.ini", "conf/run.sh"]`.',
                EXPORT,
            ),
            (
                'entrypoint = ["./run.sh"]',
                "starts './run.sh', which does not exist in the project",
                "Correct the path",
                EXPORT,
            ),
            (
                'files = ["."]\nignore = ["conf"]\nentrypoint = ["conf/run.sh"]',
                "starts 'conf/run.sh', which the ignore file excludes",
                'Write `ignore = ["conf", "!conf/run.sh"]`',
                EXPORT,
            ),
        )
    },
    "copied file in a template": Case(
        says="own.j2 copies 'assets/a.css', which does not exist.",
        fix="Correct the path",
        more=settings('template = "own.j2"'),
        arrange=_write(
            "own.j2",
            b'{% extends "Dockerfile.j2" %}{% block base %}{{ super() }}'
            b"COPY assets/a.css /srv/\n{% endblock %}",
        ),
    ),
    "source tree with --no-dockerignore": Case(
        says="every file that the ignore file does not exclude: without one",
        fix='`files = ["…"]` in [tool.poetry-docker-cache]',
        command=(*EXPORT, "--no-dockerignore"),
        arrange=_source_tree,
    ),
}
SETTINGS = {
    text: Case(says=says, fix=fix, more=settings(text))
    for text, says, fix in (
        ('pyton = "3.12"', "`pyton` in [tool.poetry-docker-cache] is not a setting", "`python`?"),
        ("python = 3.12", "`python` in [tool.poetry-docker-cache] cannot be 3.12", "For example"),
        ('python = "3.9"', 'requires-python is ">=3.10"', "Choose a Python that it allows"),
        ("layers = 49", "`layers` in [tool.poetry-docker-cache] cannot be 49", "layers = 8"),
        ('own-layers = ["nmpy"]', "names 'nmpy', which is not in poetry.lock", "Correct it"),
        ('installer = "uv"', "`installer` in [tool.poetry-docker-cache] was removed", "Remove"),
        ('template = "a.j2"', "names 'a.j2', which does not exist", "Correct the path"),
        ('template = "/a.j2"', "`template` in [tool", "docker/Dockerfile.j2"),
        (
            "[tool.poetry-docker-cache.images.api]\ncomand = []",
            "`images.api.comand` in",
            "command`?",
        ),
        ('cache = "buildcache"', "`cache` in [tool", "For a folder write ./buildcache"),
        ('cache = "type=s3,bucket=b"', "`region` is missing", "type=s3,region=…"),
        ('files = "a"', "`files` in", 'files = ["a"]'),
        ('ignore = ["a", "[b"]', "`ignore[1]` in [tool", "For example: ignore"),
        ('env = { A = "x\\ny" }', "`env.A` in", "For example: env"),
        ('env = { "A B" = "" }', '`env."A B"` in', "For example: env"),
        ('labels = { A = "x\\ny" }', "`labels.A` in", "For example: labels"),
        (
            'user = "root"',
            "root can change the code",
            "commands that need root into `instructions.runtime`",
        ),
        ("ports = [70000]", "`ports[0]` in", "For example: ports"),
        ('groups = ["nope"]', "The group 'nope' (in `groups`) does not exist", "dev, main"),
        ('extras = ["nope"]', "The extra 'nope' (in `extras`) does not exist", "extras: pg"),
        ('base-image = "debian:12"', "`python` in [tool.poetry-docker-cache] is missing", "3.12"),
        ('poetry-version = "1.8"', "`poetry-version` in", "For example"),
        ('instructions = { runtime = ["FROM x"] }', "`instructions.runtime[0]` in", "example"),
    )
}
OPTIONS = {
    " ".join(command): Case(says=says, fix=fix, command=command, arrange=arrange)
    for command, says, fix, arrange in (
        ((*EXPORT, "--with", "nope"), "The group 'nope' (in --with)", "dev, main", None),
        ((*EXPORT, "--without", "nope"), "The group 'nope' (in --without)", "dev, main", None),
        ((*EXPORT, "--only", "maim"), "The group 'maim' (in --only)", "Did you mean main?", None),
        ((*EXPORT, "--only", ""), "The group '' (in --only)", "dev, main", None),
        ((*EXPORT, "-E", "nope"), "The extra 'nope' (in --extras)", "extras: pg", None),
        ((*BUILD, "--with", "nope"), "The group 'nope' (in --with)", "dev, main", None),
        ((*EXPORT, "-E", "pg", "--all-extras"), "--extras and --all-extras", "Leave one", None),
        ((*EXPORT, "--all-groups", "--with", "dev"), "--all-groups cannot be", "Leave", None),
        ((*EXPORT, "--only", "dev", "--with", "dev"), "--only cannot be", "with --only", None),
        ((*EXPORT, "--check", "-o", "-"), "--check writes nothing", "Leave one", None),
        ((*EXPORT, "--check", "--auth-file", "../a"), "--check writes nothing", "Leave", None),
        ((*EXPORT, "--auth-file", "a"), "a is inside the build context", "outside", None),
        ((*EXPORT, "--auth-file", "shop/../a"), "inside the build context", "outside", None),
        (
            (*EXPORT, "--auth-file", "../shortcut/a"),
            "../shortcut/a is inside the build context",
            "outside",
            _link("shortcut", "shop"),
        ),
        ((*EXPORT, "--auth-file", "../away/a"), "away does not exist", "mkdir -p", None),
        ((*EXPORT, "--auth-file", "../"), "is not a regular file", "Choose another path", None),
        ((*EXPORT, "--auth-file", ""), "--auth-file is empty", "unset", None),
        ((*EXPORT, "-o", "../D", "--auth-file", "../D"), "the same file", "different paths", None),
        ((*EXPORT, "-o", ""), "`-o` is empty", "leave it out", None),
        ((*EXPORT, "-o", "pyproject.toml/D"), "pyproject.toml/D cannot be read: Not", "-o", None),
        ((*EXPORT, "-o", "shop"), "shop is a folder", "the path of a file", None),
        ((*EXPORT, "-o", "new/"), "new/ is a folder", "the path of a file", None),
        ((*EXPORT, "-o", "x" * 300), "cannot be read: File name too long", "-o", None),
        (
            (*EXPORT, "--force", "-o", os.devnull),
            "is not a regular file",
            "print with `-o -`",
            None,
        ),
        ((*EXPORT, "--force", "-o", "shop/__init__.py/D"), "Not a directory", "-o", None),
        ((*EXPORT, "--", "x"), "takes no arguments after `--`", "`poetry docker build`", None),
        (
            (*BUILD, "web"),
            "There is no image 'web': the project has a single image",
            "Leave the name out. For several images, add a table",
            None,
        ),
        ((*BUILD, "."), "Do not pass a build context, such as '.'", "Leave it", None),
        (
            (*BUILD, "team/shop:1"),
            "'team/shop:1' is not a configured image",
            "`-t team/shop:1`",
            None,
        ),
        ((*EXPORT, "./api"), "Do not pass a build context, such as './api'", "Leave it", None),
        (
            (*BUILD, "--", "--network=host", "."),
            "Do not pass a build context, such as '.'",
            "Leave",
            None,
        ),
        ((*BUILD, "--file", "shop"), "--file: shop is a folder", "export", None),
        ((*BUILD, "--cache", ""), "--cache is empty", "may be unset", None),
        (
            (*BUILD, "--cache", "type=gha,token=x"),
            "--cache cannot be used: `token`",
            "ACTIONS",
            None,
        ),
        ((*BUILD, "--cache-to", "a b"), "--cache-to a b cannot be used", "begins with ./", None),
        ((*BUILD, "--cache-from", "type=gcs"), "of the type `gcs`", "registry, local", None),
        ((*BUILD, "--cache", "."), "contains the project", "./.buildcache", None),
        ((*BUILD, "--cache", "./shop"), "contains other files (__init__.py)", ".buildcache", None),
        ((*BUILD, "--cache", "team/s:1", "-t", "team/s:1"), "replace the image", ":cache", None),
        ((*BUILD, "--cache", "type=azblob,name=x"), "the Docker engine itself", "create", None),
        (
            (*BUILD, "--cache", "./c", "--file", "Dockerfile"),
            "The cache folder c is in the project",
            "Add the line /c to .dockerignore",
            lambda folder: (folder / "Dockerfile").touch(),
        ),
        ((*BUILD, "--file", "nope"), "--file: nope does not exist", "export", None),
        ((*BUILD, "--file", ""), "--file is empty", "export", None),
        ((*BUILD, "--progress", "loud"), "--progress 'loud' is not", "auto, plain, tty", None),
        ((*BUILD, "-t", ""), "--tag is empty", "may be unset", None),
        (
            (*BUILD, "--push"),
            "shop:1.2.3 does not name a registry: --push would push it to docker.io/library/shop",
            "`-t registry.example.com/team/shop:1.2.3`",
            None,
        ),
        (
            (*BUILD, "--dry-run", "-t", "team/shop:1", "-t", "mine", "--", "--push"),
            "mine does not name a registry",
            'image = "registry.example.com/team/mine"',
            None,
        ),
    )
    for arrange in [arrange or (lambda _: None)]
}
CASES = LOCK | PROJECT | SETTINGS | OPTIONS


@pytest.mark.parametrize("verbose", [(), ("-v",)], ids=["", "v"])
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=name[:60],
            marks=[fault(LOCK_FILES, Row(fault=name, says=case.says))] if name in LOCK else [],
        )
        for name, case in CASES.items()
    ],
)
def test_error_is_one_message_and_changes_nothing(
    case: Case,
    verbose: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Status 1; cause and remedy; a traceback only with -v; no file is changed."""
    client = Client.create(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(client.folder), prepend=os.pathsep)
    project = make(tmp_path / "work" / "shop", case.more, **case.rich)
    case.arrange(project)
    for name, value in case.env.items():
        monkeypatch.setenv(name, value)
    before = snapshot(tmp_path)
    outcome = poetry(project, *verbose, *case.command, colours=True)
    assert snapshot(tmp_path) == before
    assert outcome.status == 1
    assert outcome.out == ""
    assert outcome.err.count(ERROR) == 1
    wrong, fix = outcome.err.split(ERROR)[1].split("\x1b[39;22m")
    assert case.says in wrong
    assert case.fix in fix
    assert ("Traceback" in outcome.err) == bool(verbose)
    assert "hunter2" not in outcome.err


@pytest.mark.parametrize(
    ("answers", "says", "fix"),
    [
        pytest.param(answers, says, fix, id=name, marks=fault(ENGINE, Row(fault=name, says=says)))
        for name, answers, says, fix in (
            (
                "docker is not installed",
                None,
                "`docker` not found on the PATH",
                "`poetry docker export` works without",
            ),
            (
                "the engine does not run",
                {"server": ""},
                "The Docker engine cannot be reached: Cannot",
                "DOCKER_HOST",
            ),
            (
                "buildx is not installed",
                {"buildx": False},
                "docker buildx is not installed",
                "docker-buildx",
            ),
        )
    ],
)
def test_missing_engine(
    answers: dict[str, Any] | None,
    says: str,
    fix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A build says what is missing; an export does not need an engine."""
    client = Client.create(tmp_path / "bin")
    if answers is None:
        (client.folder / "docker").unlink()
    else:
        client.answer(**answers)
    monkeypatch.setenv("PATH", f"{client.folder}:/usr/bin:/bin" if answers else str(client.folder))
    project = make(tmp_path / "shop")
    before = snapshot(tmp_path)
    for command in (BUILD, (*BUILD, "--dry-run")):
        outcome = poetry(project, *command, colours=True)
        assert snapshot(tmp_path) == before
        assert (outcome.status, outcome.out, outcome.err.count(ERROR)) == (1, "", 1)
        assert says in outcome.err
        assert fix in outcome.err
    assert poetry(project, *EXPORT).status == 0


@pytest.mark.parametrize("constraint", ["<3.9", ">=3.99", ">=3.12.5,<3.12.5"])
def test_python_without_an_image(constraint: str, tmp_path: Path) -> None:
    """The message contains the constraint and the known Python versions."""
    text = PYPROJECT.replace(">=3.10", constraint)
    project = make_project(tmp_path, text, PACKAGES)
    outcome = poetry(project, *EXPORT, colours=True)
    assert (outcome.status, outcome.err.count(ERROR)) == (1, 1)
    assert f'No known Python image satisfies requires-python = "{constraint}"' in outcome.err
    assert 'set `python = "X.Y"`' in outcome.err


def test_package_without_a_wheel_is_a_note(tmp_path: Path) -> None:
    """A note says that the package must be built from source."""
    project = make(tmp_path / "shop", files=[sdist("rich")])
    outcome = poetry(project, *EXPORT)
    assert outcome.status == 0
    assert "rich must be built from source" in outcome.err


def test_quiet_shows_errors(tmp_path: Path) -> None:
    """-q hides no errors, like BuildKit."""
    project = make(tmp_path / "shop")
    (project / "poetry.lock").unlink()
    outcome = poetry(project, *BUILD, "-q", colours=True)
    assert (outcome.status, outcome.out, outcome.err.count(ERROR)) == (1, "", 1)
    assert "poetry.lock not found" in outcome.err
    assert "Run `poetry lock`" in outcome.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((*BUILD, "--add-host", "a:1"), "--add-host does not exist. Pass options of `docker"),
        ((*BUILD, "-o", "type=oci"), "after `--`: `-- -o …`."),
        ((*BUILD, "--platfrom=linux/arm64"), "--platfrom does not exist. Did you mean --platform?"),
        ((*EXPORT, "--ouput", "D"), "--ouput does not exist. Did you mean --output?"),
        ((*EXPORT, "-x"), "The option -x does not exist."),
    ],
)
def test_unknown_option(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    """A similar option is suggested; for most options of buildx, the message refers to `--`."""
    project = make(tmp_path / "shop")
    before = snapshot(project)
    outcome = poetry(project, *words)
    assert (outcome.status, outcome.out) == (1, "")
    assert says in " ".join(outcome.err.split())
    assert ("buildx" in outcome.err) == (words[:2] == BUILD)
    assert snapshot(project) == before


def test_unexpected_exception_is_called_a_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected exception is reported as a bug; the traceback is only shown with `-v`."""
    project = make(tmp_path / "shop")
    monkeypatch.setattr("poetry_docker_cache.project.reader.runtime_files", lambda *_: 1 / 0)
    outcome = poetry(project, *EXPORT, colours=True)
    assert (outcome.status, outcome.out, outcome.err.count(ERROR)) == (1, "", 1)
    assert "a bug in poetry-docker-cache: ZeroDivisionError" in outcome.err
    assert "report it" in outcome.err
    assert "Traceback" not in outcome.err
    assert "Traceback" in poetry(project, *EXPORT, "-v").err
