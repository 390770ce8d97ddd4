"""Install with pip from the project's own package source, with the credentials of the secret.

They reach pip by its environment only: neither its command line nor its output shows them.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

REFUSED = re.compile(r"\b40[13] (?:Error, Credentials not correct|Client Error)\b")


def read_secret(path: Path, source: str) -> dict[str, Any]:
    """Read what the mounted auth secret holds for a source; a public source has nothing."""
    if not path.is_file():
        return {}
    if sys.version_info >= (3, 11):
        import tomllib as toml  # noqa: PLC0415  # not in 3.9 and 3.10
    else:
        from pip._vendor import tomli as toml  # noqa: PLC0415  # gone from the pip of later Pythons
    secret = toml.loads(path.read_text(encoding="utf-8"))
    return dict(secret.get("poetry-docker-cache", {}).get("sources", {}).get(source, {}))


def settings(url: str, known: dict[str, Any], folder: Path) -> dict[str, str]:
    """Name the source to pip; certificates become files in the folder."""
    scheme, _, rest = url.partition("://")
    words = [quote(known[key], safe="") for key in ("username", "password") if key in known]
    result = {"PIP_INDEX_URL": f"{scheme}://{':'.join(words)}@{rest}" if words else url}
    for key, variable in (("ca", "PIP_CERT"), ("client-cert", "PIP_CLIENT_CERT")):
        if key in known:
            path = folder / f"{key}.pem"
            path.touch(mode=0o600)
            path.write_text(known[key], encoding="utf-8")
            result[variable] = str(path)
    if "PIP_CERT" in result:  # which requests puts last, where the image sets this
        result["REQUESTS_CA_BUNDLE"] = result["PIP_CERT"]
    if not known.get("verify", True):
        result["PIP_TRUSTED_HOST"] = urlsplit(url).netloc
    return result


def run(command: list[str], environment: dict[str, str]) -> int:
    """Pass on what pip says as it comes, without the user names that it leaves in URLs.

    pip hides passwords only; where a token is the user name, that would be the secret.
    """
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        for line in process.stdout or ():
            sys.stdout.buffer.write(re.sub(rb"(?<=://)[^/\s@]+@", b"", line))
            sys.stdout.buffer.flush()
    return process.returncode


def refusal(source: str, url: str, *, known: bool) -> str:
    """Explain that the source refused the credentials, or their absence."""
    variable = "POETRY_HTTP_BASIC_" + re.sub(r"[-.]", "_", source).upper()
    reason = "it does not accept the credentials" if known else "there are no credentials"
    return (
        f"\nThe package source {source!r} ({urlsplit(url).netloc}) refused access: {reason} that"
        f" this build was given for it.\nType `poetry config http-basic.{source} USER PASSWORD` or"
        f" set {variable}_USERNAME and {variable}_PASSWORD,\nthen `poetry docker build` again."
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", required=True)
    parser.add_argument("--source", nargs=2, metavar=("NAME", "URL"))
    parser.add_argument("--secret", type=Path, default=Path("/run/secrets/auth.toml"))
    parser.add_argument("--private", type=Path, default=Path("/dev/shm"))  # noqa: S108  # in memory
    parser.add_argument("requirements", nargs="+", metavar="REQUIREMENT")
    options = parser.parse_args(arguments)
    name, url = options.source or ("", "")
    known = read_secret(options.secret, name) if name else {}
    private = options.private if options.private.is_dir() else None
    command = [sys.executable, "-m", "pip", "--python", options.python, "install"]
    command += ["--no-compile", "--no-input", "--disable-pip-version-check", *options.requirements]
    with tempfile.TemporaryDirectory(dir=private) as place:
        folder = Path(place)
        log = folder / "pip.log"  # pip tells of a 403 only there
        environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "PIP_LOG": str(log)}
        if name:
            environment.update(settings(url, known, folder))
        status = run(command, environment)
        told = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    if status and name and REFUSED.search(told):
        print(refusal(name, url, known="username" in known), flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
