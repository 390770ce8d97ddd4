"""The stages of front ends, by package manager."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import pytest
from plans import TREE, plan, project, wheel_root

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.model import FrontEnd
from poetry_docker_cache.render.dockerfile import render_dockerfile, render_ignore_file
from poetry_docker_cache.settings.asset_values import Assets

if TYPE_CHECKING:
    from poetry_docker_cache.plan.image_plan import AssetStage

WEB: dict[str, Any] = {"folder": "web", "output": "web/dist", "to": "shop/static"}


def front_end(**keys: Any) -> FrontEnd:  # noqa: ANN401  # fields of many types
    """Return a front end that is built by npm."""
    given = {"folder": "web", "lock": "package-lock.json", "scripts": frozenset({"build"})}
    return FrontEnd(**{**given, "manifests": ("web/package.json",), **keys})


def planned(
    found: FrontEnd,
    shape: dict[str, Any] | None = None,
    **keys: Any,  # noqa: ANN401
) -> AssetStage:
    """Plan a project with one front end."""
    made = plan(
        project(front_ends={found.folder: found}, **(shape or {})),
        assets=(Assets(**{**WEB, **keys}),),
    )
    (stage,) = made.assets
    return stage


def commands(stage: AssetStage) -> list[str]:
    """Return the commands of a stage, in their order."""
    return [shlex.join(words) for words in (*stage.fetch, stage.scripts, *stage.build) if words]


def test_npm() -> None:
    """Nothing of a package runs while packages are downloaded."""
    assert commands(planned(front_end())) == [
        "npm ci --ignore-scripts --no-audit --no-fund",
        "npm rebuild",
        "npm run build",
    ]


def test_pnpm_of_the_project() -> None:
    """Npm installs the version that package.json names, from the registry of the project."""
    found = front_end(
        lock="pnpm-lock.yaml", manager="pnpm@9.12.0", manifests=("web/.npmrc", "web/package.json")
    )
    assert commands(planned(found)) == [
        "npm install --global --force --ignore-scripts --globalconfig=.npmrc pnpm@9.12.0",
        "pnpm install --frozen-lockfile --ignore-scripts --store-dir=/root/.cache/pnpm",
        "pnpm rebuild --store-dir=/root/.cache/pnpm",
        "pnpm run build",
    ]


@pytest.mark.parametrize(
    ("lock", "pnpm"), [("5", "pnpm@7"), ("6", "pnpm@8"), ("9", "pnpm@10"), ("", "pnpm@10")]
)
def test_pnpm_of_the_lock_file(lock: str, pnpm: str) -> None:
    """Without `packageManager`, the format decides."""
    stage = planned(front_end(lock="pnpm-lock.yaml", lock_version=lock))
    assert stage.fetch[0][-1] == pnpm


def test_classic_yarn() -> None:
    """It has no command for install scripts that were skipped, but npm has."""
    assert commands(planned(front_end(lock="yarn.lock", manager="yarn@1.22.19"))) == [
        "npm install --global --force --ignore-scripts yarn@1.22.22",
        "yarn install --frozen-lockfile --ignore-scripts --non-interactive",
        "npm rebuild",
        "yarn run build",
    ]


def test_modern_yarn() -> None:
    """A second install runs the scripts that the first one skipped."""
    found = front_end(lock="yarn.lock", is_modern_yarn=True, manager="yarn@4.5.0")
    assert commands(planned(found)) == [
        "npm install --global --force --ignore-scripts @yarnpkg/cli-dist@4.5.0",
        "yarn install --immutable --mode=skip-build",
        "yarn install --immutable",
        "yarn run build",
    ]
    kept = front_end(lock="yarn.lock", is_modern_yarn=True, yarn=".yarn/releases/yarn-4.cjs")
    assert commands(planned(kept))[0].startswith("node .yarn/releases/yarn-4.cjs install")


def test_bun() -> None:
    """Its image has no npm."""
    stage = planned(front_end(lock="bun.lock", manager="bun@1.2.3"))
    assert stage.image == "oven/bun:1.2.3-slim"
    assert commands(stage) == ["bun install --frozen-lockfile --ignore-scripts", "bun run build"]


def test_own_commands() -> None:
    """They run no scripts of packages; the project's own install script runs with its sources."""
    found = front_end(lock=None, scripts=frozenset({"postinstall"}))
    stage = planned(found, install=("npm", "install"), build=("npx", "vite", "build"))
    assert commands(stage) == [
        "env npm_config_ignore_scripts=true YARN_ENABLE_SCRIPTS=false npm install",
        "npm rebuild",
        "npm run postinstall",
        "npx vite build",
    ]


