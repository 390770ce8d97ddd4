"""Which caches a build reads and writes, by options, setting and engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from engine_kinds import CLASSIC, CONTAINER, CONTAINERD, REMOTE

from poetry_docker_cache.buildx.cache_folders import OpenFolder
from poetry_docker_cache.buildx.cache_images import export_steps, load_steps
from poetry_docker_cache.buildx.cache_plan import CachePlan, CacheRequest, plan_caches
from poetry_docker_cache.buildx.hidden_folders import (
    hidden_paths,
    refuse_visible,
    written_inside,
)
from poetry_docker_cache.buildx.open_caches import OpenCaches, shown_caches
from poetry_docker_cache.buildx.steps import Places
from poetry_docker_cache.caches.spec import Cache, Folder, parse, placed
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.caches.backends import Use

OLD = replace(CONTAINERD, driver="remote", frontend=(1, 5))
ENGINES = {"containerd": CONTAINERD, "classic": CLASSIC, "container": CONTAINER, "remote": REMOTE}
ACTIONS = {"ACTIONS_RUNTIME_TOKEN": "t", "ACTIONS_RESULTS_URL": "https://gh.test/"}
EVERY = "mode=max,ignore-error=true"
MEDIA = "oci-mediatypes=true"
OCI = f"{EVERY},{MEDIA},image-manifest=true"
REF = "h.io/app:cache"


def read(text: str, use: Use = "both") -> Cache:
    """Parse a cache as on the command line, in the folder /src."""
    return placed(parse(text, use), Path("/src"))


def request(
    cache: str = "",
    *,
    cache_from: Sequence[str] = (),
    cache_to: Sequence[str] = (),
    setting: str = "",
    push: bool = False,
) -> CacheRequest:
    """Request caches as on the command line."""
    return CacheRequest(
        cache=read(cache) if cache else None,
        cache_from=tuple(read(text, "from") for text in cache_from),
        cache_to=tuple(read(text, "to") for text in cache_to),
        setting=read(setting) if setting else None,
        push=push,
    )


def plan(
    asked: CacheRequest,
    engine: EngineInfo = CONTAINERD,
    *,
    tags: Sequence[str] = ("h.io/app:1",),
    environment: Mapping[str, str] | None = None,
) -> CachePlan:
    """Plan the caches."""
    return plan_caches(asked, engine, tags=tags, environment=environment or {})


def words(plan: CachePlan) -> tuple[list[str], list[str]]:
    """Return BuildKit's options if every folder has a cache."""
    folders = {
        folder: OpenFolder(Path(folder.path), Path(folder.path), Path(folder.path))
        for folder in plan.folders
    }
    caches = OpenCaches(plan=plan, folders=folders)
    return caches.cache_from, caches.cache_to


def exported(plan: CachePlan) -> list[list[str]]:
    """Return the commands after a successful build, as --dry-run shows them."""
    places = Places.placeholders([""])
    return [[*step.argv] for step in export_steps(plan, ["docker"], places)]


def loaded(plan: CachePlan) -> list[list[str]]:
    """Return the commands before the build."""
    return [[*step.argv] for step in load_steps(plan, ["docker", "--context", "x"])]


@pytest.mark.parametrize(
    ("cache", "imports", "exports"),
    [
        (REF, [REF], [f"type=registry,ref={REF},{OCI}"]),
        (
            f"type=registry,ref={REF},mode=min,image-manifest=false",
            [REF],
            [
                f"type=registry,ref={REF},mode=min,image-manifest=false,{EVERY},{MEDIA}".replace(
                    "mode=max,", ""
                )
            ],
        ),
        ("./c", ["type=local,src=/src/c"], [f"type=local,dest=/src/c,{EVERY}"]),
        ("/a,b", ['type=local,"src=/a,b"'], [f'type=local,"dest=/a,b",{EVERY}']),
        ("type=local,src=c", ["type=local,src=/src/c"], [f"type=local,dest=/src/c,{EVERY}"]),
        ("type=gha,scope=x", ["type=gha,scope=x"], [f"type=gha,scope=x,{EVERY}"]),
        ("type=inline", ["h.io/app:1"], ["type=inline"]),
    ],
)
def test_options_for_buildkit(cache: str, imports: list[str], exports: list[str]) -> None:
    """A cache is read and written, with all stages, and a failure to write it is ignored."""
    assert words(plan(request(cache), environment=ACTIONS)) == (imports, exports)


