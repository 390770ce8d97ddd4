"""The benchmark: reading logs, editing its project, and rendering tables and the chart."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import bench
import bench_chart
import bench_docker
import bench_goals
import bench_log
import bench_project
import bench_report
import bench_tables
import bench_variants
import pytest
import tomlkit
from bench_machines import CacheFolder
from bench_project import ROOT
from bench_results import Bump, Image, Measurement, Results, Start
from bench_scenarios import SCENARIOS
from bench_variants import VARIANTS, Build
from processes import EngineError

if TYPE_CHECKING:
    from bench_variants import Variant
    from engine import Engine

PLUGIN = """\
#41 [manifest 4/4] RUN ["python", "-m", "manifest"]
#41 CACHED
#42 [pure-1 1/1] RUN ["python", "-m", "install"]
#42 1.234   - Installed typing_extensions (4.16.0)
#42 1.301   - Installed anyio (4.16.0)
#43 0.512   - Installed orjson (3.13.0)
#44 3.141 Successfully installed poetry-2.5.1 build-1.6.1
"""
POETRY = """\
#11 2.001 Installing dependencies from lock file
#11 2.404 Package operations: 2 installs, 0 updates, 0 removals
#11 2.405
#11 2.406   - Installing idna (3.20)
#11 2.407   - Installing acme-greetings (1.0.0)
#11 9.999 Installing the current project: bench-app (1.0.0)
"""
UV = """\
#12 0.712 Prepared 2 packages in 301ms
#12 0.801 Installed 2 packages in 12ms
#12 0.802  + acme-greetings==1.0.0
#12 0.802  + typing-extensions==4.16.0
#14 0.503  + bench-app==1.0.0 (from file:///app)
"""


@pytest.mark.parametrize(
    ("log", "names"),
    [
        (PLUGIN, {"typing-extensions", "anyio", "orjson"}),
        (POETRY, {"idna", "acme-greetings"}),
        (UV, {"acme-greetings", "typing-extensions"}),
        (UV.replace("\n", "\r\n"), {"acme-greetings", "typing-extensions"}),
        ("#11 CACHED\n", set()),
    ],
)
def test_installed_packages_are_read_from_log(log: str, names: set[str]) -> None:
    """The log of each installer is understood; the project and tools do not count."""
    assert bench_log.installed(log) == names


def test_packages_in_layers_that_were_made_are_counted() -> None:
    """Without an engine, there is no log of an installer."""
    packages = [{"name": name, "version": "1.0"} for name in ("anyio", "idna")]
    layers = [
        {"name": "pure-1", "cached": False, "packages": packages},
        {"name": "pure-2", "cached": True, "packages": [{"name": "orjson", "version": "3.13.0"}]},
        {"name": "native", "cached": False, "packages": packages[:1]},
    ]
    assert bench_log.made(json.dumps({"poetry-docker-cache": {"layers": layers}})) == 3


def entry(method: str, uri: str, status: int, written: int = 0) -> str:
    """Make a line of the registry's log."""
    request = {"http.request.method": method, "http.request.uri": uri}
    response = {"http.response.status": status, "http.response.written": written}
    return json.dumps({**request, **response})


def test_traffic_counts_each_uploaded_blob_once() -> None:
    """Downloads of blobs count by their bytes; other requests do not count."""
    large, small, other = ("sha256:" + digit * 64 for digit in "abc")
    upload = "/v2/bench/plugin/blobs/uploads/5f?_state=x%3D&digest="
    lines = [
        "starting",
        entry("HEAD", f"/v2/bench/plugin/blobs/{large}", 404, 157),
        entry("POST", "/v2/bench/plugin/blobs/uploads/", 202),
        entry("PATCH", "/v2/bench/plugin/blobs/uploads/5f?_state=x%3D", 202),
        entry("PUT", upload + large.replace(":", "%3A"), 201),
        entry("PUT", upload + large.replace(":", "%3A"), 201),
        entry("PUT", upload + small.replace(":", "%3A"), 201),
        entry("PUT", upload + other.replace(":", "%3A"), 400),
        entry("POST", f"/v2/bench/plugin/blobs/uploads/?mount={other}&from=library/python", 201),
        entry("PUT", "/v2/bench/plugin/manifests/cold", 201),
        entry("GET", f"/v2/library/python/blobs/{other}", 200, 46_000_000),
        entry("GET", f"/v2/bench/plugin/blobs/{small}", 206, 5),
        entry("GET", "/v2/bench/plugin/manifests/cache", 200, 999),
        entry("HEAD", f"/v2/bench/plugin/blobs/{small}", 200, 12),
    ]
    found = bench_log.traffic(lines, {large: 1_000_000, small: 12}.__getitem__)
    assert found == bench_log.Traffic(blobs=2, pushed=1_000_012, pulled=46_000_005)


