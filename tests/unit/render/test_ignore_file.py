"""The ignore file: nothing that the build needs is hidden, nothing that must stay out passes."""

from __future__ import annotations

import string

import pytest
from dockerignore import PATTERNS, passing
from hypothesis import given, settings
from hypothesis import strategies as st

from poetry_docker_cache.docker.ignore_patterns import is_line, literal, matches, moved
from poetry_docker_cache.render.ci_files import CI_PATHS
from poetry_docker_cache.render.ignore_file import IgnorePlan, render_ignore

KEEP = ("pyproject.toml", "poetry.lock", "README.md", "src/app")
NEEDED = {"pyproject.toml", "poetry.lock", "README.md", "src/app/__init__.py", "src/app/web/a.html"}
SECRET = {
    ".env",
    ".env.production",
    ".envs/prod",
    ".git/config",
    ".netrc",
    ".poetry/plugins/x.py",
    ".venv/lib/x.py",
    "Dockerfile",
    "Dockerfile.dockerignore",
    "auth.toml",
    "deploy/id_ed25519",
    "poetry.toml",
    "src/app/.env",
    "src/app/__pycache__/a.pyc",
    "src/app/a.pyc",
    "src/app/server.key",
    "src/app/web/node_modules/x/index.js",
    "src/app/web/pip.conf",
}
FILES = [*NEEDED, *SECRET]


def render(project_ignore: str | None = None, *more: str, extra: tuple[str, ...] = ()) -> str:
    """Render with the usual names, and some more of them."""
    return render_ignore(
        IgnorePlan(
            keep=(*KEEP, *more), project_ignore=project_ignore, extra=extra, dockerfile="Dockerfile"
        )
    )


@pytest.mark.parametrize(
    "project_ignore",
    [
        None,
        "*.md\nsrc\n",
        "*\n!src\n",
        "*\r\n!src\r\n!poetry.lock\r\n",
        "\ufeff*\n",
        "**",
        "**/*",
        "/src/\n/README.md\n",
        "src/app/**\n",
        "src/*\n*.toml\n!.env\nsrc/app/*",
        "**/*.py\n!src/app\n",
        "s?c\n[p]*\n",
        "./src/../src/app\n",
        "**/*.md\n*\n",
        "*/*\n*/*\n!*\n",
        "*\n!*/*\n",
        "*\n**/*.py\n",
    ],
)
def test_needed_paths_are_sent_and_secrets_are_not(project_ignore: str | None) -> None:
    """Whatever the project's own ignore file says."""
    allowed = {".env"} if project_ignore and "!.env" in project_ignore else set()
    seen = passing(render(project_ignore), FILES)
    assert seen >= NEEDED
    assert seen & SECRET == allowed


LINES = st.lists(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["", "", "!", "/"]),
        st.lists(
            st.sampled_from(["*", "**", "src", "app", "s*", "web", "*.md", "*.html", "[a-z]pp"]),
            min_size=1,
            max_size=3,
        ).map("/".join),
        st.sampled_from(["", "/"]),
    ),
    max_size=6,
)


@settings(max_examples=300)
@given(LINES)
def test_no_line_hides_named_paths(lines: list[str]) -> None:
    """With random ignore files."""
    files = ["pyproject.toml", "poetry.lock", "README.md", "src/app/__init__.py", *SECRET]
    assert passing(render("\n".join(lines)), files) == set(files) - SECRET


def test_project_can_hide_files_in_a_package() -> None:
    """A secret that the project hides inside its package stays hidden."""
    files = ["src/app/local_settings.py", "src/app/tests/t.py", "src/app/a.py"]
    inside = "src/app/tests\n**/local_settings.py\n"
    for text in (inside, f"*\n!src\n{inside}", f"{inside}*\n", f"src\n{inside}", f"{inside}src/**"):
        assert passing(render(text), files) == {"src/app/a.py"}, text


def test_exceptions_in_a_package_stay() -> None:
    """What the project includes again inside a package is included."""
    text = render("src/app/tests\n!src/app/tests/data\n*\n")
    files = ["src/app/tests/t.py", "src/app/tests/data/d.py"]
    assert passing(text, files) == {"src/app/tests/data/d.py"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("src/", "a/b/src"),
        ("/src", "a/b/src"),
        ("!src/**", "!a/b/src/**"),
        ("**/x", "a/b/**/x"),
        ("../lib/x", "a/lib/x"),
        ("\\#x", "a/b/\\#x"),
        ("# x", "# x"),
        ("", ""),
        (".", "."),
    ],
)
def test_lines_of_the_project_are_relative_to_it(line: str, expected: str) -> None:
    """Wherever the project is in the context."""
    assert moved(line, "a/b") == expected
    assert moved(line, ".") == line


def test_lines_of_the_project_are_kept() -> None:
    """Comments, blank lines and their order, too."""
    text = "# ours\nnotes\n\n!notes/a.md\n"
    assert f"# From .dockerignore\n{text}" in render(text)
    assert passing(render(text), ["notes/b.md", "notes/a.md"]) == {"notes/a.md"}


