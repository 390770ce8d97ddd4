"""Pushes of `build --no-engine`: what is uploaded, what faults and lies of a registry do."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from acme import CANARY, IMAGE_PYTHON, AcmeIndex, Project, make_shop
from base_images import MANIFEST, put_image, tar
from clean_poetry import Poetry
from elf_files import make_elf
from engines import PATIENCE
from hostile_registry import PASSWORD as REGISTRY_PASSWORD
from hostile_registry import HostileRegistry, hostile_registry
from oci_layouts import Layout
from wheels import make_wheel

from poetry_docker_cache.no_engine.known_layers import LIBRARIES, TARGET

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="the base image is for this machine"
)
ARCHITECTURE = {"x86_64": "amd64"}.get(platform.machine(), "arm64")
BUILD = ("docker", "build", "--no-engine")
LIBC = b"\0libc.so.6\0GLIBC_2.34\0GNU C Library (Debian GLIBC 1) stable release version 2.36.\n\0"
LESS_THAN_A_TIMEOUT = 40.0
"""Of the registry client, in seconds."""
OLD = '["acme-lint", "acme-lib (==1.0)"]'
"""The development group, which keeps the locked version old."""


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A project, and a registry with its base image that wants a login."""

    project: Project
    registry: HostileRegistry
    folder: Path
    executable: Path
    auth: Path

    def machine(self, name: str) -> Poetry:
        """Return the Poetry of a machine: without Docker, with folders and a login of its own."""
        home = self.folder / name
        tools = home / "bin"
        tools.mkdir(parents=True, exist_ok=True)
        login = base64.b64encode(f"user:{REGISTRY_PASSWORD}".encode()).decode()
        auths = {"auths": {self.registry.host: {"auth": login}}}
        (home / "config.json").write_text(json.dumps(auths), encoding="utf-8")
        env = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        env |= {"PATH": str(tools), "DOCKER_CONFIG": str(home)}
        poetry = Poetry.isolated(self.executable, home, env)
        auth = Path(poetry.env["POETRY_CONFIG_DIR"]) / "auth.toml"
        auth.write_bytes(self.auth.read_bytes())
        return poetry

    def build(self, name: str, *options: str, status: int | None = 0) -> str:
        """Build on a machine; return all output, without any secret. None is any exit status."""
        self.registry.log.clear()
        poetry = self.machine(name)
        done = poetry.run(self.project.folder, *BUILD, *options, check=False)
        output = str(done.stdout + done.stderr)
        assert done.returncode == status or (status is None and done.returncode in (0, 1)), output
        assert not list(poetry.temporary.iterdir())
        for secret in (CANARY, REGISTRY_PASSWORD):
            assert secret not in output
        return output

    def upgrade(self) -> None:
        """Lock a newer version of one dependency."""
        self.project.replace("pyproject.toml", OLD, '["acme-lint"]')
        self.project.poetry.run(self.project.folder, "lock", "--regenerate")

    def requests(self, method: str, *kinds: str) -> list[str]:
        """Return the paths of requests."""
        return [
            path
            for used, path, _ in self.registry.log
            if used == method and all(kind in path for kind in kinds)
        ]

    def manifest(self, name: str = "team/shop") -> dict[str, Any]:
        """Return what the tag names."""
        return dict(json.loads(self.registry.manifests[name, "1"][1]))

    def documents(self) -> list[bytes]:
        """Return all SBOMs, the newest last."""
        return [body for body in self.registry.blobs.values() if b'"bomFormat"' in body]

    def licences(self) -> dict[str, Any]:
        """Return the licences in the newest SBOM."""
        components = json.loads(self.documents()[-1])["components"]
        return {each["name"]: each["licenses"] for each in components if "licenses" in each}

    def put_base(self, *more: bytes) -> None:
        """Give the registry a base image with these layers on top."""
        layout = Layout(self.folder / "layout")
        loader = make_elf(self.folder / "elf").read_bytes() + LIBC
        files: dict[str, bytes | str | None] = {
            "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
            "usr/lib/libc.so.6": loader,
            "lib": "usr/lib",
            "usr/bin/apt-get": b"x",
            f"usr/local/bin/python{IMAGE_PYTHON}": b"x",
            "usr/local/bin/python3": f"python{IMAGE_PYTHON}",
            "usr/local/bin/python": "python3",
            f"usr/local/lib/python{IMAGE_PYTHON}/venv/scripts/common/activate": b"a",
        }
        config = {"Env": [f"PYTHON_VERSION={IMAGE_PYTHON}.5"]}
        digest = put_image(
            layout, tar(files), *more, config=config, platform=("linux", ARCHITECTURE)
        )
        body = layout.path(digest).read_bytes()
        self.registry.manifests["base/python", IMAGE_PYTHON] = (MANIFEST, body)
        for path in (self.folder / "layout/blobs/sha256").iterdir():
            self.registry.blobs["base/python", f"sha256:{path.name}"] = path.read_bytes()


