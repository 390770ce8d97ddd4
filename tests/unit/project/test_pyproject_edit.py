"""Writing settings into pyproject.toml changes them and nothing else."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.pyproject_edit import with_settings, write_settings
from poetry_docker_cache.system.compat import tomllib

VALUES: dict[str, int | tuple[str, ...]] = {"layers": 6, "own-layers": ("numpy", "pandas")}
NEW = ["layers = 6", 'own-layers = ["numpy", "pandas"]']

HEAD = """\
# A comment  with  blanks
[project]
name    =   "shop"   # of old
dependencies = [
  "numpy",  # heavy
]
"""
TAIL = """
[build-system]
requires = ["poetry-core"]
"""


def table(text: str) -> dict[str, Any]:
    """Read the plugin's settings from a text."""
    found: dict[str, Any] = tomllib.loads(text)["tool"]["poetry-docker-cache"]
    return found


def changes(before: str, after: str) -> tuple[list[str], list[str]]:
    """Return the lines that were removed and those that were added."""
    diff = [
        line
        for line in difflib.ndiff(before.splitlines(), after.splitlines())
        if line[0] in "+-" and line[2:].strip()
    ]
    return (
        [line[2:] for line in diff if line[0] == "-"],
        [line[2:] for line in diff if line[0] == "+"],
    )


