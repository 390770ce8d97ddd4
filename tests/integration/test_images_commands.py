"""Several images of one project, without an engine: what the commands write, run and refuse."""

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
PUSHED = IMAGES.replace("[8000]", '[8000]\nimage = "team/api"')
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
    """Write the shop; its worker needs an additional package."""
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
    """Return the targets of the file that bake read."""
    found = json.loads((client.folder / "build" / "docker-bake.json").read_text())
    return dict(found["target"])


def option_values(argv: list[str], option: str) -> list[str]:
    """Return the values of an option in a command line."""
    return [value for name, value in itertools.pairwise(argv) if name == option]


def temporary_folder(client: Client) -> Path:
    """Return the temporary folder of the build."""
    return Path(option_values(client.argv, "--allow")[0].removeprefix("fs.read="))


def test_all_images_are_built_in_one_call(tmp_path: Path, client: Client) -> None:
    """Each has its Dockerfile, name and ignore file; the secret file is removed afterwards."""
    shop = make(tmp_path / "shop")
    before = snapshot(shop)
    outcome = poetry(shop, *BUILD, "--no-cache", "--", "--set", "*.labels.a=b")
    assert outcome.status == 0, outcome.err
    assert snapshot(shop) == before
    assert client.argv[:2] == ["buildx", "bake"]
    assert client.argv[-4:] == ["--set", "*.labels.a=b", "api", "worker"]
    assert "--no-cache" in client.argv
    found = targets(client)
    assert [target["tags"] for target in found.values()] == [
        ["shop-api:1.2.3"],
        ["team/queue:1.2.3"],
    ]
    assert {target["context"] for target in found.values()} == {str(shop)}
    (secret,) = {words for target in found.values() for words in target["secret"]}
    path = secret.removeprefix("id=auth,src=")
    assert not temporary_folder(client).exists()
    assert path == f"{temporary_folder(client)}/secret/auth.toml"
    assert "EXPOSE 8000" in (client.folder / "build" / "api.Dockerfile").read_text()
    assert "EXPOSE" not in (client.folder / "build" / "worker.Dockerfile").read_text()
    ignore = (client.folder / "build" / "api.Dockerfile.dockerignore").read_text()
    assert {"worker.Dockerfile", "docker-bake.hcl"} <= {*ignore.splitlines()}


def test_single_image_is_an_ordinary_build(tmp_path: Path, client: Client) -> None:
    """A single image is built as in a project with one image, except for layer names."""
    shop = make(tmp_path / "shop")
    assert poetry(shop, *BUILD, "worker").status == 0
    assert client.argv[:2] == ["buildx", "build"]
    assert option_values(client.argv, "--tag") == ["team/queue:1.2.3"]
    dockerfile = client.kept("Dockerfile")
    assert "\nFROM venv AS dependencies.worker\n" in dockerfile
    assert "\nFROM venv AS dependencies\n" in dockerfile
    assert poetry(shop, *BUILD, "worker", "-t", "mine:1").status == 0
    assert option_values(client.argv, "--tag") == ["mine:1"]


@pytest.mark.parametrize("names", [("worker", "api"), ("api", "worker", "api")])
def test_selected_images_are_built_once(
    names: tuple[str, ...], tmp_path: Path, client: Client
) -> None:
    """Each selected image is built once, and no other."""
    shop = make(tmp_path / "shop", f"{IMAGES}[tool.poetry-docker-cache.images.other]\n")
    assert poetry(shop, *BUILD, *names).status == 0
    assert sorted(targets(client)) == ["api", "worker"]


