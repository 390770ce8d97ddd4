"""A build step runs its command, keeps the output, and explains a failure."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path

import pytest

from poetry_docker_cache.inside import run_step
from poetry_docker_cache.inside.install.failures import PREFIX

ME = f"{os.getuid()}:{os.getgid()}"


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory of the image, which is the current one."""
    folder = tmp_path / "app"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def step(code: str, *outputs: str, options: tuple[str, ...] = ("--offline",)) -> str | int:
    """Run Python code as a build step; its outputs are relative to the working directory."""
    place = Path.cwd().parent / "run-1"
    paths = [f"--output={Path.cwd()}/{path}" for path in outputs]
    command = [sys.executable, "-c", code]
    return run_step.main([f"--user={ME}", f"--keep={place}", *paths, *options, "--", *command])


def kept() -> Path:
    """Return the folder that has the working directory's output."""
    return Path(f"{Path.cwd().parent}/run-1{Path.cwd()}")


def test_prefix_is_that_of_other_scripts() -> None:
    """The error of a build repeats what follows it."""
    assert run_step.PREFIX == PREFIX


def test_only_output_is_kept(workdir: Path) -> None:
    """A folder is made before; a file needs only its folder."""
    code = "open('out/a', 'w'); open('cfg/b.json', 'w'); open('other', 'w')"
    assert step(code, "out/", "cfg/b.json") == 0
    found = {path.relative_to(kept()).as_posix() for path in kept().rglob("*")}
    assert found == {"out", "out/a", "cfg", "cfg/b.json"}
    assert (workdir / "other").exists(), "the command ran here"


def test_modes_of_output_do_not_depend_on_the_command() -> None:
    """All can read it, programs stay executable, and nothing runs as its owner."""
    code = """
import os
for name, mode in {"a": 0o600, "run": 0o4700, "open": 0o666}.items():
    open(f"out/{name}", "w").close()
    os.chmod(f"out/{name}", mode)
os.mkdir("out/closed", 0o700)
os.symlink("a", "out/link")
os.mkfifo("out/pipe")
"""
    assert step(code, "out/") == 0
    modes = {
        path.name: stat.S_IMODE(path.lstat().st_mode)
        for path in kept().joinpath("out").iterdir()
        if not path.is_symlink()
    }
    assert modes == {"a": 0o644, "run": 0o755, "open": 0o644, "closed": 0o755}
    assert (kept() / "out" / "link").readlink() == Path("a")


def test_folders_of_the_image_keep_their_modes(workdir: Path) -> None:
    """The layer has the folders above the output; one like /tmp must stay writable for all."""
    (workdir / "shared").mkdir()
    (workdir / "shared").chmod(0o1777)
    assert step("open('shared/new/a.txt', 'w')", "shared/new/a.txt") == 0
    assert stat.S_IMODE((kept() / "shared").stat().st_mode) == 0o1777
    assert stat.S_IMODE((kept() / "shared" / "new").stat().st_mode) == 0o755


def test_output_in_linked_folder_is_kept_at_its_target(workdir: Path) -> None:
    """A layer with the link's path would replace the link by a folder."""
    (workdir / "real").mkdir()
    (workdir / "link").symlink_to("real")
    assert step("open('link/a.txt', 'w')", "link/a.txt") == 0
    assert (kept() / "real" / "a.txt").is_file()
    assert not (kept() / "link").exists()


@pytest.mark.parametrize("code", ["", "import os; os.path.exists('out') and os.rmdir('out')"])
def test_missing_output_names_the_setting(code: str) -> None:
    """An empty folder was there before the command."""
    problem = step(code, "out/")
    assert isinstance(problem, str)
    assert "has not written" in problem
    assert "`output` of run 1 in [tool.poetry-docker-cache]" in problem


