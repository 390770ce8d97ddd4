"""Wheels that are built on this machine: of the project, and of source distributions."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest
from index import PrivateIndex
from poetry.config.config import Config
from poetry.core.masonry.builders.wheel import WheelBuilder
from poetry.factory import Factory
from projects import make_project, package, sdist
from wheels import make_sdist, make_wheel

from poetry_docker_cache.commands.planned_image import plan_images
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine import host_wheels
from poetry_docker_cache.no_engine.host_wheels import HostBuilder, as_layer
from poetry_docker_cache.no_engine.wheel_choice import LockedFile
from poetry_docker_cache.project.selection import SelectionOptions

if TYPE_CHECKING:
    from pathlib import Path

    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.plan.image_plan import Wheel

USER, PASSWORD = "user", "s3cr3t-canary"
CORE = """
[project]
name = "acme-shop"
version = "1.2.3"
readme = "README.md"
requires-python = ">=3.11,<4"
[project.scripts]
shop = "acme_shop:main"
[tool.poetry]
packages = [{ include = "acme_shop", from = "src" }]
[tool.poetry-docker-cache]
python = "3.13"
ignore = ["src/acme_shop/hidden.py"]
[build-system]
requires = ["poetry-core>=2.0"]
build-backend = "poetry.core.masonry.api"
"""
FILES = {
    "README.md": "# Shop\n",
    "src/acme_shop/__init__.py": "def main(): ...\n",
    "src/acme_shop/hidden.py": "SECRET = 1\n",
    "src/acme_shop/data/x.txt": "x" * 2000,
    "tests/test_shop.py": "",
}
OTHER = """
[project]
name = "acme-shop"
version = "1"
requires-python = ">=3.11,<4"
[[tool.poetry.source]]
name = "acme"
url = "{url}"
[tool.poetry-docker-cache]
python = "3.13"
pinned-tools = false
[build-system]
requires = ["acme-backend"]
build-backend = "acme_backend"
"""
SCM = "SETUPTOOLS_SCM_PRETEND_VERSION"
# It shows what it is called with: in its wheel, or as its output.
BACKEND = """
import json, os, pathlib, sys, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    if "fail" in (config_settings or {}):
        sys.exit(config_settings["fail"])
    tag = "cp313-cp313-linux_x86_64" if "native" in (config_settings or {}) else "py3-none-any"
    name = f"acme_shop-1-{tag}.whl"
    found = sorted(path.as_posix() for path in pathlib.Path().rglob("*") if path.is_file())
    seen = {"files": found, "settings": config_settings, "environment": {**os.environ}}
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as archive:
        archive.writestr("acme_shop.json", json.dumps(seen))
        for part in ("METADATA", "WHEEL", "RECORD"):
            archive.writestr(f"acme_shop-1.dist-info/{part}", "")
    return name
"""


def write(folder: Path, files: dict[str, str]) -> None:
    """Write the files of a project."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def planned(folder: Path) -> PlannedImage:
    """Plan the image of a project."""
    (image,) = plan_images(Factory().create_poetry(folder), [], SelectionOptions())
    return image


def failing(wheel: Wheel, message: str) -> Wheel:
    """Return a wheel whose build fails with a message."""
    return replace(wheel, config_settings=json.dumps({"fail": message}))


def builder(image: PlannedImage, output: Path) -> HostBuilder:
    """Return what builds its wheels."""
    return HostBuilder(
        poetry=image.poetry,
        output=output,
        context=image.context,
        ignore_file=image.ignore_file(),
        version=image.plan.version,
    )


def build(folder: Path, output: Path) -> Path:
    """Build the project's own wheel."""
    image = planned(folder)
    assert image.plan.application
    return builder(image, output).own_wheel(image.plan.application)


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_same_wheel_as_poetry_build_without_hidden_files(tmp_path: Path) -> None:
    """What the ignore file hides is not in it, and neither time, mode nor zlib change a byte."""
    folder = make_project(tmp_path / "shop", CORE, [])
    write(folder, FILES)
    first = build(folder, tmp_path / "first")
    (folder / "src/acme_shop/data/x.txt").chmod(0o600)
    os.utime(folder / "src/acme_shop/__init__.py", (10**9, 10**9))
    assert build(folder, tmp_path / "second").read_bytes() == first.read_bytes()
    (folder / "src/acme_shop/hidden.py").unlink()
    poetry = Factory().create_poetry(folder)
    plain = tmp_path / "plain"
    WheelBuilder(poetry).build(plain)
    assert contents(first) == contents(plain / first.name)
    with zipfile.ZipFile(first) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    (file,) = as_layer("application", first).files
    assert (file.name, file.version, file.is_native) == ("acme-shop", "1.2.3", False)


SCRIPT = "import os, pathlib\npathlib.Path('acme_shop.txt').write_text(str(os.getpid()))\n"