def test_each_image_has_its_own_cache(tmp_path: Path, client: Client) -> None:
    """Otherwise the second would replace the first; an image's own setting is used unchanged."""
    client.answer(containerd=True)
    images = f'{IMAGES}cache = "h.io/queue:mine"\n'
    shop = make(tmp_path / "shop", images)
    cache = ("--cache", "h.io/shop:cache", "--cache-from", "h.io/shop")
    outcome = poetry(shop, *BUILD, *cache)
    assert outcome.status == 0, outcome.err
    api, worker = targets(client).values()
    assert api["cache-from"] == ["h.io/shop:cache-api", "h.io/shop:api"]
    assert worker["cache-from"] == ["h.io/shop:cache-worker", "h.io/shop:worker", "h.io/queue:mine"]
    assert [target["cache-to"][0].split(",")[:2] for target in (api, worker)] == [
        ["type=registry", "ref=h.io/shop:cache-api"],
        ["type=registry", "ref=h.io/shop:cache-worker"],
    ]
    assert "h.io/shop:cache-api, all stages" in outcome.err
    own = ("--cache-from", "h.io/queue:mine", "--cache-from", "team/queue:main")
    assert poetry(shop, *BUILD, "worker", *own).status == 0
    assert option_values(client.argv, "--cache-from") == ["h.io/queue:mine", "team/queue:main"]


def test_dry_run_shows_command_and_bake_file(tmp_path: Path, client: Client) -> None:
    """The command is on stdout, bake's file on stderr; nothing is run."""
    shop = make(tmp_path / "shop", PUSHED)
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


def test_set_after_dashes_takes_precedence(tmp_path: Path, client: Client) -> None:
    """`--set` takes precedence, like the same option in a build of one image."""
    images = PUSHED.replace("[tool", 'platforms = ["linux/amd64", "linux/arm64"]\n[tool', 1)
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


def test_options_apply_to_all_images(tmp_path: Path, client: Client) -> None:
    """An option without an image's name is for all; a tag alone is combined with their names."""
    shop = make(tmp_path / "shop", PUSHED)
    options = ("--platform=linux/amd64,linux/arm64", "--target=check", "--pull", "--push")
    outcome = poetry(shop, *BUILD, *options, "-t", ":main", "-t", ":latest", "-q")
    assert outcome.status == 0, outcome.err
    assert "--pull" in client.argv
    assert outcome.err == ""
    assert outcome.out == "team/api:main\nteam/queue:main\n"
    found = targets(client)
    assert [target["tags"] for target in found.values()] == [
        ["team/api:main", "team/api:latest"],
        ["team/queue:main", "team/queue:latest"],
    ]
    for target in found.values():
        assert target["platforms"] == ["linux/amd64", "linux/arm64"]
        assert (target["target"], target["output"]) == ("check", ["type=registry"])
    assert poetry(shop, *BUILD, "worker", "-t", ":main", "-t", "mine").status == 0
    assert option_values(client.argv, "--tag") == ["team/queue:main", "mine"]


def test_every_pushed_image_names_its_registry(tmp_path: Path, client: Client) -> None:
    """The error names the setting of the image that does not."""
    shop = make(tmp_path / "shop")
    outcome = poetry(shop, *BUILD, "--push")
    assert outcome.status == 1
    assert "shop-api:1.2.3 does not name a registry" in outcome.err
    assert "[tool.poetry-docker-cache.images.api]" in outcome.err
    assert not (client.folder / "argv").exists()
    assert poetry(shop, *BUILD, "worker", "--push").status == 0


def test_classic_store_uses_inline_caches(tmp_path: Path, client: Client) -> None:
    """The classic store cannot export a cache, so each image is pushed as its own cache."""
    shop = make(tmp_path / "shop", PUSHED)
    outcome = poetry(shop, *BUILD, "--push", "--cache", "h.io/team/shop:cache")
    assert outcome.status == 0, outcome.err
    assert [target["cache-to"] for target in targets(client).values()] == [["type=inline"]] * 2
    assert (client.folder / "besides").read_text().splitlines() == [
        "tag team/api:1.2.3 h.io/team/shop:cache-api",
        "push h.io/team/shop:cache-api",
        "tag team/queue:1.2.3 h.io/team/shop:cache-worker",
        "push h.io/team/shop:cache-worker",
    ]


