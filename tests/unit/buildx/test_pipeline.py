"""The steps of a build in order, for one image and for several."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from engine_kinds import CLASSIC

from poetry_docker_cache.buildx.cache_plan import CachePlan
from poetry_docker_cache.buildx.command_line import BuildRequest
from poetry_docker_cache.buildx.open_caches import shown_caches
from poetry_docker_cache.buildx.pipeline import Build, ImageBuild, build_steps, load_steps
from poetry_docker_cache.buildx.reuse import Reuse
from poetry_docker_cache.buildx.steps import Places, Step
from poetry_docker_cache.caches.spec import Folder

if TYPE_CHECKING:
    from pathlib import Path

PROVENANCE = {"BUILDX_METADATA_PROVENANCE": "disabled"}


def image(folder: Path, name: str = "", *arguments: str) -> ImageBuild:
    """Make an image with every kind of step."""
    (folder / "kept").mkdir(exist_ok=True)
    (folder / "kept" / "image.tar").touch()
    kept = Folder(path=str(folder / "kept"))
    return ImageBuild(
        name=name,
        request=BuildRequest(
            context="/src", tags=[f"shop{name}:1"], image=name, arguments=arguments
        ),
        caches=CachePlan(
            exports=("type=inline",),
            loaded=(kept,),
            saved=(kept,),
            pushed=(f"h.io/c:{name}",),
            image=f"shop{name}:1",
        ),
        reuse=Reuse(
            project="shop", folder=folder / "wheels", has_wheels=True, image="shop:0", hidden=()
        ),
    )


def build(*images: ImageBuild) -> Build:
    """Make a build of these images."""
    return Build(
        images=images, engine=CLASSIC, docker=("docker",), environment=PROVENANCE, metadata=True
    )


def shown(whole: Build, places: Places | None = None) -> list[Step]:
    """Return all steps as --dry-run shows them, or with these places."""
    caches = {image.name: shown_caches(image.caches) for image in whole.images}
    places = places or Places.placeholders(whole.names)
    return [*load_steps(whole), *build_steps(whole, places, caches)]


def kind(step: Step) -> str:
    """Name the purpose of a step."""
    argv = step.argv
    return (
        argv[argv.index("--target") + 1] if "--target" in argv else argv[argv[1] == "buildx" : 3][1]
    )


EACH = ["import-wheels", "import-image"]
AFTER = ["tag", "push", "tag", "save", "image"]


@pytest.mark.parametrize("names", [[""], ["api", "worker"]])
def test_one_image_and_several_have_the_same_steps(names: list[str], tmp_path: Path) -> None:
    """Each image has its own steps, except that one step builds all."""
    steps = shown(build(*(image(tmp_path, name) for name in names)))
    count = len(names)
    assert [*map(kind, steps)] == [
        *(["load"] * count),
        *(EACH * count),
        "build" if count == 1 else "bake",
        *(["export-wheels"] * count),
        *(AFTER * count),
    ]
    (main,) = [step for step in steps if step.decides]
    assert (main.output, main.environment, main.leaves) == ("terminal", PROVENANCE, None)


def test_placeholders_stand_for_temporary_files(tmp_path: Path) -> None:
    """They are shorter for a single image."""
    (main,) = [step for step in shown(build(image(tmp_path))) if step.decides]
    assert main.argv == (
        *("docker", "buildx", "build", "--file", "<dockerfile>", "--secret", "id=auth,src=<auth>"),
        *("--tag", "shop:1", "--cache-from", "localhost/poetry-docker-cache:<name>"),
        *("--cache-to", "type=inline", "--load", "--metadata-file", "<metadata>", "/src"),
    )
    assert not main.needs


def test_named_context_has_a_placeholder(tmp_path: Path) -> None:
    """As other temporary files have."""
    whole = build(image(tmp_path))
    places = Places.placeholders(whole.names, contexts=["scripts"])
    (main,) = [step for step in shown(whole, places) if step.decides]
    assert "--build-context scripts=<scripts> " in " ".join(main.argv)
    assert Places.placeholders(["a", "b"], contexts=["scripts"]).contexts == {
        "scripts": "<folder>/scripts"
    }


def test_bake_needs_its_definition(tmp_path: Path) -> None:
    """The file is written for this step only."""
    whole = build(image(tmp_path, "api"), image(tmp_path, "worker"))
    for folder, places in (("<folder>", None), ("/w", Places.below("/w", whole.names))):
        (main,) = [step for step in shown(whole, places) if step.decides]
        ((path, text),) = main.needs.items()
        assert path == f"{folder}/build/docker-bake.json"
        assert main.argv[3:5] == ("--file", path)
        assert main.argv[-4:] == ("--metadata-file", f"{folder}/metadata.json", "api", "worker")
        target = json.loads(text)["target"]["worker"]
        assert target["dockerfile"] == f"{folder}/build/worker.Dockerfile"
        assert target["secret"] == [f"id=auth,src={folder}/secret/auth.toml"]


def test_contexts_in_the_private_folder_are_named(tmp_path: Path) -> None:
    """Every build of the Dockerfile gets them in addition to those of the request."""
    api = image(tmp_path, "api")
    other = {"base": "docker-image://python:3.13"}
    api = replace(api, request=replace(api.request, contexts=other))
    worker = image(tmp_path, "worker")
    places = Places.below("/w", ["api", "worker"], contexts=["scripts"])
    steps = shown(build(api, worker), places)
    builds = [step for step in steps if "--target" in step.argv]
    assert len(builds) == 6
    assert all("scripts=/w/scripts" in step.argv for step in builds)
    ((_, text),) = next(step for step in steps if step.decides).needs.items()
    found = json.loads(text)["target"]
    assert found["api"]["contexts"] == {**other, "scripts": "/w/scripts"}
    assert found["worker"]["contexts"] == {"scripts": "/w/scripts"}


def test_vendored_dockerfile_is_used_by_all_steps(tmp_path: Path) -> None:
    """It is not a temporary file."""
    whole = build(image(tmp_path))
    for places in (
        Places.placeholders([""], vendored="mine"),
        Places.below("/w", [""], vendored="mine"),
    ):
        files = [step.argv[4] for step in shown(whole, places) if "--file" in step.argv]
        assert files == ["mine"] * 4


def test_printing_options_export_no_image(tmp_path: Path) -> None:
    """An image of an earlier build would be exported instead."""
    steps = shown(build(image(tmp_path, "", "--call=check")))
    assert {"tag", "push", "save"}.isdisjoint(map(kind, steps))


def test_steps_have_separate_folders(tmp_path: Path) -> None:
    """Each result has its own."""
    whole = build(image(tmp_path, "api"), image(tmp_path, "worker"))
    steps = shown(whole, Places.below("/w", whole.names))
    outputs = [
        step.argv[step.argv.index("--output") + 1] for step in steps if "--output" in step.argv
    ]
    assert len({*outputs}) == len(outputs) == 8