@pytest.mark.parametrize(
    ("cache", "imports", "exports"),
    [
        (
            "type=s3,region=r,bucket=b,upload_parallelism=8",
            ["type=s3,region=r,bucket=b"],
            [f"type=s3,region=r,bucket=b,upload_parallelism=8,{EVERY}"],
        ),
        ("type=azblob,name=n", ["type=azblob,name=n"], [f"type=azblob,name=n,{EVERY}"]),
    ],
)
def test_stores_that_docker_driver_lacks(
    cache: str, imports: list[str], exports: list[str]
) -> None:
    """They are refused before the build."""
    assert words(plan(request(cache), CONTAINER)) == (imports, exports)
    for engine in (CONTAINERD, CLASSIC):
        with pytest.raises(DockerCacheError, match="the Docker engine itself") as caught:
            plan(request(cache), engine)
        assert "docker buildx create --name NAME --driver docker-container" in caught.value.fix


def test_unsupported_setting_is_not_read() -> None:
    """It is an error only if it is to be written: CI may have another builder."""
    setting = "type=s3,region=r,bucket=b"
    found = plan(request(setting=setting))
    assert words(found) == ([], [])
    (note,) = found.notes
    assert "The setting `cache` is not read" in note
    for asked in (request(setting=setting, push=True), request(setting, setting=setting)):
        with pytest.raises(DockerCacheError):
            plan(asked)


def test_old_buildkit_does_not_write_cache_as_image() -> None:
    """BuildKit before 0.12 does not support it."""
    _, (export,) = words(plan(request(REF), OLD))
    assert export == f"type=registry,ref={REF},{EVERY},oci-mediatypes=true"
    assert words(plan(request(REF), replace(OLD, frontend=None)))[1] == [
        f"type=registry,ref={REF},{OCI}"
    ]


@pytest.mark.parametrize(
    ("asked", "reads", "writes"),
    [
        (request("h.io/a"), ["h.io/a"], ["h.io/a"]),
        (request("h.io/a", cache_from=["h.io/b", "h.io/c"]), ["h.io/a", "h.io/b", "h.io/c"], ["a"]),
        (request(cache_from=["h.io/b"]), ["h.io/b"], []),
        (request(cache_to=["h.io/b"]), [], ["h.io/b"]),
        (request(setting="h.io/s"), ["h.io/s"], []),
        (request(setting="h.io/s", push=True), ["h.io/s"], ["h.io/s"]),
        (request("h.io/a", setting="h.io/s"), ["h.io/a", "h.io/s"], ["h.io/a"]),
        (request("h.io/a", setting="h.io/s", push=True), ["h.io/a", "h.io/s"], ["h.io/a"]),
        (request("h.io/s", setting="h.io/s"), ["h.io/s"], ["h.io/s"]),
        (request("type=registry,ref=h.io/s,mode=min", setting="h.io/s"), ["h.io/s"], ["h.io/s"]),
        # a pull request: it may read, and not write
        (request(cache_from=["h.io/b"], setting="h.io/s", push=True), ["h.io/b", "h.io/s"], []),
        (request(cache_to=["h.io/b"], setting="h.io/s", push=True), ["h.io/s"], ["h.io/b"]),
        (request(push=True), [], []),
    ],
)
def test_what_is_read_and_written(asked: CacheRequest, reads: list[str], writes: list[str]) -> None:
    """`--cache` both; `--cache-from` alone only reads; the setting is written with --push."""
    imports, exports = words(plan(asked))
    assert imports == reads
    assert len(exports) == len(writes)
    for export, written in zip(exports, writes, strict=True):
        assert f"{written}," in export


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (request(REF), f"Cache: registry {REF}, all stages (mode=max)."),
        (request(f"type=registry,ref={REF},mode=min"), f"Cache: registry {REF}, the final stage."),
        (request("./c"), "Cache: folder ./c, all stages (mode=max)."),
        (
            request(REF, cache_from=["h.io/main:cache"]),
            f"Cache: registry {REF}, all stages (mode=max); only read: registry h.io/main:cache.",
        ),
        (request(cache_from=[REF]), f"Cache: registry {REF}: only read."),
        (
            request(setting=REF),
            f"Cache: registry {REF}: only read; --push writes it.",
        ),
        (
            request(cache_from=["h.io/b"], setting=REF, push=True),
            f"Cache: registry h.io/b, registry {REF}: only read.",
        ),
    ],
)
def test_one_note_about_caches(asked: CacheRequest, line: str) -> None:
    """It says what is read and written."""
    assert plan(asked).notes == (line,)