def test_each_image_has_its_own_cache_folder(tmp_path: Path, client: Client) -> None:
    """No image's build gets another image's cache, and bake may write to the folders."""
    client.answer(containerd=True)
    shop = make(tmp_path / "shop")
    outcome = poetry(shop, *BUILD, "--cache", "./.cache")
    assert outcome.status == 0, outcome.err
    written = [target["cache-to"][0] for target in targets(client).values()]
    places = [words.partition("dest=")[2].partition(",")[0] for words in written]
    assert len({*places}) == 2
    assert {f"fs={place}" for place in places} <= {*option_values(client.argv, "--allow")}
    ignore = (client.folder / "build" / "api.Dockerfile.dockerignore").read_text().splitlines()
    assert {".cache-api", ".cache-worker"} <= {line.strip("/") for line in ignore}


GIT = {"type": "git", "url": "ssh://git@git.example.com/a.git", "reference": "main"}


def test_ssh_agent_is_only_for_images_that_need_it(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bake needs permission to pass on the agent or read the given key; without both, it fails."""
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
    assert "celery in poetry.lock is cloned from git over ssh" in outcome.err
    assert "none is running" in poetry(shop, *BUILD, "--ssh", "default").err
    assert poetry(shop, *BUILD, "--ssh", "default=/key").status == 0
    assert {"ssh", "fs.read=/key"} <= {*option_values(client.argv, "--allow")}
    assert poetry(shop, *BUILD, "--", "--set", "worker.ssh=default=/key").status == 0
    assert {"ssh", "fs.read=/key"} <= {*option_values(client.argv, "--allow")}
    assert [target.get("ssh") for target in targets(client).values()] == [None, None]
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    set_ssh = (shop / "pyproject.toml").read_text().replace(known, f"ssh = true\n{known}")
    (shop / "pyproject.toml").write_text(set_ssh)
    outcome = poetry(shop, *BUILD)
    assert outcome.status == 0
    assert "add `-- --allow=ssh`" in outcome.err
    assert "ssh" not in option_values(client.argv, "--allow")
    assert [target.get("ssh") for target in targets(client).values()] == [None, ["default"]]


@pytest.mark.parametrize("repository", ["", "repository"])
def test_folder_above_the_project_is_allowed_in_its_repository(
    repository: str, tmp_path: Path, client: Client
) -> None:
    """Outside of it, bake asks, and a note names the option to add."""
    lib = tmp_path / "repository" / "lib"
    lib.mkdir(parents=True)
    (lib / "pyproject.toml").write_text('[project]\nname = "lib"\nversion = "1"\n')
    (lib / "lib.py").touch()
    local = package("lib", files=[], source={"type": "directory", "url": "../lib"})
    shop = make_project(lib.parent / "shop", f"{PYPROJECT}{IMAGES}", [package("rich"), local])
    (shop / "shop").mkdir()
    (shop / "shop" / "__init__.py").touch()
    (tmp_path / repository / ".git").mkdir() if repository else (shop / ".git").mkdir()
    outcome = poetry(shop, *BUILD)
    assert outcome.status == 0, outcome.err
    context = f"fs.read={lib.parent}"
    assert (context in option_values(client.argv, "--allow")) == bool(repository)
    assert (f"add `-- --allow={context}`" in outcome.err) == (not repository)


def test_single_image_with_vendored_dockerfile(tmp_path: Path, client: Client) -> None:
    """A single image can be built from its exported Dockerfile, with its own name."""
    shop = make(tmp_path / "shop")
    assert poetry(shop, *EXPORT).status == 0
    outcome = poetry(shop, *BUILD, "worker", "--file", "worker.Dockerfile")
    assert outcome.status == 0, outcome.err
    assert option_values(client.argv, "--file") == ["worker.Dockerfile"]
    assert option_values(client.argv, "--tag") == ["team/queue:1.2.3"]


def test_unusual_image_names(tmp_path: Path, client: Client) -> None:
    """Digits and underscores are allowed in names of stages, files and tags."""
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


def test_status_is_that_of_bake(tmp_path: Path, client: Client) -> None:
    """BuildKit's status is passed on, and no files are left."""
    client.answer(status=17)
    assert poetry(make(tmp_path / "shop"), *BUILD).status == 17
    assert not temporary_folder(client).exists()


def test_metadata_file_has_each_image(tmp_path: Path, client: Client) -> None:
    """The metadata file has, for each image, the data from buildx and from the plugin."""
    digests = {"api": f"sha256:{'a' * 64}", "worker": f"sha256:{'b' * 64}"}
    client.remember({name: {"containerimage.digest": digest} for name, digest in digests.items()})
    shop, file = make(tmp_path / "shop"), tmp_path / "metadata.json"
    outcome = poetry(shop, *BUILD, f"--metadata-file={file}")
    assert outcome.status == 0, outcome.err
    told = json.loads(file.read_text())
    assert {name: metadata["containerimage.digest"] for name, metadata in told.items()} == digests
    assert {name: metadata["poetry-docker-cache"]["tags"] for name, metadata in told.items()} == {
        "api": ["shop-api:1.2.3"],
        "worker": ["team/queue:1.2.3"],
    }
    for name, digest in digests.items():
        assert digest in outcome.err.partition(f"\n{name}\n")[2]


def test_export_writes_a_dockerfile_for_each(tmp_path: Path) -> None:
    """`--bake` also writes a bake file; `--check` checks all of them."""
    shop = make(tmp_path / "shop")
    before = {path.name for path in shop.iterdir()}
    assert poetry(shop, *EXPORT, "api").out == (
        "Wrote api.Dockerfile, api.Dockerfile.dockerignore and Dockerfile.scripts.\n"
    )
    outcome = poetry(shop, *EXPORT, "--bake")
    assert outcome.status == 0, outcome.err
    assert outcome.out.endswith(" and docker-bake.hcl.\n")
    assert {path.name for path in shop.iterdir()} - before == {
        *WRITTEN,
        "Dockerfile.scripts",
        "docker-bake.hcl",
    }
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
    assert "docker-bake.hcl was written or edited by hand. Nothing was changed." in outcome.err
    assert "Pass `--force` to replace it.\n" in outcome.err
    assert snapshot(shop) == before_all


def test_error_for_handwritten_file_names_the_image(tmp_path: Path) -> None:
    """The suggested commands contain the image's name, as `-o` needs a single image."""
    shop = make(tmp_path / "shop")
    (shop / "api.Dockerfile").write_text("FROM scratch\n")
    said = " ".join(poetry(shop, *EXPORT).err.split())
    assert "`poetry docker export api -o PATH` to write elsewhere" in said
    assert "`poetry docker build api --file api.Dockerfile`" in said


def test_bake_file_has_version_from_git(tmp_path: Path) -> None:
    """It has a variable for the version, which `build` passes to bake."""
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


def test_bake_file_has_platforms_and_caches(tmp_path: Path) -> None:
    """Each image has its platforms and its cache, which is excluded from all build contexts."""
    shop = make(tmp_path / "shop", CACHED % "./kept")
    assert poetry(shop, *EXPORT, "--bake").status == 0
    api, worker = (shop / "docker-bake.hcl").read_text().split("\ntarget ")[1:]
    assert 'coalesce(PLATFORMS, "linux/arm64")' in api
    assert ', ["type=local,src=./kept-api"])\n' in api
    assert 'coalesce(PLATFORMS, "linux/amd64,linux/arm64")' in worker
    assert ', ["h.io/queue:cache"])\n' in worker
    for name in ("api", "worker"):
        assert "\nkept-api\n" in (shop / f"{name}.Dockerfile.dockerignore").read_text()


def test_bake_file_without_cache_below_home(tmp_path: Path) -> None:
    """A cache below `~` is left out, with a note."""
    shop = make(tmp_path / "shop", CACHED % "~/kept")
    outcome = poetry(shop, *EXPORT, "--bake")
    assert outcome.status == 0
    assert "docker-bake.hcl has no cache for api: bake cannot resolve" in outcome.err
    text = (shop / "docker-bake.hcl").read_text()
    assert "~" not in text
    assert text.count('-api"], [])\n') == 1
    assert "docker-bake.hcl" not in poetry(shop, *EXPORT).err


def test_bake_file_refuses_cache_with_the_image_name(tmp_path: Path) -> None:
    """Otherwise the cache would replace the image."""
    images = IMAGES.replace('"team/queue"', '"team/queue"\ncache = "team/queue:1.2.3"')
    shop = make(tmp_path / "shop", images)
    outcome = poetry(shop, *EXPORT, "--bake")
    assert outcome.status == 1
    assert "has the same name as the image team/queue:1.2.3" in " ".join(outcome.err.split())
    assert not (shop / "docker-bake.hcl").exists()


def test_export_of_single_image_to_a_path(tmp_path: Path) -> None:
    """With one image's name, `-o` works as usual."""
    shop = make(tmp_path / "shop")
    assert poetry(shop, *EXPORT, "worker", "-o", "Dockerfile").status == 0
    assert "dependencies.worker" in (shop / "Dockerfile").read_text()
    assert "dependencies.worker" in poetry(shop, *EXPORT, "worker", "-o", "-").out


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
    (*EXPORT, "--ci", "gitlab"): ("can log in to one registry only", "Use the same registry"),
    (*EXPORT, "--ci", "github", "--bake"): ("cannot be combined with --bake", "Leave"),
    (*LAYERS, "wroker"): ("no image 'wroker'", "Did you mean worker?"),
    (*LAYERS, "--image", "x:1"): ("--image is one image", "poetry docker layers api --image"),
    (*LAYERS, "api", "--image", "x:1"): ("cannot be read from the image x:1", "another one"),
}


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("command", MISTAKES, ids=" ".join)
def test_mistake_is_one_error(command: tuple[str, ...], tmp_path: Path) -> None:
    """Status 1, cause and remedy, and no file is changed."""
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


