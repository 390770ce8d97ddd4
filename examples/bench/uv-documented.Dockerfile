# From uv's documentation, "Using uv in Docker", and the multi-stage example that it links to. Two
# things differ: pip installs uv, because its image is not available everywhere, and a secret mount
# has the password of the private index.
ARG BASE=python:3.13-slim

FROM ${BASE} AS builder
ARG UV
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install uv==${UV}
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=0
WORKDIR /app
RUN --mount=type=cache,target=/root/.cache/uv \
    --mount=type=bind,source=uv.lock,target=uv.lock \
    --mount=type=bind,source=pyproject.toml,target=pyproject.toml \
    --mount=type=secret,id=username,env=UV_INDEX_ACME_USERNAME \
    --mount=type=secret,id=password,env=UV_INDEX_ACME_PASSWORD \
    uv sync --locked --no-install-project --no-dev
COPY . /app
RUN --mount=type=cache,target=/root/.cache/uv \
    --mount=type=secret,id=username,env=UV_INDEX_ACME_USERNAME \
    --mount=type=secret,id=password,env=UV_INDEX_ACME_PASSWORD \
    uv sync --locked --no-dev

FROM ${BASE}
RUN groupadd --system --gid 999 nonroot \
    && useradd --system --gid 999 --uid 999 --create-home nonroot
COPY --from=builder --chown=nonroot:nonroot /app /app
ENV PATH="/app/.venv/bin:$PATH"
USER nonroot
WORKDIR /app
CMD ["python", "-m", "bench_app"]
