"""Dependencies from git repositories, URLs and files: what is planned, and what is rejected."""

from __future__ import annotations

from typing import Any

import pytest
from projects import package

from poetry_docker_cache.buildx import ssh_agent
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.direct_dependencies import plan_direct
from poetry_docker_cache.plan.image_plan import Dependencies, Direct, Layer
from poetry_docker_cache.project.model import Address
from poetry_docker_cache.project.sources import direct_addresses

COMMIT = "0d3b1ce5a1f4b1a1a6f0d4a2d1d9c0b8e7f60912"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
# github.com and [host.test]:2222, hashed by `ssh-keygen -H`.
HASHED = "|1|A0FJibOxneBnKsnZvMx0Wp+yta0=|ysw6sCs4wO7HlKL7nUbH049JmZI="
HASHED_PORT = "|1|FbtXxgDHvCNyN4faCr6e6FKWklU=|Ujs/EGX3hzRnFbeSMVyxdLCfBvc="
CANARY = "s3cr3t-canary"


def git(url: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # values of TOML
    """Make a locked package from a git repository."""
    source = {"type": "git", "url": url, "reference": "main", "resolved_reference": COMMIT, **more}
    return package("acme", files=[], source=source)


def other(kind: str, url: str) -> dict[str, Any]:
    """Make a locked package of another kind of source."""
    return package("acme", source={"type": kind, "url": url})


def test_no_direct_layer_for_indexes_and_folders() -> None:
    """Packages from an index or a folder need no layer of this kind."""
    packages = [package("a"), other("legacy", "https://x.test"), other("directory", "a")]
    assert plan_direct(packages, ()) is None
    assert direct_addresses(packages) == ()


def test_direct_layer_lists_files_and_addresses() -> None:
    """Files are relative to the project; an address may need a login."""
    packages = [
        other("file", "vendor/../libs/b-1.0.tar.gz"),
        other("file", "./a b/a-1.0-py3-none-any.whl"),
        other("file", "..wheels/c-1.0.tar.gz"),
        other("file", "libs/../../wheels/d-1.0.zip"),
        other("url", "HTTPS://files.test/a.whl"),
        git("https://git.test/a.git", subdirectory="a"),
        git("https://git.test/a.git", subdirectory="b"),
    ]
    found = plan_direct(packages, (f"host.test {KEY}",))
    names = ("..wheels/c-1.0.tar.gz", "a b/a-1.0-py3-none-any.whl", "libs/b-1.0.tar.gz")
    files = ("../wheels/d-1.0.zip", *names)
    assert found == Direct(files=files, ssh=(), known_hosts=())
    assert direct_addresses(packages) == (
        Address("HTTPS://files.test/a.whl", is_git=False),
        Address("https://git.test/a.git", is_git=True),
    )


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("git@host.test:team/a.git", f"host.test {KEY}"),
        ("host.test:a.git", f"other.test,host.test {KEY}"),
        ("ssh://git@host.test/a.git", f"@cert-authority host.test {KEY}"),
        ("ssh://host.test:2222/~/a.git", f"[host.test]:2222,[10.0.0.1]:2222 {KEY} me@home"),
        ("ssh://git@host.test:22/a.git", f"host.test {KEY}"),
        ("ssh://git@host.test:2222/a.git", f"host.test {KEY}"),
        ("git@Host.Test:a.git", f"HOST.test {KEY}"),
        ("ssh://git@host.test:2222/a.git", f"{HASHED_PORT} {KEY}"),
        ("git@github.com:a.git", f"{HASHED} {KEY}"),
        ("git@host.test:a.git", f"!other.test,*.tes? {KEY}"),
        ("ssh://git@host.test:2222/a.git", f"[*.test]:2222 {KEY}"),
    ],
)
def test_ssh_host_in_known_hosts_is_accepted(url: str, known: str) -> None:
    """A hash or a wildcard may match it, too, by the rules of ssh."""
    found = plan_direct([git(url)], (f"elsewhere.test {KEY}", known))
    assert found is not None
    assert found.ssh == ("acme",)
    assert found.known_hosts == (f"elsewhere.test {KEY}", known)
    assert direct_addresses([git(url)]) == ()


