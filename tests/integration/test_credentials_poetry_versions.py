"""Every supported Poetry reads the secret, and the plugin reads credentials from each of them."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from poetry_versions import POETRY_VERSIONS, poetry_python

from poetry_docker_cache.project import credentials
from poetry_docker_cache.project.auth_secret import SourceAuth, auth_file

SOURCE = Path(credentials.__file__).parents[2]

# Runs inside the other Poetry's environment: names on stdin, credentials on stdout.
READ = """
import json, sys
from poetry.config.config import Config
from poetry.utils.password_manager import PasswordManager
manager = PasswordManager(Config.create())
found = {name: manager.get_http_auth(name) for name in json.load(sys.stdin)}
print(json.dumps({name: [c.username, c.password] for name, c in found.items()}))
"""

COLLECT = """
import json, sys
from pathlib import Path
from poetry.factory import Factory
from poetry_docker_cache.project.credentials import collect
from poetry_docker_cache.errors import DockerCacheError
try:
    secret = collect(Factory().create_poetry(Path.cwd()), json.load(sys.stdin))
    print(json.dumps({"text": secret.text, "unconfirmed": secret.unconfirmed}))
except DockerCacheError as error:
    print(json.dumps({"problem": error.problem, "fix": error.fix}))
"""

NAMES = ("a", "a.b", "a.b.c", "my.repo", "my-repo", "UPPER", "two words", "..", 'q"\\', "é{x}", "1")


def run(version: str, script: str, names: list[str], cwd: Path) -> Any:  # noqa: ANN401  # JSON
    """Run a script with this Poetry and the test's isolated settings."""
    done = subprocess.run(
        [poetry_python(version), "-c", script],
        input=json.dumps(names),
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        cwd=cwd,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


def nasty_passwords() -> dict[str, tuple[str, str]]:
    """Return 40 sources whose passwords cover every kind of character, the same in every run.

    Poetry reads the whole file for each source, so twice as many take four times as long.
    """
    chance = random.Random(2)
    alphabet = [chr(n) for n in range(1, 0x180) if chr(n) not in "\n\r"]
    alphabet += [*"{{{{{{}}}}}}\"\"''\\\\%%$$##", "\u2028", "漢", "😀", "{cache-dir}", "\\n"]
    words = ["".join(chance.choices(alphabet, k=chance.randint(1, 99))) for _ in range(80)]
    named = [*NAMES, *(f"source-{n}" for n in range(40 - len(NAMES)))]
    return dict(zip(named, zip(words[::2], words[1::2], strict=True), strict=True))


@pytest.mark.parametrize("version", POETRY_VERSIONS)
def test_every_poetry_reads_the_secret(version: str, tmp_path: Path) -> None:
    """Names with dots, spaces and quotes, and any password, are unchanged."""
    logins = nasty_passwords()
    sources = [SourceAuth(name=name, login=login) for name, login in logins.items()]
    text = auth_file(sources)
    Path(os.environ["POETRY_CONFIG_DIR"], "auth.toml").write_text(text, encoding="utf-8")
    found = run(version, READ, list(logins), tmp_path)
    assert {name: tuple(login) for name, login in found.items()} == logins


def write_project(folder: Path) -> None:
    """Write a project with three sources and their settings; two sources share a host."""
    # In this order, Poetry before 2.5 uses the first one's credentials for the second one's URL.
    sources = {"corp.two": "https://h.test/simple/corp2", "corp": "https://h.test/simple/corp/"}
    sources |= {"net": "https://net.test/simple", "public": "https://public.test/simple"}
    tables = [f'[[tool.poetry.source]]\nname="{n}"\nurl="{u}"\n' for n, u in sources.items()]
    project = '[project]\nname="demo"\nversion="1"\n' + "".join(tables)
    (folder / "pyproject.toml").write_text(project)
    (folder / "poetry.toml").write_text('[certificates.net]\ncert="ca.pem"\n')
    (folder / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n")
    Path(os.environ["POETRY_CONFIG_DIR"], "auth.toml").write_text(
        '[http-basic.unused]\nusername="u"\npassword="p"\n'
        '[http-basic."corp.two"]\nusername="u2"\npassword="p2{"\n'
        '[http-basic.corp.two]\nusername="u2"\npassword="p2{"\n'
    )
    netrc = Path.home() / ".netrc"
    netrc.write_text("machine net.test login nu password np\n")
    netrc.chmod(0o600)


@pytest.mark.parametrize("version", POETRY_VERSIONS)
def test_every_poetry_gives_the_same_credentials(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environment, auth.toml, netrc and the project's CA file give identical credentials."""
    write_project(tmp_path)
    monkeypatch.setenv("POETRY_HTTP_BASIC_CORP_USERNAME", "u1")
    monkeypatch.setenv("POETRY_HTTP_BASIC_CORP_PASSWORD", "")
    answer = run(version, COLLECT, ["corp", "corp.two", "net", "public"], tmp_path)
    expected = [
        SourceAuth(name=name, login=login, ca=ca)
        for name, login, ca in (
            ("corp", ("u1", ""), ""),
            ("corp.two", ("u2", "p2{"), ""),
            ("net", ("nu", "np"), (tmp_path / "ca.pem").read_text()),
        )
    ]
    assert answer["text"] == auth_file(expected)
    assert answer["unconfirmed"] == [
        ["corp", "https://h.test/simple/corp"],
        ["corp.two", "https://h.test/simple/corp2"],
    ]


@pytest.mark.parametrize("version", POETRY_VERSIONS)
def test_missing_password_is_an_error_in_every_poetry(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty password is allowed, a missing one is not."""
    write_project(tmp_path)
    monkeypatch.setenv("POETRY_HTTP_BASIC_CORP_USERNAME", "u1")
    answer = run(version, COLLECT, ["corp"], tmp_path)
    assert "'corp' has a user name but no password" in answer["problem"]
    assert "POETRY_HTTP_BASIC_CORP_PASSWORD" in answer["fix"]