@pytest.mark.parametrize("name", bench.SIZES)
def test_package_set_has_the_size_of_its_name(name: str) -> None:
    """Its edits change existing packages to another version, and add a new package."""
    packages = bench_project.PackageSet.read(name)
    assert len(packages.packages) == int(name)
    for kind in ("pure", "native"):
        package, _, version = packages.changes[kind].partition("==")
        assert packages.packages[package] != version
    assert packages.changes["added"].partition("==")[0] not in packages.packages


SOURCES = bench_project.Sources(index="https://mirror.example/simple/", private="http://acme/")


@pytest.mark.parametrize("kind", ["poetry", "uv"])
@pytest.mark.parametrize("edit", bench_project.EDITS)
def test_edit_changes_one_line(tmp_path: Path, edit: str, kind: str) -> None:
    """All edits except the one of the source code change pyproject.toml."""
    packages = bench_project.PackageSet.read("30")
    first = bench_project.State(packages=packages.packages)
    edited = bench_project.EDITS[edit](first, packages)
    bench_project.write(tmp_path / "before", first, kind, SOURCES)
    bench_project.write(tmp_path / "after", edited, kind, SOURCES)
    changed: dict[str, set[str]] = {}
    for before in (path for path in (tmp_path / "before").rglob("*") if path.is_file()):
        after = tmp_path / "after" / before.relative_to(tmp_path / "before")
        new = set(after.read_text().splitlines()) - set(before.read_text().splitlines())
        if new:
            changed[before.name] = new
    if edit == "none":
        assert changed == {}
    else:
        (name,) = changed
        assert name == ("__init__.py" if edit == "source" else "pyproject.toml")
        assert len(changed[name]) == 1
    tomlkit.parse((tmp_path / "after/pyproject.toml").read_text())


def test_scenarios_name_existing_edits() -> None:
    """Each edit is used by a scenario."""
    assert {scenario.edit for scenario in SCENARIOS.values()} == set(bench_project.EDITS)


def command(folder: Path, name: str) -> list[str]:
    """Return the command of a variant on a fresh machine, after the base image has moved."""
    build = Build(
        folder=folder,
        tag="127.0.0.1:1/bench/x:cold",
        base="127.0.0.1:1/library/python:3.13-slim",
        full="127.0.0.1:1/library/python:3.13",
        secrets=folder / "secrets",
        poetry=folder / "poetry",
        metadata=folder / "metadata.json",
        cache_from="type=registry,ref=127.0.0.1:1/bench/x:cache",
        pull=True,
    )
    return VARIANTS[name].command(build)


@pytest.mark.parametrize("name", [name for name in VARIANTS if VARIANTS[name].needs_engine])
def test_commands_have_the_same_options(tmp_path: Path, name: str) -> None:
    """All variants with an engine push to the same name, with the same cache and network."""
    words = command(tmp_path, name)
    shared = ("--push", "--pull", "--tag=127.0.0.1:1/bench/x:cold", "--network=host")
    cache = "--cache-from=type=registry,ref=127.0.0.1:1/bench/x:cache"
    assert {*shared, cache} <= set(words)
    assert not any("--cache-to" in word for word in words)


def test_command_without_engine_has_no_option_for_one(tmp_path: Path) -> None:
    """The same Poetry pushes to the same name; the cache is an image."""
    words, with_engine = (command(tmp_path, name) for name in ("plugin-no-engine", "plugin"))
    assert words[:5] == with_engine[:5]
    assert words[5:] == [
        "--no-engine",
        "--push",
        "--tag=127.0.0.1:1/bench/x:cold",
        f"--metadata-file={tmp_path / 'metadata.json'}",
        "--cache=type=registry,ref=127.0.0.1:1/bench/x:cache",
    ]


