"""What Compose files and workflows add to a Dockerfile."""

from __future__ import annotations

from poetry_docker_cache.migrate.companions import Companions, process_notes, read_companions

COMPOSE = """\
services:
  web:
    build: .
    command: poetry run gunicorn shop.wsgi
    ports: ["80:8000", "127.0.0.1:9000:9000/tcp"]
    volumes:
      - data:/data
      - ./here:/app
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost:8000/"]
  other:
    build: {context: other}
    ports: ["5000:5000"]
  db:
    image: postgres
    ports: ["5432:5432"]
"""
WORKFLOW = """\
jobs:
  image:
    steps:
      - uses: docker/metadata-action@v5
        with:
          images: |
            registry.test/team/shop
      - uses: docker/build-push-action@v6
        with:
          context: .
          target: production
          platforms: linux/amd64,linux/arm64
          tags: ${{ steps.meta.outputs.tags }}
"""


def test_only_the_services_and_builds_of_the_dockerfile_count() -> None:
    """Others have their own image."""
    found = read_companions(
        {"compose.yaml": COMPOSE}, {".github/workflows/a.yml": WORKFLOW}, "Dockerfile"
    )
    assert found == Companions(
        target="production",
        image="registry.test/team/shop",
        platforms=("linux/amd64", "linux/arm64"),
        command=("poetry", "run", "gunicorn", "shop.wsgi"),
        command_file="compose.yaml",
        ports=(8000, 9000),
        folders=("/data",),
        healthcheck=("curl", "-f", "http://localhost:8000/"),
        by_poetry=(("compose.yaml", "web"),),
    )


def test_command_with_a_variable_is_not_used() -> None:
    """Compose replaces it with a value of another machine."""
    text = "services: {web: {build: ., command: 'run $PORT'}}"
    assert read_companions({"compose.yaml": text}, {}, "Dockerfile").command == ()


def test_dockerfile_in_a_folder_is_found_by_its_path() -> None:
    """Its context and name are joined."""
    text = "services: {web: {build: {context: ., dockerfile: docker/Dockerfile}, ports: ['1:2']}}"
    assert read_companions({"compose.yaml": text}, {}, "docker/Dockerfile").ports == (2,)
    assert read_companions({"compose.yaml": text}, {}, "Dockerfile").ports == ()


def test_other_processes_of_a_procfile_are_noted() -> None:
    """The image starts `web`; the command of another one runs without Poetry."""
    text = "web: gunicorn a\nWork_er: poetry run celery -A a worker\r\n# x\nrelease : ./m --no\n"
    notes = process_notes(text)
    assert len(notes) == 2
    assert "`docker run IMAGE celery -A a worker`" in notes[0]
    assert "[tool.poetry-docker-cache.images.work-er]" in notes[0]
    assert "process release of the Procfile" in notes[1]
