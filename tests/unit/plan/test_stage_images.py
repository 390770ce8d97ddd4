"""Images of the stages: Alpine, digests, images without a shell or with another user."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from plans import TREE, plan, project, wheel_root
from projects import package, sdist, wheel

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.image_plan import Template
from poetry_docker_cache.render.dockerfile import render_dockerfile
from poetry_docker_cache.settings.image_values import Instructions

if TYPE_CHECKING:
    from poetry_docker_cache.plan.image_plan import ImagePlan

DIGEST = "@sha256:" + "a" * 64
ALPINE = "python:{python}-alpine3.22"
BUILT = package("psycopg2", files=[sdist("psycopg2")])
NATIVE = package("numpy", files=[wheel("numpy", tag="cp313-cp313-manylinux_2_17_x86_64")])
MUSL = package("msgpack", files=[wheel("msgpack", tag="cp313-cp313-musllinux_1_2_x86_64")])
DISTROLESS: dict[str, Any] = {
    "python": "3.13",
    "base_image": "gcr.io/distroless/python3-debian13",
    "build_image": "company/python:3.13",
}


def stages(made: ImagePlan) -> dict[str, str]:
    """Return the image that each stage of the Dockerfile starts from."""
    found = re.findall(
        r"^FROM (?:--platform=\S+ )?(\S+) AS (\S+)$", render_dockerfile(made), re.MULTILINE
    )
    return {stage: image for image, stage in found}


def instructions(made: ImagePlan, stage: str) -> list[str]:
    """Return the first lines of a stage's instructions."""
    text = render_dockerfile(made)
    begin = re.search(rf"^FROM .* AS {stage}$", text, re.MULTILINE)
    assert begin is not None
    body = re.split(r"^FROM ", text[begin.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    return [line for line in body.splitlines() if re.match(r"[A-Z]+ ", line)]


def test_alpine_installs_musl_wheels_and_builds_the_rest() -> None:
    """Packages are built on the same image, with a compiler added."""
    made = plan(project(BUILT, NATIVE, MUSL), base_image=ALPINE)
    assert [layer.name for layer in made.dependencies.layers] == ["dependencies", "source"]
    assert made.dependencies.libc == "musl"
    found = stages(made)
    assert {*found.values()} - {"scratch", *found} == {"python:3.13-alpine3.22"}
    assert made.dependencies.packages == ("build-base", "libpq-dev")
    assert made.runtime.packages == ("libpq",)
    assert "Alpine packages added for the dependencies: libpq." in made.notes
    assert (
        "numpy, psycopg2 must be built from source, on python:3.13-alpine3.22, in a separate layer."
        in (made.notes)
    )
    text = render_dockerfile(made)
    assert "\nRUN apk add --no-cache build-base libpq-dev\n" in text
    assert "\nRUN apk add --no-cache libpq\n" in text
    assert "apt-get install" not in text.rpartition("AS venv")[2]


def test_alpine_gets_compiler_for_extension() -> None:
    """Packages of the settings are added, too."""
    made = plan(
        project(root=wheel_root(needs_compiler=True)),
        base_image=ALPINE,
        build_packages=("linux-headers",),
    )
    assert made.application is not None
    assert made.application.packages == ("linux-headers", "build-base")
    own = plan(project(BUILT), python="3.13", base_image="company/alpine-python:3")
    assert own.dependencies.packages == ("libpq-dev",), "a custom image has its own compiler"


@pytest.mark.parametrize("base", ["python:3.13-slim", "python:3.13-slim-bookworm"])
def test_note_on_build_image_without_digest(base: str) -> None:
    """The final image has the digest, but packages are compiled on the full image."""
    made = plan(project(BUILT), python="3.13", base_image=base + DIGEST)
    full = base.replace("-slim", "")
    assert made.runtime.image == made.stage_image == base + DIGEST
    assert made.dependencies.build_image == full
    (note,) = [note for note in made.notes if "digest" in note]
    assert note.startswith(f"`base-image` has a digest, but {full} has none")
    assert made.runtime.packages == ("libpq5",), "its name says that it is Debian"


@pytest.mark.parametrize(
    "settings",
    [
        {"base_image": f"python:3.13-slim{DIGEST}", "build_image": f"python:3.13{DIGEST}"},
        {"base_image": f"python:3.13-slim{DIGEST}", "build_image": "python:3.13"},
        {"base_image": f"python:3.13{DIGEST}"},
        {"base_image": "python:3.13-slim"},
    ],
)
def test_no_note_on_digests_without_need(settings: dict[str, str]) -> None:
    """Both images are chosen by the user, no digest is used, or nothing is compiled."""
    assert not any(
        "digest" in note for note in plan(project(BUILT), python="3.13", **settings).notes
    )
    pinned = plan(project(), python="3.13", base_image=f"python:3.13-slim{DIGEST}")
    assert not any("digest" in note for note in pinned.notes)


def test_base_without_shell_is_used_only_for_final_stages() -> None:
    """All commands except the check run on the build image."""
    made = plan(project(BUILT, NATIVE), **DISTROLESS)
    on_base = {stage for stage, image in stages(made).items() if image == made.runtime.image}
    assert on_base == {"base"}
    assert stages(made)["check"] == stages(made)["final"] == "base"
    assert {stages(made)[stage] for stage in ("venv", "manifest", "builder")} == {
        "company/python:3.13"
    }
    assert made.runtime.packages == ()
    (run,) = [line for line in instructions(made, "check") if line.startswith("RUN")]
    assert run.startswith("RUN --mount=")
    assert '["/venv/bin/python", "/scripts/check.py"' in render_dockerfile(made)
    # The wheels are installed on another image: every library that they need is checked.
    mounted = re.findall(r"from=([\w-]+),source=/libraries", render_dockerfile(made))
    assert mounted == ["dependencies", "source"]
    assert (made.runtime.entrypoint, made.runtime.command) == ((), ("shop",))
    assert any("ENTRYPOINT" in note for note in made.notes)


def test_settings_that_need_no_shell() -> None:
    """Files, the compiled standard library, an entrypoint, and lines without a shell."""
    lines = ("COPY --from=x /lib/y /lib/", 'RUN --mount=type=cache,target=/x ["/bin/x"]', "ENV A=B")
    made = plan(
        project(NATIVE, root=TREE),
        **DISTROLESS,
        compile=True,
        files=("a",),
        entrypoint=("python", "-m"),
        command=("shop",),
        instructions=Instructions(runtime=lines),
    )
    assert stages(made)["files"] == "company/python:3.13"
    text = render_dockerfile(made)
    assert '["/venv/bin/python", "-B", "/scripts/compile.py", "--standard-library"]' in text
    assert made.runtime.entrypoint == ("python", "-m")
    assert not any("ENTRYPOINT" in note for note in made.notes)
    assert [line for line in instructions(made, "base") if line in lines] == list(lines)


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        (
            {"build_image": None},
            "has no shell, so the packages",
            "the same Python at the same path",
        ),
        (
            {"build_image": DISTROLESS["base_image"]},
            "neither does `build-image` gcr.io/distroless/python3-debian13",
            "to an image with a shell and pip",
        ),
        (
            {"base_image": "company/base:1", "build_image": "company/base:1", "shell": False},
            "neither does `build-image` company/base:1",
            "to an image with a shell and pip",
        ),
        (
            {
                "base_image": "cgr.dev/chainguard/python:latest",
                "build_image": "cgr.dev/chainguard/python:latest",
            },
            "neither does `build-image` cgr.dev/chainguard/python:latest",
            'for example `build-image = "cgr.dev/chainguard/python:latest-dev"`',
        ),
        (
            {"runtime_packages": ("libpq5",)},
            "`runtime-packages` cannot be installed",
            "COPY --from",
        ),
        (
            {"instructions": Instructions(runtime=("ENV A=B", "RUN ldconfig"))},
            "so this line of `instructions.runtime` cannot run on it: RUN ldconfig",
            'write RUN ["program", "argument"]',
        ),
        (
            {"instructions": Instructions(runtime=("run --network=none <<E", "E"))},
            "cannot run on it",
            'write RUN ["program", "argument"]',
        ),
    ],
)
def test_rejects_settings_that_need_a_shell(
    settings: dict[str, Any], problem: str, fix: str
) -> None:
    """The error gives the reason and an alternative."""
    with pytest.raises(DockerCacheError) as caught:
        plan(project(), **{**DISTROLESS, **settings})
    assert problem in caught.value.problem
    assert fix in (caught.value.fix or "")


