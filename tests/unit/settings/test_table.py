"""Each key of `[tool.poetry-docker-cache]`: its values, and the errors for mistakes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
import tomlkit

from poetry_docker_cache.caches.spec import Folder, Store
from poetry_docker_cache.settings.content_values import BuildArgument, Copied, Directory
from poetry_docker_cache.settings.image_values import Healthcheck, Instructions
from poetry_docker_cache.settings.run_values import RunSetting
from poetry_docker_cache.settings.setting_errors import (
    SettingsError,
    near_name_notes,
    refuse_misnamed,
    shown,
)
from poetry_docker_cache.settings.table import KEYS, Settings
from poetry_docker_cache.settings.variant_values import VariantSettings

if TYPE_CHECKING:
    from poetry_docker_cache.settings.keys import Key

PIN = 'python = "3.12"\n'

RUN_X = 'run = { command = ["x"], output = ["y"], '

VALID: list[tuple[str, str, object]] = [
    (
        'run = { command = ["a", "b"], output = ["static/", "./a//b.json", "//opt/m"] }',
        "run",
        (RunSetting(command=("a", "b"), output=("static/", "a/b.json", "/opt/m")),),
    ),
    (
        (
            f'{RUN_X}env = {{ B = "2", A = "1" }}, packages = ["gettext"], network = true,'
            ' secrets = ["API_TOKEN"], dependencies = ["./shop", "."] }'
        ),
        "run",
        (
            RunSetting(
                command=("x",),
                output=("y",),
                env=(("A", "1"), ("B", "2")),
                packages=("gettext",),
                network=True,
                secrets=("API_TOKEN",),
                dependencies=("shop", "."),
            ),
        ),
    ),
    (
        f"{RUN_X}dependencies = [] }}",
        "run",
        (RunSetting(command=("x",), output=("y",), dependencies=()),),
    ),
    ("run = []", "run", ()),
    ('image = "app"', "image", "app"),
    ('image = "localhost/app"', "image", "localhost/app"),
    ('image = "Registry.example.com:5000/team__a/app-b.c"', "image", None),
    ('image = "[::1]:5000/app"', "image", None),
    ('python = "3.9"', "python", "3.9"),
    ('python = "3.12.13"', "python", "3.12.13"),
    ('base-image = "mirror:5000/python{python}:{python}-slim"', "base_image", None),
    (f'{PIN}base-image = "team/base@sha256:{"a" * 64}"', "base_image", None),
    (f'{PIN}base-image = "b:1@sha256:{"a" * 64}"', "base_image", None),
    ('build-image = "team/build:1"', "build_image", "team/build:1"),
    ('poetry-version = "2.1"', "poetry_version", "2.1"),
    ('poetry-version = "2.10.0"', "poetry_version", "2.10.0"),
    ('groups = ["dev,tests", "My_Group", "my.group"]', "groups", ("dev,tests", "my-group")),
    ("groups = []", "groups", ()),
    ('extras = ["A_b", "a-b"]', "extras", ("a-b",)),
    (
        'build-packages = ["g++", "libpq-dev:arm64=1:15.3-0+deb12u1~x", "gcc=12.*", "g++"]',
        "build_packages",
        ("g++", "libpq-dev:arm64=1:15.3-0+deb12u1~x", "gcc=12.*"),
    ),
    ('runtime-packages = ["libpq5"]', "runtime_packages", ("libpq5",)),
    (
        'ssh-known-hosts = [" h,[::1]:22 ssh-ed25519 A+/b= me", "@cert-authority *.x ssh-rsa A"]',
        "ssh_known_hosts",
        ("h,[::1]:22 ssh-ed25519 A+/b= me", "@cert-authority *.x ssh-rsa A"),
    ),
    (
        'runtime-packages = ["so:libGL.so.1", "gcc=1.2_p3-r0"]',
        "runtime_packages",
        ("so:libGL.so.1", "gcc=1.2_p3-r0"),
    ),
    ("shell = false", "shell", False),
    ("layers = 1", "layers", 1),
    ('layers = "auto"', "layers", "auto"),
    ("layers = 48", "layers", 48),
    ("own-layers = ['Pandas', 'num_py', 'pandas']", "own_layers", ("num-py", "pandas")),
    ('files = ["./a b/", "a b", "é.ini", "."]', "files", ("a b", "é.ini", ".")),
    ("files = []", "files", ()),
    ('workdir = "/srv/app/"', "workdir", "/srv/app"),
    ('groups = "all"', "groups", "all"),
    ('extras = "all"', "extras", "all"),
    ('extras = ["all"]', "extras", ("all",)),
    ('files = ["conf/*.ini", "**/*.mo"]', "files", ("conf/*.ini", "**/*.mo")),
    ('workdir = "/home/app"', "workdir", "/home/app"),
    ('user = "www-data"', "user", "www-data"),
    (
        'directories = ["./a/", { path = "/b c", mode = "750" }, "a"]',
        "directories",
        (Directory(path="a"), Directory(path="/b c", mode="0750")),
    ),
    ('volumes = ["//data/", "/data"]', "volumes", ("/data",)),
    (
        'copy = [{from = "./a/", to = "b/.", owner = 5, mode = "4755"}, {from = "x", to = "."}]',
        "copy",
        (
            Copied(source="a", to="b/", owner="5:5", mode="4755"),
            Copied(source="x", to="./"),
        ),
    ),
    (
        'copy = [{ image = "a/b:1", from = "/c/", to = "/bin/d", owner = "root:root" }]',
        "copy",
        (Copied(source="/c", to="/bin/d", image="a/b:1"),),
    ),
    (
        "build-args = { B = { default = 'x' }, A = '', C = { label = 'l', file = '/f' } }",
        "build_args",
        (
            BuildArgument(name="A", env="A"),
            BuildArgument(name="B", default="x", env="B"),
            BuildArgument(name="C", label="l", file="/f"),
        ),
    ),
    ("init = true", "init", True),
    ("user = 1000", "user", "1000:1000"),
    ('user = "1000"', "user", "1000:1000"),
    ('user = "1000:0"', "user", "1000:0"),
    ('entrypoint = ["tini", "--", ""]', "entrypoint", ("tini", "--", "")),
    ("command = []", "command", ()),
    ('command = ["sh", "-c", "a\\nb"]', "command", ("sh", "-c", "a\nb")),
    ("env = { B = '$x\"\\', _a1 = '' }", "env", (("B", '$x"\\'), ("_a1", ""))),
    ('env = { USER = "me", HOME = "/tmp" }', "env", (("HOME", "/tmp"), ("USER", "me"))),
    ('cache = "./.buildcache"', "cache", Folder(path="./.buildcache")),
    (
        'cache = { type = "gha", scope = "main" }',
        "cache",
        Store(type="gha", options=(("scope", "main"),)),
    ),
    ('labels = { "com.example" = "é\\t#" }', "labels", (("com.example", "é\t#"),)),
    ('ports = [8000, "8000/tcp", "53/UDP", "1/sctp"]', "ports", ("8000", "53/udp", "1/sctp")),
    ("healthcheck = false", "healthcheck", False),
    ('healthcheck = ["x", "y"]', "healthcheck", Healthcheck(command=("x", "y"))),
    (
        (
            "healthcheck = { command = ['x'], interval = '1m30s', timeout = '1.5s', "
            "start-period = '1ms', start-interval = '2s', retries = 3 }"
        ),
        "healthcheck",
        Healthcheck(
            command=("x",),
            interval="1m30s",
            timeout="1.5s",
            start_period="1ms",
            start_interval="2s",
            retries=3,
        ),
    ),
    ('stop-signal = "term"', "stop_signal", "SIGTERM"),
    ('stop-signal = "SIGRTMIN+3"', "stop_signal", "SIGRTMIN+3"),
    ("stop-signal = 15", "stop_signal", "15"),
    ("compile = true", "compile", True),
    ("syntax = false", "syntax", False),
    ('syntax = "auto"', "syntax", "auto"),
    ('syntax = "mirror/dockerfile:1"', "syntax", "mirror/dockerfile:1"),
    ("images = { b = {}, a = { python = 1 } }", "images", ("a", "b")),
    ('ignore = ["*.csv", "!keep.csv", "# why", ""]', "ignore", ("*.csv", "!keep.csv", "# why", "")),
    ('template = "./docker/Dockerfile.j2"', "template", "docker/Dockerfile.j2"),
    ('template = "../Dockerfile.j2"', "template", "../Dockerfile.j2"),
    (
        "instructions = { build = ['RUN a <<EOF \\', '&& b', 'FROM', '', 'EOF', 'ENV A=1\\\\'] }",
        "instructions",
        Instructions(build=("RUN a <<EOF \\", "&& b", "FROM", "", "EOF", "ENV A=1\\\\")),
    ),
    (
        "instructions = { build = ['USER app', 'RUN a', 'user root:root'] }",
        "instructions",
        Instructions(build=("USER app", "RUN a", "user root:root")),
    ),
    (
        "instructions = { runtime = ['RUN cat <<-\"A\" <<B', '\tA', 'B', '# x', 'RUN a <<<b'] }",
        "instructions",
        Instructions(runtime=('RUN cat <<-"A" <<B', "\tA", "B", "# x", "RUN a <<<b")),
    ),
]

# The text; the key that the error names; a part of its explanation.
INVALID = [
    ('directories = ["/"]', "directories[0]", "replace programs"),
    ('directories = ["/venv/x"]', "directories[0]", "packages are installed"),
    ('directories = [{ path = "/usr/local/" }]', "directories[0].path", "replace programs"),
    ('directories = [{ mode = "0750" }]', "directories[0]", "`path` is missing"),
    ('directories = [{ path = "a", mode = 750 }]', "directories[0].mode", "without quotes"),
    ('directories = [{ path = "a", mode = "79" }]', "directories[0].mode", "octal"),
    ('directories = ["../a"]', "directories[0]", "without `..`"),
    ('volumes = ["/proc/x"]', "volumes[0]", "the kernel"),
    ('volumes = ["$DATA"]', "volumes[0]", "interpret"),
    ('copy = [{ from = "a" }]', "copy[0]", "`to` is missing"),
    ('copy = [{ from = ".", to = "/a" }]', "copy[0].from", "whole project"),
    ('copy = [{ from = "*.sh", to = "/a/" }]', "copy[0].from", "patterns"),
    ('copy = [{ from = "/a", to = "/b" }]', "copy[0].from", "relative"),
    ('copy = [{ from = "a", to = "/venv/b" }]', "copy[0].to", "packages are installed"),
    ('copy = [{ from = "a", to = "/scripts" }]', "copy[0].to", "scripts"),
    ('copy = [{ from = "a", to = "b", owner = "a b" }]', "copy[0].owner", "name of a user"),
    ('copy = [{ image = "x", from = "a", to = "b" }]', "copy[0].from", "begins with `/`"),
    ('copy = [{ image = "X", from = "/a", to = "b" }]', "copy[0].image", "reference"),
    ('build-args = { "a-b" = "" }', "build-args.a-b", "letters"),
    ('build-args = { PATH = "" }', "build-args.PATH", "packages"),
    ("build-args = { A = 1 }", "build-args.A", "neither a string nor a table"),
    ("build-args = { A = { env = 'a b' } }", "build-args.A.env", "letters"),
    ("build-args = { A = { label = '' } }", "build-args.A.label", "empty"),
    ("build-args = { A = { file = '/bin/a' } }", "build-args.A.file", "/usr/bin/a"),
    ("build-args = { A = { file = 'a/' } }", "build-args.A.file", "folder"),
    ('workdir = "/root/app"', "workdir", "only root"),
    ('user = "a b"', "user", "name of a user"),
    ('groups = "any"', "groups", "not a list"),
    ('image = ""', "image", "not a repository name"),
    ('image = "app:1.0"', "image", "leave out the tag"),
    (f'image = "app@sha256:{"a" * 64}"', "image", "leave out the tag"),
    ('image = "Team/App"', "image", "must be in lower case"),
    ('image = "https://example.com/app"', "image", "no scheme"),
    ('image = "a//b"', "image", "not a repository name"),
    (f'image = "{"a" * 256}"', "image", "not a repository name"),
    (f'image = "{"a" * 64}"', "image", "not a repository name"),
    ("image = true", "image", "that is a boolean, not a string"),
    ("image = 2020-01-01", "image", "that is a date or time, not a string"),
    ("python = 3.12", "python", "3.10 would become 3.1"),
    ("python = 3", "python", "without quotes it is a number"),
    ('python = "3"', "python", "not a Python version"),
    ('python = ">=3.12"', "python", "not a Python version"),
    ('python = "3.12\\n"', "python", "a line break"),
    ('python = "3.12rc1"', "python", "not a Python version"),
    ('python = "3.٣٢"', "python", "not a Python version"),
    ('python = "3.8.20"', "python", "3.9 or newer"),
    ('base-image = "a b"', "base-image", "not a valid image reference"),
    ('base-image = ""', "base-image", "not a valid image reference"),
    ('base-image = "{version}:{python}"', "base-image", "`{python}` is the only placeholder"),
    ('base-image = "team/base:1"', "python", "`base-image` is team/base:1"),
    ('build-image = "a:b:c:{python}"', "build-image", "not a valid image reference"),
    ("poetry-version = 2.1", "poetry-version", "2.10 would become 2.1"),
    ('poetry-version = "2.0.1"', "poetry-version", "before 2.1"),
    ('poetry-version = "1.8.5"', "poetry-version", "before 2.1"),
    ('poetry-version = "^2.1"', "poetry-version", "a final release"),
    ('poetry-version = "2.2.0rc1"', "poetry-version", "a final release"),
    ('groups = "main"', "groups", 'Write groups = ["main"].'),
    ('groups = ["main", " "]', "groups[1]", "cannot be empty"),
    ('groups = ["a\\nb"]', "groups[0]", "a line break"),
    ("extras = { a = 1 }", "extras", "that is a table, not a list"),
    ('build-packages = ["git curl"]', "build-packages[0]", "as a separate item"),
    ('ssh-known-hosts = ["github.com"]', "ssh-known-hosts[0]", "a key type"),
    ('ssh-known-hosts = ["# h:22 SSH-2.0"]', "ssh-known-hosts[0]", "a key type"),
    ('ssh-known-hosts = ["h ssh-ed25519 A\\nx"]', "ssh-known-hosts[0]", "a line break"),
    ('build-packages = ["Git"]', "build-packages[0]", "not a package name"),
    ('runtime-packages = ["so:"]', "runtime-packages[0]", "not a package name"),
    ('runtime-packages = ["curl~"]', "runtime-packages[0]", "not a package name"),
    ("shell = 'sh'", "shell", "not a boolean"),
    ('runtime-packages = ["curl-"]', "runtime-packages[0]", "not a package name"),
    ('runtime-packages = ["curl;id"]', "runtime-packages[0]", "not a package name"),
    ("layers = 49", "layers", "at most 127 layers"),
    ("own-layers = 'numpy'", "own-layers", "not a list"),
    ("layers = true", "layers", "neither a number"),
    ("layers = 0", "layers", "neither a number"),
    ('layers = "4"', "layers", "remove the quotes"),
    ('files = ["a", "b/../c"]', "files[1]", "remove `..`"),
    ('files = ["/etc/passwd"]', "files[0]", "only paths inside the project"),
    ('files = ["!a"]', "files[0]", "use `ignore`"),
    ("files = ['a\\b']", "files[0]", "use / to separate"),
    ('files = ["$HOME"]', "files[0]", "expand $ as a variable"),
    ('files = [""]', "files[0]", "the path is empty"),
    ('files = ["a\\nb"]', "files[0]", "a line break"),
    ('workdir = "/"', "workdir", "not the normalised absolute path"),
    ('workdir = "app"', "workdir", "not the normalised absolute path"),
    ('workdir = "/app/../etc"', "workdir", "not the normalised absolute path"),
    ('workdir = "/venv/x"', "workdir", "the packages are installed there"),
    ("user = 0", "user", "root can change the code"),
    ('user = "00:5"', "user", "root can change the code"),
    ('user = "root"', "user", "root can change the code"),
    ('user = "root:root"', "user", "root can change the code"),
    ("user = -1", "user", "that is a number, not a string"),
    ("user = 2147483648", "user", "largest id"),
    ('command = "gunicorn app"', "command", 'Write command = ["gunicorn", "app"].'),
    ("command = 'a && b'", "command", 'Write command = ["sh", "-c", "a && b"].'),
    ("command = 'a \"b'", "command", 'Write command = ["sh", "-c",'),
    ('entrypoint = [""]', "entrypoint[0]", "must be the program"),
    ('command = ["a", 1]', "command[1]", "put it in quotes"),
    ('command = ["a\\u0000"]', "command[0]", "not possible in a container"),
    ("env = { DEBUG = true }", "env.DEBUG", "put it in quotes"),
    ("env = { N = 1 }", "env.N", "put it in quotes"),
    ('env = { A = "a\\nb" }', "env.A", "cannot contain a line break"),
    ('env = { "A-B" = "x" }', "env.A-B", "letters, digits and underscores"),
    ('env = { PATH = "/x" }', "env.PATH", "`ENV PATH=…` to `instructions.runtime`"),
    ('env = { VIRTUAL_ENV = "/x" }', "env.VIRTUAL_ENV", "the image sets it"),
    ('env = ["A=1"]', "env", "that is a list, not a table"),
    ('labels.org.example = "x"', "labels.org", 'Write the name "org.…"'),
    ('labels = { "a b" = "x" }', 'labels."a b"', "the name is empty, or contains"),
    ('labels = { a = "x\\ny" }', "labels.a", "cannot contain a line break"),
    ("ports = [0]", "ports[0]", "not a port"),
    ("ports = [65536]", "ports[0]", "not a port"),
    ('ports = [80, "80:8080"]', "ports[1]", "`docker run -p`"),
    ("ports = 80", "ports", "that is a number, not a list"),
    ("ports = [true]", "ports[0]", "that is a boolean"),
    ("healthcheck = true", "healthcheck", "the command is missing"),
    ("healthcheck = []", "healthcheck", "write `healthcheck = false`"),
    ('healthcheck = ["CMD", "x"]', "healthcheck", "are Compose syntax"),
    ('healthcheck = "curl localhost"', "healthcheck", '["curl", "localhost"]'),
    ("healthcheck = {}", "healthcheck", "`command` is missing"),
    ("healthcheck = { comand = ['x'] }", "healthcheck.comand", "`healthcheck.command`?"),
    (
        "healthcheck = { command = ['x'], start_period = '1s' }",
        "healthcheck.start_period",
        "`healthcheck.start-period`?",
    ),
    ("healthcheck.command = []", "healthcheck.command", "the command is empty"),
    *(
        (f"healthcheck = {{ command = ['x'], {text} }}", f"healthcheck.{key}", words)
        for text, key, words in [
            ("interval = 30", "interval", "the unit is missing"),
            ("interval = '30'", "interval", "a number with a unit"),
            ("timeout = '0s'", "timeout", "from 1ms"),
            ("start-period = '999999999h'", "start-period", "to 292 years"),
            ("retries = 0", "retries", "a number, 1 or more"),
            ("retries = '3'", "retries", "a number, 1 or more"),
        ]
    ),
    *(
        (f"run = [{text}]", path, words)
        for text, path, words in [
            ("1", "run[0]", "that is a number, not a table"),
            ("{ output = ['a'] }", "run[0]", "`command` is missing"),
            ("{ command = ['a'] }", "run[0]", "`output` is missing"),
            ("{ command = 'a b', output = ['c'] }", "run[0].command", '["a", "b"]'),
            ("{ command = [], output = ['c'] }", "run[0].command", "the command is empty"),
            ("{ command = ['a'], outputs = ['c'] }", "run[0].outputs", "`run[0].output`?"),
            ("{ command = ['a'], output = [] }", "run[0].output", "has no effect"),
        ]
    ),
    *(
        (f'run = [{{ command = ["a"], output = ["{text}"] }}]', "run[0].output[0]", words)
        for text, words in [
            ("", "is empty"),
            (".", "not only the output"),
            ("/", "not only the output"),
            ("/venv/", "not only the output"),
            ("//home/app", "not only the output"),
            ("a/../b", "remove `..`"),
            ("*.mo", "patterns are not expanded"),
            ("~/a", "an absolute path"),
            ("a\\\\b", "use / to separate"),
            ("/run/secrets", "mounts its secrets"),
            ("/proc/x", "the kernel mounts"),
        ]
    ),
    *(
        (f"{RUN_X}{text} }}", f"run.{path}", words)
        for text, path, words in [
            ("env = { PATH = 'x' }", "env.PATH", "to find its packages"),
            ("packages = ['a b']", "packages[0]", "as a separate item"),
            ("network = 'yes'", "network", "not a boolean"),
            ("secrets = ['token=x']", "secrets[0]", "the variable that has the value"),
            ("secrets = ['auth']", "secrets[0]", "capitals"),
            ("dependencies = ['/a']", "dependencies[0]", "inside the project"),
        ]
    ),
    (f"{RUN_X}secrets = ['A'], env = {{ A = 'x' }} }}", "run", "in both `env` and `secrets`"),
    ('stop-signal = "SIGTREM"', "stop-signal", "no such signal"),
    ("stop-signal = 65", "stop-signal", "no such signal"),
    ('compile = "no"', "compile", "that is a string, not a boolean"),
    ("syntax = true", "syntax", '"auto" is the default'),
    ('syntax = "a b"', "syntax", "not a valid image reference"),
    ("cache = 1", "cache", "that is a number, neither a string nor a table"),
    ('cache = "buildcache"', "cache", "For a folder write ./buildcache"),
    ('cache = "type=registry,ref=h.io/a,mdoe=max"', "cache", "Did you mean mode?"),
    ('cache = { type = "gha", token = "c4nary" }', "cache", "ACTIONS_RUNTIME_TOKEN"),
    ('template = ""', "template", "is empty"),
    ('template = "/etc/a.j2"', "template", "relative to the project, so"),
    ('template = "~/a.j2"', "template", "relative to the project, so"),
    ('template = "docker\\\\a.j2"', "template", "use / to separate"),
    ('template = ".."', "template", "that is a folder"),
    ('template = "docker/"', "template", "that is a folder"),
    ('ignore = ["a\\nb"]', "ignore[0]", "a line break"),
    ("instructions.runtime = ['']", "instructions.runtime[0]", "the line is empty"),
    ("instructions.runtime = [' from x']", "instructions.runtime[0]", "start another stage"),
    ("instructions.build = ['RUN a \\']", "instructions.build[0]", "the continuation"),
    (
        "instructions.build = ['RUN a <<EOF \\', 'EOF', 'RUN b']",
        "instructions.build[2]",
        "here-document EOF",
    ),
    ("instructions.build = ['RUN <<E', 'E ']", "instructions.build[1]", "here-document E"),
    ("instructions.runtime = ['USER app', '# x']", "instructions.runtime[0]", "add `USER 0`"),
    ("instructions.biuld = []", "instructions.biuld", "`instructions.build`?"),
    ("base_image = 1", "base_image", "Did you mean `base-image`?"),
    ("pyhton = 1", "pyhton", "Did you mean `python`?"),
    ("'a b' = 1", '"a b"', "The settings are: `image`"),
]


@pytest.mark.parametrize(("text", "field", "expected"), VALID)
def test_valid_value_is_read(text: str, field: str, expected: object) -> None:
    """If the expected value is None, the value is kept as it is written."""
    table = tomlkit.parse(text)
    if expected is None:
        expected = table[field.replace("_", "-")]
    assert getattr(Settings.parse(table), field) == expected


@pytest.mark.parametrize(("text", "path", "words"), INVALID)
def test_invalid_value_is_an_error(text: str, path: str, words: str) -> None:
    """The error names the key in full, gives the reason, and says what to write instead."""
    with pytest.raises(SettingsError) as caught:
        Settings.parse(tomlkit.parse(text))
    message = str(caught.value)
    assert f"`{path}`" in message or f"`{path} = " in message
    assert words in message
    assert caught.value.fix
    assert "\n" not in caught.value.problem


@pytest.mark.parametrize("table", [5, "x", [{}], None])
def test_rejects_settings_that_are_not_a_table(table: object) -> None:
    """The error is about `[tool.poetry-docker-cache]` as a whole."""
    with pytest.raises(SettingsError, match="not a table"):
        Settings.parse(table)


def test_empty_table_has_the_defaults() -> None:
    """No setting is required."""
    assert Settings.parse({}) == Settings()


@pytest.mark.parametrize("key", KEYS, ids=lambda key: str(key.name))
def test_example_in_errors_is_valid(key: Key) -> None:
    """Users can copy it."""
    table = tomlkit.parse(key.example)
    assert list(table) == [key.name]
    Settings.parse(table)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: str(key.name))
def test_documented_default_is_the_default(key: Key) -> None:
    """Writing the TOML of the documentation into pyproject.toml changes nothing."""
    default = getattr(Settings(), key.field)
    assert default == key.default
    if default in (None, (), Instructions(), VariantSettings()) and key.default_text != "`[]`":
        return
    table = tomlkit.parse(f"{key.name} = {key.default_text.strip('`')}")
    assert getattr(Settings.parse(table), key.field) == default


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x" * 50, '"' + "x" * 39 + '…"'),
        ("\u202ea\x00\n", '"\\u202ea\\u0000\\n"'),
        ([1, [2], "a", 4], '[1, […], "a", …]'),
        ({"a b": {}, "c": {"d": 1}}, '{ "a b" = {}, c = { … } }'),
        (10**200, "a very large number"),
        (float("nan"), "nan"),
        ((), "[]"),
    ],
)
def test_values_are_shown_short_and_printable(value: object, expected: str) -> None:
    """An error shows a value as TOML, on one line, without control characters."""
    assert shown(value) == expected


@pytest.mark.parametrize("name", ["command", "env"])
def test_rejects_half_a_surrogate_pair(name: str) -> None:
    """No file can contain it, and the error can be printed."""
    value: object = {"A": "\ud800"} if name == "env" else ["\ud800"]
    with pytest.raises(SettingsError, match="not possible in a container") as caught:
        Settings.parse({name: value})
    str(caught.value).encode()


@pytest.mark.parametrize(
    ("name", "rejected"),
    [
        ("poetry_docker_cache", True),
        ("Poetry-Docker-Cache", True),
        ("poetry-docker-caches", True),
        ("poetry-docker-cache-old", False),
        ("poetry_docker_cache_old", False),
        ("poetry-docker-cache", False),
        ("poetry-docker-bake", False),
        ("poetry-docker-plugin", False),
        ("poetry-docker", False),
    ],
)
def test_rejects_misspelled_name_of_table(name: str, *, rejected: bool) -> None:
    """Tables of other plugins for Poetry and Docker are accepted."""
    with pytest.raises(SettingsError) if rejected else contextlib.nullcontext():
        refuse_misnamed({name: {}})


@pytest.mark.parametrize(
    ("names", "noted"),
    [
        (["poetry-docker"], True),
        (["poetry_docker"], True),
        (["docker-cache"], True),
        (["poetry-docker", "poetry-docker-cache"], False),
        (["poetry-docker-cache-old"], False),
        (["poetry", "docker", "poetry-dynamic-versioning", "poetry-plugin-export"], False),
    ],
)
def test_table_with_a_near_name_is_noted(names: list[str], *, noted: bool) -> None:
    """The table may belong to another plugin, so a build does not fail."""
    notes = near_name_notes({name: {} for name in names})
    name = names[0]
    note = f"`tool.{name}` in pyproject.toml is not read: the settings belong in"
    assert notes == [f"{note} [tool.poetry-docker-cache]."] * bool(noted)
