"""The bake file, its command line, and the exported bake file."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from engine_kinds import CONTAINERD, REMOTE

from poetry_docker_cache.buildx.bake import (
    Target,
    bake_command,
    bake_definition,
    permission_note,
)
from poetry_docker_cache.buildx.command_line import (
    BuildRequest,
    names_context,
    only_prints,
    options_for,
    requested_platforms,
    results,
)
from poetry_docker_cache.caches.spec import parse
from poetry_docker_cache.render.bake_file import BakeTarget, literal, quoted, render_bake_file
from poetry_docker_cache.render.exported_files import is_ours, with_banner

if TYPE_CHECKING:
    from poetry_docker_cache.buildx.engine_info import EngineInfo


def targets(**options: Any) -> dict[str, Target]:  # noqa: ANN401  # a request's fields
    """Make two images with the same options."""
    return {
        name: Target(
            request=BuildRequest(context="/src", tags=[f"shop-{name}:1"], **options),
            dockerfile=f"/w/build/{name}.Dockerfile",
        )
        for name in ("api", "worker")
    }


def command(engine: EngineInfo = CONTAINERD, **options: Any) -> str:  # noqa: ANN401  # as above
    """Return the command line."""
    wanted = targets(**options)
    words = bake_command(wanted, file="/w/b.json", folder="/w", metadata=["--m"], engine=engine)
    return shlex.join(words)


def definition(engine: EngineInfo = CONTAINERD, **options: Any) -> dict[str, Any]:  # noqa: ANN401  # as above
    """Return the definition of one of the images."""
    found = json.loads(bake_definition(targets(**options), secret="/w/auth", engine=engine))
    assert found["target"].keys() == {"api", "worker"}
    return dict(found["target"]["api"])


def test_plain_images_are_loaded() -> None:
    """The file defines the images; only temporary files need `--allow`."""
    assert command() == (
        "docker buildx bake --file /w/b.json --allow fs.read=/w --allow fs.read=/src --m api worker"
    )
    assert definition() == {
        "context": "/src",
        "dockerfile": "/w/build/api.Dockerfile",
        "tags": ["shop-api:1"],
        "secret": ["id=auth,src=/w/auth"],
        "output": ["type=docker"],
    }


def test_options_are_in_order() -> None:
    """Options for all images come first, then the user's arguments, then the names."""
    options: dict[str, Any] = {
        "platforms": ["linux/amd64, linux/arm64", "linux/386"],
        "target": "check",
        "build_arguments": {"VERSION": "1+${x}"},
        "labels": {"b": "${x}", "a": "{}"},
        "cache_from": ["h.io/c", "type=local,src=/c"],
        "cache_to": ["type=local,dest=/d,mode=max"],
        "builder": "big",
        "no_cache": True,
        "pull": True,
        "run_again": ["base", "check"],
        "progress": "plain",
        "push": True,
        "load": True,
        "arguments": ["--set", "*.network=host"],
    }
    assert command(**options) == (
        "docker buildx bake --file /w/b.json --allow fs.read=/w --allow fs.read=/src"
        " --allow fs.read=/c --allow fs=/d --builder big --no-cache --pull --progress plain --m"
        " --set '*.network=host' api worker"
    )
    found = definition(**options)
    assert found["platforms"] == ["linux/amd64", "linux/arm64", "linux/386"]
    assert found["target"] == "check"
    assert found["args"] == {"VERSION": "1+$${x}"}
    assert found["labels"] == {"b": "$${x}", "a": "{}"}
    assert found["cache-from"] == ["h.io/c", "type=local,src=/c"]
    assert found["cache-to"] == ["type=local,dest=/d,mode=max"]
    assert found["no-cache-filter"] == ["base", "check"]
    assert found["output"] == ["type=registry", "type=docker"]


def test_named_contexts_are_in_the_definition() -> None:
    """Folders among them need `--allow`, except for our own; addresses do not."""
    contexts = {"scripts": "/w/scripts", "data": "/data", "base": "docker-image://python:3.13"}
    assert definition(contexts=contexts)["contexts"] == contexts
    allowed = command(contexts=contexts)
    assert "--allow fs.read=/data " in allowed
    assert "scripts" not in allowed
    assert "docker-image" not in allowed
    assert "contexts" not in definition()


@pytest.mark.parametrize(
    ("engine", "options", "output"),
    [
        (CONTAINERD, {"push": True}, ["type=image,push=true,store=false"]),
        (REMOTE, {"push": True}, ["type=registry"]),
        (REMOTE, {}, None),
        (CONTAINERD, {"arguments": ["--print"]}, None),
    ],
)
def test_outputs_are_those_of_a_single_image(
    engine: EngineInfo, options: dict[str, Any], output: list[str] | None
) -> None:
    """Images are loaded and pushed as by `build`."""
    assert definition(engine, **options).get("output") == output


def test_old_buildx_has_no_allow() -> None:
    """The option is new in 0.19."""
    old = replace(CONTAINERD, buildx=(0, 18, 0))
    assert "--allow" not in command(old)


