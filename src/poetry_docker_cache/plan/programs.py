"""The programs that well-known packages install. Pure."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

# By package, if they differ from its name. A lock file does not list console scripts.
_PROGRAMS: dict[str, tuple[str, ...]] = {
    "acapy-agent": ("aca-py",),
    "ansible-core": ("ansible", "ansible-playbook"),
    "apache-airflow": ("airflow",),
    "apache-superset": ("superset",),
    "ddtrace": ("ddtrace-run",),
    "django": ("django-admin",),
    "elastic-apm": ("elasticapm-run",),
    "fastapi-cli": ("fastapi",),
    "mlflow-skinny": ("mlflow",),
    "newrelic": ("newrelic-admin",),
    "opentelemetry-distro": ("opentelemetry-bootstrap",),
    "opentelemetry-instrumentation": ("opentelemetry-instrument",),
    "rq": ("rq", "rqworker"),
    "pyuwsgi": ("uwsgi", "pyuwsgi"),
    "waitress": ("waitress-serve",),
}
_SAME_NAME = {
    *("aerich", "alembic", "arq", "celery", "chainlit", "circusd", "dagster", "daphne", "dbt"),
    *("dramatiq", "faststream", "flask", "flower", "gradio", "granian", "gunicorn", "honcho"),
    *("huey", "hypercorn", "kedro", "litestar", "locust", "mcp", "meltano", "mkdocs", "mlflow"),
    *("nameko", "nicegui", "panel", "prefect", "procrastinate", "quart", "rasa", "rq", "sanic"),
    *("scrapy", "scrapyd", "solara", "streamlit", "taskiq", "uvicorn", "uwsgi", "voila"),
}
"""Packages with a program of their own name."""
# Import names of programs that `python -m` runs, by package.
_MODULES = {"discord-py": "discord", "fastapi-cli": "fastapi_cli"}
_OF_THE_SYSTEM = {"[", "echo", "env", "export", "mkdir", "set", "test", "true", "umask"}


def has_program(name: str, installed: Collection[str], scripts: Collection[str]) -> bool:
    """Whether the image has a program, or with `-m` before it, a module that Python can start."""
    if name.startswith("-m "):
        module = name.removeprefix("-m ")
        packages = {package.replace("-", "_") for package in installed}
        packages |= {_MODULES[package] for package in installed if package in _MODULES}
        return module in packages or module in sys.stdlib_module_names
    if name in scripts or name in _OF_THE_SYSTEM or name == "python":
        return True
    programs = {program for package in installed for program in _PROGRAMS.get(package, ())}
    return name in programs or (name in _SAME_NAME and name in installed)