@pytest.mark.parametrize(
    ("url", "scan"),
    [
        ("git@host.test:team/a.git", "`ssh-keyscan host.test`"),
        ("ssh://git@host.test:2222/a.git", "`ssh-keyscan -p 2222 host.test`"),
    ],
)
@pytest.mark.parametrize(
    "known",
    [
        "",
        f"host.test:2222,test {KEY}",
        f"[*.host.test]:2222,host?test.test {KEY}",
        f"!host.test,*.test,[!h*]:2222 {KEY}",
        f"|1|c2FsdA==|aGFzaA== {KEY}",
        f"|1|x|y {KEY}",
        f"{HASHED} {KEY}",
        f"@revoked host.test {KEY}",
    ],
)
def test_rejects_ssh_host_with_unknown_key(url: str, scan: str, known: str) -> None:
    """The error comes before the build, with the command that prints the key."""
    with pytest.raises(DockerCacheError, match="the host key is not known") as raised:
        plan_direct([git(url)], (known,) if known else ())
    assert scan in raised.value.fix
    assert "ssh-known-hosts = [" in raised.value.fix


@pytest.mark.parametrize(
    "url",
    [
        f"https://ada:{CANARY}@host.test/a.git",
        f"https://{CANARY}@host.test/a.git",
        f"http://:{CANARY}@host.test:8080/a.git",
        f"https://ada:x/{CANARY}@host.test/a.git",
        f"HTTPS://ada:{CANARY}@host.test",
        f"ssh://git:{CANARY}@host.test/a.git",
    ],
)
@pytest.mark.parametrize("kind", ["git", "url"])
def test_rejects_credentials_in_url(url: str, kind: str) -> None:
    """The message does not show them; its fix has the URL without them."""
    locked = git(url) if kind == "git" else other(kind, url)
    with pytest.raises(
        DockerCacheError, match=r"The URL of the (git|URL) dependency acme"
    ) as raised:
        plan_direct([locked], (f"host.test {KEY}",))
    assert CANARY not in str(raised.value)
    shown = "https://HOST/PATH" if "x/" in url else url.split("@")[1].partition("/")[0]
    assert shown in raised.value.fix
    assert "poetry config http-basic.NAME USERNAME" in raised.value.fix


@pytest.mark.parametrize(
    "query",
    [
        f"sig={CANARY}",
        f"sv=2024-01-01&Signature={CANARY}",
        f"private_token={CANARY}",
        f"a=1;accessToken={CANARY}",
        f"%74oken={CANARY}#egg=a",
        f"api_key={CANARY}",
        f"client-secret={CANARY}",
        f"password={CANARY}",
        f"X-Amz-Credential={CANARY}",
        f"X-Goog-Signature={CANARY}",
    ],
)
@pytest.mark.parametrize("user", ["", "ada:pw@"])
@pytest.mark.parametrize("kind", ["git", "url"])
def test_rejects_token_in_query_of_url(query: str, user: str, kind: str) -> None:
    """The message does not show it; its fix has the URL without it."""
    url = f"https://{user}host.test/a.git?{query}"
    locked = git(url) if kind == "git" else other(kind, url)
    with pytest.raises(
        DockerCacheError, match=r"The URL of the (git|URL) dependency acme"
    ) as raised:
        plan_direct([locked], ())
    assert CANARY not in str(raised.value)
    assert "to\n\n    https://host.test/a.git\n" in raised.value.fix


@pytest.mark.parametrize("query", ["", "?", "?raw=1", "?design=a&keys_of=b", "#token=a"])
def test_accepts_query_without_token(query: str) -> None:
    """Any other query is part of the address."""
    assert plan_direct([other("url", f"https://host.test/a.whl{query}")], ())


