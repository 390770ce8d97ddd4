"""The command line of a build."""

from __future__ import annotations

import csv
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from engine_kinds import CLASSIC, CONTAINER, CONTAINERD, REMOTE
from hypothesis import given
from hypothesis import strategies as st

from poetry_docker_cache.buildx.command_line import (
    BuildRequest,
    build_command,
    builds_other,
    result_note,
)
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from poetry_docker_cache.buildx.engine_info import EngineInfo


def command(engine: EngineInfo = CONTAINERD, secret: str | None = "/s/auth", **options: Any) -> str:  # noqa: ANN401  # a request's fields
    """Return the command for a request with these options."""
    request = BuildRequest(context="/src", **options)
    return shlex.join(
        build_command(request, dockerfile="/w/Dockerfile", secret=secret, engine=engine)
    )


PREFIX = "docker buildx build --file /w/Dockerfile --secret id=auth,src=/s/auth"


def test_plain_build_is_loaded() -> None:
    """Without options for the output, the image is loaded into the engine's store."""
    assert command(tags=["shop:1"]) == f"{PREFIX} --tag shop:1 --load /src"


def test_secrets_of_build_steps_are_variables() -> None:
    """The values are not on the command line."""
    assert command(secrets=["id=A,env=A"]) == f"{PREFIX} --secret id=A,env=A --load /src"


def test_options_are_in_order() -> None:
    """Our options come first, then the user's arguments, then the context."""
    assert command(
        tags=["a:1", "b:2"],
        push=True,
        platforms=["linux/amd64,linux/arm64", "linux/386"],
        target="runtime",
        labels={"b": "1", "a": '{"c": 2}'},
        cache_from=["type=registry,ref=r/c"],
        cache_to=["type=registry,ref=r/c,mode=max"],
        builder="big",
        no_cache=True,
        pull=True,
        run_again=["base", "check"],
        progress="plain",
        arguments=["--network=host", "--label", "a=b c", "--"],
    ) == (
        f"{PREFIX} --builder big --tag a:1 --tag b:2 --platform linux/amd64,linux/arm64"
        " --platform linux/386 --target runtime --label b=1 --label 'a={\"c\": 2}'"
        " --cache-from type=registry,ref=r/c"
        " --cache-to type=registry,ref=r/c,mode=max --output type=image,push=true,store=false"
        " --no-cache --pull --no-cache-filter base --no-cache-filter check --progress plain"
        " --network=host --label 'a=b c' -- /src"
    )


def test_ssh_agent_is_passed_on() -> None:
    """So are keys."""
    values = ["default", "other=/key"]
    assert command(ssh=values) == f"{PREFIX} --ssh default --ssh other=/key --load /src"


def test_named_contexts_are_passed_on() -> None:
    """Each has its own option, sorted by name."""
    contexts = {"scripts": "/w/my scripts", "base": "docker-image://python:3.13"}
    assert command(contexts=contexts) == (
        f"{PREFIX} --build-context base=docker-image://python:3.13"
        " --build-context 'scripts=/w/my scripts' --load /src"
    )


def test_push_and_load_together() -> None:
    """BuildKit does both (seen with buildx 0.29), so both are passed on."""
    assert command(push=True, load=True) == f"{PREFIX} --push --load /src"


def test_no_secret() -> None:
    """A build without credentials has no --secret."""
    assert command(secret=None) == "docker buildx build --file /w/Dockerfile --load /src"


@given(st.text(st.characters(exclude_characters="\r\n\0"), min_size=1))
def test_secret_path_survives_csv(path: str) -> None:
    """Whatever the path, buildx reads two fields from the CSV."""
    argv = build_command(BuildRequest(context="/"), dockerfile="D", secret=path, engine=CONTAINERD)
    (fields,) = csv.reader([argv[argv.index("--secret") + 1]], strict=True)
    assert fields == ["id=auth", f"src={path}"]


def test_secret_path_is_quoted_as_go_reads_it() -> None:
    """The field is quoted as a whole, and quotes in it are doubled (seen with buildx 0.29)."""
    argv = build_command(
        BuildRequest(context="/"), dockerfile="D", secret='/a,b"c/s', engine=CONTAINERD
    )
    assert 'id=auth,"src=/a,b""c/s"' in argv


