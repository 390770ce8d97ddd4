"""The start command of the image for development."""

from __future__ import annotations

import pytest

from poetry_docker_cache.plan.reloading import reloading


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("uvicorn shop:app --workers 4", "uvicorn shop:app --reload"),
        ("python -m uvicorn shop:app", "python -m uvicorn shop:app --reload"),
        ("/venv/bin/uvicorn shop:app --reload", "uvicorn shop:app --reload"),
        ("flask --app shop run --host 0.0.0.0", "flask --app shop run --debug --host 0.0.0.0"),
        ("fastapi run shop/main.py", "fastapi dev shop/main.py --host 0.0.0.0"),
        ("gunicorn shop:app -b :5000 -w 4", "gunicorn shop:app -b :5000 -w 4 --reload"),
        ("python manage.py runserver 0:80", "python manage.py runserver 0:80"),
        ("streamlit run a.py", "streamlit run a.py --server.runOnSave=true"),
        (
            "gunicorn shop.main:app -k uvicorn.workers.UvicornWorker --bind 0.0.0.0:80",
            "uvicorn shop.main:app --host 0.0.0.0 --port 80 --reload",
        ),
    ],
)
def test_known_servers_reload(command: str, expected: str) -> None:
    """Options that exclude reloading are left out."""
    found = reloading(command.split(), installed={"uvicorn"}, has_manage_py=False)
    assert (" ".join(found.words), found.reloads) == (expected, True)


def test_django_gets_its_development_server() -> None:
    """It also reloads templates, and serves static files."""
    words = ["gunicorn", "shop.wsgi:application", "--bind", "0.0.0.0:8080"]
    found = reloading(words, installed={"django"}, has_manage_py=True)
    assert " ".join(found.words) == "python manage.py runserver 0.0.0.0:8080"


@pytest.mark.parametrize(
    "command", ["celery -A shop worker", "shop", "python -m", "python -m shop"]
)
def test_other_commands_stay(command: str) -> None:
    """Docker Compose restarts them."""
    found = reloading(command.split(), installed=(), has_manage_py=True)
    assert (found.words, found.reloads) == (tuple(command.split()), False)
