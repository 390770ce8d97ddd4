"""Projects with locks older than 2.1, one for each kind that Poetry resolves again: `CASES`."""

from __future__ import annotations

from typing import Any

from older_locks import locked

NEVER = ("colour", "deep-down", "elsewhere", "never")
"""Packages that no selection installs."""
URL = "https://{}.example/simple/"


def project(**tables: Any) -> dict[str, Any]:  # noqa: ANN401  # TOML of any shape
    """Return a pyproject.toml; `poetry` is `[tool.poetry]`."""
    poetry = {"package-mode": False, **tables.pop("poetry", {})}
    return {**tables, "tool": {"poetry": poetry}}


def legacy(main: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401  # as above
    """Return a pyproject.toml with its dependencies in Poetry's own table."""
    return project(poetry={"dependencies": {"python": ">=3.8", **main}, **more})


def standard(*dependencies: str, poetry: dict[str, Any] | None = None, **more: Any) -> Any:  # noqa: ANN401
    """Return a pyproject.toml with its dependencies in the standard table."""
    names = {"name": "app", "version": "1.0", "requires-python": ">=3.8"}
    tables = {key: more.pop(key) for key in ("dependency-groups",) if key in more}
    given = {} if "dynamic" in more else {"dependencies": [*dependencies]}
    own = {"project": {**names, **given, **more}}
    return project(**own, **tables, poetry=poetry or {})


def origin(name: str) -> dict[str, Any]:
    """Return the lock's entry for a package of this index."""
    return {"type": "legacy", "url": URL.format(name), "reference": name}


def sources(*names: str) -> list[dict[str, str]]:
    """Return explicit sources."""
    return [{"name": name, "url": URL.format(name), "priority": "explicit"} for name in names]


ARM = 'platform_machine == "aarch64"'
OTHERS = 'platform_machine != "aarch64"'
RISCV = 'platform_machine == "riscv64"'

NP_LIKE = [{"version": "<2", "python": "<3.10"}, {"version": ">=1.5", "python": ">=3.10"}]
NP = [{"version": "^1.2", "python": "<3.10"}, {"version": "^2.0", "python": ">=3.10"}]

# Each is a pyproject.toml and its locked packages. All groups and extras are tested.
CASES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "groups": (
        legacy(
            {"Flask.App": "^1.0"},
            group={
                "dev": {"dependencies": {"linter": "*", "shared": "~1.0"}},
                "docs": {"optional": True, "dependencies": {"sphinx": {"version": ">=1"}}},
            },
        ),
        [
            locked("flask-app", requires={"Jinja_2": ">=1.0,<2.0", "click": "*"}),
            locked("Jinja-2", requires={"markup.safe": ">=0.9"}),
            locked("markup_safe"),
            locked("click"),
            locked("linter", requires={"shared": "*", "click": "*"}),
            locked("shared"),
            locked("sphinx", requires={"jinja-2": "*", "snowball": "*"}),
            locked("snowball"),
        ],
    ),
    "dev-dependencies of Poetry 1.0": (
        legacy({"a": "*"}, **{"dev-dependencies": {"b": {"version": "1.*", "extras": ["x"]}}}),
        [
            locked("a"),
            locked(
                "b",
                requires={"c": {"version": "*", "optional": True, "markers": 'extra == "x"'}},
                extras={"x": ["c"]},
            ),
            locked("c"),
        ],
    ),
    "group that includes another": (
        standard(
            "a",
            poetry={"group": {"all": {"include-groups": ["web"], "dependencies": {"d": "*"}}}},
            **{
                "dependency-groups": {
                    "web": ["b>=1", {"include-group": "base"}],
                    "base": ["c[x] (>=1,<2) ; python_version >= '3.10'"],
                }
            },
        ),
        [
            locked("a"),
            locked("b"),
            locked(
                "c",
                requires={"e": {"version": "*", "optional": True, "markers": 'extra == "x"'}},
                extras={"x": ["e (>=1)"]},
            ),
            locked("d"),
            locked("e"),
        ],
    ),
    "markers": (
        legacy(
            {
                "a": "*",
                "on-linux": {"version": "*", "platform": "linux"},
                "elsewhere": {"version": "*", "platform": "win32"},
                "both": {"version": "*", "platform": "win32 || linux", "python": "^3.9 || ^2.7"},
                "new": {"version": "*", "python": ">=3.12.3", "markers": OTHERS},
                "old": {"version": "*", "python": "~3.9"},
            }
        ),
        [
            locked(
                "a",
                requires={
                    "colour": {"version": "*", "markers": 'sys_platform == "win32"'},
                    "tom": {"version": "*", "markers": "python_full_version < '3.11.0a6'"},
                    "arm": {"version": ">=1", "markers": ARM},
                    "exactly": {"version": "*", "python": "3.12"},
                },
            ),
            locked(
                "arm", requires={"deep-down": {"version": "*", "markers": OTHERS}, "deeper": "*"}
            ),
            locked("deep-down"),
            locked("deeper"),
            *(
                locked(name)
                for name in ("colour", "tom", "exactly", "on-linux", "elsewhere", "both")
            ),
            *(locked(name) for name in ("new", "old")),
        ],
    ),
    "package with a different marker from each dependent": (
        legacy({"a": {"version": "*", "markers": ARM}, "b": {"version": "*", "python": ">=3.10"}}),
        [
            locked("a", requires={"c": {"version": "*", "markers": 'python_version < "3.10"'}}),
            locked("b", requires={"c": {"version": "*", "markers": OTHERS}}),
            locked("c", requires={"a": "*"}),
        ],
    ),
    "cycles": (
        legacy({"a": {"version": "*", "markers": ARM}, "d": "*"}),
        [
            locked("a", requires={"b": "*"}),
            locked("b", requires={"c": {"version": "*", "markers": 'os_name == "posix"'}}),
            locked("c", requires={"a": "*", "b": "*", "d": "*"}),
            locked("d"),
        ],
    ),
    "extras of Poetry's own table": (
        legacy(
            {
                "a": {"version": "*", "optional": True},
                "b": {"version": "*", "optional": True, "python": ">=3.10"},
                "never": {"version": "*", "optional": True},
                "always": "*",
            },
            extras={"One": ["a", "always"], "two_2": ["a", "b"]},
        ),
        [
            locked("a", requires={"deep": "*"}, optional=True),
            locked("b", optional=True),
            locked("never", requires={"always": "*"}, optional=True),
            locked("always"),
            locked("deep", optional=True),
        ],
    ),
    "dependencies of an unselected extra": (
        legacy(
            {
                "a": {"version": "*", "platform": "win32", "extras": ["x"]},
                "b": {"version": "*", "platform": "win32"},
                "c": {"version": "*", "optional": True},
            },
            extras={"e": ["c"]},
        ),
        [
            locked("a", requires={"d": "*"}, extras={"x": []}),
            locked("b", requires={"d": "*"}),
            locked("c", requires={"a": "*", "b": "*"}),
            locked("d"),
        ],
    ),
    "extras of the standard table": (
        standard("a", **{"optional-dependencies": {"x": ["b[y]>=1"], "Big_One": ["c", "a"]}}),
        [
            locked("a"),
            locked(
                "b",
                requires={
                    "d": {"version": "*", "optional": True, "markers": 'extra == "y"'},
                    "e": {"version": "*", "optional": True, "markers": 'extra == "z"'},
                },
                extras={"y": ["d"], "z": ["e"]},
            ),
            locked("c"),
            locked("d", requires={"a": "*"}),
        ],
    ),
    "extras of packages": (
        legacy({"a": {"version": "*", "extras": ["All"]}, "b": "*"}),
        [
            locked(
                "a",
                requires={
                    "c": {"version": "*", "optional": True, "markers": 'extra == "x"'},
                    "d": [
                        {
                            "version": "*",
                            "optional": True,
                            "markers": 'sys_platform == "win32" and extra == "y"',
                        },
                        {"version": ">=1", "optional": True, "markers": f'{ARM} and extra == "y"'},
                    ],
                    "e": {"version": "*", "optional": True},
                    "unwanted": {"version": "*", "optional": True, "markers": 'extra == "z"'},
                    "f": {"version": "*", "extras": ["g"]},
                },
                extras={
                    "all": ["a[x,y]", "e"],
                    "x": ["c (>=1.0)"],
                    "y": ['d (>=1) ; platform_machine == "aarch64"'],
                    "z": ["unwanted"],
                },
            ),
            locked("b", requires={"a": {"version": ">=1", "extras": ["x"]}}),
            locked("c"),
            locked("d"),
            locked("e"),
            locked(
                "f",
                requires={"h": {"version": "*", "optional": True, "markers": "extra == 'g'"}},
                extras={"g": ["h"]},
            ),
            locked("h"),
        ],
    ),
    "extra combined with another marker": (
        legacy({"sql": {"version": "*", "extras": ["asyncio"], "python": ">=3.10"}, "orm": "*"}),
        [
            locked(
                "sql",
                requires={
                    "green": [
                        {"version": "!=0.4", "markers": ARM},
                        {
                            "version": "!=0.4",
                            "optional": True,
                            "markers": f'{ARM} or extra == "asyncio"',
                        },
                    ]
                },
                extras={"asyncio": ["green (!=0.4)"]},
            ),
            locked("green"),
            locked("orm", requires={"sql": ">=1"}),
        ],
    ),
    "a version for each Python": (
        legacy(
            {
                "np": [
                    {"version": "^1.2", "python": "<3.10"},
                    {"version": "^2.0", "python": ">=3.10"},
                ],
                "pd": "*",
            }
        ),
        [
            locked("np", "1.26.4"),
            locked("np", "2.1.0", **{"python-versions": ">=3.10"}),
            locked(
                "pd",
                requires={
                    "np": [
                        {"version": ">=1.20", "markers": 'python_version < "3.10"'},
                        {"version": ">=2", "markers": 'python_version >= "3.10"'},
                    ]
                },
            ),
        ],
    ),
    "version for each Python, from the packages": (
        legacy({"a": "*"}),
        [
            locked("a", "1.0", {"b": "<2"}, **{"python-versions": ">=3.8,<3.10"}),
            locked("a", "2.0", {"b": ">=2.dev0"}, **{"python-versions": ">=3.10"}),
            locked("b", "1.9"),
            locked("b", "2.0rc1", **{"python-versions": "!=3.9.*,>=3.8"}),
        ],
    ),
    "version required by another package": (
        legacy({"a": "*", "b": {"version": "*", "python": ">=3.10"}, "c": "~1.1 || ~1.2"}),
        [
            locked("a", "1.0", {"old": "*"}),
            locked("a", "2.0", {"new": "*"}),
            locked("b", requires={"a": "<2"}),
            locked("c", "1.2.1"),
            locked("new"),
            locked("old"),
        ],
    ),
    "version whose dependency excludes this Python": (
        legacy({"np": NP, "pd": "*", "pl": "*"}),
        [
            locked("np", "1.26"),
            locked("np", "2.1", **{"python-versions": ">=3.10"}),
            locked("pd", "1.0"),
            locked("pd", "2.0", {"lib": ">=2"}),
            locked("pl", "1.0", {"np": ">=1"}),
            locked("pl", "2.0", {"np": ">=2"}),
            locked("lib", "2.0", **{"python-versions": ">=3.10"}),
        ],
    ),
    "extra whose dependency excludes this Python": (
        legacy({"a": "*", "b": "*"}, group={"dev": {"dependencies": {"c": "*"}}}),
        [
            locked("a", "1.0", {"lib": {"version": "*", "optional": True}}, {"x": ["lib"]}),
            locked("a", "2.0", {"lib": {"version": ">=2", "optional": True}}, {"x": ["lib"]}),
            locked("b", requires={"a": ">=1"}),
            locked("c", requires={"a": {"version": "*", "extras": ["x"]}}),
            locked("lib", "1.0"),
            locked("lib", "2.0", **{"python-versions": ">=3.10"}),
        ],
    ),
    "version for each machine": (
        standard(f"a (==1.0) ; {ARM}", f"a (==2.0) ; {OTHERS}"),
        [locked("a", "1.0", {"b": "*"}), locked("a", "2.0"), locked("b")],
    ),
    "version for each machine, with dependents": (
        legacy({"b": "*", "c": {"version": "*", "markers": ARM}, "d": "*"}),
        [
            locked("a", "1.0", {"e": "*"}),
            locked("a", "2.0", {"f": "*"}),
            locked("b", requires={"a": "*"}),
            locked("c", requires={"a": "<2"}),
            locked("d", requires={"a": ">=1"}),
            locked("e"),
            locked("f"),
        ],
    ),
    "index for each extra": (
        standard(
            **{"optional-dependencies": {"cpu": ["torch (==2.9.0)"], "cuda": ["torch (==2.9.0)"]}},
            poetry={
                "dependencies": {
                    "torch": [
                        {"markers": "extra == 'cpu' and extra != 'cuda'", "source": "cpu"},
                        {"markers": "extra == 'cuda' and extra != 'cpu'", "source": "cuda"},
                    ]
                },
                "source": sources("cpu", "cuda"),
            },
        ),
        [
            locked("torch", "2.9.0", source=origin("cuda"), optional=True),
            locked("torch", "2.9.0+cpu", {"sympy": "*"}, source=origin("cpu"), optional=True),
            locked("sympy", optional=True),
        ],
    ),
    "index for each machine": (
        legacy(
            {
                "torch": [
                    {"version": "*", "markers": ARM, "source": "cpu"},
                    {"version": "*", "markers": OTHERS, "source": "cuda"},
                ],
                "vision": "*",
            },
            source=sources("cpu", "cuda"),
        ),
        [
            locked("torch", "2.9.0", source=origin("cpu")),
            locked("torch", "2.9.0", source=origin("cuda")),
            locked("vision"),
        ],
    ),
    "standard table with additions from Poetry's": (
        standard(
            "a[x] >=1",
            "b; python_version >= '3.10'",
            poetry={
                "dependencies": {
                    "a": {"version": "<2", "source": "own"},
                    "b": {"version": "*", "platform": "linux"},
                    "ignored": "*",
                },
                "source": sources("own"),
            },
        ),
        [
            locked(
                "a",
                requires={"c": {"version": "*", "optional": True, "markers": 'extra == "x"'}},
                extras={"x": ["c"]},
                source=origin("own"),
            ),
            locked("b"),
            locked("c"),
        ],
    ),
    "dynamic dependencies": (
        standard(
            dynamic=["dependencies"],
            **{"optional-dependencies": {"x": ["b"]}},
            poetry={"dependencies": {"a": "*", "c": {"version": "*", "optional": True}}},
        ),
        [locked("a"), locked("b")],
    ),
    "git repository": (
        legacy({"a": {"git": "https://git.example/a.git", "extras": ["x"]}, "c": "*"}),
        [
            locked(
                "a",
                requires={"b": {"version": "*", "optional": True, "markers": 'extra == "x"'}},
                extras={"x": ["b"]},
                source={
                    "type": "git",
                    "url": "https://git.example/a.git",
                    "reference": "HEAD",
                    "resolved_reference": "0" * 40,
                },
                files=[],
            ),
            locked("b"),
            locked("c", requires={"a": ">=1"}),
        ],
    ),
    "nothing": (legacy({}), []),
}