@pytest.fixture
def shop(index: AcmeIndex, clean_poetry: Path, tmp_path: Path) -> Iterator[Shop]:
    """Lock the project with an old version of a package, and fill the registry."""
    poetry = Poetry.isolated(clean_poetry, tmp_path / "home", os.environ)
    project = make_shop(tmp_path / "project", poetry, index)
    project.replace("pyproject.toml", '["acme-lint"]', OLD)
    with hostile_registry(asks_for_login=True) as registry:
        project.configure(
            base_image=f"{registry.host}/base/python:{IMAGE_PYTHON}",
            image=f"{registry.host}/team/shop",
            layers=3,
            sbom=False,  # its requests are tested in test_referrers
        )
        project.lock()
        found = Shop(
            project=project,
            registry=registry,
            folder=tmp_path,
            executable=clean_poetry,
            auth=Path(poetry.env["POETRY_CONFIG_DIR"]) / "auth.toml",
        )
        found.put_base()
        yield found


def names(manifest: dict[str, Any]) -> list[str]:
    """Return the digests of layers."""
    return [layer["digest"] for layer in manifest["layers"]]


def test_machine_without_memory_makes_and_uploads_what_changed(shop: Shop) -> None:
    """It reads the manifest of the tag and no layer; a moved base installs nothing."""
    tag = f"--tag={shop.registry.host}/team/shop:1"
    shop.build("first", "--push", tag)
    first = shop.manifest()
    shop.upgrade()
    where = tag.partition("=")[2]
    done = shop.machine("second").run(shop.project.folder, "docker", "diff", where, "--json")
    (expected,) = json.loads(done.stdout)["images"]
    output = shop.build("second", "--push", tag)
    second = shop.manifest()
    changed = {*names(second)} - {*names(first)}
    replaced = [each["size"] for each in first["layers"] if each["digest"] not in names(second)]
    assert [expected["bytes"]["rebuilt"]] == replaced
    assert len(changed) == 1, output
    config = second["config"]["digest"]
    sent = {path.rpartition("digest=sha256%3A")[2] for path in shop.requests("PUT", "/blobs/")}
    assert {f"sha256:{digest}" for digest in sent} == {*changed, config}
    read = shop.requests("GET", "/blobs/")
    assert not [path for path in read if path.rpartition("/")[2] in names(second)]

    shop.put_base(tar({"etc/new": b"x"}))
    shop.build("third", "--push", tag)
    assert len(names(shop.manifest())) == len(names(second)) + 1
    assert {*names(second)} < {*names(shop.manifest())}
    assert len(shop.requests("PUT", "/blobs/")) == 1  # the configuration

    third = names(shop.manifest())
    where = f"{shop.registry.host}/team/shop:1"
    for name, options in (("option", [f"--cache={where}"]), ("setting", [])):
        if name == "setting":
            shop.project.configure(cache=where)
        shop.build(name, "--push", f"--tag={shop.registry.host}/{name}/shop:1", *options)
        assert names(shop.manifest(f"{name}/shop")) == third
        assert len(shop.requests("PUT", "/blobs/")) == 1
        assert len(shop.requests("POST", "mount=")) == len(third)
        assert not [path for path in shop.requests("GET", "/blobs/") if path[-71:] in third]
    output = shop.build("setting", "--push", tag, "--no-cache")
    assert "cached: " not in output


def test_machine_without_memory_reads_licences_from_the_earlier_image(
    shop: Shop, index: AcmeIndex
) -> None:
    """It asks the index only about packages that the image does not have yet."""
    stated = index.packages / "acme_util-1.0-py3-none-any.whl.metadata"
    stated.write_text("Metadata-Version: 2.4\nLicense-Expression: MIT\n", encoding="utf-8")
    shop.project.configure(sbom=True)
    tag = f"--tag={shop.registry.host}/team/shop:1"
    found = []
    try:
        for machine, asked in (
            ("first", {"acme_lib-1.0", "acme_native-1.0", "acme_util-1.0"}),
            ("second", set()),
            ("third", {"acme_lib-1.1"}),
        ):
            if machine == "second":
                shop.project.write("src/acme_shop/new.py", "x = 1\n")
            elif machine == "third":
                shop.upgrade()
            before = len(index.requests())
            assert "SBOM" not in shop.build(machine, "--push", tag)
            paths = [path for path in index.requests()[before:] if path.endswith(".metadata")]
            files = [path.rpartition("/")[2] for path in paths]
            assert {"-".join(file.split("-")[:2]) for file in files} == asked
            found.append(shop.licences())
    finally:
        stated.unlink()
    assert len({*shop.documents()}) == 2, "the second machine attaches the document of the first"
    assert found == [{"acme-util": [{"license": {"id": "MIT"}}]}] * 3


