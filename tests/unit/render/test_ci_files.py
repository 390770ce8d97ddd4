"""The rendered pipelines: YAML, shells and expressions read all names correctly."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from ci_files import scripts
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.render.ci_files import (
    CI_KINDS,
    CiImage,
    CiKind,
    CiPlan,
    render_ci,
    selection_options,
    yaml_string,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAN = CiPlan(
    kind="github",
    name="shop",
    image=None,
    sources=(),
    poetry="2.5.1",
    plugin="0.1.0",
    folder=".",
)
ODD = [
    "shop: #1",
    "- 'shop\" & *x",
    "${{ secrets.X }}",
    "a\nb\ttab",
    "ü\x85\u2028\U0001f600\\",
    "!",
]
CHECKED_OUT = "github.ref_type == 'branch' && github.ref_name || ''"


def load(text: str) -> Any:  # noqa: ANN401  # parsed YAML
    """Parse a pipeline."""
    return YAML(typ="safe").load(text)


def image(plan: CiPlan) -> str:
    """Give the line that says what the image is called."""
    return "\n".join(re.findall(r"^ *(IMAGE=.*|: .*IMAGE:\?)", render_ci(plan), re.MULTILINE))


@pytest.mark.parametrize(
    ("name", "folder", "github", "gitlab"),
    [
        (None, ".", "ghcr.io/${GITHUB_REPOSITORY,,}", "$CI_REGISTRY_IMAGE"),
        ("api", ".", "ghcr.io/${GITHUB_REPOSITORY_OWNER,,}/api", "$CI_REGISTRY_IMAGE/api"),
        ("team/api", ".", "team/api", "team/api"),
        ("quay.io/team/api", ".", "quay.io/team/api", "quay.io/team/api"),
        (None, "shop", "ghcr.io/${GITHUB_REPOSITORY,,}/shop", "$CI_REGISTRY_IMAGE/shop"),
    ],
)
def test_name_of_the_image(name: str | None, folder: str, github: str, gitlab: str) -> None:
    """In the CI's own registry, unless `image` has a registry; each project has its own."""
    for kind, expected in (("github", github), ("gitlab", gitlab)):
        plan = replace(PLAN, kind=kind, image=name, folder=folder)  # type: ignore[arg-type]
        assert image(plan) == f"IMAGE={expected}\nIMAGE={expected}", kind


def several(kind: CiKind, common: str | None = None, worker: str | None = None) -> CiPlan:
    """Two images, as the settings give them: `worker` is what its own table says."""
    names = {"api": None, "worker": worker}
    derived = {name: own or (common and f"{common}-{name}") for name, own in names.items()}
    images = [CiImage(name=name, image=derived[name], project=f"shop-{name}") for name in names]
    return replace(PLAN, kind=kind, image=common, images=tuple(images))


def calls(plan: CiPlan) -> list[str]:
    """Give what the images are called where they are built."""
    lines = re.findall(r'^ *build ([a-z]+) "(.*?)"', render_ci(plan), re.MULTILINE)
    assert {name for name, _ in lines} == {"api", "worker"}
    assert plan.kind == "shell" or lines[:2] == lines[2:]
    return [reference for _, reference in lines[:2]]


@pytest.mark.parametrize(
    ("common", "github", "gitlab", "shell"),
    [
        (None, "GH/{}", "GL/{}", "$common-{}"),
        (
            "shop",
            "ghcr.io/${{GITHUB_REPOSITORY_OWNER,,}}/shop-{}",
            "GL/shop-{}",
            "$common-{}",
        ),
        ("h.io/a/shop", "h.io/a/shop-{}", "h.io/a/shop-{}", "$common-{}"),
    ],
)
def test_names_of_several_images(common: str | None, github: str, gitlab: str, shell: str) -> None:
    """Each follows the common one; in the CI's own registry it is below it."""
    short = {"GH": "ghcr.io/${{GITHUB_REPOSITORY,,}}", "GL": "$CI_REGISTRY_IMAGE"}
    for kind, expected in zip(CI_KINDS, (github, gitlab, shell), strict=True):
        text = re.sub("^(GH|GL)(?=/)", lambda match: short[match[0]], expected)
        found = calls(several(kind, common))
        assert found == [text.format(name) for name in ("api", "worker")], kind