def make_large_shop(folder: Path, client: Client, images: str = "") -> Path:
    """Write a shop with many packages in one layer; its images exist in the engine."""
    main, queue = {**HEAVY, **LIGHT}, {**BROKER, **QUEUE}
    names = {name: name.replace("_", "-") for name in (*main, *queue)}
    text = f"{PYPROJECT}layers = 1\n{IMAGES}{images}"
    text = text.replace('["rich>=1"]', json.dumps([names[name] for name in main]))
    text = text.replace('["celery>=1"]', json.dumps([names[name] for name in queue]))
    packages = [package(names[name]) for name in main]
    packages += [package(names[name], groups=["queue"]) for name in queue]
    make_project(folder, text, packages)
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    for name in ("shop-api", "shop-tidy"):
        client.holds(f"{name}:1.2.3", **main)
    client.holds("team/queue:1.2.3", **main, **queue)
    return folder


def layers_json(shop: Path, *options: str) -> Any:  # noqa: ANN401  # JSON
    """Return what `layers --json` prints."""
    outcome = poetry(shop, *LAYERS, "--from", "image", "--json", *options)
    assert outcome.status == 0, outcome.err
    return json.loads(outcome.out)


def test_layers_of_all_images(tmp_path: Path, client: Client) -> None:
    """Each package is listed once, with its layer and its size from an image that has it."""
    shop = make_large_shop(tmp_path / "shop", client)
    (both,) = layers_json(shop)
    assert both["images"] == ["api", "worker"]
    sizes = {entry["name"].replace("-", "_"): entry["bytes"] for entry in both["packages"]}
    assert sizes == {**HEAVY, **LIGHT, **BROKER, **QUEUE}
    assert poetry(shop, *EXPORT).status == 0
    exported = (shop / "worker.Dockerfile").read_text()
    for layer, names in both["now"]["split"].items():
        assert layer.endswith(".worker") == all(
            name.startswith(("broker", "queue")) for name in names
        )
        assert f"\nFROM venv AS {layer}\n" in exported
    assert exported.count("target=/manifest.json") == len(both["now"]["split"])

    (api,) = layers_json(shop, "api")
    assert api["images"] == ["api"]
    assert {entry["name"].replace("-", "_") for entry in api["packages"]} == {*HEAVY, *LIGHT}
    assert api["better"]["own-layers"] == both["better"]["own-layers"]
    assert api["now"]["split"].items() <= both["now"]["split"].items()
    assert [table["images"] for table in layers_json(shop, "worker", "api")] == [["api", "worker"]]

    table = poetry(shop, *LAYERS, "--from", "image")
    assert table.out.startswith(" api, worker\n 20 packages, 30.2 MB installed")
    again = "`poetry docker layers --from=image --write`"
    assert f"Run {again} to write the better setting into pyproject" in table.err
    words = ("worker", "--with", "queue", "--all-extras")
    again = "`poetry docker layers worker --with=queue --all-extras --from=image --write`"
    assert (
        f"\n- Run {again} to write" in f"\n{poetry(shop, *LAYERS, *words, '--from', 'image').err}"
    )


