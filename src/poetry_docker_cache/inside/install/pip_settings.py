"""Set the environment variables of pip: one index, and the image's network settings.

An image may configure its pip. Network settings are kept. Settings that would add an index or
change what is installed are ignored.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from . import secret
from .process import image_python

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .secret import Source

INDEX = "PIP_INDEX_URL"
FOR_ALL = "/etc/pip.conf"
TRANSPORT = (
    "PIP_CACHE_DIR",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_PROXY",
    "PIP_RETRIES",
    "PIP_TIMEOUT",
    "PIP_TRUSTED_HOST",
)


def has_pip_configuration(environment: Mapping[str, str]) -> bool:
    """Return whether pip has a configuration file."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:  # pip then reads no file at all
        return False
    home = Path(environment.get("HOME", "/root"))
    places = [*([named] if named else []), FOR_ALL]
    folders = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    places += [f"{folder}/pip/pip.conf" for folder in folders.split(":")]
    places.append(f"{environment.get('XDG_CONFIG_HOME') or home / '.config'}/pip/pip.conf")
    places += [str(home / ".pip" / "pip.conf"), f"{sys.base_prefix}/pip.conf"]
    return any(Path(place).is_file() for place in places)


def read_config_list(listing: str) -> dict[str, str]:
    """Turn the output of `pip config list` into variables; `install` overrides `global`."""
    result = {}
    for section in ("global.", "install."):
        for line in listing.splitlines():
            if line.startswith(section):
                key, _, value = line[len(section) :].partition("=")
                name = f"PIP_{key.upper().replace('-', '_')}"
                result[name] = " ".join(str(ast.literal_eval(value)).split())
    return result


def image_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings in the files of the image's pip, as variables; often there are none."""
    if not has_pip_configuration(environment):
        return {}
    command = [image_python(), "-m", "pip", "--disable-pip-version-check", "config", "list"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return read_config_list(done.stdout)


def clean_environment(environment: Mapping[str, str], files: Mapping[str, str]) -> dict[str, str]:
    """Remove the image's settings for pip, except for the network and the default index."""
    kept = (*TRANSPORT, INDEX)
    own = {name: value for name, value in environment.items() if name in kept and value}
    removed = ("PIP_", "PYTHONPATH")
    others = {name: value for name, value in environment.items() if not name.startswith(removed)}
    result = {**{name: files[name] for name in kept if name in files}, **own, **others}
    return {**result, "PIP_CONFIG_FILE": os.devnull, "PYTHONDONTWRITEBYTECODE": "1"}


def for_source(
    base: Mapping[str, str], source: Source, known: dict[str, Any], folder: Path
) -> dict[str, str]:
    """Set the index of pip to a source, with its credentials; put certificates in the folder."""
    if not source.name or not source.url:
        return dict(base)
    scheme, _, rest = source.url.partition("://")
    words = [quote(known[key], safe="") for key in ("username", "password") if key in known]
    result = {**base, INDEX: f"{scheme}://{':'.join(words)}@{rest}" if words else source.url}
    files = secret.certificates(known, folder)
    if "ca" in files:
        # The image may set requests' own variable, which has priority.
        result["PIP_CERT"] = result["REQUESTS_CA_BUNDLE"] = str(files["ca"])
    if "client-cert" in files:
        result["PIP_CLIENT_CERT"] = str(files["client-cert"])
    if not known.get("verify", True):
        result["PIP_TRUSTED_HOST"] = urlsplit(source.url).netloc
    return result
