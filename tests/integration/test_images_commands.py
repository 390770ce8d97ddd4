"""Several images of one project: what the commands write, run and refuse, without an engine."""

from __future__ import annotations

import itertools
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from command_line import ERROR, Client, poetry, snapshot
from projects import make_project, package

from poetry_docker_cache.system.compat import tomllib

PYPROJECT = """\
[project]
name = "shop"
version = "1.2.3"
requires-python = ">=3.12,<3.13"
dependencies = ["rich>=1"]
[dependency-groups]
queue = ["celery>=1"]
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
[tool.poetry-docker-cache]
command = ["shop"]
"""
IMAGES = """\
[tool.poetry-docker-cache.images.api]
ports = [8000]
[tool.poetry-docker-cache.images.worker]
groups = ["main", "queue"]
image = "team/queue"
"""
EXPORT, BUILD, LAYERS = ("docker", "export"), ("docker", "build"), ("docker", "layers")
WRITTEN = {f"{name}.Dockerfile{end}" for name in ("api", "worker") for end in ("", ".dockerignore")}


FROM_GIT = """
[tool.poetry]
version = "0.0.0"
[tool.poetry-dynamic-versioning]
enable = true
[build-system]
requires = ["poetry-core", "poetry-dynamic-versioning"]
build-backend = "poetry_dynamic_versioning.backend"
"""


def make(folder: Path, images: str = IMAGES, *, from_git: bool = False) -> Path:
    """Write the shop, whose worker has a package of its own."""
    packages = [package("celery", groups=["queue"]), package("rich")]
    text = PYPROJECT + images
    if from_git:
        text = text.replace('version = "1.2.3"', 'dynamic = ["version"]')
        head, _, tail = text.partition("[build-system]")
        text = f"{head}{FROM_GIT}{tail[tail.index('[tool') :]}"
    make_project(folder, text, packages)
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    return folder


def targets(client: Client) -> dict[str, Any]:
    """What the file said that bake has read."""
    found = json.loads((client.folder / "build" / "docker-bake.json").read_text())
    return dict(found["target"])


def given(argv: list[str], option: str) -> list[str]:
    """Give the values of an option in a command line."""
    return [value for name, value in itertools.pairwise(argv) if name == option]


def temporary(client: Client) -> Path:
    """The folder that the build has made for its files."""
    return Path(given(client.argv, "--allow")[0].removeprefix("fs.read="))


def test_all_images_are_one_call(tmp_path: Path, client: Client) -> None:
    """Each has its Dockerfile, name and ignore file; the secret is a file, gone afterwards."""
    shop = make(tmp_path / "shop")
    before = snapshot(shop)
    outcome = poetry(shop, *BUILD, "--no-cache", "--", "--set", "*.labels.a=b")
    assert outcome.status == 0, outcome.err
    assert snapshot(shop) == before
    assert client.argv[:2] == ["buildx", "bake"]
    assert client.argv[-4:] == ["--set", "*.labels.a=b", "api", "worker"]
    assert "--no-cache" in client.argv
    found = targets(client)
    assert [it["tags"] for it in found.values()] == [["shop-api:1.2.3"], ["team/queue:1.2.3"]]
    assert {it["context"] for it in found.values()} == {str(shop)}
    (secret,) = {words for it in found.values() for words in it["secret"]}
    path = secret.removeprefix("id=auth,src=")
    assert not temporary(client).exists()
    assert path == f"{temporary(client)}/secret/auth.toml"
    assert "EXPOSE 8000" in (client.folder / "build" / "api.Dockerfile").read_text()
    assert "EXPOSE" not in (client.folder / "build" / "worker.Dockerfile").read_text()
    ignore = (client.folder / "build" / "api.Dockerfile.dockerignore").read_text()
    assert {"worker.Dockerfile", "docker-bake.hcl"} <= {*ignore.splitlines()}


def test_one_of_them_is_a_build_as_ever(tmp_path: Path, client: Client) -> None:
    """With one name, everything is as for a project of one image, its layers aside."""
    shop = make(tmp_path / "shop")
    assert poetry(shop, *BUILD, "worker").status == 0
    assert client.argv[:2] == ["buildx", "build"]
    assert given(client.argv, "--tag") == ["team/queue:1.2.3"]
    dockerfile = client.kept("Dockerfile")
    assert "\nFROM venv AS dependencies.worker\n" in dockerfile
    assert "\nFROM venv AS dependencies\n" in dockerfile
    assert poetry(shop, *BUILD, "worker", "-t", "mine:1").status == 0
    assert given(client.argv, "--tag") == ["mine:1"]


