"""Start commands in a Procfile and in Dockerfiles, read for another image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from plans import TREE, wheel_root

from poetry_docker_cache.project.stated_starts import own_dockerfiles, stated_starts
from poetry_docker_cache.render.exported_files import with_banner

if TYPE_CHECKING:
    from pathlib import Path

    from poetry_docker_cache.project.model import SourceTreeRoot, StatedStart, WheelRoot

FILES = {
    "shop/main.py": "app = FastAPI()\n",
    "shop/__main__.py": "",
    "manage.py": "",
    "bot.py": "",
    "conf.py": "bind = '0.0.0.0:7000'\n",
    "uwsgi.ini": "",
    "run.sh": "#!/bin/bash\nexec uvicorn shop.main:app\n",
    "poetry.sh": "poetry run uvicorn shop.main:app\n",
    "tool": "#!/usr/bin/env python3\n",
    "src/web/api.py": "app = FastAPI()\n",
    "a; b/go.py": "",
}
FROM = "FROM python:3.13\nWORKDIR /code\nCOPY . .\n"


def write(folder: Path, **texts: str) -> None:
    """Write the project, and these files of it."""
    for name, text in {**FILES, **texts}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def read(folder: Path, lines: str, root: SourceTreeRoot | WheelRoot = TREE) -> StatedStart:
    """Read a Dockerfile with these lines at its end."""
    write(folder, Dockerfile=FROM + lines)
    (start,) = stated_starts(folder, root, ("shop",))
    return start


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('CMD ["uvicorn", "shop.main:app"]', "uvicorn shop.main:app"),
        ("CMD uvicorn shop.main:app --port 9000", "uvicorn shop.main:app --port 9000"),
        ("CMD exec uvicorn shop.main:app", "uvicorn shop.main:app"),
        ('CMD ["poetry", "run", "uvicorn", "shop.main:app"]', "uvicorn shop.main:app"),
        ("CMD uv run --no-sync uvicorn shop.main:app", "uvicorn shop.main:app"),
        ("CMD python -m poetry run shop serve", "shop serve"),
        ('ENTRYPOINT ["poetry", "run"]\nCMD ["python", "-m", "shop"]', "python -m shop"),
        ('ENTRYPOINT ["tini", "-g", "--"]\nCMD ["python", "bot.py"]', "python bot.py"),
        ('ENTRYPOINT ["python3.12"]\nCMD ["-m", "shop"]', "python -m shop"),
        ('CMD ["sh", "-c", "python manage.py x"]', "python manage.py x"),
        ('CMD ["gunicorn", \\\n  "--reload", "shop.main:app"]', "gunicorn shop.main:app"),
        ('CMD ["/opt/venv/bin/gunicorn", "-c", "conf.py"]', "gunicorn -c conf.py"),
        ('CMD ["gunicorn", "-c", "/code/conf.py", "shop.main"]', "gunicorn -c conf.py shop.main"),
        ("CMD uwsgi uwsgi.ini", "uwsgi uwsgi.ini"),
        ("CMD uwsgi --mount /x=bot.py", "uwsgi --mount /x=bot.py"),
        ("CMD ./run.sh", "bash run.sh"),
        ('CMD ["/code/run.sh", "web"]', "bash run.sh web"),
        ("CMD ./tool x", "python tool x"),
        ("CMD python -u bot.py", "python -u bot.py"),
        ("CMD celery -A shop.main worker", "celery -A shop.main worker"),
        ('CMD ["python", "-m", "uvicorn", "shop.main:app"]', "python -m uvicorn shop.main:app"),
        ('CMD ["uvicorn", "shop.main:app"] # why', "uvicorn shop.main:app"),
        ('ENTRYPOINT ["/setup.sh"]\nCMD ["python", "bot.py"]', "python bot.py"),
        ('CMD\t["python", "bot.py"]', "python bot.py"),
    ],
)
def test_command_without_a_shell(lines: str, words: str, tmp_path: Path) -> None:
    """Package managers, init processes and paths of the other image are removed."""
    start = read(tmp_path, lines)
    assert (" ".join(start.words), start.shell, start.problem) == (words, "", None)


@pytest.mark.parametrize(
    ("lines", "shell"),
    [
        (
            "CMD uvicorn shop.main:app --port $PORT",
            "exec uvicorn shop.main:app --port ${PORT:-•port•}",
        ),
        (
            "CMD uvicorn shop.main:app --port ${PORT:-80}",
            "exec uvicorn shop.main:app --port ${PORT:-80}",
        ),
        (
            "ENV P=90\nCMD poetry run uvicorn shop.main:app --port $P",
            "exec uvicorn shop.main:app --port ${P:-90}",
        ),
        (
            "CMD poetry run alembic upgrade head && poetry run python bot.py",
            "alembic upgrade head && exec python bot.py",
        ),
        ("CMD A=b poetry run python bot.py", "exec env A=b python bot.py"),
        ("WORKDIR /code/src\nCMD uvicorn web.api:app", "cd src && exec uvicorn web.api:app"),
        ("CMD cd src && uvicorn web.api:app", "cd src && exec uvicorn web.api:app"),
        (
            "WORKDIR '/code/a; b'\nCMD python go.py $PORT",
            "cd 'a; b' && exec python go.py ${PORT:-•port•}",
        ),
    ],
)
def test_command_that_needs_a_shell(lines: str, shell: str, tmp_path: Path) -> None:
    """Variables get the defaults that the Dockerfile has, and the last program replaces it."""
    start = read(tmp_path, lines)
    assert (start.shell, start.problem) == (shell, None)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("CMD flask run --host 0.0.0.0", "starts a development server or tool (`flask run`)"),
        (
            "CMD python manage.py runserver",
            "starts a development server or tool (`manage.py runserver`)",
        ),
        ("CMD bash", "starts a development server or tool (`bash`)"),
        ("CMD python", "starts a development server or tool (`python`)"),
        ("CMD tail -f /dev/null", "starts a development server or tool (`tail`)"),
        ("CMD uvicorn other:app", "starts other:app, which is not a module of the project"),
        (
            "CMD gunicorn -c conf.py other.wsgi",
            "starts other.wsgi, which is not a module of the project",
        ),
        ("CMD gunicorn -c none.py shop.main", "needs none.py, which is not in the project"),
        ("CMD /start.sh", "needs /start.sh, which is not in the project"),
        ("CMD ./poetry.sh", "starts poetry.sh, which runs poetry"),
        ("CMD python bot.py | tee x", "uses the shell syntax `|`"),
        ("ENV O='--a; id'\nCMD python bot.py $O", "needs the variable O"),
        ("ENV O='a}b'\nCMD python bot.py $O", "needs the variable O"),
        (f"CMD gunicorn {'a' * 300}", f"starts {'a' * 300}, which is not a module of the project"),
        ("CMD python bot.py & nginx", "uses the shell syntax `&`"),
        ("CMD python bot.py $TOKEN", "needs the variable TOKEN"),
        ('CMD ["poetry", "run"]', "has no command"),
        ("CMD shop 'x", "has a quote that is not closed"),
    ],
)
def test_command_that_cannot_be_used(lines: str, problem: str, tmp_path: Path) -> None:
    """A wrong command would be worse than none."""
    assert read(tmp_path, lines).problem == problem


@pytest.mark.parametrize(
    ("lines", "ports"),
    [
        ("EXPOSE 5000/tcp 53/udp\nCMD uvicorn shop.main:app", ("5000", "53/udp")),
        ("CMD uvicorn shop.main:app --port=9000", ("9000",)),
        ("CMD gunicorn shop.main -b :9000", ("9000",)),
        ("CMD gunicorn -c conf.py shop.main", ("7000",)),
        ("ENV P=90\nEXPOSE $P\nCMD uvicorn shop.main:app", ("90",)),
        ("CMD python bot.py", ()),
    ],
)
def test_port_of_a_command(lines: str, ports: tuple[str, ...], tmp_path: Path) -> None:
    """EXPOSE counts, else the options of the command or its configuration."""
    assert read(tmp_path, lines).ports == ports


def test_last_stage_counts(tmp_path: Path) -> None:
    """The last stage inherits only from the stage that it is based on."""
    base = 'FROM python:3 AS base\nWORKDIR /code\nEXPOSE 80\nENTRYPOINT ["python"]\nCMD ["x.py"]\n'
    other = 'FROM base AS test\nCMD ["y.py"]\n'
    last = 'FROM base\nCOPY --from=test /code /code\nCOPY . /code\nCMD ["bot.py"]\n'
    write(tmp_path, Dockerfile=base + other + last)
    (start,) = stated_starts(tmp_path, TREE, ())
    assert (start.words, start.ports, start.paths) == (("python", "bot.py"), ("80",), ("bot.py",))


def test_copied_folder_becomes_the_folder_of_the_command(tmp_path: Path) -> None:
    """The Dockerfile copies the content of `src` to its working directory."""
    text = "FROM python:3\nWORKDIR /code\nCOPY ./src .\nCMD uvicorn web.api:app\n"
    write(tmp_path, Dockerfile=text)
    (start,) = stated_starts(tmp_path, TREE, ())
    assert start.shell == "cd src && exec uvicorn web.api:app"
    root = wheel_root(paths=("src/web",), import_folders=("src",))
    (start,) = stated_starts(tmp_path, root, ())
    assert start.words == ("uvicorn", "web.api:app")


def test_file_in_the_wheel_is_started_as_module(tmp_path: Path) -> None:
    """The image does not have it as a file; others are copied."""
    root = wheel_root(paths=("shop",), import_folders=(".",))
    assert read(tmp_path, "CMD python shop/main.py", root).words == ("python", "-m", "shop.main")
    assert read(tmp_path, "CMD python bot.py", root).paths == ("bot.py",)


def test_web_process_of_procfile_is_read(tmp_path: Path) -> None:
    """Only the process `web` counts."""
    write(tmp_path, Procfile="worker: python bot.py\nweb: gunicorn shop.main --bind 0:$PORT\n")
    (start,) = stated_starts(tmp_path, TREE, ())
    assert (start.file, start.programs) == ("Procfile", ("gunicorn",))
    assert start.shell == "exec gunicorn shop.main --bind 0:${PORT:-•port•}"
    write(tmp_path, Procfile="worker: python bot.py\n")
    assert stated_starts(tmp_path, TREE, ()) == ()


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("Dockerfile", "docker/Dockerfile", "Dockerfile.prod"), ["Dockerfile"]),
        (("docker/Dockerfile", "docker/Dockerfile.prod"), ["docker/Dockerfile"]),
        (("docker/api/Dockerfile", "docker/tests/Dockerfile"), ["docker/api/Dockerfile"]),
        (("Dockerfile.dev", "Dockerfile.prod"), ["Dockerfile.prod"]),
        (("api.Dockerfile", "bot.Dockerfile"), ["api.Dockerfile", "bot.Dockerfile"]),
        (("other/Dockerfile", ".devcontainer/Dockerfile"), []),
    ],
)
def test_dockerfiles_of_the_application(
    names: tuple[str, ...], found: list[str], tmp_path: Path
) -> None:
    """The one with the usual name and place counts, else all that are not for other uses."""
    write(tmp_path, **dict.fromkeys(names, "FROM python\n"))
    assert own_dockerfiles(tmp_path) == found


def test_exported_dockerfile_does_not_count(tmp_path: Path) -> None:
    """Otherwise, an export would keep the command of the previous one."""
    text = with_banner("FROM python\n", syntax="docker/dockerfile:1")
    write(tmp_path, **{"Dockerfile": text, "docker/Dockerfile": text})
    assert own_dockerfiles(tmp_path) == []


def test_odd_files_state_nothing(tmp_path: Path) -> None:
    """A binary file, a folder, and a link that leaves the project."""
    project = tmp_path / "project"
    write(project, Procfile="web: python bot.py \0\n", Dockerfile=FROM + "CMD python \0")
    assert stated_starts(project, TREE, ()) == ()
    (project / "Dockerfile").unlink()
    (tmp_path / "Dockerfile").write_text(FROM + "CMD python bot.py")
    (project / "Dockerfile").symlink_to("../Dockerfile")
    (project / "docker" / "Dockerfile").mkdir(parents=True)
    assert stated_starts(project, TREE, ()) == ()