@pytest.mark.parametrize(
    ("shape", "to", "in_wheel", "place"),
    [
        ({}, "shop/static", "shop/static", ""),
        ({}, "static", "", "/app/static"),
        ({}, "/srv/static", "", "/srv/static"),
        ({"root": wheel_root(paths=("src",))}, "src/shop/static", "src/shop/static", ""),
        ({"files": None}, "shop/static", "shop/static", "/app/shop/static"),
        ({"root": TREE, "files": None}, "shop/static", "", "/app/shop/static"),
    ],
)
def test_place_of_output(shape: dict[str, Any], to: str, in_wheel: str, place: str) -> None:
    """It becomes a part of the wheel, of the files in the working directory, or of both."""
    stage = planned(front_end(), shape, to=to)
    assert (stage.wheel_place, stage.image_place) == (in_wheel, place)
    assert stage.wheel == ("application" if in_wheel else "")


def test_version_of_node_in_the_project() -> None:
    """The image has the same one."""
    assert planned(front_end()).image == "node:22-slim"
    assert planned(front_end(node=("20.9.0", ".nvmrc"))).image == "node:20.9.0-slim"
    assert planned(front_end(node=("20", ".nvmrc")), image="acme/node:1").image == "acme/node:1"


def test_no_lock_file() -> None:
    """The error says how to get one."""
    with pytest.raises(DockerCacheError, match="no lock file") as caught:
        planned(front_end(lock=None))
    assert "npm install" in caught.value.fix


def test_no_build_script() -> None:
    """The error says what to set."""
    with pytest.raises(DockerCacheError, match=r"web/package.json has no script named `build`"):
        planned(front_end(scripts=frozenset()))


def rendered(found: FrontEnd, shape: dict[str, Any], assets: dict[str, Any]) -> str:
    """Return the Dockerfile of a project with one front end."""
    made = plan(project(front_ends={found.folder: found}, **shape), assets=(Assets(**assets),))
    return render_dockerfile(made)


def test_sources_stay_out_of_source_tree() -> None:
    """An image that runs from its source gets the output only."""
    text = rendered(front_end(), {"root": TREE, "files": None}, WEB)
    assert "RUN rm -rf Dockerfile.scripts web && chmod" in text
    assert "COPY --link --from=assets /project/web/dist /app/shop/static\n" in text


def test_sources_stay_out_of_wheel() -> None:
    """A front end in the package is not a part of the wheel."""
    inner = front_end(folder="shop/web", manifests=("shop/web/package.json",))
    assets = {"folder": "shop/web", "output": "shop/web/dist", "to": "shop/web/dist"}
    text = rendered(inner, {}, assets)
    before = text.index("RUN rm -rf /project/shop/web\n")
    assert before < text.index("COPY --from=assets /project/shop/web/dist /project/shop/web/dist\n")


def test_secret_is_mounted_by_one_step() -> None:
    """The steps that run code of packages have neither secret nor network."""
    text = rendered(front_end(variables=("NPM_TOKEN",)), {}, WEB)
    stage = text[text.index(" AS assets\n") : text.index("\nFROM build-backend AS application")]
    steps = stage.split("\nRUN ")[1:]
    assert ["id=npmrc" in step for step in steps] == [True, False, False]
    assert ["id=NPM_TOKEN" in step for step in steps] == [True, False, False]
    assert ["--network=none" in step for step in steps] == [False, True, True]


def test_ignored_output_of_this_machine_is_not_sent() -> None:
    """A local build does not change what the builder gets."""
    found = front_end(generated=frozenset({"web/dist"}))
    made = plan(project(front_ends={"web": found}), assets=(Assets(**WEB),))
    lines = render_ignore_file(made, "Dockerfile").splitlines()
    assert "web/dist" in lines[lines.index("!web") :]


def test_front_end_beside_the_project() -> None:
    """The build context becomes the folder that has both, and only these files are sent."""
    found = front_end(
        folder="../web", manifests=("../web/package.json",), git_ignored=("../web/dist",)
    )
    keys = {**WEB, "folder": "../web", "output": "../web/dist", "to": "static"}
    made = plan(
        project(front_ends={"../web": found}, place=("repository", "backend")),
        assets=(Assets(**keys),),
    )
    assert "The build context is .., because the image needs ../web." in made.notes
    text = render_dockerfile(made)
    for line in (
        "WORKDIR /project/web",
        "COPY web/package.json /project/web/",
        "COPY web /project/web",
        "COPY --link --from=assets /project/web/dist /app/static",
    ):
        assert f"\n{line}\n" in text
    lines = render_ignore_file(made, f"{made.folder}/Dockerfile").splitlines()
    assert lines.index("!web/**") < lines.index("web/dist")