@pytest.mark.parametrize("names", [("worker", "api"), ("api", "worker", "api")])
def test_those_that_are_named(names: tuple[str, ...], tmp_path: Path, client: Client) -> None:
    """They are built once each, whatever else there is."""
    shop = make(tmp_path / "shop", f"{IMAGES}[tool.poetry-docker-cache.images.other]\n")
    assert poetry(shop, *BUILD, *names).status == 0
    assert sorted(targets(client)) == ["api", "worker"]


def test_each_has_its_cache(tmp_path: Path, client: Client) -> None:
    """In one place the second would replace the first; an image's own setting is what it says."""
    client.answer(containerd=True)
    images = f'{IMAGES}cache = "h.io/queue:mine"\n'
    shop = make(tmp_path / "shop", images)
    cache = ("--cache", "h.io/shop:cache", "--cache-from", "h.io/shop")
    outcome = poetry(shop, *BUILD, *cache)
    assert outcome.status == 0, outcome.err
    api, worker = targets(client).values()
    assert api["cache-from"] == ["h.io/shop:cache-api", "h.io/shop:api"]
    assert worker["cache-from"] == ["h.io/shop:cache-worker", "h.io/shop:worker", "h.io/queue:mine"]
    assert [it["cache-to"][0].split(",")[:2] for it in (api, worker)] == [
        ["type=registry", "ref=h.io/shop:cache-api"],
        ["type=registry", "ref=h.io/shop:cache-worker"],
    ]
    assert "h.io/shop:cache-api, all stages" in outcome.err
    own = ("--cache-from", "h.io/queue:mine", "--cache-from", "team/queue:main")
    assert poetry(shop, *BUILD, "worker", *own).status == 0
    assert given(client.argv, "--cache-from") == ["h.io/queue:mine", "team/queue:main"]


def test_a_dry_run_shows_it_all(tmp_path: Path, client: Client) -> None:
    """The command is on stdout, what bake would read on stderr; nothing is run."""
    shop = make(tmp_path / "shop")
    outcome = poetry(shop, *BUILD, "--dry-run", "--push")
    assert outcome.status == 0, outcome.err
    words = shlex.split(outcome.out)
    assert words[:5] == ["docker", "buildx", "bake", "--file", "<folder>/build/docker-bake.json"]
    assert words[-2:] == ["api", "worker"]
    start = outcome.err.index("{")
    definition = json.loads(outcome.err[start : outcome.err.rindex("}") + 1])
    assert definition["target"]["api"]["dockerfile"] == "<folder>/build/api.Dockerfile"
    assert definition["target"]["api"]["output"] == ["type=registry"]
    assert not (client.folder / "argv").exists()


def test_what_is_set_behind_the_dashes_counts(tmp_path: Path, client: Client) -> None:
    """As the option does in a build of one image: nothing of ours stands against it."""
    images = IMAGES.replace("[tool", 'platforms = ["linux/amd64", "linux/arm64"]\n[tool', 1)
    shop = make(tmp_path / "shop", images)
    said = ("--set", "api.platform=linux/386", "--set", "worker.output=type=tar,dest=x")
    assert poetry(shop, *BUILD, "--push", "--", *said).status == 0
    api, worker = targets(client).values()
    assert "platforms" not in api
    assert worker["platforms"] == ["linux/amd64", "linux/arm64"]
    assert poetry(shop, *BUILD, "--", *said).status == 0
    api, worker = targets(client).values()
    assert api["output"] == ["type=docker"]
    assert "output" not in worker


def test_options_are_those_of_all_images(tmp_path: Path, client: Client) -> None:
    """What names no image holds for each; a tag alone is one of its own name."""
    shop = make(tmp_path / "shop")
    options = ("--platform=linux/amd64,linux/arm64", "--target=check", "--pull", "--push")
    outcome = poetry(shop, *BUILD, *options, "-t", ":main", "-t", ":latest", "-q")
    assert outcome.status == 0, outcome.err
    assert {"--pull", "--progress"} <= {*client.argv}
    assert given(client.argv, "--progress") == ["quiet"]
    found = targets(client)
    assert [it["tags"] for it in found.values()] == [
        ["shop-api:main", "shop-api:latest"],
        ["team/queue:main", "team/queue:latest"],
    ]
    for it in found.values():
        assert it["platforms"] == ["linux/amd64", "linux/arm64"]
        assert (it["target"], it["output"]) == ("check", ["type=registry"])
    assert poetry(shop, *BUILD, "worker", "-t", ":main", "-t", "mine").status == 0
    assert given(client.argv, "--tag") == ["team/queue:main", "mine"]