def test_secret_is_a_variable_that_is_not_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A newline at the end of its file is not part of it."""
    (tmp_path / "API_TOKEN").write_text("hunter22\n")
    monkeypatch.setattr(run_step, "SECRETS", tmp_path)
    code = "import os; t = os.environ['API_TOKEN']; print(t); open('n.txt', 'w').write(str(len(t)))"
    assert step(code, "n.txt", options=("--secret=API_TOKEN",)) == 0
    assert (kept() / "n.txt").read_text() == "8"
    assert capsys.readouterr().out == "****\n"
    problem = str(step("", "n.txt", options=("--secret=OTHER",)))
    assert "`--secret id=OTHER,env=OTHER`" in problem


def test_variable_is_only_for_the_command() -> None:
    """It is passed as it is."""
    code = "import os; open('a.txt', 'w').write(os.environ['A'])"
    assert step(code, "a.txt", options=("--env=A=x=$y z",)) == 0
    assert (kept() / "a.txt").read_text() == "x=$y z"
    assert "A" not in os.environ


@pytest.mark.parametrize(
    ("code", "problem", "fix"),
    [
        (
            "import os; os.environ['SECRET_KEY']",
            "variable SECRET_KEY",
            'env = { SECRET_KEY = "…" }',
        ),
        (
            "raise Exception('ImproperlyConfigured: The SECRET_KEY setting must not be empty.')",
            "variable SECRET_KEY",
            'env = { SECRET_KEY = "…" }',
        ),
        ("raise Exception('Set the DB_URL environment variable')", "variable DB_URL", "env = {"),
        ("print('1 error\\ntoken\\n  Field required [type=missing'); 1/0", "TOKEN", "TOKEN"),
        ("raise OSError('[Errno -3] Temporary failure in name resolution')", "network", "= true"),
        ("raise OSError(111, 'Connection refused')", "a server", "`env`"),
        ("raise PermissionError(13, 'Permission denied', '/app/logs')", "/app/logs", "`output`"),
        (
            "print('touch: cannot touch \u2018/x\u2019: Permission denied'); 1/0",
            "write /x:",
            "`directories`",
        ),
        ("open('out', 'w')", "was made as a folder", "`output`"),
        ("print('oh'); raise SystemExit(3)", "failed with exit status 3: oh", "without a network"),
        ("import os; os.kill(os.getpid(), 9)", "ended by SIGKILL", "run 1"),
        ("{}['NO_VARIABLE']", "exit status 1: KeyError: 'NO_VARIABLE'", "run 1"),
    ],
)
def test_failure_is_explained(code: str, problem: str, fix: str) -> None:
    """The first line is the cause, the others are what to type."""
    first, _, rest = str(step(code, "out/")).partition("\n")
    assert problem in first
    assert fix in rest
    assert "run 1 in [tool.poetry-docker-cache]" in rest


def test_options_decide_what_a_failure_means() -> None:
    """With a network, or with all of the project, the cause is another one."""
    unreachable = "raise OSError('Temporary failure in name resolution')"
    assert re.search(
        r"failed with exit status 1: OSError", str(step(unreachable, "o/", options=()))
    )
    lost = "import shop"
    assert "`dependencies`" in str(step(lost, "o/", options=("--narrowed",)))
    assert "`dependencies`" not in str(step(lost, "o/"))


def test_program_that_does_not_exist() -> None:
    """It may be in a system package."""
    place = Path.cwd().parent / "run-1"
    options = [f"--user={ME}", f"--keep={place}", f"--output={Path.cwd()}/out/"]
    problem = str(run_step.main([*options, "--", "no-such-program"]))
    assert "`no-such-program` cannot be started: No such file or directory." in problem
    assert "`packages`" in problem


def test_step_of_one_of_several_images_is_named_with_it() -> None:
    """Another image may have another step in the same place."""
    place = Path.cwd().parent / "run-2.my-api.web"
    command = ["--", sys.executable, "-c", ""]
    problem = run_step.main([f"--user={ME}", f"--keep={place}", f"--output={place}/out", *command])
    assert "`output` of run 2 of my-api.web in [tool" in str(problem)


def test_user_may_be_a_name_or_a_number() -> None:
    """A number alone is also the group."""
    assert run_step.User.named("10001:5") == (10001, 5)
    assert run_step.User.named("7") == (7, 7)
    assert run_step.User.named("root") == (0, 0)
