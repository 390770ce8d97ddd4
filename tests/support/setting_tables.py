"""Tables for `[tool.poetry-docker-cache]`, for Hypothesis: valid ones, and some with odd values."""

from __future__ import annotations

from hypothesis import strategies as st

from poetry_docker_cache.settings.table import KEYS

NAMES = [key.name for key in KEYS]

# Includes lone surrogates, which TOML cannot contain but a caller's table might.
ANY_TEXT = st.text(max_size=12) | st.text(st.characters(categories=["Cs", "Cc", "Zl", "L"]))
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.dates() | st.datetimes()
)
JSON_LIKE = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(ANY_TEXT, inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("command", "interval", "retries", "build", "runtime", "from", "to", "path"),
                    *("mode", "folder", "output"),
                ]
            ),
            inner,
        )
    ),
    max_leaves=8,
)

# Words that have a meaning for the readers, so that their branches are reached.
FRAGMENTS = (
    *("a", "B", "3.12", "2.1", "9", "0", "{python}", "/", ".", "..", ":", "@", "-", "=", "*", "$"),
    *("\\", "\n", "\t", " ", "é", "SIG", "TERM", "s", "m", "FROM", "RUN", "<<E", "E", "!"),
)
PIECES = st.lists(st.sampled_from(FRAGMENTS), max_size=6).map("".join)
WORDS = st.sampled_from(["app", "dev,tests", "libpq5", "a/b", "server", "1000"])
TEXTS = st.dictionaries(
    st.sampled_from(["A", "LOG_LEVEL", "com.example"]), st.text("aé$\"'\\ #\t", max_size=5)
)
PLACES = st.sampled_from(["media", "a b/c", "/var/lib/shop", "/data/"])
OWNERS = st.sampled_from(["root", "app", "1000:0", 1000])
MODES = st.sampled_from(["755", "0640"])
ASSETS = st.fixed_dictionaries(
    {
        "folder": st.sampled_from([".", "web"]),
        "output": st.sampled_from(["dist", "./build/app"]),
        "to": st.sampled_from(["shop/static", "/srv/static"]),
    },
    optional={
        "image": st.just("node:22"),
        "install": st.lists(WORDS, min_size=1),
        "build": st.lists(WORDS, min_size=1),
        "files": st.lists(WORDS),
        "network": st.booleans(),
    },
)
RUN_STEP = st.fixed_dictionaries(
    {
        "command": st.lists(WORDS, min_size=1),
        "output": st.lists(st.sampled_from(["static", "/opt/m/", "a/b.json"]), min_size=1),
    },
    optional={
        "env": st.dictionaries(st.sampled_from(["A", "B_1"]), st.text("aé$\"'\\ #\t", max_size=5)),
        "packages": st.lists(st.sampled_from(["gettext", "git:arm64"])),
        "network": st.booleans(),
        "secrets": st.lists(st.sampled_from(["TOKEN", "KEY_2"])),
        "dependencies": st.lists(WORDS),
    },
)
VARIANT = {
    "groups": st.lists(WORDS),
    "extras": st.lists(WORDS),
    "command": st.lists(WORDS),
    "env": st.dictionaries(st.just("A"), st.text("aé$\"'\\ #\t", max_size=5)),
}
VALID: dict[str, st.SearchStrategy[object]] = {
    "image": st.sampled_from(["app", "localhost:5000/team/app"]),
    "python": st.sampled_from(["3.9", "3.12", "3.13.1"]),
    "base-image": st.sampled_from(["python:{python}-slim", "team/python-{python}:1"]),
    "build-image": st.sampled_from(["python:{python}", "team/build:1"]),
    "shell": st.booleans(),
    "poetry-version": st.sampled_from(["2.1", "2.4.1"]),
    "groups": st.lists(WORDS) | st.just("all"),
    "extras": st.lists(WORDS) | st.just("all"),
    "build-packages": st.lists(st.sampled_from(["g++", "libpq-dev=15.1-1"])),
    "runtime-packages": st.lists(st.sampled_from(["libpq5", "git:arm64"])),
    "optional-libraries": st.lists(st.sampled_from(["libtbb.so.12", "liba.so"])),
    "ssh": st.booleans(),
    "ssh-known-hosts": st.lists(st.sampled_from(["h ssh-ed25519 A", "|1|a|b ssh-rsa B== c"])),
    "layers": st.one_of(st.integers(1, 48), st.just("auto")),
    "own-layers": st.just([]),
    "files": st.lists(WORDS | st.just("conf/*.ini")),
    "copy": st.lists(
        st.fixed_dictionaries(
            {"from": st.just("/a b"), "to": PLACES, "image": st.just("team/tools:1")},
            optional={"owner": OWNERS, "mode": MODES},
        )
        | st.fixed_dictionaries(
            {"from": WORDS, "to": PLACES}, optional={"owner": OWNERS, "mode": MODES}
        ),
        max_size=3,
    ),
    "directories": st.lists(
        PLACES | st.fixed_dictionaries({"path": PLACES}, optional={"mode": MODES}), max_size=3
    ),
    "volumes": st.lists(PLACES),
    "init": st.booleans(),
    "build-args": st.dictionaries(
        st.sampled_from(["A", "GIT_SHA"]),
        st.text("aé$\"'\\ #\t", max_size=5)
        | st.fixed_dictionaries(
            {},
            optional={
                "default": st.text("aé$\"'\\ #\t", max_size=5),
                "env": st.just("C"),
                "label": st.just("com.example"),
                "file": st.sampled_from(["VERSION", "/etc/version"]),
            },
        ),
    ),
    "assets": ASSETS | st.lists(ASSETS, max_size=2),
    "workdir": st.sampled_from(["/app", "/srv/x/"]),
    "user": st.integers(1, 2**31 - 1) | st.sampled_from(["1000", "1000:0", "app"]),
    "entrypoint": st.lists(WORDS),
    "command": st.lists(WORDS),
    "env": st.dictionaries(st.sampled_from(["A", "B_1"]), st.text("aé$\"'\\ #\t", max_size=5)),
    "labels": TEXTS,
    "ports": st.lists(st.integers(1, 65535) | st.sampled_from(["1/udp", "80/tcp"])),
    "healthcheck": st.just(False)
    | st.lists(WORDS, min_size=1)
    | st.fixed_dictionaries(
        {"command": st.lists(WORDS, min_size=1)},
        optional={
            "interval": st.sampled_from(["1s", "1m30s"]),
            "timeout": st.just("500ms"),
            "start-period": st.just("1h"),
            "start-interval": st.just("1s"),
            "retries": st.integers(1, 99),
        },
    ),
    "stop-signal": st.integers(1, 64) | st.sampled_from(["TERM", "SIGRTMIN+1"]),
    "compile": st.booleans(),
    "engine": st.booleans(),
    "sbom": st.booleans(),
    "build-on-host": st.booleans(),
    "build-network": st.booleans(),
    "pinned-tools": st.booleans(),
    "run": st.lists(RUN_STEP, max_size=2) | RUN_STEP,
    "syntax": st.sampled_from([False, "auto", "docker/dockerfile:1"]),
    "cache": st.sampled_from(["h.io/a:c", "./c", "type=gha", {"type": "local", "src": "x"}]),
    "download-cache": st.sampled_from(["wheels", "~/wheels", "/var/wheels"]),
    "reuse-image": st.sampled_from(["h.io/a", "team/app:latest"]),
    "platforms": st.lists(st.sampled_from(["linux/amd64", "linux/arm64"])),
    # Docker refuses a `!` without a pattern.
    "ignore": st.lists(
        st.text("a*!#/ ", max_size=5).filter(lambda pattern: pattern.strip(" /") != "!")
    ),
    "images": st.dictionaries(
        st.sampled_from(["api", "worker_2"]), st.fixed_dictionaries({}, optional={"python": WORDS})
    ),
    "instructions": st.fixed_dictionaries(
        {},
        optional={
            "build": st.lists(st.sampled_from(["RUN a", "# b"])),
            "runtime": st.just(["RUN <<E", "FROM x", "E"]),
        },
    ),
    "template": st.sampled_from(["docker/Dockerfile.j2", "../a.j2"]),
    "dev": st.fixed_dictionaries({}, optional=VARIANT),
    "test": st.fixed_dictionaries(
        {}, optional={**VARIANT, "files": st.lists(WORDS), "network": st.booleans()}
    ),
}
VALID_TABLES = st.fixed_dictionaries({}, optional=VALID)
ODD_VALUES = JSON_LIKE | PIECES | st.lists(PIECES, max_size=3) | st.integers(-5, 10**30)
MIXED_TABLES = st.builds(
    lambda valid, odd: {**valid, **odd},
    VALID_TABLES,
    st.dictionaries(st.sampled_from(NAMES), ODD_VALUES, max_size=2),
)