def test_image_with_its_own_name() -> None:
    """It is in the same registry, or in the registry in its name."""
    assert (
        calls(several("github", worker="queue"))[1] == "ghcr.io/${GITHUB_REPOSITORY_OWNER,,}/queue"
    )
    assert calls(several("gitlab", worker="queue"))[1] == "$CI_REGISTRY_IMAGE/queue"
    assert calls(several("shell", worker="queue"))[1] == "${common%/*}/queue"
    for kind in CI_KINDS:
        plan = several(kind, "h.io/a/shop", "h.io/b")
        assert calls(plan)[1] == "h.io/b"
        assert "GITHUB_TOKEN" not in render_ci(plan)
    below = replace(several("gitlab"), folder="shop")
    assert calls(below) == ["$CI_REGISTRY_IMAGE/shop-api", "$CI_REGISTRY_IMAGE/shop-worker"]


def test_full_names_need_no_variable() -> None:
    """The shell form does not ask for one."""
    plan = several("shell", worker="h.io/b")
    named = replace(
        plan, images=tuple(replace(each, image=f"h.io/{each.name}") for each in plan.images)
    )
    text = render_ci(named)
    assert not re.search(r"#   IMAGE|IMAGE:\?|common=", text)
    assert calls(named) == ["h.io/api", "h.io/worker"]
    assert 'docker login --username "$REGISTRY_USER" --password-stdin h.io\n' in text


@pytest.mark.parametrize("kind", CI_KINDS)
def test_images_in_several_registries_are_an_error(kind: CiKind) -> None:
    """The pipeline logs in to one."""
    with pytest.raises(
        DockerCacheError, match=r"one registry only, but the images are in: h\.io, quay\.io\."
    ):
        render_ci(several(kind, "h.io/shop", "quay.io/queue"))
    if kind != "shell":
        with pytest.raises(DockerCacheError, match="one registry only"):
            render_ci(several(kind, worker="h.io/queue"))
    else:
        assert calls(several(kind, worker="h.io/queue")) == ["$common-api", "h.io/queue"]


@pytest.mark.parametrize(
    "plan",
    [
        several("gitlab", worker="api"),
        several("shell", "team/shop", "shop-api"),
        several("shell", "docker.io/team/shop", "team/shop-api"),
    ],
)
def test_two_images_with_one_full_name_are_an_error(plan: CiPlan) -> None:
    """Their names differ locally, but not in the registry."""
    with pytest.raises(
        DockerCacheError, match=r"push both images api and worker to \S+api\."
    ) as it:
        render_ci(plan)
    assert "[tool.poetry-docker-cache.images.worker]" in it.value.fix


def test_two_images_with_different_full_names() -> None:
    """They would be equal in another form."""
    for plan in (several("github", worker="api"), several("shell", worker="api")):
        assert len({*calls(plan)}) == 2


@pytest.mark.parametrize("kind", CI_KINDS)
def test_docker_hub_needs_no_registry_name(kind: CiKind) -> None:
    """Its names mean one registry."""
    text = render_ci(several(kind, "team/shop", "docker.io/team/queue"))
    assert "docker.io/team/queue" in text
    assert not re.search(r"registry: .*docker\.io|--password-stdin .*docker\.io", text)


def test_token_is_enough_if_all_images_are_in_ghcr() -> None:
    """It has the same permissions as for one image."""
    one = load(render_ci(PLAN))["jobs"]
    for plan in (several("github"), several("github", "ghcr.io/team/shop", "ghcr.io/queue")):
        for name, job in load(render_ci(plan))["jobs"].items():
            assert job["permissions"] == one[name]["permissions"]
            assert job["steps"][:-1] == one[name]["steps"][:-1]


