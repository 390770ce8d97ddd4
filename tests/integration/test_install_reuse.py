"""Tests of installing from kept wheels and from an earlier image, with the same result."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from installing import SOURCE, Indexes, Workshop, serving
from wheels import make_wheel

from poetry_docker_cache.inside.install import earlier_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BY = {"pip": (), "poetry": ("--from-source",)}
"""Options of the script for each installer."""
INSTALLERS = pytest.mark.parametrize("installer", BY)


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Indexes]:
    """Serve some packages with a password, and others without one."""
    with serving(tmp_path_factory.mktemp("indexes")) as served:
        yield served


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """Return an empty folder to install in."""
    return Workshop(tmp_path)


def everything(indexes: Indexes) -> dict[str, Any]:
    """Return a manifest with two sources and a package for other machines."""
    packages = [indexes.package("al-pha"), indexes.package("beta")]
    other = indexes.package("gone", marker='platform_machine == "none"')
    return indexes.manifest(*packages, indexes.package("gamma", "public"), other)


def clear_caches(workshop: Workshop) -> None:
    """Remove the caches of pip and Poetry."""
    for tool in ("PIP", "POETRY"):
        shutil.rmtree(workshop.folder / tool, ignore_errors=True)


def count_requests(indexes: Indexes) -> int:
    """Count the requests to the indexes."""
    return len(indexes.private.requests()) + len(indexes.public.requests())


def test_kept_wheels_are_downloaded_once(indexes: Indexes, workshop: Workshop) -> None:
    """The second build sends no request; all results are the same as without kept wheels."""
    manifest = everything(indexes)
    wheels = workshop.folder / "wheels"
    wheels.mkdir()
    snapshots = []
    keep = [f"--wheels={wheels}"]
    for more, downloads in (([], True), (keep, True), (keep, False)):
        clear_caches(workshop)
        before = count_requests(indexes)
        status, output = workshop.install(manifest, *more)
        assert status == 0, output
        assert (count_requests(indexes) > before) == downloads
        for line in ("al-pha (1.0+cpu)", "beta (1!2.0b1)", "gamma (2021."):
            assert f"  - Installed {line}" in output
        snapshots.append(workshop.snapshot())
        shutil.rmtree(workshop.venv)
    assert "3 of 3 from the download cache" in output
    assert snapshots[0] == snapshots[1]
    assert snapshots[0] == snapshots[2]
    names = {indexes.wheels[name].name for name in ("al-pha", "beta", "gamma")}
    assert {path.name for path in wheels.iterdir()} == names


def test_modified_kept_wheel_is_replaced(indexes: Indexes, workshop: Workshop) -> None:
    """It is not installed: the right one is downloaded and kept instead."""
    wheels = workshop.folder / "wheels"
    wheels.mkdir()
    right = indexes.wheels["al-pha"]
    evil = make_wheel(wheels, "al-pha", "1.0+cpu", files={"evil.py": "raise SystemExit(1)\n"})
    assert evil.name == right.name
    shutil.copy(indexes.wheels["beta"], wheels)
    before = indexes.private.downloads()
    manifest = indexes.manifest(indexes.package("al-pha"), indexes.package("beta"))
    status, output = workshop.install(manifest, f"--wheels={wheels}")
    assert status == 0, output
    assert "1 of 2 from the download cache" in output
    assert indexes.private.downloads()[len(before) :] == [right.name]
    assert evil.read_bytes() == right.read_bytes()
    assert not list(workshop.venv.rglob("evil.py"))


def test_failed_download_keeps_no_wheel(indexes: Indexes, workshop: Workshop) -> None:
    """The output explains the failure as usual."""
    wheels = workshop.folder / "wheels"
    wheels.mkdir()
    package = indexes.package("al-pha")
    package["files"][0]["hash"] = f"sha256:{'0' * 64}"
    status, output = workshop.install(indexes.manifest(package), f"--wheels={wheels}")
    assert status != 0
    assert "serves a file whose hash does not match poetry.lock" in output
    status, output = workshop.install(
        indexes.manifest(indexes.package("al-pha")),
        f"--wheels={wheels}",
        password="hunter-canary",
    )
    assert status != 0
    assert f"The package source {SOURCE!r}" in output
    assert list(wheels.iterdir()) == []


@INSTALLERS
@pytest.mark.parametrize("more", [[], ["--compile"]])
def test_unchanged_packages_are_reused(
    indexes: Indexes, workshop: Workshop, installer: str, more: list[str]
) -> None:
    """Only changed packages are downloaded, and the result is the same as without reuse."""
    store = workshop.folder / "installed"
    store.mkdir()
    options = ["--reuse", f"--installed={store}", f"--made-by={installer}", *more]
    old = indexes.manifest(indexes.package("al-pha"), indexes.package("gamma", "public"))
    status, output = workshop.install(old, *BY[installer], *options)
    assert status == 0, output
    assert "Reused" not in output
    image = workshop.folder / "image"
    workshop.venv.rename(image)
    (table,) = (image / earlier_image.TABLES).iterdir()
    assert json.loads(table.read_text()).keys() == {"al-pha", "gamma"}

    new = everything(indexes)
    status, output = workshop.install(new, *BY[installer], *options)
    assert status == 0, output
    wanted = workshop.snapshot()
    shutil.rmtree(workshop.venv)

    assert earlier_image.take(image, store) == 2
    clear_caches(workshop)
    before = (indexes.private.downloads(), indexes.public.requests())
    status, output = workshop.install(new, *BY[installer], *options)
    assert status == 0, output
    assert "Reused al-pha, from the earlier image" in output
    assert "Reused gamma" in output
    assert "Installed al-pha" not in output
    assert workshop.snapshot() == wanted
    downloads = indexes.private.downloads()[len(before[0]) :]
    # What is built from source is downloaded in a step of its own, which does not see the image.
    known = ["al-pha"] if installer == "poetry" else []
    assert sorted(downloads) == sorted(indexes.wheels[name].name for name in ("beta", *known))
    assert installer == "poetry" or indexes.public.requests() == before[1]


def test_changed_packages_are_not_reused(indexes: Indexes, workshop: Workshop) -> None:
    """A package with a changed file, or from another installer, is installed as usual."""
    store = workshop.folder / "installed"
    store.mkdir()
    manifest = indexes.manifest(indexes.package("al-pha"), indexes.package("beta"))
    options = ["--reuse", f"--installed={store}"]
    assert workshop.install(manifest, *options)[0] == 0
    wanted = workshop.snapshot()
    image = workshop.folder / "image"
    workshop.venv.rename(image)
    (next(image.rglob("al_pha/__init__.py"))).write_text("raise SystemExit('tampered with')\n")
    assert earlier_image.take(image, store) == 2
    status, output = workshop.install(manifest, *options)
    assert status == 0, output
    assert "Reused beta" in output
    assert "Installed al-pha" in output
    assert workshop.snapshot() == wanted
    shutil.rmtree(workshop.venv)
    status, output = workshop.install(manifest, *options, "--made-by=other")
    assert status == 0, output
    assert "Reused" not in output


def test_packages_that_share_a_file_are_not_reused(indexes: Indexes, workshop: Workshop) -> None:
    """If a new package has a file of a reused one, everything is installed as usual."""
    folder = indexes.wheels["al-pha"].parent
    files = {"shared.py": "OF = 'one'\n"}
    made = [make_wheel(folder, "one", files=files)]
    made.append(make_wheel(folder, "two", files={"shared.py": "OF = 'two'\n", "two.py": ""}))
    packages = []
    for wheel in made:
        entry = {
            "file": wheel.name,
            "hash": f"sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}",
        }
        source = {"type": "legacy", "url": indexes.private.url, "reference": SOURCE}
        packages.append(
            {"name": wheel.name[:3], "version": "1.0", "files": [entry], "source": source}
        )
    store = workshop.folder / "installed"
    store.mkdir()
    options = ["--reuse", f"--installed={store}"]
    assert workshop.install(indexes.manifest(packages[0]), *options)[0] == 0
    image = workshop.folder / "image"
    workshop.venv.rename(image)
    both = indexes.manifest(*packages)
    assert workshop.install(both, *options)[0] == 0
    wanted = workshop.snapshot()
    shutil.rmtree(workshop.venv)
    assert earlier_image.take(image, store) == 1
    status, output = workshop.install(both, *options)
    assert status == 0, output
    assert "Reused" not in output
    assert workshop.snapshot() == wanted