@pytest.mark.parametrize(
    ("base", "proposed"),
    [
        ("cgr.dev/chainguard/python", '`build-image = "cgr.dev/chainguard/python:latest-dev"`'),
        ("cgr.dev/acme/python:3.13", '`build-image = "cgr.dev/acme/python:3.13-dev"`'),
        ("chainguard/python", '`build-image = "chainguard/python:latest-dev"`'),
        ("dhi.io/python:3.13-debian13", '`build-image = "dhi.io/python:3.13-debian13-dev"`'),
        (f"cgr.dev/acme/python{DIGEST}", None),
    ],
)
def test_proposes_matching_image_with_shell(base: str, proposed: str | None) -> None:
    """Hardened images of Chainguard and Docker have a `-dev` image."""
    with pytest.raises(DockerCacheError) as caught:
        plan(project(), python="3.13", base_image=base)
    fix = caught.value.fix or ""
    assert proposed in fix if proposed else "for example" not in fix


def test_setting_shell_wins_over_image_name() -> None:
    """A custom image may have no shell, and one called distroless may have one."""
    own = plan(project(), base_image="company/{python}", build_image="b:{python}", shell=False)
    assert stages(own)["venv"] == "b:3.13"
    made = plan(project(), python="3.13", base_image="company/distroless", shell=True)
    assert stages(made)["venv"] == "company/distroless"