def no_lie(_: dict[str, Any], __: dict[str, Any]) -> None:
    """Keep the image."""


def other_key(manifest: dict[str, Any], _: dict[str, Any]) -> None:
    """Exchange what two layers state."""
    one, other = manifest["layers"][-3:-1]
    one["annotations"], other["annotations"] = other["annotations"], one["annotations"]


def other_layer(manifest: dict[str, Any], _: dict[str, Any]) -> None:
    """Exchange two layers, but not what they state."""
    one, other = manifest["layers"][-3:-1]
    for name in ("digest", "size"):
        one[name], other[name] = other[name], one[name]


def other_size(manifest: dict[str, Any], _: dict[str, Any]) -> None:
    """Change the size of a layer."""
    manifest["layers"][-2]["size"] += 1


def other_content(_: dict[str, Any], config: dict[str, Any]) -> None:
    """State another content of a layer."""
    config["rootfs"]["diff_ids"][-2] = f"sha256:{'1' * 64}"


def no_libraries(manifest: dict[str, Any], _: dict[str, Any]) -> None:
    """Make what a layer needs unreadable."""
    (layer,) = (each for each in manifest["layers"] if LIBRARIES in each.get("annotations", {}))
    layer["annotations"][LIBRARIES] = '{"needs": 1'


def other_target(manifest: dict[str, Any], _: dict[str, Any]) -> None:
    """State another C library."""
    text = manifest["annotations"][TARGET]
    manifest["annotations"][TARGET] = text.replace("glibc", "musl")


def unreadable_target(manifest: dict[str, Any], _: dict[str, Any]) -> None:
    """Make the target unreadable."""
    manifest["annotations"][TARGET] = "[" * 9999


LIES = (
    *(no_lie, other_key, other_layer, other_size, other_content, no_libraries, other_target),
    unreadable_target,
)


def test_what_an_image_states_may_be_wrong(shop: Shop) -> None:
    """A machine that reads it makes the right image nevertheless."""
    tag = f"--tag={shop.registry.host}/team/shop:1"
    shop.build("first", "--push", tag)
    stored = shop.registry.manifests["team/shop", "1"]
    for number, lie in enumerate(LIES):
        manifest = json.loads(stored[1])
        place = ("team/shop", manifest["config"]["digest"])
        config = json.loads(shop.registry.blobs[place])
        lie(manifest, config)
        content = json.dumps(config).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        shop.registry.blobs["team/shop", digest] = content
        manifest["config"].update(digest=digest, size=len(content))
        shop.registry.manifests["team/shop", "1"] = (MANIFEST, json.dumps(manifest).encode())
        output = shop.build(f"machine-{number}", "--push", tag)
        assert shop.registry.manifests["team/shop", "1"] == stored, lie.__name__
        assert ("cached: " in output) == (lie is no_lie)