def test_each_image_carries_its_cache(tmp_path: Path, client: Client) -> None:
    """In the classic store, which exports no other: each is pushed under the name of its cache."""
    shop = make(tmp_path / "shop")
    outcome = poetry(shop, *BUILD, "--push", "--cache", "h.io/team/shop:cache")
    assert outcome.status == 0, outcome.err
    assert [it["cache-to"] for it in targets(client).values()] == [["type=inline"]] * 2
    assert (client.folder / "besides").read_text().splitlines() == [
        "tag shop-api:1.2.3 h.io/team/shop:cache-api",
        "push h.io/team/shop:cache-api",
        "tag team/queue:1.2.3 h.io/team/shop:cache-worker",
        "push h.io/team/shop:cache-worker",
    ]


def test_a_folder_for_each_cache(tmp_path: Path, client: Client) -> None:
    """No image's build sees that of another one, and bake has leave to write there."""
    client.answer(containerd=True)
    shop = make(tmp_path / "shop")
    outcome = poetry(shop, *BUILD, "--cache", "./.cache")
    assert outcome.status == 0, outcome.err
    written = [it["cache-to"][0] for it in targets(client).values()]
    places = [words.partition("dest=")[2].partition(",")[0] for words in written]
    assert len({*places}) == 2
    assert {f"fs={place}" for place in places} <= {*given(client.argv, "--allow")}
    ignore = (client.folder / "build" / "api.Dockerfile.dockerignore").read_text().splitlines()
    assert {".cache-api", ".cache-worker"} <= {line.strip("/") for line in ignore}


GIT = {"type": "git", "url": "ssh://git@git.example.com/a.git", "reference": "main"}