@pytest.mark.parametrize(
    ("locked", "words"),
    [
        (
            other("file", "/srv/a.whl"),
            "a file dependency with an absolute path (/srv/a.whl)",
        ),
        (other("file", "C:/a.whl"), "which does not exist in the build"),
        (other("url", "file:///srv/a.whl"), "acme is a URL dependency (file:///srv/a.whl) that"),
        (other("url", "git@host.test:a"), "that the build cannot reach"),
        (git("../a"), "acme is a git dependency (../a) that the build cannot reach"),
        (git("file:///srv/a"), "that the build cannot reach"),
        (git("git://host.test/a"), "that the build cannot reach"),
        (
            git("https://git.test/a", resolved_reference="main"),
            "the commit of the git dependency acme",
        ),
        (other("git", "https://git.test/a"), "the commit of the git dependency acme"),
    ],
)
def test_rejects_dependency_that_no_build_can_reach(locked: dict[str, Any], words: str) -> None:
    """The error names the package and says what to do."""
    with pytest.raises(DockerCacheError) as raised:
        plan_direct([locked], (f"host.test {KEY}",))
    assert words in raised.value.problem
    assert raised.value.fix


def direct_dependencies(*, agent: bool) -> Dependencies:
    """Make dependencies with a direct layer, which may need an SSH agent."""
    direct = Direct(files=(), ssh=("acme",) * agent, known_hosts=())
    layer = Layer(
        name="direct",
        from_source=True,
        may_have_libraries=True,
        direct=direct,
    )
    return Dependencies(
        layers=(layer,),
        compile=False,
        libc=None,
        machines=(),
        index=None,
        groups=(),
        extras=(),
        no_binary=(),
        only_binary=(),
        poetry="2.5.1",
        environment={},
        build_config_settings=None,
        build_image="python:3.13",
        packages=(),
        instructions=(),
    )


@pytest.mark.parametrize(
    ("choice", "values"),
    [
        ({"setting": True}, ("default",)),
        ({"setting": True, "needed": False}, ()),
        ({"needed": False}, ()),
        ({"typed": ("default=/key",), "setting": True}, ("default=/key",)),
        ({"typed": ("mine=/agent",), "needed": False}, ("mine=/agent",)),
        ({"arguments": ["--ssh", "default=/key"], "setting": True}, ()),
        ({"arguments": ["--ssh=default"]}, ()),
        ({"vendored": True}, ()),
    ],
)
def test_ssh_agent_is_offered_if_allowed(choice: dict[str, Any], values: tuple[str, ...]) -> None:
    """The setting offers it where a package needs it; `--ssh` options of the user come first."""
    choice = {"setting": False, "typed": (), "arguments": ["--network=host"], **choice}
    dependencies = direct_dependencies(agent=choice.pop("needed", True))
    assert ssh_agent.agents(dependencies, **choice) == values


def test_ssh_agent_is_not_offered_without_permission() -> None:
    """The error names the package, the option and the setting."""
    with pytest.raises(DockerCacheError, match=r"^acme in poetry\.lock is cloned") as raised:
        ssh_agent.agents(direct_dependencies(agent=True), setting=False, typed=(), arguments=())
    assert "`--ssh default`" in raised.value.fix
    assert "`ssh = true`" in raised.value.fix


def test_rejects_missing_ssh_agent() -> None:
    """The error comes before the build, with the commands to type."""
    ssh_agent.refuse_without_agent(["default"], {"SSH_AUTH_SOCK": "/run/agent"})
    ssh_agent.refuse_without_agent(["default=/key"], {})
    without: list[dict[str, str]] = [{}, {"SSH_AUTH_SOCK": ""}]
    for environment in without:
        with pytest.raises(DockerCacheError, match="none is running") as raised:
            ssh_agent.refuse_without_agent(["default"], environment)
        assert "ssh-add" in raised.value.fix
        assert "`--ssh default=PATH`" in raised.value.fix