def test_better_split_is_written_to_common_settings(tmp_path: Path, client: Client) -> None:
    """It is written to the common settings; an image with its own split gets its own."""
    tidy = "[tool.poetry-docker-cache.images.tidy]\nlayers = 2  # small\nown-layers = []\n"
    shop = make_large_shop(tmp_path / "shop", client, tidy)
    both, alone = layers_json(shop)
    assert [both["images"], alone["images"]] == [["api", "worker"], ["tidy"]]
    assert {*alone["now"]["split"]} == {"pure-1", "pure-2"}
    before = tomllib.loads((shop / "pyproject.toml").read_text())
    layers_json(shop, "api", "--write")
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
def test_image_with_one_split_setting_keeps_its_split(
    tmp_path: Path, client: Client, own: str
) -> None:
    """A new common setting would change this image's split, so other images get their own."""
    shop = make_large_shop(
        tmp_path / "shop", client, f"[tool.poetry-docker-cache.images.tidy]\n{own}\n"
    )
    before = tomllib.loads((shop / "pyproject.toml").read_text())
    (_, tidy), (both,) = layers_json(shop), layers_json(shop, "api", "worker", "--write")
    after = tomllib.loads((shop / "pyproject.toml").read_text())
    for name in ("api", "worker"):
        before["tool"]["poetry-docker-cache"]["images"][name] |= {
            key: both["better"][key] for key in ("layers", "own-layers")
        }
    assert after == before
    assert layers_json(shop, "tidy") == [tidy]