def test_old_buildx_has_no_quiet_bake() -> None:
    """Before 0.13, bake has no such option, and an unknown one is an error."""
    assert " --progress quiet " in command(progress="quiet")
    old = replace(CONTAINERD, buildx=(0, 12, 1))
    assert "quiet" not in command(old, progress="quiet")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--set", "*.args.VERSION=1=2", "--pull"], ("--build-arg=VERSION=1=2", "--pull")),
        (["--set=a*.platform=linux/386"], ("--platform=linux/386",)),
        (["--set", "api.ssh+=default=/key"], ("--ssh=default=/key",)),
        (["--set", "worker.output=type=tar", "--set", "*.network=host"], ("--network=host",)),
        (["--set"], ()),
        (["--allow", "fs.read=/x", "--allow=ssh", "--pull"], ("--pull",)),
        (["--allow", "network.host", "--allow=image=*"], ("--allow=network.host",)),
        (["--allow"], ()),
    ],
)
def test_set_is_spelled_as_option_of_build(arguments: list[str], options: tuple[str, ...]) -> None:
    """`build` has no `--set`."""
    assert options_for(arguments, "api") == options
    assert options_for(arguments, "") == tuple(arguments)


def test_set_is_taken_into_account() -> None:
    """It can choose output, platforms and SSH keys."""
    said = ["--set", "*.output=type=tar", "--set", "*.platform=linux/386,linux/arm64"]
    request = BuildRequest(context="/src", arguments=said, image="api")
    assert results(request, CONTAINERD) == []
    assert requested_platforms(request) == {"linux/386", "linux/arm64"}
    key = ["--set", "*.ssh=default=/home/me/key"]
    assert "--allow fs.read=/home/me/key " in command(arguments=key, image="api")


def test_secrets_of_build_steps_are_variables() -> None:
    """Both tools read them from the environment."""
    both = definition(secrets=["id=A,env=A"])["secret"]
    assert both == ["id=auth,src=/w/auth", "id=A,env=A"]
    target = BakeTarget(
        name="api", context=".", dockerfile="D", repository="shop", secrets=("A", "B")
    )
    always = '["id=A,env=A", "id=B,env=B"]'
    line = (
        f'  secret     = concat(AUTH_FILE == "" ? [] : ["id=auth,src=${{AUTH_FILE}}"], {always})\n'
    )
    assert line in render_bake_file([target], tag="1")


def test_ssh_agent_and_keys_that_the_user_chose_are_allowed() -> None:
    """Bake has no option `--ssh`, and asks before it uses one."""
    assert definition(ssh=["default=/a,/b"])["ssh"] == ["default=/a,/b"]
    said = command(ssh=["default=/a,/b"])
    assert "--allow ssh --allow fs.read=/a --allow fs.read=/b " in said
    assert "--allow ssh " in command(ssh=["default"])


def test_choices_of_the_project_are_not_allowed() -> None:
    """Bake asks for permission, and a note says how to give it without a terminal."""
    chosen: dict[str, Any] = {
        "ssh": ["default"],
        "cache_from": ["type=local,src=/c"],
        "unanswered": ["fs.read=/src", "fs.read=/c", "ssh"],
    }
    assert shlex.split(command(**chosen)).count("--allow") == 1  # our own folder

    def note(*arguments: str, engine: EngineInfo = CONTAINERD, images: int = 2) -> str | None:
        requests = [BuildRequest(context="/src", arguments=arguments, **chosen)] * images
        return permission_note(requests, engine)

    allow = "`-- --allow=fs.read=/src --allow=fs.read=/c --allow=ssh`"
    assert allow in (note() or "")
    assert "`-- --allow=ssh`" in (note("--allow", "fs=*") or "")
    assert note("--allow=fs.read=/", "--allow=ssh") is None
    assert note(images=1) is None
    assert note(engine=replace(CONTAINERD, buildx=(0, 18, 0))) is None


def test_printing_options_build_nothing() -> None:
    """No image is exported or reported."""
    assert only_prints(["--list=targets"])
    assert only_prints(["--check"])
    assert not only_prints(["--progress", "plain"])


@pytest.mark.parametrize(
    ("text", "inside"),
    [("a", "a"), ("$x", "$x"), ("${x}", "$${x}"), ("%{if}", "%%{if}"), ('"\\', '"\\')],
)
def test_text_is_escaped_for_hcl(text: str, inside: str) -> None:
    """Interpolations are doubled."""
    assert literal(text) == inside
    assert quoted(text) == json.dumps(inside)


