"""The JSON schema in the package matches the settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from settings_schema import PATH, schema_text


def test_schema_is_current(regenerate: bool) -> None:
    """With `--regenerate`, it is written first."""
    if regenerate:
        PATH.write_text(schema_text(), encoding="utf-8")
    assert PATH.read_text(encoding="utf-8") == schema_text()


def test_schema_is_valid() -> None:
    """It is a schema of draft 7."""
    check = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [check, "--check-metaschema", PATH], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