def test_images_that_share_no_layers(tmp_path: Path, client: Client) -> None:
    """Each image has a table and its own setting, as a common one would affect both."""
    shop = make_large_shop(tmp_path / "shop", client)
    path = shop / "poetry.lock"
    path.write_text(path.read_text().replace('lock-version = "2.1"', 'lock-version = "2.0"'))
    api, worker = layers_json(shop)
    assert [api["images"], worker["images"]] == [["api"], ["worker"]]
    assert [[*table["now"]["split"]] for table in (api, worker)] == [["dependencies"]] * 2
    layers_json(shop, "--write")
    after = tomllib.loads((shop / "pyproject.toml").read_text())["tool"]["poetry-docker-cache"]
    assert after["layers"] == 1
    assert after["images"]["api"]["own-layers"] == api["better"]["own-layers"]
    assert after["images"]["worker"]["own-layers"] == worker["better"]["own-layers"]


def test_renamed_layer_has_the_same_command(tmp_path: Path) -> None:
    """An additional image changes a layer's name, but not the command that fills it."""
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
def test_project_with_one_image(tmp_path: Path) -> None:
    """Images cannot be selected, and there is nothing to bake."""
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
    'own-layers = ["nothing"]': (
        "`images.worker`: `own-layers` in [tool.poetry-docker-cache] names 'nothing'"
    ),
    'python = "3.9"': '`images.worker`: The project does not allow `python = "3.9"`',
    'image = "docker.io/library/shop-api"': "The images api and worker are both called",
}