def test_stages_on_custom_base_run_as_root() -> None:
    """Official images run as root by default."""
    made = plan(project(BUILT), python="3.13", base_image="company/base:1", files=("a",))
    for stage in ("venv", "manifest", "poetry", "builder", "files", "base"):
        assert instructions(made, stage)[:2] == ["USER 0", "ENV HOME=/root"], stage
    assert re.findall(r"^USER .*", render_dockerfile(made), re.MULTILINE)[-1] == "USER 10001:10001"
    final = instructions(made, "final")
    assert 'ENV HOME="/home/app" USER="app"' in final
    mixed = plan(
        project(BUILT), python="3.13", base_image="company/base:1", build_image="python:3.13"
    )
    assert "USER 0" not in instructions(mixed, "builder")
    assert "USER 0" in instructions(mixed, "venv")
    assert "USER 0" not in render_dockerfile(plan(project(BUILT), files=("a",)))


def test_build_instructions_are_in_every_stage_that_installs() -> None:
    """The stage of the build backend needs a CA or a proxy, too.

    The lines come after the system packages and before anything is downloaded from an index.
    """
    line = "COPY company-ca.pem /etc/ssl/certs/"
    made = plan(
        project(BUILT, root=wheel_root(needs_compiler=True)),
        build_packages=("cmake",),
        instructions=Instructions(build=(line,)),
    )
    for stage in ("venv", "manifest", "poetry", "builder", "build-backend"):
        assert instructions(made, stage).count(line) == 1, stage
    backend = instructions(made, "build-backend")
    assert [word.split()[0] for word in backend] == ["RUN", "COPY", "WORKDIR", "RUN", "RUN"]
    own = Template(
        path="x.j2",
        texts={
            "x.j2": '{% extends "Dockerfile.j2" %}{% block build %}\nENV CFLAGS=-O1\n{% endblock %}'
        },
    )
    assert "ENV CFLAGS=-O1" in instructions(replace(made, template=own), "build-backend")