@pytest.mark.parametrize("name", [*ODD, "a/b", "a:b"])
def test_name_of_the_project_is_made_a_valid_image(name: str) -> None:
    """It becomes part of a script."""
    below = replace(PLAN, name=name, folder="shop")
    assert re.search(r"/[a-z0-9]+(-[a-z0-9]+)*$", image(below))
    assert image(replace(below, image="api")).endswith("/api")
    assert image(replace(below, folder=".")) == image(PLAN)


@pytest.mark.parametrize(
    ("name", "registry", "own"),
    [
        (None, "ghcr.io", True),
        ("ghcr.io/team/api", "ghcr.io", True),
        ("quay.io/team/api", "quay.io", False),
        ("localhost:5000/api", "localhost:5000", False),
        ("team/api", None, False),
    ],
)
def test_login_and_permissions(name: str | None, registry: str | None, own: bool) -> None:
    """GitHub's token writes packages in the job that pushes, and only if needed."""
    document = load(render_ci(replace(PLAN, image=name)))
    assert document["permissions"] == {"contents": "read"}
    for job, access in (("image", "write"), ("pull-request", "read")):
        login = next(
            step for step in document["jobs"][job]["steps"] if "login" in step.get("uses", "")
        )
        assert login["with"].get("registry") == registry
        secret = "GITHUB_TOKEN" if own else "REGISTRY_PASSWORD"
        assert login["with"]["password"] == f"${{{{ secrets.{secret} }}}}"
        expected = {"contents": "read"} | ({"packages": access} if own else {})
        assert document["jobs"][job]["permissions"] == expected


@pytest.mark.parametrize("no_engine", [False, True])
def test_only_the_build_gets_secrets(no_engine: bool) -> None:
    """Steps that install from elsewhere do not."""
    plan = replace(PLAN, sources=("acme", "my.repo", "my-repo"), no_engine=no_engine)
    for job in load(render_ci(plan))["jobs"].values():
        secret = "POETRY_|REGISTRY_|secrets" if no_engine else "POETRY_"
        steps = [step for step in job["steps"] if re.search(secret, str(step))]
        assert steps == job["steps"][-1:]
        env = {name: value for name, value in steps[0]["env"].items() if "POETRY" in name}
        assert list(env) == [
            f"POETRY_HTTP_BASIC_{name}_{what}"
            for name in ("ACME", "MY_REPO")
            for what in ("USERNAME", "PASSWORD")
        ]
        assert all(value == f"${{{{ secrets.{name} }}}}" for name, value in env.items())
    assert 'package source "my.repo" and "my-repo"' in render_ci(plan)


SECRETS = {"NPM_TOKEN": "a front end", "CI_JOB_TOKEN": "npm", "GITHUB_TOKEN": "npm"}


@pytest.mark.parametrize("kind", CI_KINDS)
def test_builds_get_secrets_of_front_ends_and_build_steps(kind: CiKind) -> None:
    """The first lines name those that the CI does not have; one of a source is not repeated."""
    source = "POETRY_HTTP_BASIC_ACME_PASSWORD"
    secrets = {**SECRETS, source: "npm"}
    text = render_ci(replace(PLAN, kind=kind, sources=("acme",), secrets=secrets))
    comments = [line for line in text.splitlines() if line.startswith("#   ")]
    named = [name for name in secrets if any(f" {name}" in line for line in comments)]
    own = {"github": "GITHUB_TOKEN", "gitlab": "CI_JOB_TOKEN", "shell": ""}[kind]
    assert named == [name for name in secrets if name != own]
    assert "".join(comments).count(source) == 1
    if kind == "github":
        for job in load(text)["jobs"].values():
            *others, build = job["steps"]
            assert (
                build["env"].items()
                >= {name: f"${{{{ secrets.{name} }}}}" for name in secrets}.items()
            )
            assert not re.search("|".join(SECRETS.keys() - {"GITHUB_TOKEN"}), str(others))