def test_same_wheel_from_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is built here if nothing differs, and never if the build runs code or git finds files."""
    core = f"poetry-core=={metadata.version('poetry-core')}"
    text = CORE.replace("poetry-core>=2.0", core).replace(
        "ignore =", "pinned-tools = false\nignore ="
    )
    folder = make_project(tmp_path / "shop", text, [])
    write(folder, FILES)
    with monkeypatch.context() as patched:
        patched.delattr(host_wheels, "_call")
        here = build(folder, tmp_path / "here").read_bytes()
    called, call = [], host_wheels._call

    def count(*given: Any) -> str:  # noqa: ANN401  # whatever it is called with
        called.append(given)
        return call(*given)

    monkeypatch.setattr(host_wheels, "_call", count)
    with monkeypatch.context() as patched:
        patched.setenv("GIT_DIR", str(tmp_path / "none"))
        assert build(folder, tmp_path / "there").read_bytes() == here
    build(folder, tmp_path / "again")
    assert len(called) == 1
    file = folder / "pyproject.toml"
    file.write_text(
        f'{text}\n[tool.poetry.build]\nscript = "build.py"\ngenerate-setup-file = false\n'
    )
    write(folder, {"build.py": SCRIPT})
    with pytest.raises(DockerCacheError, match="it has compiled code"):
        build(folder, tmp_path / "script")
    assert len(called) == 2


def test_packages_from_a_folder_above(tmp_path: Path) -> None:
    """Poetry-core takes no files from outside of the project, so they are placed inside."""
    text = CORE.replace(
        'from = "src" }]', 'from = "src" }, { include = "common", from = "../lib" }]'
    )
    folder = make_project(tmp_path / "all" / "shop", text, [])
    write(folder, {**FILES, "../lib/common/__init__.py": "", "../lib/other.py": ""})
    found = contents(build(folder, tmp_path / "built"))
    assert "common/__init__.py" in found
    assert not [name for name in found if name.endswith("other.py")]


def test_other_backend_comes_from_private_source_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the password, into an environment that later builds use; the files are the stage's."""
    packages = tmp_path / "packages"
    packages.mkdir()
    make_wheel(packages, "acme-backend", files={"acme_backend.py": BACKEND})
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_USERNAME", USER)
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_PASSWORD", PASSWORD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv(SCM, "7")  # of another project
    with PrivateIndex(packages, {USER: PASSWORD}) as index:
        folder = make_project(tmp_path / "shop", OTHER.format(url=index.url), [])
        write(folder, {"acme_shop.py": "", ".env": "TOKEN=1", "a/x.txt": "", "../secret": "S"})
        (folder / "a/absolute").symlink_to(tmp_path / "secret")
        (folder / "a/above").symlink_to("/".join([".."] * 20) + str(tmp_path / "secret"))
        (folder / "a/inside").symlink_to("x.txt")
        Config.create(reload=True)
        image = planned(folder)
        assert image.plan.application
        wheel = replace(image.plan.application, whole=True)
        made = builder(image, tmp_path / "built")
        found = contents(made.own_wheel(replace(wheel, config_settings='{"a": "b"}')))
        seen = json.loads(found["acme_shop.json"])
        assert seen["settings"] == {"a": "b"}
        assert not {"PYTHONPATH", SCM} & {*seen["environment"]}
        assert {"acme_shop.py", "pyproject.toml"} <= {*seen["files"]}
        assert ".env" not in seen["files"]
        # Links that leave the project have no target in a build, and not this machine's here.
        assert [name for name in seen["files"] if name.startswith("a/")] == ["a/inside", "a/x.txt"]
        before = index.requests()
        with pytest.raises(DockerCacheError, match="the project could not be built") as caught:
            made.own_wheel(failing(wheel, "the backend is \x1b[31munhappy\x1b[0m"))
        assert caught.value.problem.endswith("the backend is unhappy")
        with pytest.raises(DockerCacheError, match=r"did not find x\.h") as caught:
            made.own_wheel(failing(wheel, "fatal error: x.h: No such file or directory"))
        assert "`build-packages`" not in caught.value.fix
        assert "without `--no-engine`" in caught.value.fix
        with pytest.raises(DockerCacheError, match="it has compiled code"):
            made.own_wheel(replace(wheel, config_settings='{"native": "1"}'))
        assert index.requests() == before


def test_missing_backend_is_explained(tmp_path: Path) -> None:
    """The source does not have it."""
    (tmp_path / "packages").mkdir()
    with PrivateIndex(tmp_path / "packages", {}) as index:
        folder = make_project(tmp_path / "shop", OTHER.format(url=index.url), [])
        write(folder, {"acme_shop.py": ""})
        with pytest.raises(DockerCacheError, match="build backend of the project") as caught:
            build(folder, tmp_path / "built")
    assert "[build-system]" in caught.value.fix


def test_source_distribution_becomes_pure_wheel(tmp_path: Path) -> None:
    """Its own table [build-system] names the backend."""
    archive = make_sdist(tmp_path, "acme-old")
    folder = make_project(tmp_path / "shop", CORE, [package("acme-old", files=[sdist("acme-old")])])
    write(folder, FILES)
    image = planned(folder)
    file = LockedFile(
        name="acme-old", version="1.0", file=archive.name, hash=f"sha256:{'0' * 64}", source={}
    )
    made = builder(image, tmp_path / "built")
    wheel = made.sdist(archive, file, b"{}", image.plan.dependencies)
    assert wheel.name.endswith("py3-none-any.whl")
    assert contents(wheel)["acme_old/__init__.py"] == b'VERSION = "1.0"\n'
    archive.write_bytes(b"damaged")
    with pytest.raises(DockerCacheError, match="damaged"):
        made.sdist(archive, file, b"{}", image.plan.dependencies)
