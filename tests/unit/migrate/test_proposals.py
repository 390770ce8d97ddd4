"""Small handwritten Dockerfiles, and the settings that `init` proposes for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from old_dockerfiles import FILES, PACKAGES, PYPROJECT, TREE, make_shop, proposal_of, read_shop
from projects import package

from poetry_docker_cache.migrate.proposal import propose

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "FROM python:3.12-slim\nWORKDIR /app\n"
INSTALL = "RUN pip install poetry\nCOPY . .\nRUN poetry install --only main\n"
START = 'CMD ["gunicorn", "shop.wsgi", "--bind", "0.0.0.0:8000"]\n'

# What a line adds to the settings; a value of None is the line's advice.
LINES: dict[str, dict[str, object]] = {
    # The old build, which the plugin replaces.
    "ENV PIP_NO_CACHE_DIR=1 POETRY_VERSION=2.1 PYTHONUNBUFFERED=1 PATH=/opt/poetry/bin:$PATH": {},
    "ENV PATH=/app/.venv/bin:$PATH LANG=C.UTF-8 PYTHONPATH=/app": {},
    "RUN curl -sSL https://install.python-poetry.org | python3 - && poetry --version": {},
    "RUN apt-get update && apt-get install -y build-essential gcc libpq-dev python3-dev curl": {},
    "RUN pip install --upgrade pip setuptools && poetry config virtualenvs.create false": {},
    "RUN poetry export -f r.txt > r.txt && pip install -r r.txt && rm -rf /root/.cache": {},
    "RUN if [ $DEV = 1 ]; then poetry install; else poetry install --only main; fi": {},
    'ARG DEV=no\nRUN if [ "$DEV" = yes ]; then x y; else poetry install --only main; fi': {},
    "ARG DEV=no\nRUN if [ $DEV != no ]; then x y; fi": {},
    "RUN echo done || true": {},
    "RUN useradd -m shop && chown -R shop /app\nUSER shop": {},
    "COPY pyproject.toml poetry.lock README.md ./": {},
    "COPY shop shop": {},
    "STOPSIGNAL SIGTERM": {},
    # Settings.
    "RUN apt-get install -y --no-install-recommends ffmpeg libpq-dev": {
        "runtime-packages": ["ffmpeg"]
    },
    "RUN groupadd -g 1000 app && useradd -u 1000 -g app app\nUSER app": {"user": "1000:1000"},
    "USER 1234": {"user": "1234"},
    "USER www-data": {"user": "33:33"},
    "RUN poetry install --with server --extras postgres": {
        "groups": ["main", "server"],
        "extras": ["postgres"],
    },
    "RUN poetry install --without dev -E postgres": {
        "groups": ["main", "server"],
        "extras": ["postgres"],
    },
    "RUN poetry install --all-extras --only main": {"extras": "all"},
    "ENV LOG_LEVEL=info": {"env": {"LOG_LEVEL": "info"}},
    'ENV A="b c" B=$A': {"env": {"A": "b c", "B": "b c"}},
    "ARG GIT_SHA=unknown\nENV GIT_SHA=$GIT_SHA": {"build-args": {"GIT_SHA": "unknown"}},
    "ARG sha\nENV GIT_SHA=${sha:-none}": {
        "build-args": {"sha": {"default": "none", "env": "GIT_SHA"}}
    },
    "LABEL team=shop": {"labels": {"team": "shop"}},
    "ARG SHA=none\nLABEL sha=$SHA team=shop": {
        "build-args": {"SHA": {"default": "none", "label": "sha"}},
        "labels": {"team": "shop"},
    },
    "ARG SHA\nENV SHA=$SHA\nLABEL sha=${SHA}": {
        "build-args": {"SHA": {"default": "", "env": "SHA", "label": "sha"}}
    },
    "MAINTAINER Jo": {"labels": {"maintainer": "Jo"}},
    "EXPOSE 8000 9000/udp": {"ports": [8000, "9000/udp"]},
    "STOPSIGNAL SIGINT": {"stop-signal": "SIGINT"},
    "VOLUME /data": {"volumes": ["/data"]},
    "RUN mkdir -p /data /app/media && chown app /data": {"directories": ["/data", "media"]},
    "RUN mkdir -m 750 /data": {"directories": [{"path": "/data", "mode": "0750"}]},
    "RUN ln -s /usr/bin/a /usr/bin/b": {
        "instructions": {"runtime": ["RUN ln -s /usr/bin/a /usr/bin/b"]}
    },
    "COPY conf/shop.ini /etc/shop.ini": {
        "copy": [{"from": "conf/shop.ini", "to": "/etc/shop.ini"}]
    },
    "COPY --chmod=755 tools/x.sh /usr/local/bin/x": {
        "copy": [{"from": "tools/x.sh", "to": "/usr/local/bin/x", "mode": "0755"}]
    },
    "COPY conf conf": {"files": ["conf"]},
    "COPY --from=mwader/static-ffmpeg:7 /ffmpeg /usr/local/bin/": {
        "copy": [
            {"image": "mwader/static-ffmpeg:7", "from": "/ffmpeg", "to": "/usr/local/bin/ffmpeg"}
        ]
    },
    "COPY --from=ghcr.io/astral-sh/uv:latest /uv /bin/": {},
    "RUN python -m compileall /app": {"compile": True},
    "HEALTHCHECK --interval=5s CMD curl -f http://localhost:8000/up || exit 1": {
        "healthcheck": {
            "command": [
                "python",
                "-c",
                "import urllib.request as r; r.urlopen('http://localhost:8000/up', timeout=5)",
            ],
            "interval": "5s",
        }
    },
    "RUN python -m nltk.downloader punkt": {
        "run": [
            {
                "command": [
                    *("python", "-m", "nltk.downloader"),
                    *("-d", "/usr/local/share/nltk_data", "punkt"),
                ],
                "output": ["/usr/local/share/nltk_data"],
                "network": True,
            }
        ]
    },
}

LEFT_OVER = {
    "RUN pip install celery": "poetry add celery",
    "RUN python manage.py migrate": "database",
    "RUN mkdir -p media && cp -r conf/* media": "copy = [",
    "RUN cd conf && bash make.sh": '["sh", "-c", "cd conf && bash make.sh"]',
    "ARG DEV=yes\nRUN if [ $DEV = yes ]; then x y; fi": 'command = ["x", "y"]',
    "ARG DEV=no\nENV DEV=yes\nRUN if [ $DEV = yes ]; then x y; fi": 'command = ["x", "y"]',
    "ARG DEV\nRUN if [ $DEV = yes ]; then x y; fi": "instructions.runtime",
    "RUN python -c 'import shop; shop.prepare()'": "run = [",
    "RUN curl -o /usr/bin/x https://x.test/x": "copy = [",
    "RUN dnf install -y httpd": "Red Hat",
    "ENV API_TOKEN=abc": "secret",
    "ADD https://x.test/x.tar.gz /x": "sha256",
    "COPY missing.txt /x": "not in the project",
    "RUN echo deb https://x.test/apt main > /etc/apt/sources.list.d/x.list": "vendor",
    "ONBUILD RUN x": "instructions.runtime",
    "LABEL version=$VERSION": "build-args",
    "ARG A\nLABEL x=$A y=$A": "build-args",
    "HEALTHCHECK CMD pg_isready": "healthcheck",
    "RUN while true; do x; done": "instructions.runtime",
    "RUN <<EOF\ngit clone https://x.test/x\nEOF": "copy = [",
}


def files() -> dict[str, str]:
    """Return the files of a project with some besides its package."""
    return {**FILES, "conf/shop.ini": "", "tools/x.sh": ""}


@pytest.mark.parametrize("lines", LINES)
def test_line_becomes_settings(tmp_path: Path, lines: str) -> None:
    """Anything else than these settings would change the image for no reason."""
    make_shop(tmp_path, f"{HEAD}{INSTALL}{lines}\n{START}", files())
    found = proposal_of(read_shop(tmp_path))
    usual = {"command": ["gunicorn", "shop.wsgi", "--bind", "0.0.0.0:8000"], "ports": [8000]}
    settings = {
        key: value
        for key, value in found.settings.items()
        if usual.get(key) != value or key in LINES[lines]
    }
    assert ([*found.left_over], settings) == ([], {"python": "3.12", **LINES[lines]})


@pytest.mark.parametrize("lines", LEFT_OVER)
def test_line_is_left_over_with_advice(tmp_path: Path, lines: str) -> None:
    """Each is listed with the number of its line."""
    make_shop(tmp_path, f"{HEAD}{INSTALL}{lines}\n{START}", files())
    found = proposal_of(read_shop(tmp_path))
    (left,) = found.left_over
    assert LEFT_OVER[lines] in left.advice
    assert left.line == 6 + (lines.count("\n") if lines.startswith("ARG") else "<<EOF" in lines)
    assert not found.settings.keys() & {"directories", "run"}


@pytest.mark.parametrize(
    ("base", "settings"),
    [
        ("python:3.11-slim", {"python": "3.11"}),
        ("python:3.11.4", {"python": "3.11"}),
        ("docker.io/library/python:3.11", {"python": "3.11"}),
        (
            "python:3.11-slim-bookworm",
            {"python": "3.11", "base-image": "python:{python}-slim-bookworm"},
        ),
        ("python:3.11-alpine", {"python": "3.11", "base-image": "python:{python}-alpine"}),
        (
            "registry.test/team/python:3.11-slim",
            {"python": "3.11", "base-image": "registry.test/team/python:{python}-slim"},
        ),
        ("python:3.9-slim", {}),  # the project does not allow it
        ("python:latest", {}),
        ("debian:12", {}),
    ],
)
def test_base_becomes_python_and_base_image(
    tmp_path: Path, base: str, settings: dict[str, object]
) -> None:
    """A full image becomes the slim one, which has what is needed to run."""
    make_shop(tmp_path, f"FROM {base}\nCOPY . /app\n")
    found = proposal_of(read_shop(tmp_path))
    assert (found.left_over, found.settings) == ([], settings)


def test_settings_replace_what_the_dockerfile_itself_states(tmp_path: Path) -> None:
    """Its Python and command are needed as soon as it is removed; what is usual is not."""
    make_shop(tmp_path, f"{HEAD}{INSTALL}{START.replace('8000', '80')}")
    assert proposal_of(read_shop(tmp_path)).settings == {
        "python": "3.12",
        "command": ["gunicorn", "shop.wsgi", "--bind", "0.0.0.0:80"],
        "ports": [80],
    }


def test_command_that_would_be_chosen_anyway_is_not_proposed(tmp_path: Path) -> None:
    """The application is found in the code."""
    make_shop(
        tmp_path,
        f'{HEAD}{INSTALL}CMD ["poetry", "run", "gunicorn", "shop.wsgi:application",'
        ' "--bind", "0.0.0.0:8000"]\n',
    )
    assert proposal_of(read_shop(tmp_path)).settings == {"python": "3.12"}


@pytest.mark.parametrize(
    ("lines", "settings"),
    [
        (
            'ENTRYPOINT ["python", "-m", "shop"]\nCMD ["serve"]',
            {"entrypoint": ["python", "-m", "shop"], "command": ["serve"]},
        ),
        ('ENTRYPOINT ["tini", "--"]\nCMD ["python", "-m", "shop"]', {"init": True}),
        ('ENTRYPOINT ["poetry", "run"]\nCMD ["python", "-m", "shop"]', {}),
        ('ENTRYPOINT ["python", "-m", "shop"]', {"entrypoint": ["python", "-m", "shop"]}),
        ("CMD /app/.venv/bin/python -m shop", {}),
        ('COPY start.sh /\nENTRYPOINT /start.sh $0 $@\nCMD ["python", "-m", "shop"]', {}),
        ('COPY start.sh /\nENTRYPOINT ["/start.sh"]\nCMD ["python", "-m", "shop"]', {}),
    ],
)
def test_start_runs_without_poetry(tmp_path: Path, lines: str, settings: dict[str, object]) -> None:
    """An entrypoint stays one, so that `docker run IMAGE ARGUMENTS` still works."""
    start = '#!/bin/sh\nset -e\n. /x/.venv/bin/activate  # the old one\n\nexec "$@"\n'
    files = {**FILES, "shop/__main__.py": "x = 1\n", "start.sh": start}
    make_shop(tmp_path, f"{HEAD}{INSTALL}{lines}\n", files)
    found = proposal_of(read_shop(tmp_path))
    command = (
        {}
        if "command" in settings or "entrypoint" in settings
        else {"command": ["python", "-m", "shop"]}
    )
    assert (found.left_over, found.settings) == ([], {"python": "3.12", **command, **settings})


def test_entrypoint_that_prepares_more_is_left_over(tmp_path: Path) -> None:
    """The command alone is not the same as with it."""
    lines = 'COPY start.sh /\nENTRYPOINT ["/start.sh"]\nCMD ["python", "-m", "shop"]\n'
    start = '#!/bin/sh\npoetry run migrate\nexec "$@"\n'
    files = {**FILES, "shop/__main__.py": "x = 1\n", "start.sh": start}
    make_shop(tmp_path, f"{HEAD}{INSTALL}{lines}", files)
    assert "start.sh" in proposal_of(read_shop(tmp_path)).left_over[0].advice


def test_git_is_kept_for_a_package_that_runs_it(tmp_path: Path) -> None:
    """GitPython cannot be imported without git."""
    pyproject = PYPROJECT.replace('["gunicorn"]', '["gunicorn", "gitpython"]')
    make_shop(
        tmp_path,
        f"{HEAD}{INSTALL}RUN apt-get install -y git curl\n{START}",
        pyproject=pyproject,
        packages=[*PACKAGES, package("gitpython")],
    )
    assert proposal_of(read_shop(tmp_path)).settings["runtime-packages"] == ["git"]


def test_wheels_that_a_build_stage_moves_need_nothing(tmp_path: Path) -> None:
    """The build installs the packages of the lock file."""
    make_shop(
        tmp_path,
        "FROM python:3.12 AS build\nWORKDIR /w\nCOPY . .\nRUN poetry build -f wheel\\\n"
        " && find dist -name '*.whl' -print0 | xargs -0 -I {} mv {} /wheels/ && cp dist/*.whl /w\n"
        f"RUN uvx poetry export -o r.txt\n{HEAD}COPY --from=build /opt/venv /opt/venv\n{START}",
    )
    assert proposal_of(read_shop(tmp_path)).left_over == []


@pytest.mark.parametrize(
    ("lines", "files"),
    [("COPY shop shop\nCOPY conf /etc/conf\n", ["shop"]), ("COPY . .\nCOPY conf conf\n", None)],
)
def test_source_tree_has_only_what_was_copied(
    tmp_path: Path, lines: str, files: list[str] | None
) -> None:
    """Its default is everything, which may be more than the old image contained."""
    tree = {**FILES, "conf/shop.ini": "", "secret/notes.txt": ""}
    make_shop(tmp_path, f"{HEAD}{lines}{START}", tree, pyproject=TREE)
    assert proposal_of(read_shop(tmp_path)).settings.get("files") == files


def test_stages_of_build_and_front_end_become_settings(tmp_path: Path) -> None:
    """The build stage needs none."""
    dockerfile = """\