def test_same_image_on_every_machine(shop: Shop, index: AcmeIndex) -> None:
    """The digest depends on no home, cache, time zone, language, mask or random seed.

    No index learns the name of the project.
    """
    settings = ({"TZ": "UTC"}, {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7"})
    found, before_all = set(), len(index.requests())
    for number, (env, mask) in enumerate(zip(settings, (0o022, 0o077), strict=True)):
        before = os.umask(mask)
        try:
            poetry = shop.machine(f"machine-{number}")
            shop.registry.manifests.pop(("team/shop", "1"), None)
            command = (*BUILD, "--push", f"--tag={shop.registry.host}/team/shop:1")
            process = poetry.start(shop.project.folder, *command, env=env)
            _, errors = process.communicate()
        finally:
            os.umask(before)
        assert process.returncode == 0, errors
        found.add(shop.registry.manifests["team/shop", "1"][1])
    requests = index.requests()[before_all:]
    assert requests
    assert not [path for path in requests if "acme-shop" in path]
    assert len(found) == 1


def test_signal_leaves_the_old_image(shop: Shop) -> None:
    """The command ends soon even if the registry never answers, with the status of shells."""
    tag = f"--tag={shop.registry.host}/team/shop:1"
    shop.build("first", "--push", tag)
    old = shop.registry.manifests["team/shop", "1"]
    shop.upgrade()
    shop.registry.stalled = "PUT"
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        shop.registry.log.clear()
        poetry = shop.machine(number.name)
        process = poetry.start(shop.project.folder, *BUILD, "--push", tag)
        end = time.monotonic() + PATIENCE
        while not shop.requests("PUT"):
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(number)
        started = time.monotonic()
        _, errors = process.communicate()
        is_killed = number == signal.SIGKILL
        assert process.returncode == (-number if is_killed else 128 + number)
        assert time.monotonic() - started < LESS_THAN_A_TIMEOUT
        assert "Traceback" not in errors
        assert is_killed or not list(poetry.temporary.iterdir())
        assert shop.registry.manifests["team/shop", "1"] == old
    shop.registry.stalled = ""
    shop.build("SIGKILL", "--push", tag)  # removes what the killed build has left
    assert shop.registry.manifests["team/shop", "1"] != old


def test_refused_request_leaves_the_old_image(shop: Shop) -> None:
    """The registry refuses one of the requests; the last one is for the tag."""
    tag = f"--tag={shop.registry.host}/team/shop:1"
    shop.build("first", "--push", tag)
    old, blobs = shop.registry.manifests["team/shop", "1"], dict(shop.registry.blobs)
    shop.upgrade()
    shop.build("measured", "--push", tag)
    new, total = shop.registry.manifests["team/shop", "1"], len(shop.registry.log)
    shop.registry.fault = "403"
    for refused in (total, total - 2, total - 5, total // 2, 1):
        shop.registry.blobs = dict(blobs)
        shop.registry.manifests["team/shop", "1"] = old
        shop.registry.faulty = range(refused, refused + 1)
        output = shop.build(f"machine-{refused}", "--push", tag, status=None)
        has_failed = "Digest" not in output
        assert shop.registry.manifests["team/shop", "1"] == (old if has_failed else new), output
        assert has_failed or refused != total


def test_secrets_are_not_kept(shop: Shop) -> None:
    """Neither the image nor the caches have a password."""
    tag = f"--tag={shop.registry.host}/team/shop:1"
    shop.build("first", "--push", tag)
    stored = [body for _, body in shop.registry.manifests.values()]
    stored += [body for (name, _), body in shop.registry.blobs.items() if name == "team/shop"]
    files = [path for path in (shop.folder / "first/.cache").rglob("*") if path.is_file()]
    assert files
    stored += [path.read_bytes() for path in files]
    for secret in (CANARY, REGISTRY_PASSWORD):
        assert not [body for body in stored if secret.encode() in body]


def test_missing_library_is_named_before_the_push(shop: Shop, index: AcmeIndex) -> None:
    """The message has the Debian package, and no layer is uploaded."""
    library = make_elf(shop.folder / "x.so", needed=["libpq.so.5"]).read_bytes()
    tagged = f"cp313-cp313-manylinux_2_17_{platform.machine()}"
    make_wheel(
        index.packages, "acme-pq", tag=tagged, files={"acme_pq/x.so": library, "acme_pq/y.py": ""}
    )
    shop.project.replace("pyproject.toml", '"acme-native"]', '"acme-native", "acme-pq"]')
    shop.project.lock()
    output = shop.build("first", "--push", status=1)
    assert "libpq5" in output
    assert "libpq.so.5" in output
    assert shop.requests("PUT") == shop.requests("POST") == []


def test_all_obstacles_in_one_error(shop: Shop) -> None:
    """`--dry-run` says them, too; without obstacles it says that no engine is needed."""
    assert "needs no engine" in shop.build("first", "--dry-run")
    assert "--push" in shop.build("first", status=1)
    assert "docker or podman" in shop.build("first", "--push", "--load", status=1)
    assert shop.requests("PUT") == []
    shop.project.replace("pyproject.toml", '"acme-native"]', '"acme-native", "acme-old"]')
    shop.project.configure(runtime_packages=["libpq5"], instructions={"runtime": ["RUN true"]})
    shop.project.lock()
    messages = {shop.build("first", *options, status=1) for options in (["--push"], ["--dry-run"])}
    assert len(messages) == 1
    (message,) = messages
    for text in ("libpq5", "instructions", "acme-old", "build-on-host"):
        assert text in message