def test_machine_without_engine_has_one_folder(tmp_path: Path) -> None:
    """Everything that Poetry and the plugin keep is in it, so that it can be emptied."""
    machine = CacheFolder(tmp_path / "machine", {"PATH": "/bin", "XDG_CACHE_HOME": "/other"})
    changed = {name: text for name, text in machine.environment.items() if name != "PATH"}
    assert changed.keys() == {"XDG_CACHE_HOME", "POETRY_CACHE_DIR", "DOCKER_CONFIG"}
    assert all(Path(text).is_relative_to(machine.folder) for text in changed.values())
    (machine.folder / "poetry-docker-cache").mkdir()
    machine.empty(keep_base=True)
    assert list(machine.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("group", "file", "text"),
    [
        ("cpuacct/pdc-1", "cpuacct.usage", "12500000000\n"),
        ("pdc-1", "cpu.stat", "usage_usec 12500000\nuser_usec 9000000\n"),
    ],
)
def test_cpu_of_engine_is_that_of_its_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, file: str, text: str
) -> None:
    """The daemons move into it; both versions of control groups are read."""
    monkeypatch.setattr(bench_docker, "CGROUPS", tmp_path)
    (tmp_path / group).mkdir(parents=True)
    (tmp_path / group / file).write_text(text)
    daemons = SimpleNamespace(
        cgroup="pdc-1", containerd=SimpleNamespace(pid=7), dockerd=SimpleNamespace(pid=8)
    )
    cpu = bench_docker.EngineCpu(cast("Engine", SimpleNamespace(daemons=daemons)))
    assert cpu.seconds() == 12.5
    assert (tmp_path / group / "daemons" / "cgroup.procs").read_text() == "8"


@pytest.mark.parametrize("variant", [VARIANTS["plugin"], VARIANTS["plugin-no-engine"]])
def test_plugin_is_configured_with_base_image(tmp_path: Path, variant: Variant) -> None:
    """The base image comes from the benchmark's registry; the plugin fills in the Python."""
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    variant.prepare(tmp_path, "127.0.0.1:1/library/python:3.13-slim")
    data = tomlkit.parse((tmp_path / "pyproject.toml").read_text()).unwrap()
    assert data["tool"]["poetry-docker-cache"] == {
        "base-image": "127.0.0.1:1/library/python:{python}-slim",
    }


def test_scenario_may_add_a_setting(tmp_path: Path) -> None:
    """A variant with the setting has its own name, and so its own folder."""
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    variant = bench_variants.Plugin(setting=("download-cache", '/a "b"'))
    variant.prepare(tmp_path, "python:3.13-slim")
    data = tomlkit.parse((tmp_path / "pyproject.toml").read_text()).unwrap()
    assert data["tool"]["poetry-docker-cache"]["download-cache"] == '/a "b"'
    assert variant.name == "plugin-download-cache"


@pytest.mark.parametrize("name", VARIANTS)
def test_scenarios_with_settings_are_for_the_plugin(name: str) -> None:
    """A second platform is for the plugin, too; other scenarios are for every variant."""
    able = {
        scenario.name for scenario in SCENARIOS.values() if bench.suits(scenario, VARIANTS[name])
    }
    settings = {"fresh-downloads", "fresh-image"}
    unable = {"plugin": set(), "plugin-no-engine": settings}.get(name, {*settings, "platform"})
    assert able == SCENARIOS.keys() - unable


def measured(variant: str, scenario: str, seconds: float, **numbers: int) -> Measurement:
    """Make a measurement at 30 packages."""
    counts = {"installed": 0, "blobs": 2, "pushed": 1500, "pulled": 0, **numbers}
    return Measurement(
        size="30",
        variant=variant,
        scenario=scenario,
        seconds=seconds,
        buildkit=seconds - 1 if variant == "plugin" else seconds,
        cpu=2 * seconds,
        **counts,
    )


@pytest.fixture
def results() -> Results:
    """Return the results of two variants; one has no measurement of a version bump."""
    return Results(
        command="make bench",
        machine={"cores": "2", "memory": "24 GiB", "architecture": "x86_64"},
        titles={"30": "a web API <small>"},
        dates={"30": "2026-01-31"},
        measurements=[
            measured("plugin", "cold", 9.0, installed=30, blobs=8, pushed=12_345_678),
            measured("plugin", "cold", 11.0, installed=30, blobs=8, pushed=12_345_678),
            measured("plugin", "cold", 10.0, installed=30, blobs=8, pushed=12_345_678),
            measured("article", "cold", 20.0, installed=30, blobs=6, pushed=23_456_789),
            measured("article", "version", 8.0, installed=30),
        ],
        images=[Image(size="30", variant="plugin", bytes=61_234_567)],
        starts=[
            Start(size="30", compiled=False, seconds=2.5),
            Start(size="30", compiled=True, seconds=1.25),
        ],
        bumps=[Bump(size="30", layers="auto", own=0, packages=0.14, bytes=0.05)],
    )


def test_results_are_read_as_written(tmp_path: Path, results: Results) -> None:
    """All results are kept, also those of earlier versions, which have fewer numbers."""
    results.measurements[0] = replace(results.measurements[0], buildkit=None, cpu=None)
    results.write(tmp_path / "bench.json")
    assert Results.read(tmp_path / "bench.json") == results