def test_extra_lines_come_last() -> None:
    """The setting `ignore` cannot hide what the build needs."""
    text = render("!docs\n", extra=("docs", "README.md", "!certs/ca.pem"))
    files = ["docs/a", "README.md", "certs/ca.pem", "certs/other.pem"]
    assert passing(text, files) == {"README.md", "certs/ca.pem"}


def test_named_file_is_sent_although_its_name_is_kept_out() -> None:
    """By `keep`, `.dockerignore` or `ignore`; other files like it are not."""
    text = render(
        "!.env.example\n", "src/app/public.key", "web/node_modules/x", extra=("!deploy/auth.toml",)
    )
    files = [
        ".env.example",
        "src/app/public.key",
        "web/node_modules/x/index.js",
        "deploy/auth.toml",
    ]
    others = [".env", "src/app/b.key", "web/node_modules/x/.env", "web/node_modules/y/i.js"]
    assert passing(text, [*files, *others]) == set(files)


def test_last_line_on_a_name_wins() -> None:
    """A later line that hides the name again counts."""
    assert not passing(render("!.env.example\n.env.example\n"), [".env.example"])


def test_packages_may_contain_rarely_needed_files() -> None:
    """A CA bundle inside the package is sent, one outside it is not."""
    text = render(None, "env", "trace.log")
    files = ["src/app/cacert.pem", "cacert.pem", "env/__init__.py", "venv/x.py", "trace.log"]
    assert passing(text, files) == {"src/app/cacert.pem", "env/__init__.py", "trace.log"}


@pytest.mark.parametrize("file", CI_PATHS.values())
def test_ci_files_are_kept_out(file: str) -> None:
    """Unless the file is included by name."""
    text = render_ignore(IgnorePlan(keep=["."], dockerfile="Dockerfile"))
    assert passing(text, [file, "start.sh"]) == {"start.sh"}
    assert passing(render(None, file), [file]) == {file}


@pytest.mark.parametrize(
    "name", ["#a", "!a", " a", "a ", "a*b", "a?b", "[a]", "a\\b", "^a$", "ü+ä"]
)
def test_odd_names_match_only_themselves(name: str) -> None:
    """Such a file is included although `*` hides it."""
    text = render_ignore(IgnorePlan(keep=[name], project_ignore="*", dockerfile="Dockerfile"))
    assert passing(text, [name, "a", "axb", "b"]) == {name}


@pytest.mark.parametrize("name", ["#Dockerfile", "!Dockerfile", "a b/Docker[file]"])
def test_dockerfile_is_hidden_whatever_its_name(name: str) -> None:
    """An odd name is not a comment or a `!` line."""
    text = render_ignore(IgnorePlan(keep=["a b"], dockerfile=name))
    files = [name, f"{name}.dockerignore", ".dockerignore", "a b/x"]
    assert passing(text, files) == {"a b/x"}


@pytest.mark.parametrize(
    "project_ignore",
    [None, "!**\n", "*\n!*/*\n!**/index.json\n", "!cache/**\n!a b/#c/**\n!**/sha256/*\n"],
)
def test_build_cache_is_never_sent(project_ignore: str | None) -> None:
    """Not even with the whole project."""
    text = render_ignore(
        IgnorePlan(
            keep=["a b", "cache"],
            project_ignore=project_ignore,
            extra=["!cache", "!a b/#c"],
            dockerfile="Dockerfile",
            hidden=["cache", "a b/#c", "!d"],
        )
    )
    inside = [".poetry-docker-cache-0/index.json", "blobs/sha256/0", "index.json", "x.py"]
    files = [f"{folder}/{name}" for folder in ("cache", "a b/#c", "!d") for name in inside]
    assert passing(text, [*files, "a b/x", "cache.py"]) == {"a b/x", "cache.py"} & passing(
        render_ignore(
            IgnorePlan(
                keep=["a b", "cache"],
                project_ignore=project_ignore,
                dockerfile="Dockerfile",
            )
        ),
        ["a b/x", "cache.py"],
    )


def test_included_paths_have_no_wildcards() -> None:
    """A wildcard makes BuildKit read every hidden folder, unreadable ones too."""
    lines = render("*\n").splitlines()
    again = [line for line in lines if line.startswith("!")]
    assert len(again) >= len(KEEP)
    assert not [line for line in again if set(line.removesuffix("/**")) & set("*?[]^\\")]


def test_order_of_paths_does_not_matter() -> None:
    """Nor does repetition."""
    assert render("*\n") == render("*\n", "README.md", "src/app/")


CHARACTERS = f"ab.*?[]^!-\\#$ {string.digits[:2]}\udcff"
NAMES = st.text(st.sampled_from(CHARACTERS), min_size=1, max_size=6)


@given(NAMES.filter(lambda name: name not in {".", ".."}))
def test_literal_matches_itself(name: str) -> None:
    """Every character is escaped if needed."""
    assert matches(literal(name), name)
    assert literal(name).encode(), "a file can hold it"
    assert not matches(literal(name), f"{name}x")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_invalid_patterns_are_detected(pattern: str) -> None:
    """Docker rejects a file with one."""
    assert is_line(pattern) == PATTERNS[pattern]