@pytest.mark.parametrize("name", ["IMAGE", "BRANCH"])
def test_variable_of_the_pipeline_cannot_be_a_secret(name: str) -> None:
    """The script would replace it."""
    with pytest.raises(DockerCacheError, match=f"uses the variable {name} itself"):
        render_ci(replace(PLAN, secrets={name: "a build step"}))


@pytest.mark.parametrize("kind", CI_KINDS)
@pytest.mark.parametrize("odd", ODD)
def test_odd_names_change_nothing_else(kind: CiKind, odd: str) -> None:
    """A project or source of any name: the same pipeline but for that name."""
    plain = render_ci(replace(PLAN, kind=kind, sources=("acme",)))
    text = render_ci(replace(PLAN, kind=kind, name=odd, sources=("acme",)))
    assert [*scripts(text, kind)][1:] == [*scripts(plain, kind)][1:]
    if kind == "github":
        document = load(text)
        assert document["name"] == f"Docker image of {odd}".replace("${{", "$ {{")
        assert {**document, "name": ""} == {**load(plain), "name": ""}
    else:
        assert text == plain
    named = render_ci(replace(PLAN, kind=kind, sources=(odd,)))
    variables = re.findall(r"POETRY_HTTP_BASIC_(\S+)_(?:USERNAME|PASSWORD)", named)
    assert variables
    assert all(re.fullmatch(r"\w+", name, re.ASCII) for name in variables)
    lines = [line for line in named.splitlines() if "package source " in line]
    assert [line for line in lines if not line.startswith("#")] == []
    assert len(named.splitlines()) - len(plain.splitlines()) == 0


@pytest.mark.parametrize("no_engine", [False, True])
@pytest.mark.parametrize("kind", CI_KINDS)
def test_odd_folders_and_groups(kind: CiKind, no_engine: bool) -> None:
    """Both reach the shell as they are."""
    folder = "my $app's: #1 {{ x }}"
    plan = replace(
        PLAN, kind=kind, no_engine=no_engine, folder=folder, selection=("--with=dev,te sts",)
    )
    text = render_ci(plan)
    calls = [
        shlex.split(line, comments=True)
        for script in scripts(text, kind)
        for line in script.replace("\\\n", "").splitlines()
        if "poetry docker build " in line and "--help" not in line
    ]
    assert len(calls) == 2
    assert all("--with=dev,te sts" in call for call in calls)
    if kind == "github":
        assert load(text)["defaults"]["run"]["working-directory"] == folder
    elif kind == "gitlab":
        assert shlex.split(load(text)[".docker"]["before_script"][-1]) == ["cd", folder]
    else:
        line = next(line for line in text.splitlines() if line.startswith("cd "))
        assert shlex.split(line.split(')"')[-1]) == [f"/{folder}"]


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "${{ x }}"])
def test_text_that_a_pipeline_cannot_contain_is_an_error(text: str) -> None:
    """YAML would change it, or GitHub evaluate it."""
    for plan in (replace(PLAN, selection=(f"--with={text}",)), replace(PLAN, folder=text)):
        with pytest.raises(DockerCacheError, match=r"because of (its line break|`)"):
            render_ci(plan)


def test_selection_options() -> None:
    """Repeated as given; others are left out."""
    options: dict[str, Sequence[str] | bool] = {
        "with": ["a", "b"],
        "only": [],
        "all-groups": False,
        "all-extras": True,
    }
    assert selection_options(options) == ("--with=a", "--with=b", "--all-extras")