def test_results_of_earlier_run_are_kept(results: Results) -> None:
    """They keep their date; results of a size that is measured again are dropped."""
    machine = results.machine
    now = Results(
        command="make bench",
        machine=machine,
        titles={"150": "large", "77": "data"},
        dates={"150": "2026-02-01", "77": "2026-02-01"},
    )
    joined = bench._merge(results, now)
    assert [*joined.titles] == ["30", "77", "150"]
    assert joined.measurements == results.measurements
    assert "on 2026-01-31 (30 packages), 2026-02-01 (77 and 150 packages), 2 cores" in (
        bench_tables.markdown(joined)
    )
    again = bench._merge(results, replace(results, dates={"30": "2026-02-02"}))
    assert (again.measurements, again.images, again.starts, again.bumps) == ([], [], [], [])
    assert again.dates == {"30": "2026-02-02"}
    with pytest.raises(EngineError, match="another machine"):
        bench._merge(results, replace(now, machine={**machine, "cores": "64"}))


def test_median_and_ratio_of_repetitions(results: Results) -> None:
    """Both are None if nothing was measured."""
    assert results.median("30", "plugin", "cold", lambda row: row.seconds) == 10
    assert results.ratio("30", "plugin", "cold", lambda row: row.seconds) == 0.5
    assert results.ratio("30", "plugin", "cold", lambda row: row.buildkit) == 0.45
    assert results.median("30", "plugin", "version", lambda row: row.seconds) is None
    assert results.ratio("30", "plugin", "version", lambda row: row.seconds) is None


def test_page_has_complete_tables(results: Results) -> None:
    """Each row has all columns; the title of an edit is written once."""
    text = bench_tables.markdown(results)
    assert "`make bench` on 2026-01-31, 2 cores, 24 GiB of memory" in text
    assert (
        "| first build | the plugin | 30 | 8 | 12.35 | 0.00"
        " | 10.0 | 0.50 | 9.0 | 0.45 | 20.0 | 0.50 |\n"
    ) in text
    assert (
        "|  | the article's Dockerfile | 30 | 6 | 23.46 | 0.00"
        " | 20.0 | 1.00 | 20.0 | 1.00 | 40.0 | 1.00 |\n"
    ) in text
    assert f"| version bumped | the plugin |{' n/a |' * 10}\n" in text
    assert "| 30 | the plugin | 61.2 |\n" in text
    assert "| 30 | auto | 0 | 14% | 5% |\n" in text
    assert "| 30 | true | 1.25 |\n" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} <= {4, 6, 13}
    assert "These are medians of 3 rounds.\n" in text


def test_page_of_earlier_results_has_no_cpu_seconds(results: Results) -> None:
    """The other numbers are shown."""
    rows = [replace(row, buildkit=None, cpu=None) for row in results.measurements]
    text = bench_tables.markdown(replace(results, measurements=rows))
    assert "| 12.35 | 0.00 | 10.0 | 0.50 | n/a | n/a | n/a | n/a |\n" in text


def test_goals_compare_with_the_faster_dockerfile(results: Results) -> None:
    """A goal without measurements has no row, and without any row there is no table."""
    assert bench_goals.text(results) == ""
    own = [
        measured("plugin-no-engine", "cold", 3.0),
        measured("plugin-no-engine", "version", 1.5, pulled=2_000_000),
    ]
    rows = [*results.measurements, *own, measured("uv-documented", "cold", 10.0)]
    assert bench_goals.text(replace(results, measurements=rows)).splitlines()[2:] == [
        "| 30 | cold | ≤ 0.4 of the faster Dockerfile | 0.30 | yes |",
        "| 30 | version | ≤ 2 s, no layer pulled | 1.5 s, 2.00 MB | no |",
    ]
    rows[-2] = measured("plugin-no-engine", "version", 2.0, pulled=5_000)
    assert "| 2.0 s, 0.01 MB | yes |" in bench_goals.text(replace(results, measurements=rows))


def test_summary_has_the_commonest_edits(results: Results) -> None:
    """Each cell has the seconds for each of two sizes."""
    text = bench_tables.summary(results)
    assert "with 30 packages (`make bench` on 2026-01-31, 2 cores, 24 GiB of memory" in text
    assert "| you edit | the plugin | the article's Dockerfile |\n" in text
    assert "| first build | 10.0 | 20.0 |\n" in text
    assert "| version bumped | n/a | 8.0 |\n" in text
    both = replace(
        results, titles={**results.titles, "77": "x"}, dates={**results.dates, "77": "2026-02-01"}
    )
    text = bench_tables.summary(both)
    assert "30 / 77 packages (`make bench` on 2026-01-31 (30 packages), 2026-02-01 (77" in text
    assert "| first build | 10.0 / n/a | 20.0 / n/a |\n" in text