@pytest.mark.parametrize("setting", MISTAKEN)
def test_mistake_in_settings_names_the_image(setting: str, tmp_path: Path) -> None:
    """Errors in an image's settings name the image."""
    images = "[tool.poetry-docker-cache.images.api]\n[tool.poetry-docker-cache.images.worker]\n"
    shop = make(tmp_path / "shop", images + setting)
    outcome = poetry(shop, *EXPORT)
    assert outcome.status == 1
    assert MISTAKEN[setting] in " ".join(outcome.err.split())


def test_mistake_in_option_names_no_image(tmp_path: Path) -> None:
    """Errors in options are not attributed to an image."""
    outcome = poetry(make(tmp_path / "shop"), *EXPORT, "--with", "queu")
    assert "The group 'queu' (in --with) does not exist" in outcome.err
    assert "images." not in outcome.err


def test_notes_name_their_image(tmp_path: Path) -> None:
    """Notes that apply to all images are printed once."""
    images = f'{IMAGES}own-layers = ["rich"]\nruntime-packages = []\nbuild-packages = ["gcc"]\n'
    outcome = poetry(make(tmp_path / "shop", images), *EXPORT)
    lines = [line.removeprefix("- ") for line in outcome.err.splitlines()]
    assert len([line for line in lines if line.startswith("Python 3.12: ")]) == 1
    assert "worker: `build-packages` is not used: nothing is built from source." in lines


def test_missing_start_command_is_noted(tmp_path: Path) -> None:
    """The note names an image only if the others have a start command."""
    shop = make(tmp_path / "shop")
    path = shop / "pyproject.toml"
    path.write_text(path.read_text().replace('command = ["shop"]\n', ""))
    note = (
        "No start command is set: the container says so and exits with status 1. Add"
        " `command` to [tool.poetry-docker-cache]."
    )
    assert f"\n- {note}\n" in poetry(shop, *EXPORT).err
    path.write_text(path.read_text().replace("ports = [8000]", 'command = ["serve"]'))
    assert f"\n- worker: {note}\n" in poetry(shop, *EXPORT).err


def test_check_of_a_stale_dockerfile(tmp_path: Path) -> None:
    """`--check` of another image succeeds; that of all images suggests the right command."""
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


def test_pipeline_builds_all_images(tmp_path: Path) -> None:
    """`--check` fails after an image is added; each image is pushed to its own repository."""
    shop = make(tmp_path / "shop", IMAGES.replace('image = "team/queue"\n', ""))
    ci = (*EXPORT, "--ci", "gitlab")
    assert poetry(shop, *ci).status == 0
    lines = (shop / ".gitlab-ci.yml").read_text().splitlines()
    for name in ("api", "worker"):
        calls = [line.split()[2:] for line in lines if line.strip().startswith(f"build {name} ")]
        assert [call[0] for call in calls] == [f'"$CI_REGISTRY_IMAGE/{name}"'] * 2
    assert poetry(shop, *ci, "--check").status == 0
    with (shop / "pyproject.toml").open("a") as file:
        file.write("[tool.poetry-docker-cache.images.docs]\n")
    outcome = poetry(shop, *ci, "--check")
    assert outcome.status == 1
    assert outcome.out.count("+      build docs ") == 2


def test_older_lock_is_not_split(tmp_path: Path) -> None:
    """It must be installed as a whole, so each image is split on its own."""
    shop = make(tmp_path / "shop")
    path = shop / "poetry.lock"
    path.write_text(path.read_text().replace('lock-version = "2.1"', 'lock-version = "2.0"'))
    outcome = poetry(shop, *EXPORT)
    assert outcome.status == 0, outcome.err
    for name in ("api", "worker"):
        text = (shop / f"{name}.Dockerfile").read_text()
        assert "\n    python -m manifest " in text
        assert "\nFROM venv AS dependencies\n" in text