def test_exported_file() -> None:
    """It names the Dockerfile of each image, and an edit of it is detected."""
    made = [
        BakeTarget(
            name=name, context="..", dockerfile=f"a/{name}.Dockerfile", repository=f"team/{name}"
        )
        for name in ("api", "worker")
    ]
    text = render_bake_file(made, tag="1.0")
    assert 'default = "1.0"' in text
    assert 'targets = ["api", "worker"]' in text
    assert text.count('  tags       = [for tag in split(",", TAG) : "team/worker:${tag}"]\n') == 1
    assert text.count("\ntarget ") == 2
    assert text.count('  context    = ".."\n  dockerfile = "a/api.Dockerfile"\n') == 1
    assert text.count("--allow fs.read=..  ") == 1
    assert "ssh  " not in text
    assert "--allow ssh" not in text
    assert "WRITE_CACHE" not in text
    agent = replace(made[0], ssh=True)
    asks = render_bake_file([agent, made[1]], tag="1.0")
    assert asks.count('  ssh        = ["default"]\n') == 1
    assert "--allow ssh  " in asks
    assert "VERSION" not in text
    from_git = render_bake_file([replace(made[0], version="0.0.0"), made[1]], tag="0.0.0")
    assert 'variable "VERSION" {\n  default = "0.0.0"\n}\n\n# ' in from_git
    assert from_git.count("  args       = { VERSION = VERSION }\n") == 1
    whole = with_banner(text, options=" --bake")
    assert is_ours(whole)
    assert not is_ours(whole.replace("team/api", "team/other"))


@pytest.mark.parametrize(
    ("arguments", "does"),
    [
        ((), False),
        ((".",), True),
        (("--network=host", "."), True),
        (("--network", "host", "."), True),
        (("--output", "."), False),
        (("-o", "."), False),
        (("--build-context=x=.",), False),
    ],
)
def test_context_after_dashes_is_detected(arguments: tuple[str, ...], *, does: bool) -> None:
    """A `.` that is not the value of an option is a build context."""
    assert names_context(arguments) == does


NAMED_FROM = 'concat(CACHE == "" ? [] : ["${CACHE}-api"]'
NAMED_TO = 'CACHE != "" ? [to_registry("${CACHE}-api")]'


def in_file(**fields: Any) -> str:  # noqa: ANN401  # a target's fields
    """Return what the exported file says about one image."""
    target = BakeTarget(
        **{"name": "api", "context": ".", "dockerfile": "D", "repository": "team/api", **fields}
    )
    return render_bake_file([target], tag="1.0")


def test_platforms_in_exported_file() -> None:
    """They come from the settings unless a variable overrides them."""
    own = ("linux/amd64", "linux/arm64")
    line = '  platforms  = compact(split(",", coalesce(PLATFORMS, "%s")))\n'
    assert line % "linux/amd64,linux/arm64" in in_file(platforms=own)
    assert line % "" in in_file()


@pytest.mark.parametrize(
    ("setting", "read", "written"),
    [
        (
            "h.io/team/api:cache",
            '["h.io/team/api:cache"]',
            (
                "type=registry,ref=h.io/team/api:cache,mode=max,ignore-error=true"
                ",oci-mediatypes=true,image-manifest=true"
            ),
        ),
        (
            "./.buildcache",
            '["type=local,src=./.buildcache"]',
            "type=local,dest=./.buildcache,mode=max,ignore-error=true",
        ),
        (
            "type=gha,scope=a,mode=min,timeout=5m",
            '["type=gha,scope=a,timeout=5m"]',
            "type=gha,scope=a,mode=min,timeout=5m,ignore-error=true",
        ),
        ("type=inline", '[for tag in split(",", TAG) : "team/api:${tag}"]', "type=inline"),
    ],
)
def test_cache_in_exported_file(setting: str, read: str, written: str) -> None:
    """The cache is always read, and written on request."""
    text = in_file(cache=parse(setting, "both"))
    assert f"  cache-from = {NAMED_FROM}, {read})\n" in text
    assert f'  cache-to   = {NAMED_TO} : WRITE_CACHE ? ["{written}"] : []\n' in text
    assert 'variable "WRITE_CACHE" {\n  default = false\n}\n' in text
    assert "--allow fs=" not in text


def test_inline_cache_needs_registry() -> None:
    """An image without one was never pushed."""
    text = in_file(cache=parse("type=inline", "both"), repository="api")
    assert f"  cache-from = {NAMED_FROM}, [])\n" in text
    assert 'WRITE_CACHE ? ["type=inline"] : []' in text


def test_cache_from_variable() -> None:
    """The environment can choose a cache for one run."""
    text = in_file()
    assert f"  cache-from = {NAMED_FROM}, [])\n" in text
    assert f"  cache-to   = {NAMED_TO} : []\n" in text
    assert '"type=registry,ref=${image},mode=max,ignore-error=true,oci-mediatypes=true,' in text


@pytest.mark.parametrize(
    ("setting", "option"),
    [
        ("/var/cache/shop", "--allow fs=/var/cache/shop "),
        ("../cache of all", "--allow 'fs=../cache of all' "),
        ("type=local,src=/a,dest=./b", "--allow fs=/a "),
    ],
)
def test_cache_outside_project_needs_allow(setting: str, option: str) -> None:
    """The file names the option to pass to bake."""
    text = in_file(cache=parse(setting, "both"))
    assert f"\n#     {option}  a cache\n" in text
    assert "fs=./b" not in text


def test_folder_name_is_escaped_for_hcl() -> None:
    """Interpolations in it are doubled."""
    assert '["type=local,src=./$${x}"]' in in_file(cache=parse("./${x}", "both"))