def test_summary_is_written_between_marks_of_readme(tmp_path: Path, results: Results) -> None:
    """It replaces the text between them; without the marks nothing is written."""
    results.write(tmp_path / "bench.json")
    readme = tmp_path / "README.md"
    readme.write_text(f"# Top\n{bench_report.START}old\n{bench_report.END}# Rest\n")
    render = ["--render", str(tmp_path / "bench.json"), "--readme", str(readme)]
    for _ in range(2):
        assert bench.main(render) == 0
        summary = bench_tables.summary(results)
        between = f"{bench_report.START}\n{summary}\n{bench_report.END}"
        assert readme.read_text() == f"# Top\n{between}# Rest\n"
    readme.write_text("# Top\n")
    assert bench.main(render) == 1
    assert readme.read_text() == "# Top\n"


def test_titles_fit_into_chart(results: Results) -> None:
    """The chart has the commonest edits; each title has room to the left of its bars."""
    rows = [measured("plugin", name, 1.0) for name in SCENARIOS]
    root = ET.fromstring(bench_chart.svg(replace(results, measurements=rows), "30"))
    shown = [
        str(text.text)
        for text in root.iter("{http://www.w3.org/2000/svg}text")
        if text.get("text-anchor") == "end"
    ]
    assert shown == [SCENARIOS[name].title for name in bench_tables.SHORT]
    assert all(len(title) * 6.5 <= bench_chart.LEFT - 12 for title in shown)
    assert root[0].text == "Seconds to build and push after an edit, 30 packages"


def test_bars_of_chart_are_proportional(results: Results) -> None:
    """They stay inside the chart, and what was not measured has no bar."""
    root = ET.fromstring(bench_chart.svg(results, "30"))
    bars: dict[str, list[float]] = {}
    for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
        if float(rect.get("x", 0)) == bench_chart.LEFT:
            bars.setdefault(rect.get("class", ""), []).append(float(rect.get("width", 0)))
    (plugin,), (version, cold) = bars["plugin"], bars["article"]
    assert bench_chart.LEFT + cold < bench_chart.WIDTH
    assert cold / plugin == pytest.approx(2, 0.01)
    assert cold / version == pytest.approx(2.5, 0.01)
    text = "".join(root.itertext())
    assert "the plugin: 10.0 s" in text
    assert "n/a" not in text
    assert "2 cores" in text
    assert "prefers-color-scheme: dark" in text
    assert "uv's documented" not in text


def test_results_are_rendered_without_a_build(tmp_path: Path, results: Results) -> None:
    """The tables and the chart depend only on the data."""
    results.write(tmp_path / "bench.json")
    assert bench.main(["--render", str(tmp_path / "bench.json")]) == 0
    assert (tmp_path / "bench.md").read_text() == bench_tables.markdown(results)
    assert (tmp_path / "bench.svg").read_text() == bench_chart.svg(results, "30")


def test_published_tables_and_chart_are_those_of_docs_bench_json() -> None:
    """The README has one of the tables; what is newer than the results is missing."""
    results = Results.read(ROOT / "docs/bench.json")
    assert (ROOT / "docs/bench.md").read_text() == bench_tables.markdown(results)
    assert (ROOT / "docs/bench.svg").read_text() == bench_chart.svg(results, "30")
    readme = (ROOT / "README.md").read_text()
    assert bench_report.insert_summary(readme, results) == readme
    assert results.failures == []
    assert [*results.titles] == [*bench.SIZES]
    for size in results.titles:
        measured = bench_tables.scenarios(results, size)
        assert measured == [name for name in SCENARIOS if name in measured]
        assert {"cold", "none", "source", "pure", "fresh-pure"} <= {*measured}
        shown = bench_tables.variants(results, size)
        assert shown == [name for name in VARIANTS if name in shown]
        assert {"plugin", "article", "uv-documented"} <= {*shown}
        cells = Counter(
            (row.variant, row.scenario) for row in results.measurements if row.size == size
        )
        assert {*cells.values()} == {bench_project.PackageSet.read(size).rounds}


@pytest.mark.parametrize("option", ["--sizes=31", "--variants=npm", "--scenarios=warm"])
def test_unknown_value_of_option_is_an_error(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names it."""
    assert bench.main([option]) == 1
    assert option.partition("=")[2] in capsys.readouterr().err