def test_the_agent_is_for_those_that_need_it(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bake asks for leave to pass it on, or to read a key that is set; without, it is an error."""
    known = 'ssh-known-hosts = ["git.example.com ssh-ed25519 AAAA"]\n'
    packages = [
        package("celery", groups=["queue"], source={**GIT, "resolved_reference": "a" * 40}),
        package("rich"),
    ]
    shop = make_project(tmp_path / "shop", f"{PYPROJECT}{known}{IMAGES}", packages)
    (shop / "shop").mkdir()
    (shop / "shop" / "__init__.py").touch()
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    outcome = poetry(shop, *BUILD)
    assert outcome.status == 1
    assert "`-- --set '*.ssh=default=PATH'`" in outcome.err
    assert poetry(shop, *BUILD, "--", "--set", "worker.ssh=default=/key").status == 0
    assert "fs.read=/key" in given(client.argv, "--allow")
    assert [it.get("ssh") for it in targets(client).values()] == [None, None]
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    assert poetry(shop, *BUILD).status == 0
    assert "ssh" in given(client.argv, "--allow")
    assert [it.get("ssh") for it in targets(client).values()] == [None, ["default"]]


def test_with_a_vendored_file(tmp_path: Path, client: Client) -> None:
    """One of them is built by what its export has left, under its own name."""
    shop = make(tmp_path / "shop")
    assert poetry(shop, *EXPORT).status == 0
    outcome = poetry(shop, *BUILD, "worker", "--file", "worker.Dockerfile")
    assert outcome.status == 0, outcome.err
    assert given(client.argv, "--file") == ["worker.Dockerfile"]
    assert given(client.argv, "--tag") == ["team/queue:1.2.3"]


def test_names_of_any_form(tmp_path: Path, client: Client) -> None:
    """Digits and underscores are names of stages, files and tags as well as letters are."""
    images = "".join(
        f'[tool.poetry-docker-cache.images.{name}]\ngroups = ["main", "queue"]\n'
        for name in ("0", "a-b_c")
    )
    shop = make(tmp_path / "shop", f"{images}[tool.poetry-docker-cache.images.web]\n")
    client.answer(containerd=True)
    assert poetry(shop, *BUILD, "--cache", "h.io/shop:cache").status == 0
    found = targets(client)
    assert [*found] == ["0", "a-b_c", "web"]
    assert found["0"]["tags"] == ["shop-0:1.2.3"]
    assert found["a-b_c"]["tags"] == ["shop-a-b-c:1.2.3"]
    assert found["a-b_c"]["cache-from"] == ["h.io/shop:cache-a-b_c"]
    text = (client.folder / "build" / "0.Dockerfile").read_text()
    assert "\nFROM venv AS dependencies.0.a-b_c\n" in text


def test_the_status_is_that_of_bake(tmp_path: Path, client: Client) -> None:
    """A failure is BuildKit's, and leaves nothing."""
    client.answer(status=17)
    assert poetry(make(tmp_path / "shop"), *BUILD).status == 17
    assert not temporary(client).exists()


def test_the_summary_is_of_each_image(tmp_path: Path, client: Client) -> None:
    """The file for machines has what buildx tells and what we do, by the names of the images."""
    digests = {"api": f"sha256:{'a' * 64}", "worker": f"sha256:{'b' * 64}"}
    client.remember({name: {"containerimage.digest": digest} for name, digest in digests.items()})
    shop, file = make(tmp_path / "shop"), tmp_path / "metadata.json"
    outcome = poetry(shop, *BUILD, f"--metadata-file={file}")
    assert outcome.status == 0, outcome.err
    told = json.loads(file.read_text())
    assert {name: it["containerimage.digest"] for name, it in told.items()} == digests
    assert {name: it["poetry-docker-cache"]["tags"] for name, it in told.items()} == {
        "api": ["shop-api:1.2.3"],
        "worker": ["team/queue:1.2.3"],
    }
    for name, digest in digests.items():
        assert digest in outcome.err.partition(f"\n{name}\n")[2]


def test_export_writes_a_dockerfile_for_each(tmp_path: Path) -> None:
    """Also the file for bake, if asked for; `--check` looks at all of them."""
    shop = make(tmp_path / "shop")
    before = {path.name for path in shop.iterdir()}
    assert poetry(shop, *EXPORT, "api").out == (
        "Wrote api.Dockerfile and api.Dockerfile.dockerignore.\n"
    )
    outcome = poetry(shop, *EXPORT, "--bake")
    assert outcome.status == 0, outcome.err
    assert outcome.out.endswith(" and docker-bake.hcl.\n")
    assert {path.name for path in shop.iterdir()} - before == {*WRITTEN, "docker-bake.hcl"}
    for check in (("--check",), ("--check", "--bake"), ("--check", "worker")):
        assert poetry(shop, *EXPORT, *check).status == 0
    with (shop / "docker-bake.hcl").open("a") as file:
        file.write("# mine\n")
    assert poetry(shop, *EXPORT, "--check").status == 0
    outcome = poetry(shop, *EXPORT, "--check", "--bake")
    assert outcome.status == 1
    assert "`poetry docker export --bake --force`" in outcome.err
    before_all = snapshot(shop)
    outcome = poetry(shop, *EXPORT, "--bake")
    assert outcome.status == 1
    assert "docker-bake.hcl exists, and `poetry docker export` did not write it" in outcome.err
    assert "Pass `--force` to replace it.\n" in outcome.err
    assert snapshot(shop) == before_all


def test_a_file_by_hand_is_of_an_image(tmp_path: Path) -> None:
    """What can be done instead is told with the image's name: all of them have no `-o`."""
    shop = make(tmp_path / "shop")
    (shop / "api.Dockerfile").write_text("FROM scratch\n")
    said = " ".join(poetry(shop, *EXPORT).err.split())
    assert "`poetry docker export api -o PATH` to write elsewhere" in said
    assert "`poetry docker build api --file api.Dockerfile`" in said


def test_the_file_for_bake_knows_what_git_says(tmp_path: Path) -> None:
    """It has a variable for it, as `build` passes it on."""
    shop = make(tmp_path / "shop", from_git=True)
    assert poetry(shop, *EXPORT, "--bake").status == 0
    assert (shop / "docker-bake.hcl").read_text().count("args       = { VERSION = VERSION }") == 2


CACHED = """\
platforms = ["linux/amd64", "linux/arm64"]
cache = "%s"
[tool.poetry-docker-cache.images.api]
platforms = ["linux/arm64"]
[tool.poetry-docker-cache.images.worker]
cache = "h.io/queue:cache"
"""


def test_the_file_for_bake_has_the_settings(tmp_path: Path) -> None:
    """Each image has its platforms and its cache, which no build of any image gets to see."""
    shop = make(tmp_path / "shop", CACHED % "./kept")
    assert poetry(shop, *EXPORT, "--bake").status == 0
    api, worker = (shop / "docker-bake.hcl").read_text().split("\ntarget ")[1:]
    assert 'coalesce(PLATFORMS, "linux/arm64")' in api
    assert ', ["type=local,src=./kept-api"])\n' in api
    assert 'coalesce(PLATFORMS, "linux/amd64,linux/arm64")' in worker
    assert ', ["h.io/queue:cache"])\n' in worker
    for name in ("api", "worker"):
        assert "\nkept-api\n" in (shop / f"{name}.Dockerfile.dockerignore").read_text()


def test_the_file_for_bake_knows_no_home(tmp_path: Path) -> None:
    """A cache below `~` is left out, and so it is said."""
    shop = make(tmp_path / "shop", CACHED % "~/kept")
    outcome = poetry(shop, *EXPORT, "--bake")
    assert outcome.status == 0
    assert "docker-bake.hcl has no cache for api: bake cannot resolve" in outcome.err
    text = (shop / "docker-bake.hcl").read_text()
    assert "~" not in text
    assert text.count('-api"], [])\n') == 1
    assert "docker-bake.hcl" not in poetry(shop, *EXPORT).err


def test_the_file_for_bake_names_no_cache_as_the_image(tmp_path: Path) -> None:
    """The one would take the place of the other."""
    images = IMAGES.replace('"team/queue"', '"team/queue"\ncache = "team/queue:1.2.3"')
    shop = make(tmp_path / "shop", images)
    outcome = poetry(shop, *EXPORT, "--bake")
    assert outcome.status == 1
    assert "has the same name as the image team/queue:1.2.3" in " ".join(outcome.err.split())
    assert not (shop / "docker-bake.hcl").exists()


def test_export_of_one_goes_where_it_is_asked_to(tmp_path: Path) -> None:
    """With one name, `-o` is as ever."""
    shop = make(tmp_path / "shop")
    assert poetry(shop, *EXPORT, "worker", "-o", "Dockerfile").status == 0
    assert "dependencies.worker" in (shop / "Dockerfile").read_text()
    assert poetry(shop, *EXPORT, "worker", "-o", "-").out == (shop / "Dockerfile").read_text()


MISTAKES = {
    (*BUILD, "wroker"): ("no image 'wroker'", "Did you mean worker?"),
    (*BUILD, "-t", "a:1"): ("-t names one image", "poetry docker build api -t"),
    (*BUILD, "--file", "pyproject.toml"): ("--file is the Dockerfile of one", "--bake"),
    (*BUILD, "--", "--build-arg=A=1"): ("bake`, which has no --build-arg", "--set '*.args.NAME="),
    (*BUILD, "--", "--ssh", "default"): ("bake`, which has no --ssh", "build api -- --ssh …`"),
    (*BUILD, "--progress", "loud"): ("--progress 'loud' is not", "auto, plain, tty"),
    (*EXPORT, "wroker"): ("no image 'wroker'", "The project's images: api, worker."),
    (*EXPORT, "-o", "x"): ("`-o` is the path of one Dockerfile", "export api -o x"),
    (*EXPORT, "-o", "-"): ("`-o` is the path of one Dockerfile", "export api -o -"),
    (*EXPORT, "api", "--bake"): ("--bake writes a file for all images", "Leave the names out"),
    (*EXPORT, "api", "--ci", "github"): ("cannot be combined with image names", "Leave"),
    (*EXPORT, "--ci", "gitlab"): ("in several registries", "an `image` of the same one"),
    (*EXPORT, "--ci", "github", "--bake"): ("cannot be combined with --bake", "Leave"),
    (*LAYERS, "wroker"): ("no image 'wroker'", "Did you mean worker?"),
    (*LAYERS, "--image", "x:1"): ("--image is one image", "poetry docker layers api --image"),
    (*LAYERS, "api", "--image", "x:1"): ("cannot be read from the image x:1", "another one"),
}


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("command", MISTAKES, ids=" ".join)
def test_a_mistake_is_one_error(command: tuple[str, ...], tmp_path: Path) -> None:
    """Status 1, what is wrong and what to type, and no file touched."""
    shop = make(tmp_path / "shop")
    before = snapshot(shop)
    outcome = poetry(shop, *command, colours=True)
    assert snapshot(shop) == before
    assert (outcome.status, outcome.out, outcome.err.count(ERROR)) == (1, "", 1)
    says, fix = MISTAKES[command]
    assert says in outcome.err
    assert fix in outcome.err


LIGHT = {f"light_{number}": 10_000 * number for number in range(1, 13)}
QUEUE = {f"queue_{number}": 20_000 * number for number in range(1, 7)}
HEAVY, BROKER = {"heavy": 20_000_000}, {"broker": 9_000_000}


def make_large(folder: Path, client: Client, images: str = "") -> Path:
    """Write a shop of many packages, which is not split; its images were built."""
    main, queue = {**HEAVY, **LIGHT}, {**BROKER, **QUEUE}
    names = {it: it.replace("_", "-") for it in (*main, *queue)}
    text = f"{PYPROJECT}layers = 1\n{IMAGES}{images}"
    text = text.replace('["rich>=1"]', json.dumps([names[it] for it in main]))
    text = text.replace('["celery>=1"]', json.dumps([names[it] for it in queue]))
    packages = [package(names[it]) for it in main]
    packages += [package(names[it], groups=["queue"]) for it in queue]
    make_project(folder, text, packages)
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    for name in ("shop-api", "shop-tidy"):
        client.holds(f"{name}:1.2.3", **main)
    client.holds("team/queue:1.2.3", **main, **queue)
    return folder


def shown(shop: Path, *options: str) -> Any:  # noqa: ANN401  # JSON
    """What `layers --json` prints."""
    outcome = poetry(shop, *LAYERS, "--from", "image", "--json", *options)
    assert outcome.status == 0, outcome.err
    return json.loads(outcome.out)


def test_layers_of_all_images(tmp_path: Path, client: Client) -> None:
    """Each package is there once, with its size from an image that has it, and its real layer."""
    shop = make_large(tmp_path / "shop", client)
    (both,) = shown(shop)
    assert both["images"] == ["api", "worker"]
    sizes = {it["name"].replace("-", "_"): it["bytes"] for it in both["packages"]}
    assert sizes == {**HEAVY, **LIGHT, **BROKER, **QUEUE}
    assert poetry(shop, *EXPORT).status == 0
    exported = (shop / "worker.Dockerfile").read_text()
    for layer, names in both["now"]["split"].items():
        assert layer.endswith(".worker") == all(it.startswith(("broker", "queue")) for it in names)
        assert f"\nFROM venv AS {layer}\n" in exported
    assert exported.count("target=/manifest.json") == len(both["now"]["split"])

    (api,) = shown(shop, "api")
    assert api["images"] == ["api"]
    assert {it["name"].replace("-", "_") for it in api["packages"]} == {*HEAVY, *LIGHT}
    assert api["better"]["own-layers"] == both["better"]["own-layers"]
    assert api["now"]["split"].items() <= both["now"]["split"].items()
    assert [it["images"] for it in shown(shop, "worker", "api")] == [["api", "worker"]]

    table = poetry(shop, *LAYERS, "--from", "image")
    assert table.out.startswith(" api, worker\n 20 packages, 30.2 MB installed")
    again = "`poetry docker layers --from=image --write`"
    assert f"Run {again} to write the better setting into pyproject" in table.err
    words = ("worker", "--with", "queue", "--all-extras")
    again = "`poetry docker layers worker --with=queue --all-extras --from=image --write`"
    assert (
        f"\n- Run {again} to write" in f"\n{poetry(shop, *LAYERS, *words, '--from', 'image').err}"
    )


def test_a_better_split_is_one_for_all_that_share(tmp_path: Path, client: Client) -> None:
    """It is written where they have it from; an image with a split of its own has its own."""
    tidy = "[tool.poetry-docker-cache.images.tidy]\nlayers = 2  # small\nown-layers = []\n"
    shop = make_large(tmp_path / "shop", client, tidy)
    both, alone = shown(shop)
    assert [both["images"], alone["images"]] == [["api", "worker"], ["tidy"]]
    assert {*alone["now"]["split"]} == {"pure-1", "pure-2"}
    before = tomllib.loads((shop / "pyproject.toml").read_text())
    shown(shop, "api", "--write")
    after = tomllib.loads((shop / "pyproject.toml").read_text())
    before["tool"]["poetry-docker-cache"] |= {
        key: both["better"][key] for key in ("layers", "own-layers")
    }
    assert after == before
    assert "heavy" in both["better"]["own-layers"]

    wrote = poetry(shop, *LAYERS, "--from", "image", "--write")
    assert "api, worker: No better split found" in wrote.err
    assert "into [tool.poetry-docker-cache.images.tidy] of pyproject.toml." in wrote.err
    after = tomllib.loads((shop / "pyproject.toml").read_text())
    before["tool"]["poetry-docker-cache"]["images"]["tidy"] |= {
        key: alone["better"][key] for key in ("layers", "own-layers")
    }
    assert after == before
    assert poetry(shop, *EXPORT).status == 0
    assert all(" AS own-heavy\n" in path.read_text() for path in shop.glob("*.Dockerfile"))
    again = poetry(shop, *LAYERS, "--from", "image", "--write")
    assert again.err.count("nothing to change") == 2


@pytest.mark.parametrize("own", ["layers = 2", 'own-layers = ["light-3"]'])
def test_an_image_with_half_a_split_of_its_own(tmp_path: Path, client: Client, own: str) -> None:
    """It has the other half from the common settings: these stay, or it would be split anew."""
    shop = make_large(tmp_path / "shop", client, f"[tool.poetry-docker-cache.images.tidy]\n{own}\n")
    before = tomllib.loads((shop / "pyproject.toml").read_text())
    (_, tidy), (both,) = shown(shop), shown(shop, "api", "worker", "--write")
    after = tomllib.loads((shop / "pyproject.toml").read_text())
    for name in ("api", "worker"):
        before["tool"]["poetry-docker-cache"]["images"][name] |= {
            key: both["better"][key] for key in ("layers", "own-layers")
        }
    assert after == before
    assert shown(shop, "tidy") == [tidy]


def test_images_that_share_no_layers(tmp_path: Path, client: Client) -> None:
    """Each has a table, and gets a setting of its own: the common one would be the other's, too."""
    shop = make_large(tmp_path / "shop", client)
    path = shop / "poetry.lock"
    path.write_text(path.read_text().replace('lock-version = "2.1"', 'lock-version = "2.0"'))
    api, worker = shown(shop)
    assert [api["images"], worker["images"]] == [["api"], ["worker"]]
    assert [[*it["now"]["split"]] for it in (api, worker)] == [["dependencies"]] * 2
    shown(shop, "--write")
    after = tomllib.loads((shop / "pyproject.toml").read_text())["tool"]["poetry-docker-cache"]
    assert after["layers"] == 1
    assert after["images"]["api"]["own-layers"] == api["better"]["own-layers"]
    assert after["images"]["worker"]["own-layers"] == worker["better"]["own-layers"]


def test_a_layer_that_is_called_otherwise_is_the_same(tmp_path: Path) -> None:
    """One more image gives layers another name, and none another command that fills it."""
    shop = make(tmp_path / "shop", f'reuse-image = "h.io/shop:1"\n{IMAGES}')

    def command(layer: str) -> str:
        assert poetry(shop, *EXPORT, "worker", "-o", "Dockerfile").status == 0
        text = (shop / "Dockerfile").read_text()
        stage = text.partition(f"\nFROM venv AS {layer}\n")[2].partition("\n\n")[0]
        return stage.replace(f"/{layer}.json", "")

    before = command("dependencies.worker")
    assert "python -m install --reuse" in before
    with (shop / "pyproject.toml").open("a") as file:
        file.write('[tool.poetry-docker-cache.images.docs]\ngroups = ["queue"]\n')
    assert command("dependencies.docs.worker") == before


@pytest.mark.usefixtures("client")
def test_what_a_project_of_one_image_cannot(tmp_path: Path) -> None:
    """It names no image, and has nothing to bake."""
    shop = make(tmp_path / "shop", "")
    for command, says in (
        ((*BUILD, "web"), "There is no image 'web': the project has a single image"),
        ((*LAYERS, "web"), "There is no image 'web': the project has a single image"),
        ((*EXPORT, "--bake"), "the settings define only one"),
    ):
        outcome = poetry(shop, *command)
        assert outcome.status == 1
        assert says in outcome.err


MISTAKEN = {
    'groups = ["main", "queu"]': "`images.worker`: The group 'queu' (in `groups`) does not exist",
    'files = ["nothing"]': "`images.worker`: `files` in [tool.poetry-docker-cache] names 'nothing'",
    'own-layers = ["nothing"]': "`images.worker`: `own-layers` in [tool.poetry-docker-cache] names",
    'python = "3.9"': '`images.worker`: The project does not allow `python = "3.9"`',
    'image = "docker.io/library/shop-api"': "The images api and worker are both called",
}


@pytest.mark.parametrize("setting", MISTAKEN)
def test_a_mistake_says_whose_it_is(setting: str, tmp_path: Path) -> None:
    """Where several images have settings; an option is of none of them."""
    images = "[tool.poetry-docker-cache.images.api]\n[tool.poetry-docker-cache.images.worker]\n"
    shop = make(tmp_path / "shop", images + setting)
    outcome = poetry(shop, *EXPORT)
    assert outcome.status == 1
    assert MISTAKEN[setting] in " ".join(outcome.err.split())


def test_an_option_is_of_no_image(tmp_path: Path) -> None:
    """A mistake in one is nobody's setting."""
    outcome = poetry(make(tmp_path / "shop"), *EXPORT, "--with", "queu")
    assert "The group 'queu' (in --with) does not exist" in outcome.err
    assert "images." not in outcome.err


@pytest.mark.usefixtures("client")
def test_several_images_are_told_their_version_by_what_bake_takes(tmp_path: Path) -> None:
    """It has no option `--build-arg`; a build of one image has."""
    shop = make(tmp_path / "shop", from_git=True)
    assert "unless `-- --set '*.args.VERSION=…'` tells" in poetry(shop, *BUILD).err
    assert "unless `-- --build-arg VERSION=…` tells" in poetry(shop, *BUILD, "api").err


def test_notes_say_whose_they_are(tmp_path: Path) -> None:
    """What holds for all images is said once."""
    images = f'{IMAGES}own-layers = ["rich"]\nruntime-packages = []\nbuild-packages = ["gcc"]\n'
    outcome = poetry(make(tmp_path / "shop", images), *EXPORT)
    lines = [line.removeprefix("- ") for line in outcome.err.splitlines()]
    assert len([line for line in lines if line.startswith("Python 3.12: ")]) == 1
    assert "worker: `build-packages` is not used: nothing is built from source." in lines


def test_images_that_start_nothing(tmp_path: Path) -> None:
    """That nobody says what to start is told of those of which it is so."""
    shop = make(tmp_path / "shop")
    path = shop / "pyproject.toml"
    path.write_text(path.read_text().replace('command = ["shop"]\n', ""))
    note = "No start command is set: add `command` to [tool.poetry-docker-cache]."
    assert f"\n- {note}\n" in poetry(shop, *EXPORT).err
    path.write_text(path.read_text().replace("ports = [8000]", 'command = ["serve"]'))
    assert f"\n- worker: {note}\n" in poetry(shop, *EXPORT).err


def test_a_stale_file_is_that_of_its_image(tmp_path: Path) -> None:
    """`--check` of another one does not mind; that of all says which, and how to mend it."""
    shop = make(tmp_path / "shop")
    assert poetry(shop, *EXPORT).status == 0
    path = shop / "pyproject.toml"
    path.write_text(path.read_text().replace("ports = [8000]", "ports = [8001]"))
    assert poetry(shop, *EXPORT, "--check", "worker").status == 0
    outcome = poetry(shop, *EXPORT, "--check")
    assert outcome.status == 1
    assert "+EXPOSE 8001" in outcome.out
    assert "--- worker.Dockerfile" not in outcome.out
    assert "Run `poetry docker export`." in outcome.err
    assert "Run `poetry docker export api`." in poetry(shop, *EXPORT, "--check", "api").err


def test_a_pipeline_is_for_all_images(tmp_path: Path) -> None:
    """`--check` tells when another image has come, and each pushes to a place of its own."""
    shop = make(tmp_path / "shop", IMAGES.replace('image = "team/queue"\n', ""))
    ci = (*EXPORT, "--ci", "gitlab")
    assert poetry(shop, *ci).status == 0
    lines = (shop / ".gitlab-ci.yml").read_text().splitlines()
    for name in ("api", "worker"):
        calls = [it.split()[2:] for it in lines if it.strip().startswith(f"build {name} ")]
        assert [it[0] for it in calls] == [f'"$CI_REGISTRY_IMAGE/{name}"'] * 2
    assert poetry(shop, *ci, "--check").status == 0
    with (shop / "pyproject.toml").open("a") as file:
        file.write("[tool.poetry-docker-cache.images.docs]\n")
    outcome = poetry(shop, *ci, "--check")
    assert outcome.status == 1
    assert outcome.out.count("+      build docs ") == 2


def test_an_older_lock_is_not_taken_apart(tmp_path: Path) -> None:
    """It has to be followed as a whole: each image is split by itself."""
    shop = make(tmp_path / "shop")
    path = shop / "poetry.lock"
    path.write_text(path.read_text().replace('lock-version = "2.1"', 'lock-version = "2.0"'))
    outcome = poetry(shop, *EXPORT)
    assert outcome.status == 0, outcome.err
    for name in ("api", "worker"):
        text = (shop / f"{name}.Dockerfile").read_text()
        assert '["python", "-m", "manifest", ' in text
        assert "\nFROM venv AS dependencies\n" in text
