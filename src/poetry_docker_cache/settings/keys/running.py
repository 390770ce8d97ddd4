"""The keys of how the image runs, and what it holds beside the installed packages."""

from __future__ import annotations

from poetry_docker_cache.settings import docker, values
from poetry_docker_cache.settings.keys.key import Key

RUNNING = (
    Key(
        name="files",
        takes="a list of paths inside the project, relative to its root; `.` is all of it",
        default="what a running app needs beside its package",
        meaning="files and folders copied to the working directory; `[]` copies none",
        example='files = ["alembic.ini", "migrations"]',
        read=values.set_of(values.project_path),
    ),
    Key(
        name="workdir",
        takes="an absolute path below `/`, of letters, digits and `._@+-`",
        default='`"/app"`',
        meaning="working directory",
        example='workdir = "/srv/app"',
        read=values.workdir,
    ),
    Key(
        name="user",
        takes='a number, `"uid"` or `"uid:gid"`, not root',
        default='`"10001:10001"`',
        meaning="who the image runs as; a lone uid is its gid too",
        example='user = "1000:1000"',
        read=docker.user,
    ),
    Key(
        name="entrypoint",
        takes="a list: the program and its arguments",
        default="none",
        meaning="ENTRYPOINT in exec form; `[]` clears the base's",
        example='entrypoint = ["tini", "--"]',
        read=values.argv,
    ),
    Key(
        name="command",
        takes="a list: the program and its arguments",
        default="the project's only script, else `python -m PACKAGE`; none with `entrypoint`",
        meaning="CMD in exec form; `[]` clears the base's",
        example='command = ["gunicorn", "shop.wsgi"]',
        read=values.argv,
    ),
    Key(
        name="env",
        takes="a table of strings",
        default="`HOME` is a folder that the user owns, `USER` is `app`",
        meaning="environment variables, taken literally",
        example='env = { LOG_LEVEL = "info" }',
        read=values.env,
    ),
    Key(
        name="labels",
        takes="a table of strings, with dotted names in quotes",
        default="OCI labels from the project's metadata",
        meaning="labels of the image, taken literally",
        example='labels = { "com.example.team" = "shop" }',
        read=values.labels,
    ),
    Key(
        name="ports",
        takes='a list of numbers from 1 to 65535 or strings such as `"8000/udp"`',
        default="none",
        meaning="ports that EXPOSE names",
        example='ports = [8000, "8125/udp"]',
        read=values.set_of(docker.port),
    ),
    Key(
        name="healthcheck",
        takes="a list (the program and its arguments), a table of `command`, `interval`, "
        "`timeout`, `start-period` and `retries`, or `false`",
        default="none",
        meaning="HEALTHCHECK in exec form; `false` turns off the base's",
        example='healthcheck = { command = ["python", "-m", "shop.health"], interval = "30s" }',
        read=docker.healthcheck,
    ),
    Key(
        name="stop-signal",
        takes="a signal's name or number",
        default="none",
        meaning="what `docker stop` sends",
        example='stop-signal = "SIGINT"',
        read=docker.stop_signal,
    ),
)
