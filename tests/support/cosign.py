"""Sign images with cosign and a key, without the public services of Sigstore."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import debs
from engines import STATE
from processes import lock

if TYPE_CHECKING:
    from pathlib import Path

_HTTP = "--allow-http-registry"


@dataclass(frozen=True)
class Cosign:
    """cosign with a key pair in a folder."""

    program: Path
    folder: Path

    @classmethod
    def set_up(cls, folder: Path) -> Cosign:
        """Unpack cosign on first use, and make a key pair."""
        with lock(STATE):
            program = debs.unpack_cosign(STATE)
        found = cls(program, folder)
        assert not found._run("generate-key-pair")
        return found

    def sign(self, image: str) -> str:
        """Sign an image by its digest; return why that fails, or an empty string."""
        private = ("--use-signing-config=false", "--tlog-upload=false")
        return self._run("sign", "--yes", "--key=cosign.key", *private, _HTTP, image)

    def verify(self, image: str) -> str:
        """Verify the signature of an image; return why that fails, or an empty string."""
        return self._run("verify", "--key=cosign.pub", "--insecure-ignore-tlog", _HTTP, image)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [self.program, *arguments],
            cwd=self.folder,
            env={**os.environ, "COSIGN_PASSWORD": "", "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stderr if done.returncode else ""