@pytest.mark.parametrize(
    ("engine", "options", "loaded"),
    [
        (CONTAINERD, {"platforms": ["linux/amd64,linux/arm64"]}, True),
        (CLASSIC, {"platforms": ["linux/arm64"]}, True),
        (CLASSIC, {"platforms": ["linux/arm64", "linux/arm64"]}, True),
        (CONTAINER, {"platforms": ["linux/amd64", "linux/arm64"]}, False),
        (CONTAINER, {"platforms": ["linux/amd64,linux/arm64"]}, False),
        (CONTAINER, {"arguments": ["--platform=linux/amd64,linux/arm64"]}, False),
        (CONTAINER, {"arguments": ["--platform", "linux/386,linux/arm64"]}, False),
        (REMOTE, {}, False),
    ],
)
def test_loads_if_possible(engine: EngineInfo, options: dict[str, Any], loaded: bool) -> None:
    """If the engine cannot load the image, there is a note."""
    assert ("--load" in command(engine, **options)) is loaded
    note = result_note(BuildRequest(context="/src", **options), engine)
    assert (note is None) is loaded


@pytest.mark.parametrize(
    "arguments",
    [
        ["--output", "type=tar,dest=x"],
        ["--output=out"],
        ["-o", "out"],
        ["-oout"],
        ["--push"],
        ["--call=check"],
        ["--check"],
    ],
)
def test_image_with_chosen_output_is_not_loaded(arguments: list[str]) -> None:
    """The user's option is enough."""
    assert command(arguments=arguments) == f"{PREFIX} {shlex.join(arguments)} /src"
    assert result_note(BuildRequest(context="/", arguments=arguments), REMOTE) is None


def test_explicit_load_is_passed_on() -> None:
    """BuildKit decides whether it is possible."""
    assert command(REMOTE, load=True) == f"{PREFIX} --load /src"


def test_pushed_image_is_not_stored() -> None:
    """The engine would have to pull cached layers that nothing needs."""
    assert command(push=True) == f"{PREFIX} --output type=image,push=true,store=false /src"
    for engine in (CLASSIC, CONTAINER, REMOTE):
        assert command(engine, push=True) == f"{PREFIX} --push /src"
    own = ["--output=out"]
    assert command(push=True, arguments=own) == f"{PREFIX} --push --output=out /src"


def test_old_buildx_gets_quiet_option() -> None:
    """It has --quiet instead of --progress=quiet."""
    old = replace(CONTAINERD, buildx=(0, 12, 1))
    assert command(old, progress="quiet") == f"{PREFIX} --load --quiet /src"
    assert command(progress="quiet") == f"{PREFIX} --load --progress quiet /src"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tags": ["a", ""]}, "--tag"),
        ({"platforms": [" "]}, "--platform"),
        ({"target": ""}, "--target"),
        ({"builder": ""}, "--builder"),
        ({"cache_from": [""]}, "--cache-from"),
        ({"cache_to": [""]}, "--cache-to"),
        ({"progress": "fancy"}, "fancy"),
    ],
)
def test_empty_values_are_refused(options: dict[str, Any], named: str) -> None:
    """A variable may be unset; the error names the option."""
    with pytest.raises(DockerCacheError, match=named):
        BuildRequest(context="/src", **options)


@pytest.mark.parametrize(
    ("arguments", "image", "other"),
    [
        (["--target", "pure-1"], "", True),
        (["--target=pure-1"], "", True),
        (["-f", "other.Dockerfile"], "", True),
        (["-f", "more.json"], "api", False),
        (["--set", "api.target=pure-1"], "api", True),
        (["--set", "worker.target=pure-1"], "api", False),
        (["--set=*.dockerfile=other"], "api", True),
        (["--label", "a=b"], "", False),
    ],
)
def test_options_that_build_something_else(
    arguments: list[str], image: str, *, other: bool
) -> None:
    """The summary then says nothing about the planned image, and it is not remembered."""
    request = BuildRequest(context=".", arguments=arguments, image=image)
    assert builds_other(request) is other
    assert builds_other(replace(request, target="base"))