@pytest.mark.parametrize(
    ("before", "gone", "came"),
    [
        (HEAD + TAIL, [], ["[tool.poetry-docker-cache]", *NEW]),
        (HEAD.rstrip() + " ", [], ["[tool.poetry-docker-cache]", *NEW]),
        (HEAD + "\n[tool.black]\na = 1\n" + TAIL + "[tool.ruff]\nb = 1\n", [],
         ["[tool.poetry-docker-cache]", *NEW]),
        (HEAD + "\n[tool.poetry-docker-cache]\n" + TAIL, [], NEW),
        (HEAD + '\n[tool.poetry-docker-cache]\npython = "3.13" # why\n\n# of\n' + TAIL, [], NEW),
        (HEAD + "\n[tool.poetry-docker-cache]\nlayers   = 4   # four\n" + TAIL,
         ["layers   = 4   # four"], ["layers   = 6   # four", NEW[1]]),
        (HEAD + '\n[tool.poetry-docker-cache]\nlayers = "auto"\nown-layers = []\nports = [80]\n',
         ['layers = "auto"', "own-layers = []"], NEW),
        (HEAD + '\n[tool.poetry-docker-cache]\nlayers = 6\nown-layers = ["numpy", "six"] # x\n',
         ['own-layers = ["numpy", "six"] # x'], ['own-layers = ["numpy", "pandas"] # x']),
        (HEAD + '\n[tool.poetry-docker-cache]\nlayers = 6\nown-layers = [\n  "six",\n'
         '  "numpy",  # heavy\n]\n', ['  "six",'], ['  "pandas",']),
        (HEAD + "\n[tool]\npoetry-docker-cache.layers = 4\n" + TAIL,
         ["poetry-docker-cache.layers = 4"],
         ["poetry-docker-cache.layers = 6", f"poetry-docker-cache.{NEW[1]}"]),
        ("tool.poetry-docker-cache.layers = 4\n" + HEAD,
         ["tool.poetry-docker-cache.layers = 4"],
         ["tool.poetry-docker-cache.layers = 6", f"tool.poetry-docker-cache.{NEW[1]}"]),
        (HEAD + "\n[tool]\npoetry-docker-cache = { layers = 4, ports = [80] }\n",
         ["poetry-docker-cache = { layers = 4, ports = [80] }"],
         [f"poetry-docker-cache = {{ layers = 6, ports = [80], {NEW[1]} }}"]),
        (HEAD + "\n[tool.poetry-docker-cache]\nlayers = 4\n[tool.ruff]\na = 1\n"
         "[tool.poetry-docker-cache.env]\nA = 'x' # y\n",
         ["layers = 4"], NEW),
        (HEAD + "\n[tool.poetry-docker-cache.env]\nA = 'x' # y\n", [],
         ["[tool.poetry-docker-cache]", *NEW]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_only_the_settings_change(
    before: str, gone: list[str], came: list[str], newline: str
) -> None:
    """Every other line stays, in any form that TOML allows for the table."""
    after = with_settings(before.replace("\n", newline), VALUES)
    assert after.replace("\r\n", "\n").count("\n") == after.count(newline)
    plain = after.replace("\r\n", "\n")
    went, came_ = changes(before, plain)
    assert went == gone
    # tomlkit's versions differ on the blank before the brace of an inline table.
    assert sorted(line.replace(" }", "}") for line in came_) == sorted(
        line.replace(" }", "}") for line in came
    )
    assert table(plain)["layers"] == 6
    assert sorted(table(plain)["own-layers"]) == ["numpy", "pandas"]
    assert with_settings(after, VALUES) == after


@pytest.mark.parametrize(
    ("images", "gone", "came"),
    [
        ("[tool.poetry-docker-cache.images.api]\nports = [80]\n", [], NEW),
        (("[tool.poetry-docker-cache]\nlayers = 3\n[tool.poetry-docker-cache.images.api]\n"
         "[tool.poetry-docker-cache.images.worker]\nlayers = 2\n"), [], NEW),
        (("[tool.poetry-docker-cache.images.worker]\n[tool.poetry-docker-cache.images.api]\n"
         "layers = 2  # two\n[tool.ruff]\na = 1\n"), ["layers = 2  # two"],
         ["layers = 6  # two", NEW[1]]),
        ("[tool.poetry-docker-cache]\nimages.api.ports = [80]\nimages.worker.ports = []\n", [],
         [f"images.api.{line}" for line in NEW]),
    ],
)  # fmt: skip
def test_settings_of_one_image_change_no_other(
    images: str, gone: list[str], came: list[str]
) -> None:
    """The common settings and those of other images stay."""
    before = f"{HEAD}\n{images}{TAIL}"
    after = with_settings(before, VALUES, image="api")
    went, came_ = changes(before, after)
    assert (went, sorted(came_)) == (gone, sorted(came))
    assert table(after)["images"]["api"]["layers"] == 6
    assert {**table(after), "images": 0} == {**table(before), "images": 0}
    assert table(after)["images"].get("worker") == table(before)["images"].get("worker")
    assert with_settings(after, VALUES, image="api") == after


def test_common_settings_have_their_own_table() -> None:
    """The table is added if only those of images exist."""
    images = "[tool.poetry-docker-cache.images.api]\nports = [80]\n"
    for common in ("", "[tool.poetry-docker-cache]\nlayers = 4\n"):
        after = with_settings(f"{HEAD}\n{common}{images}{TAIL}", VALUES)
        assert table(after)["layers"] == 6
        assert table(after)["images"] == {"api": {"ports": [80]}}


@pytest.mark.parametrize("image", ["", "api", "worker"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("blank", ["", "\n"], ids=["close", "apart"])
def test_comments_keep_their_place(image: str, newline: str, blank: str) -> None:
    """New settings go directly below the last one, so that no comment gets another neighbour."""
    tables = [
        "[tool.poetry-docker-cache]\nports = [80]\n# our own\n",
        "# The API,\n# for all\n[tool.poetry-docker-cache.images.api]  # here\nports = [81]\n",
        "# Another\n\n  [tool.poetry-docker-cache.images.worker]\n",
        "# Style\n[[tool.style]]\ntext = '''\n# no comment\n[nor a table]\n'''\n# the end\n",
    ]
    before = f"{HEAD}\n{blank.join(tables)}"
    if not blank:  # without an empty line, a comment between two tables belongs to the second
        tables[:2] = [tables[0].removesuffix("# our own\n"), f"# our own\n{tables[1]}"]
        before = before.replace("# Another\n\n", "# Another\n")
    after = with_settings(before.replace("\n", newline), VALUES, image=image)
    number = ["", "api", "worker"].index(image)
    lines = [line.strip() for line in after.splitlines() if line.strip()]
    before_comments = tables[number].removesuffix("# our own\n")
    tables[number] = before_comments + "\n".join(NEW) + tables[number][len(before_comments) - 1 :]
    wanted = f"{HEAD}\n{chr(10).join(tables)}".splitlines()
    assert lines == [line.strip() for line in wanted if line.strip()]
    assert f"{newline}{newline}{newline}" not in after


@pytest.mark.parametrize(
    ("image", "new"), [("", ["[tool.poetry-docker-cache]"]), ("api", [])], ids=["common", "api"]
)
def test_new_table_takes_no_comment_from_another(image: str, new: list[str]) -> None:
    """The comments of an image's table stay with that table."""
    head = "# The API\n[tool.poetry-docker-cache.images.api]  # for all\n"
    text = f"{head}text = '''\n[no table] \\\n'''\n"
    after = with_settings(f"{HEAD}\n{text}{TAIL}", VALUES, image=image)
    assert head in after
    assert after.count("# for all") == after.count("# The API") == 1
    added = changes(f"{HEAD}\n{text}{TAIL}", after)[1]
    assert sorted(added) == sorted([*NEW, *new])


@given(
    before=st.lists(st.sampled_from("abcdef"), unique=True),
    after=st.lists(st.sampled_from("abcdef"), unique=True),
    several=st.booleans(),
)
def test_any_list_can_become_any_other(
    before: list[str], after: list[str], *, several: bool
) -> None:
    """Both may be on one line or on several, empty or not."""
    sep = ",\n    " if several else ", "
    start, end = ("\n    ", ",\n") if several and before else ("", "")
    items = sep.join(f'"{name}"' for name in before)
    text = f"{HEAD}\n[tool.poetry-docker-cache]\nown-layers = [{start}{items}{end}]\n{TAIL}"
    changed = with_settings(text, {"layers": 1, "own-layers": after})
    assert set(table(changed)["own-layers"]) == set(after)
    assert len(table(changed)["own-layers"]) == len(after)
    assert changed.startswith(HEAD)
    assert changed.endswith(TAIL)


def test_long_list_has_one_line_per_item() -> None:
    """Twelve names on one line would be hard to read."""
    names = tuple(f"a-package-{number}" for number in range(12))
    after = with_settings(HEAD, {"layers": 6, "own-layers": names})
    assert all(len(line) < 60 for line in after.splitlines())
    assert table(after)["own-layers"] == list(names)


def test_missing_image_table_is_an_error() -> None:
    """The lines to add are those of its table."""
    with pytest.raises(DockerCacheError, match="cannot be changed") as error:
        with_settings(f"{HEAD}\n[tool.poetry-docker-cache]\n", VALUES, image="api")
    assert "\n[tool.poetry-docker-cache.images.api]\nlayers = 6\n" in error.value.fix


@pytest.mark.parametrize(
    "text", ["tool = { black = { a = 1 } }\n[project]\nname = 'x'\n", "tool = 1\n", "= 1\n"]
)
def test_impossible_change_shows_the_lines_to_add(text: str) -> None:
    """An inline table cannot be extended from outside."""
    with pytest.raises(DockerCacheError, match="cannot be changed") as error:
        with_settings(text, VALUES)
    assert error.value.fix.endswith("\n".join(["[tool.poetry-docker-cache]", *NEW, ""]))


def test_impossible_change_of_one_image_changes_none(tmp_path: Path) -> None:
    """With only some of the changes, images would no longer share their layers."""
    path = tmp_path / "pyproject.toml"
    path.write_text(text := f"{HEAD}\n[tool.poetry-docker-cache]\nports = [80]\n")
    with pytest.raises(DockerCacheError, match="cannot be changed") as error:
        write_settings(path, {"": VALUES, "api": VALUES, "worker": VALUES})
    tables = ["", ".images.api", ".images.worker"]
    pasted = "\n".join(
        "\n".join([f"[tool.poetry-docker-cache{name}]", *NEW, ""]) for name in tables
    )
    assert error.value.fix.endswith(f":\n\n{pasted}")
    assert path.read_text() == text


def test_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Its mode and a symlink to it stay; a file that already has the settings is not written."""
    real = tmp_path / "real" / "pyproject.toml"
    real.parent.mkdir()
    real.write_bytes(HEAD.replace("\n", "\r\n").encode())
    real.chmod(0o664)
    link = tmp_path / "pyproject.toml"
    link.symlink_to(real)
    assert write_settings(link, {"": VALUES})
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o664
    assert real.read_bytes().count(b"\r\n") == HEAD.count("\n") + 4
    before = real.stat()
    assert not write_settings(link, {"": VALUES})
    assert real.stat() == before
    assert [path.name for path in real.parent.iterdir()] == ["pyproject.toml"]


def test_failed_write_leaves_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the lines to add."""
    path = tmp_path / "pyproject.toml"
    path.write_text(HEAD)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DockerCacheError, match="No space left") as error:
        write_settings(path, {"": VALUES})
    assert "layers = 6" in error.value.fix
    assert path.read_text() == HEAD
    assert [path.name for path in tmp_path.iterdir()] == ["pyproject.toml"]


def test_tables_and_lists_of_tables_are_written(tmp_path: Path) -> None:
    """A long one has one line per item; a present value of another kind is replaced."""
    path = tmp_path / "pyproject.toml"
    path.write_text('[tool.poetry-docker-cache]\nworkdir = "/a"  # kept\nports = [1]\n# end\n')
    values: dict[str, object] = {
        "workdir": "/b",
        "init": True,
        "env": {"A": 'b "c"'},
        "labels": {"com.example.long": "x" * 80, "b": "c"},
        "copy": [{"from": "a", "to": "/a"}, {"from": "b" * 40, "to": "/b" * 20}],
    }
    assert write_settings(path, {"": values})
    assert path.read_text() == (
        '[tool.poetry-docker-cache]\nworkdir = "/b"  # kept\nports = [1]\n'
        'init = true\nenv = { A = "b \\"c\\"" }\n'
        f'labels."com.example.long" = "{"x" * 80}"\nlabels.b = "c"\n'
        'copy = [\n    { from = "a", to = "/a" },\n'
        f'    {{ from = "{"b" * 40}", to = "{"/b" * 20}" }},\n]\n# end\n'
    )
