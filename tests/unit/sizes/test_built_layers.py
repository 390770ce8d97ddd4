"""The layers of front ends and build steps, as `poetry docker layers` lists them."""

from __future__ import annotations

from plans import plan, project

from poetry_docker_cache.project.model import FrontEnd
from poetry_docker_cache.settings.asset_values import Assets
from poetry_docker_cache.settings.run_values import RunSetting
from poetry_docker_cache.sizes.built_layers import as_data, built_layers, rows

WEB = FrontEnd(
    folder="web",
    lock="package-lock.json",
    manifests=("web/package.json",),
    scripts=frozenset({"build"}),
)
STEPS = (
    RunSetting(command=("python", "a b"), output=("static",)),
    RunSetting(command=("make",), output=("/opt/x", "y.txt"), dependencies=("po", "lang")),
)


def test_each_is_listed_with_what_runs_it_again() -> None:
    """Images that have the same one list it once."""
    found = project(front_ends={"web": WEB})
    inside = Assets(folder="web", output="web/dist", to="shop/static")
    one = plan(found, assets=(inside,), run=STEPS)
    other = plan(found, run=STEPS[:1])
    layers = built_layers((one, other))
    assert [*rows(layers, width=80)] == [
        "",
        "         runs again after a change of  output",
        " assets  web                           shop/static in the wheel",
        " run-1   all that the image has        /app/static/",
        " run-2   the packages, po, lang        /opt/x/, /app/y.txt",
    ]
    assert as_data(layers)[1] == {
        "name": "run-1",
        "command": "python 'a b'",
        "inputs": ("all that the image has",),
        "output": ("/app/static/",),
    }
    assert [*rows((), width=80)] == []
