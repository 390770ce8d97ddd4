# All advice of "Fast Docker builds with caching (not only) for Python" (2021): pyproject.toml and
# poetry.lock first, two stages, main dependencies only, secret and cache mounts, a numeric user.
ARG BASE=python:3.13-slim
ARG BUILD=python:3.13

FROM ${BUILD} AS build
ARG POETRY
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /opt/poetry && /opt/poetry/bin/pip install poetry==${POETRY}
RUN python -m venv /venv
ENV VIRTUAL_ENV=/venv PATH=/venv/bin:/opt/poetry/bin:$PATH
WORKDIR /app
COPY pyproject.toml poetry.lock ./
RUN --mount=type=secret,id=auth,target=/root/.config/pypoetry/auth.toml \
    --mount=type=cache,target=/root/.cache/pypoetry \
    poetry install --no-interaction --no-ansi --only main --no-root

FROM ${BASE}
ENV VIRTUAL_ENV=/venv PATH=/venv/bin:$PATH PYTHONPATH=/app/src
WORKDIR /app
COPY --from=build /venv /venv
COPY src ./src
USER 10001:10001
CMD ["python", "-m", "bench_app"]
