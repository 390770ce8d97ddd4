"""Any Dockerfile: nothing fails, and each instruction is accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from old_dockerfiles import FILES, costs_of, image_of, make_shop, proposal_of, read_shop

from poetry_docker_cache.docker.dockerfile_syntax import read_instructions
from poetry_docker_cache.migrate.differences import find_differences

if TYPE_CHECKING:
    from pathlib import Path

WORDS = [
    *(
        "/app",
        "/data",
        ".",
        "./",
        "shop",
        "shop/",
        "*.toml",
        "$A",
        "${A:-b}",
        "~/x",
        "root",
        "1000",
    ),
    *("--from=0", "--from=build", "--from=nginx:1", "--chown=a:b", "--mode=1", "-m", "-p", "-"),
    *("install", "poetry", "pip", "apt-get", "run", "mkdir", "chmod", "useradd", "npm", "build"),
    *("python", "manage.py", "collectstatic", "&&", ";", "||", "|", ">", "(", ")", "if", "fi", "{"),
    *('"', "'", "\\\n", "\n", "<<EOF", "EOF", "[", "]", '["a", "b"]', "[1]", "=", "A=b", "A", "#"),
    *(
        "AS",
        "build",
        "python:3.12",
        "node:20",
        "scratch",
        "$",
        "`",
        "é",
        "\t",
        "0",
        "65536",
        "NONE",
    ),
]
KEYWORDS = [
    *("FROM", "RUN", "COPY", "ADD", "ENV", "ARG", "LABEL", "CMD", "ENTRYPOINT", "USER", "VOLUME"),
    *("EXPOSE", "WORKDIR", "HEALTHCHECK", "STOPSIGNAL", "SHELL", "ONBUILD", "MAINTAINER", "WHAT"),
]
LINE = st.builds(
    lambda keyword, words: " ".join((keyword, *words)),
    st.sampled_from(KEYWORDS),
    st.lists(
        st.sampled_from(WORDS)
        | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3),
        max_size=6,
    ),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose Dockerfile is written anew for each example."""
    return make_shop(tmp_path_factory.mktemp("shop"), None, {**FILES, "manage.py": ""})


@settings(max_examples=60, deadline=None, phases=[Phase.reuse, Phase.generate])
@given(lines=st.lists(LINE, min_size=1, max_size=12))
def test_each_instruction_has_an_outcome(shop: Path, lines: list[str]) -> None:
    """It is a setting, needs none, or is left over; none is dropped."""
    text = "\n".join(["FROM python:3.12", *lines]).encode("utf-8", "replace").decode()
    (shop / "Dockerfile").write_text(text, encoding="utf-8", newline="")
    old = read_shop(shop)
    proposal = proposal_of(old)
    places = [
        {line for _, line in each.starts}
        | {line + at for line, body in each.heredocs for at in range(body.count("\n") + 1)}
        for each in read_instructions((shop / "Dockerfile").read_text(encoding="utf-8"))
    ]
    seen = {outcome.line for outcome in proposal.outcomes}
    assert all(place & seen for place in places)
    for outcome in proposal.outcomes:
        assert [*map(bool, (outcome.settings, outcome.reason, outcome.advice))].count(True) == 1
    costs_of(old)
    if proposal.plan:
        find_differences(image_of(old), old.reading, proposal.plan)