def test_no_note_without_caches() -> None:
    """There is nothing to report."""
    assert plan(request()) == CachePlan()


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize(
    ("tag", "cache"),
    [
        ("h.io/app:cache", "h.io/app:cache"),
        ("h.io/app", "h.io/app:latest"),
        ("team/app:1", "docker.io/team/app:1"),
    ],
)
def test_cache_with_name_of_image_is_refused(engine: EngineInfo, tag: str, cache: str) -> None:
    """Names are compared in normalised form, for every option."""
    for asked in (request(cache), request(cache_to=[cache]), request(setting=cache, push=True)):
        with pytest.raises(DockerCacheError, match="replace the image") as caught:
            plan(asked, engine, tags=["other:1", tag])
        assert ":cache" in caught.value.fix
    plan(request(cache_from=[cache]), engine, tags=[tag])  # an image may carry one
    plan(request(setting=cache), engine, tags=[tag])


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize(
    "environment",
    [{}, {"ACTIONS_RUNTIME_TOKEN": "t"}, {"ACTIONS_RESULTS_URL": "https://gh.test"}],
)
def test_github_cache_is_ignored_elsewhere(engine: EngineInfo, environment: dict[str, str]) -> None:
    """There is a note, and other caches are used."""
    found = plan(request("type=gha", cache_from=[REF]), engine, environment=environment)
    assert words(found) == ([REF], [])
    assert "ACTIONS_RUNTIME_TOKEN" in found.notes[0]
    assert f"registry {REF}: only read" in found.notes[1]


def test_token_is_not_on_command_line() -> None:
    """It stays in the environment, where buildx reads it."""
    secret = {**ACTIONS, "ACTIONS_RUNTIME_TOKEN": "c4nary"}
    assert "c4nary" not in str(plan(request("type=gha"), environment=secret))


def test_classic_store_pushes_image_with_cache() -> None:
    """It exports inline caches only, so the image is pushed under the cache's name."""
    found = plan(request(REF, cache_from=["h.io/main:cache"]), CLASSIC)
    assert words(found) == ([REF, "h.io/main:cache"], ["type=inline"])
    assert exported(found) == [
        ["docker", "tag", "h.io/app:1", REF],
        ["docker", "push", REF],
    ]
    (note,) = found.notes
    assert "classic image store exports inline caches only" in note
    assert note.endswith(f": the image at {REF} contains the cache.")


def test_classic_store_only_reads() -> None:
    """Nothing is exported for a pull request."""
    found = plan(request(cache_from=[REF]), CLASSIC)
    assert words(found) == ([REF], [])
    assert not exported(found)
    assert found.notes == (f"Cache: registry {REF}: only read.",)