@given(st.text())
def test_yaml_string_is_read_back(text: str) -> None:
    """On one line, whatever it contains."""
    written = yaml_string(text)
    assert len(written.splitlines()) == 1
    assert load(f"x: {written} # y")["x"] == text


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_actions_and_images_are_pinned(kind: CiKind) -> None:
    """By a commit or a digest, which cannot be moved; a reader sees the version."""
    text = render_ci(replace(PLAN, kind=kind, platforms=("linux/arm64",)))
    actions = re.findall(r"uses: (.*)", text)
    assert {name.split("@")[0] for name in actions} == (
        {
            "actions/checkout",
            "actions/setup-python",
            "docker/login-action",
            "docker/setup-buildx-action",
            "docker/setup-qemu-action",
        }
        if kind == "github"
        else set()
    )
    assert all(re.fullmatch(r"\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+", name) for name in actions)
    images = re.findall(r"(?:^ +image: |- name: (?=docker:)|--rm )(\S+)", text, re.MULTILINE)
    assert len(images) == (2 if kind == "github" else 3)
    assert all(re.fullmatch(r"\S+:\S*\d\.\d\S*@sha256:[0-9a-f]{64}", name) for name in images)


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_other_platforms_are_emulated(kind: CiKind) -> None:
    """The emulator is set up before the builder, and only if needed."""
    plan = replace(PLAN, kind=kind, platforms=("linux/amd64",))
    assert render_ci(plan) == render_ci(replace(PLAN, kind=kind))
    text = render_ci(replace(plan, platforms=("linux/amd64", "linux/arm64")))
    before = "docker/setup-buildx-action" if kind == "github" else "docker login"
    how = "docker/setup-qemu-action@" if kind == "github" else "tonistiigi/binfmt"
    assert 0 < text.index(how) < text.index(before)


def test_scripts_have_no_text_of_an_event() -> None:
    """The name of a branch could contain commands."""
    for script in scripts(render_ci(replace(PLAN, sources=("acme",))), "github"):
        assert "${{" not in script
    assert f"BRANCH: ${{{{ {CHECKED_OUT} }}}}" in render_ci(PLAN)


@pytest.mark.parametrize("kind", CI_KINDS)
def test_pipeline_without_engine_has_no_docker(kind: CiKind) -> None:
    """No action, service, program or privilege for it, even for other platforms."""
    plan = replace(PLAN, kind=kind, platforms=("linux/arm64",), no_engine=True)
    text = render_ci(plan)
    assert re.findall(r"uses: (.*)@", text) == (
        ["actions/checkout", "actions/setup-python"] * 2 if kind == "github" else []
    )
    assert not re.search(r"(?<!poetry )docker (?!image)[a-z-]+ -|dind|binfmt|DOCKER_|buildx", text)
    assert "services" not in text
    assert "--refresh" not in text
    assert "buildcache-$" not in text


@pytest.mark.parametrize(
    ("name", "github", "gitlab", "shell"),
    [
        (None, "ghcr.io", '"$CI_REGISTRY"', '"$registry"'),
        ("ghcr.io/team/api", "ghcr.io", "ghcr.io", '"$registry"'),
        ("localhost:5000/api", "localhost:5000", "localhost:5000", '"$registry"'),
        ("team/api", "docker.io", "docker.io", '"$registry"'),
    ],
)
def test_registry_of_the_login_without_engine(
    name: str | None, github: str, gitlab: str, shell: str
) -> None:
    """It is that of the image; the password is a secret, or GitHub's own token."""
    for kind, expected in zip(CI_KINDS, (github, gitlab, shell), strict=True):
        text = render_ci(replace(PLAN, kind=kind, image=name, no_engine=True))
        found = re.findall(r'"%s"}}}\\n\' (\S+) "\$auth"', text)
        assert {*found} == {expected}, kind
    document = load(render_ci(replace(PLAN, image=name, no_engine=True)))
    secret = "GITHUB_TOKEN" if github == "ghcr.io" else "REGISTRY_PASSWORD"
    for job, access in (("image", "write"), ("pull-request", "read")):
        step = document["jobs"][job]["steps"][-1]
        assert step["env"]["REGISTRY_PASSWORD"] == f"${{{{ secrets.{secret} }}}}"
        assert document["jobs"][job]["permissions"].get("packages") == (
            access if secret == "GITHUB_TOKEN" else None
        )