FROM node:20 AS web
WORKDIR /web
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci
COPY frontend .
RUN npm run build:prod

FROM python:3.12 AS build
RUN apt-get update && apt-get install -y cmake
COPY pyproject.toml poetry.lock /app/
RUN cd /app && poetry install --only main

FROM python:3.12-slim
COPY --from=build /app/.venv /app/.venv
COPY --from=web /web/dist /app/static
COPY . /app
WORKDIR /app
CMD ["python", "-m", "shop"]
"""
    front = {"frontend/package.json": "{}", "frontend/package-lock.json": "{}"}
    make_shop(tmp_path, dockerfile, {**FILES, "shop/__main__.py": "x = 1\n", **front})
    found = proposal_of(read_shop(tmp_path))
    assert found.left_over == []
    assert found.settings["assets"] == [
        {
            "folder": "frontend",
            "image": "node:20",
            "build": ["npm", "run", "build:prod"],
            "output": "dist",
            "to": "static",
        }
    ]


def test_static_files_of_django_need_one_step(tmp_path: Path) -> None:
    """Its output is STATIC_ROOT."""
    settings = "from pathlib import Path\nBASE_DIR = Path(__file__).resolve().parent.parent\n"
    django = {
        "manage.py": "",
        "shop/settings.py": f'{settings}STATIC_ROOT = BASE_DIR / "staticfiles"\n',
        "shop/locale/de/LC_MESSAGES/django.po": "",
    }
    lines = "RUN SECRET_KEY=x python manage.py collectstatic --noinput\n"
    lines += "RUN ./manage.py compilemessages\n"
    make_shop(tmp_path, f"{HEAD}{INSTALL}{lines}{START}", {**FILES, **django}, pyproject=TREE)
    found = proposal_of(read_shop(tmp_path))
    assert found.left_over == []
    assert found.settings["run"] == [
        {
            "command": ["python", "manage.py", "collectstatic", "--noinput"],
            "env": {"SECRET_KEY": "x"},
            "output": ["staticfiles"],
        },
        {
            "command": ["python", "./manage.py", "compilemessages"],
            "output": ["shop/locale"],
            "packages": ["gettext"],
        },
    ]


def test_stage_for_development_is_not_needed(tmp_path: Path) -> None:
    """Its instructions are accounted for."""
    make_shop(
        tmp_path,
        f"{HEAD.replace('slim', 'slim AS production')}{INSTALL}{START}"
        "FROM production AS dev\nUSER root\nRUN x y z\nCMD sleep 9\n",
    )
    found = proposal_of(read_shop(tmp_path))
    assert found.left_over == []
    assert {outcome.line for outcome in found.outcomes if outcome.line} == {*range(1, 11)}


def test_existing_settings_are_kept(tmp_path: Path) -> None:
    """The Dockerfile does not replace them."""
    make_shop(tmp_path, f"{HEAD}{INSTALL}EXPOSE 9000\n{START}")
    old = read_shop(tmp_path)
    existing = {"ports": [7000], "python": "3.13"}
    found = propose(old.reading, old.around.project, existing, old.stage.base)
    assert not found.settings.keys() & existing.keys()


def test_result_of_another_stage_is_one_left_over_line(tmp_path: Path) -> None:
    """Not each command that makes it."""
    make_shop(
        tmp_path,
        "FROM debian:12 AS tool\nRUN git clone https://x.test/x && cd x && make && make install\n"
        f"{HEAD}{INSTALL}COPY --from=tool /opt/x/bin/x /usr/bin/x\n{START}",
    )
    found = proposal_of(read_shop(tmp_path))
    assert [(left.line, left.text[:11]) for left in found.left_over] == [(8, "COPY --from")]
