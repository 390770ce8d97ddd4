# syntax=docker/dockerfile:1
# Written by `poetry docker export`: change pyproject.toml instead, and run it again.
# The rest of this file has the digest sha256:0000000000000000000000000000000000000000000000000000000000000000.
# The image is described from `FROM … AS venv` on. First, the scripts that run on the way there;
# none of them is in the image. Like what they decide in `manifest`, they are there once for all
# platforms of an image, on the one that builds. A base image that does not have that one needs
# `--build-arg BUILDPLATFORM=linux/amd64`, or whichever it has.
FROM --platform=$BUILDPLATFORM python:3.13-slim AS scripts
COPY <<"__init__.py" <<"__main__.py" <<"families.py" <<"layer_choice.py" <<"locked_packages.py" <<"markers.py" <<"target.py" <<"wheel_files.py" <<"workspace.py" /manifest/
…

COPY <<"__init__.py" <<"__main__.py" <<"architecture.py" <<"build_wheel.py" <<"elf.py" <<"failures.py" <<"installed_files.py" <<"own_wheel.py" <<"package_indexes.py" <<"pip_command.py" <<"pip_settings.py" <<"poetry_install.py" <<"process.py" <<"secret.py" <<"shared_libraries.py" <<"tool.py" /install/
…

COPY <<"check.py" /
…

# The virtual environment, still empty. pip, asked for help, is compiled here, once for all stages
# that stand on this one.
FROM python:3.13-slim AS venv
WORKDIR /scripts
RUN python -m venv --without-pip /venv && python -m pip help install > /dev/null
ENV PYTHONDONTWRITEBYTECODE=1

# What is to be installed, and nothing else: a file for each layer of dependencies, which hangs on
# that file alone, not on pyproject.toml and poetry.lock. An edit that leaves it as it is rebuilds
# nothing. It is the same for all platforms. Up to ENV these are the lines of `venv`: where the
# platform is the same, they run once.
FROM --platform=$BUILDPLATFORM python:3.13-slim AS manifest
WORKDIR /scripts
RUN python -m venv --without-pip /venv && python -m pip help install > /dev/null
ENV PYTHONDONTWRITEBYTECODE=1
COPY pyproject.toml poetry.lock /project/
RUN --mount=type=bind,from=scripts,source=/manifest,target=/scripts/manifest \
    ["python", "-m", "manifest.workspace", "--group=main", "--group=queue", "--extra=sql", "--libc=glibc", "--images={\"api\": {\"groups\": [\"main\", \"web\"], \"extras\": [\"sql\"]}, \"tidy\": {\"groups\": [\"main\"], \"extras\": []}, \"worker\": {\"groups\": [\"main\", \"queue\"], \"extras\": [\"sql\"]}}", "--layers=dependencies,dependencies.api.worker,own-sqlalchemy.api.worker,dependencies.worker", "--project", "/project", "--output", "/manifest"]

# The dependencies, each layer by itself: a change in one installs that one again.
# pip installs exactly the versions, files and sources that poetry.lock names, so the result is that
# of `poetry install`.
FROM venv AS dependencies
RUN --mount=type=bind,from=scripts,source=/install,target=/scripts/install \
    --mount=type=bind,from=manifest,source=/manifest/dependencies.json,target=/manifest.json \
    --mount=type=secret,id=auth,target=/run/secrets/auth.toml \
    --mount=type=cache,target=/root/.cache/pip \
    python -m install

FROM venv AS dependencies.api.worker
RUN --mount=type=bind,from=scripts,source=/install,target=/scripts/install \
    --mount=type=bind,from=manifest,source=/manifest/dependencies.api.worker.json,target=/manifest.json \
    --mount=type=secret,id=auth,target=/run/secrets/auth.toml \
    --mount=type=cache,target=/root/.cache/pip \
    python -m install

FROM venv AS own-sqlalchemy.api.worker
RUN --mount=type=bind,from=scripts,source=/install,target=/scripts/install \
    --mount=type=bind,from=manifest,source=/manifest/own-sqlalchemy.api.worker.json,target=/manifest.json \
    --mount=type=secret,id=auth,target=/run/secrets/auth.toml \
    --mount=type=cache,target=/root/.cache/pip \
    python -m install

FROM venv AS dependencies.worker
RUN --mount=type=bind,from=scripts,source=/install,target=/scripts/install \
    --mount=type=bind,from=manifest,source=/manifest/dependencies.worker.json,target=/manifest.json \
    --mount=type=secret,id=auth,target=/run/secrets/auth.toml \
    --mount=type=cache,target=/root/.cache/pip \
    python -m install

# The build backend: it changes with [build-system] only.
FROM venv AS build-backend
RUN --mount=type=bind,from=scripts,source=/install,target=/scripts/install \
    --mount=type=cache,target=/root/.cache/pip \
    ["python", "-m", "install.tool", "--venv", "/opt/build", "--compile", "poetry-core>=2.0"]

# The project's own wheel, made of what is named here, and installed to lie over the dependencies.
FROM build-backend AS application
COPY pyproject.toml /project/
COPY shop /project/shop
RUN --network=none --mount=type=bind,from=scripts,source=/install,target=/scripts/install \
    ["python", "-m", "install.own_wheel", "--backend", "poetry.core.masonry.api", "/project"]

# What the final image stands on.
FROM python:3.13-slim AS base

# Fails the build, not the container, when the dependencies do not fit the final image. What they
# need of it is in a small file of each layer: the layers themselves need not be here.
FROM base AS check
COPY --from=dependencies /libraries.json /libraries/dependencies.json
COPY --from=dependencies.api.worker /libraries.json /libraries/dependencies.api.worker.json
COPY --from=own-sqlalchemy.api.worker /libraries.json /libraries/own-sqlalchemy.api.worker.json
COPY --from=dependencies.worker /libraries.json /libraries/dependencies.worker.json
RUN --mount=type=bind,from=scripts,source=/check.py,target=/scripts/check.py \
    --mount=type=bind,from=venv,source=/venv,target=/venv \
    ["/venv/bin/python", "/scripts/check.py", "--python", "3.13", "--home", "/home/app"]

# The image: each COPY --link is a layer that stays as it is when the others change. Without a RUN
# of its own it asks for no shell, so the home folder comes from the stage before.
FROM base AS final
ENV VIRTUAL_ENV=/venv
ENV PATH=/venv/bin:$PATH
ENV HOME="/home/app"
ENV USER="app"
ENV LOG_LEVEL="info"
ENV TZ="UTC"
WORKDIR /app
COPY --from=check --chown=10001:10001 /home/app /home/app
COPY --link --from=dependencies /venv /venv
COPY --link --from=dependencies.api.worker /venv /venv
COPY --link --from=own-sqlalchemy.api.worker /venv /venv
COPY --link --from=dependencies.worker /venv /venv
COPY --link --from=application /venv /venv
LABEL org.opencontainers.image.title="shop"
LABEL org.opencontainers.image.version="1.2.0"
USER 10001:10001
CMD ["shop-work"]
