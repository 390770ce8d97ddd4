"""Commands that run on the content of the image, in stages of their own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from plans import plan, project, wheel_root
from projects import package

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.model import PathPackage, StaticFiles
from poetry_docker_cache.render.dockerfile import render_dockerfile, render_ignore_file
from poetry_docker_cache.settings.run_values import RunSetting

if TYPE_CHECKING:
    from poetry_docker_cache.plan.image_plan import ImagePlan

COLLECT = ("python", "manage.py", "collectstatic", "--no-input")


def step(**keys: Any) -> RunSetting:  # noqa: ANN401  # fields of many types
    """Return a step with an output."""
    return RunSetting(**{"command": COLLECT, "output": ("static",), **keys})


def planned(*steps: RunSetting, **settings: Any) -> ImagePlan:  # noqa: ANN401  # as above
    """Plan a project with a wheel and files beside it."""
    found = project(package("rich"), files=("manage.py",))
    return plan(found, run=steps, **settings)


def stage(text: str, name: str) -> str:
    """Return the lines of a stage."""
    found = re.search(
        rf"^FROM (?:--platform=\S+ )?\S+ AS {name}\n.*?(?=^FROM |\Z)",
        text,
        re.MULTILINE | re.DOTALL,
    )
    assert found, name
    return found[0]


def test_outputs_are_folders_unless_their_name_has_a_dot() -> None:
    """They are absolute, and one inside another is part of it."""
    outputs = ("static", "static/a.json", "a/b.json", "VERSION", "/opt/v1.2/", "/opt/model")
    (made,) = planned(step(output=outputs), workdir="/srv").steps
    assert made.output == (
        "/srv/static/",
        *("/srv/a/b.json", "/srv/VERSION", "/opt/v1.2/", "/opt/model/"),
    )


def test_step_has_the_content_of_the_image() -> None:
    """Also what earlier steps made; only its output reaches the final stage."""
    text = render_dockerfile(planned(step(), step(output=("b",), network=True)))
    final = stage(text, "final")
    copies = re.findall(r"^COPY --link .*$", final, re.MULTILINE)
    assert copies[-2:] == [
        "COPY --link --from=run-1 /run-1 /",
        "COPY --link --from=run-2 /run-2 /",
    ]
    first, second = stage(text, "run-1"), stage(text, "run-2")
    assert re.findall(r"^COPY --link .*$", first, re.MULTILINE) == copies[:-2]
    assert re.findall(r"^COPY --link .*$", second, re.MULTILINE) == copies[:-1]
    assert first.splitlines()[0] == "FROM base AS run-1"
    assert "RUN --network=none " in first
    assert "--network=none" not in second


def test_nothing_of_a_step_is_in_the_final_stage() -> None:
    """Its variables, secrets and packages are only in its own."""
    made = planned(step(env=(("A", "seen"),), secrets=("TOKEN",), packages=("gettext",)))
    text = render_dockerfile(made)
    own = stage(text, "run-1")
    for word in ("--env=A=seen", "id=TOKEN", "--secret=TOKEN", " gettext\n"):
        assert word in own
        assert text.count(word) == 1
    assert made.secrets == ("TOKEN",)
    # Before the content, so that a change of it does not install them again.
    assert own.index("gettext") < own.index("COPY")


def test_dependencies_replace_the_application() -> None:
    """The step has the locked packages and these paths, which the ignore file lets pass."""
    library = PathPackage(name="lib", version="1.0", path="lib", root=wheel_root(paths=("lib",)))
    locked = package("lib", files=[], source={"type": "directory", "url": "lib"})
    found = project(package("rich"), locked, files=("manage.py",), path_packages=(library,))
    made = plan(found, run=(step(dependencies=("locale", "a b")),))
    text = render_dockerfile(made)
    own = stage(text, "run-1")
    assert "--from=application" not in own
    assert "COPY --link --from=path-lib /path-lib/venv /venv" in own
    assert "COPY --link --from=run-1-files /app /app" in own
    files = stage(text, "run-1-files")
    assert "COPY locale ./locale\n" in files
    assert 'COPY ["a b", "./a b"]\n' in files
    assert "!locale\n" in render_ignore_file(made, "Dockerfile")
    without = render_dockerfile(planned(step(dependencies=())))
    assert "run-1-files" not in without
    assert "--from=files" not in stage(without, "run-1")


def test_packages_need_a_shell() -> None:
    """An image without one has no package manager."""
    images = {"base_image": "cgr.dev/x/python:3.13", "build_image": "cgr.dev/x/python:3.13-dev"}
    made = planned(step(), python="3.13", **images)
    assert '["/venv/bin/python", "-IS", "/scripts/run_step.py"' in render_dockerfile(made)
    with pytest.raises(DockerCacheError, match="no shell, so the `packages` of run 1"):
        planned(step(packages=("gettext",)), python="3.13", **images)


def test_packages_of_alpine_are_installed_by_apk() -> None:
    """They are only in the step's stage, without an index of packages."""
    text = render_dockerfile(
        planned(step(packages=("gettext",)), base_image="python:{python}-alpine")
    )
    assert "RUN apk add --no-cache gettext\n" in stage(text, "run-1")
    assert "apt-get" not in text


def test_packages_are_refused_on_red_hat_bases() -> None:
    """They would be written as `apt-get`, which those bases do not have."""
    images = {"base_image": "registry.example/ubi9/python-312:1", "python": "3.12"}
    with pytest.raises(DockerCacheError, match=r"`packages` of run 1 are .* has dnf") as caught:
        planned(step(packages=("gettext",)), **images)
    assert 'instructions = { runtime = ["RUN dnf install -y gettext && ' in str(caught.value.fix)


def test_steps_of_some_images_have_their_names() -> None:
    """The progress of two images names each of their steps."""
    (made,) = planned(step(family="api.web")).steps
    assert (made.name, made.title) == ("run-1.api.web", "run 1 of api.web")


def test_steps_run_on_the_platform_of_the_image() -> None:
    """A note says what is emulated."""
    notes = planned(step(), platforms=("linux/amd64", "linux/arm64")).notes
    assert any("Emulated" in note and "`run`" in note for note in notes)


STATIC = StaticFiles(manage="manage.py", folder="staticfiles", secret_key="KEY")


@pytest.mark.parametrize(
    ("static", "end"),
    [
        (
            STATIC,
            (
                'run = [{ command = ["python", "manage.py", "collectstatic", "--no-input"],'
                ' env = { KEY = "build" }, output = ["staticfiles"] }]'
            ),
        ),
        (
            StaticFiles(manage="src/manage.py", folder=None),
            (
                ", with the folder of `STATIC_ROOT` instead of FOLDER:"
                ' run = [{ command = ["python", "src/manage.py", "collectstatic", "--no-input"],'
                ' output = ["FOLDER"] }]'
            ),
        ),
    ],
)
def test_django_without_step_for_static_files_is_noted(static: StaticFiles, end: str) -> None:
    """The note has the line to add, which is valid."""
    found = project(package("django"), static_files=static)
    (note,) = [note for note in plan(found).notes if "static" in note]
    assert note.endswith(end)
    assert not [note for note in plan(found, run=(step(),)).notes if "static files" in note]