def test_classic_store_saves_image_to_folder(tmp_path: Path) -> None:
    """`docker load` reads what `docker save` writes."""
    found = plan(request(f"{tmp_path}/c"), CLASSIC)
    shown = shown_caches(found)
    assert (shown.cache_from, shown.cache_to) == ([], ["type=inline"])
    # One that another engine has written is read, too.
    assert words(found) == ([f"type=local,src={tmp_path}/c"], ["type=inline"])
    assert not loaded(found)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "image.tar").touch()
    file = f"{tmp_path}/c/image.tar"
    assert loaded(found) == [["docker", "--context", "x", "load", "--input", file]]
    assert shown_caches(found).cache_from == ["localhost/poetry-docker-cache:<name>"]
    after = exported(found)
    assert [argv[1] for argv in after] == ["tag", "save", "image"]
    assert after[1][2:4] == ["--output", file]


@pytest.mark.parametrize("cache", ["type=local,src=x", "type=gha"])
def test_unsupported_caches_on_classic_store(cache: str) -> None:
    """BuildKit reports them only after the build."""
    with pytest.raises(DockerCacheError, match="classic image store") as caught:
        plan(request(cache), CLASSIC, environment=ACTIONS)
    assert "containerd" in caught.value.fix
    assert "docker-container" in caught.value.fix


def test_classic_store_reads_local_cache() -> None:
    """It cannot write one."""
    found = plan(request(cache_from=["type=local,src=x"]), CLASSIC)
    assert words(found) == (["type=local,src=/src/x"], [])


def test_other_driver_with_classic_store() -> None:
    """The builder decides, not the engine that the image is loaded into."""
    assert words(plan(request(REF), CONTAINER))[1] == [f"type=registry,ref={REF},{OCI}"]


def test_folders_in_the_project_are_hidden(tmp_path: Path) -> None:
    """Whatever the spelling of the path; folders outside the context need not be."""
    (tmp_path / "src" / "c").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "src" / "c")
    context = tmp_path / "src"
    folders = [tmp_path / "link", tmp_path / "src" / "d" / "e", tmp_path / "src-2", tmp_path]
    assert hidden_paths(folders, context) == ("c", "d/e")


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ("./a/../b", ("b",)),
        ("../b", ()),
        ("/b", ()),
        ("~/b", ()),
        (".", ()),
        ("h.io/b", ()),
        ("type=local,src=a,dest=./b", ("a", "b")),
    ],
)
def test_exported_ignore_file_has_relative_paths_only(
    cache: str, expected: tuple[str, ...]
) -> None:
    """Other paths differ from one machine to the next."""
    assert written_inside(parse(cache, "both")) == expected


@pytest.mark.parametrize(
    ("own", "project", "hidden"),
    [
        ("/c\n", None, True),
        ("c/**\n", None, True),
        ("c\n!c/index.json\n", None, False),
        (None, "c\n", True),
        ("", "c\n", False),
        (None, None, False),
    ],
)
def test_vendored_ignore_file_must_exclude_cache(
    own: str | None, project: str | None, hidden: bool, tmp_path: Path
) -> None:
    """We do not change this file, so it is an error otherwise."""
    dockerfile = tmp_path / "Dockerfile"
    for path, text in ((f"{dockerfile}.dockerignore", own), (tmp_path / ".dockerignore", project)):
        if text is not None:
            Path(path).write_text(text)
    if hidden:
        refuse_visible(["c"], dockerfile, tmp_path)
        return
    with pytest.raises(DockerCacheError, match="is in the project") as caught:
        refuse_visible(["c"], dockerfile, tmp_path)
    assert "/c" in caught.value.fix


def test_folder_is_listed_once() -> None:
    """A folder is often both read and written."""
    assert plan(request("./c", cache_from=["./d"])).folders == (
        Folder(path="/src/c"),
        Folder(path="/src/d"),
    )
