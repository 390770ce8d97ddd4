"""An image with this machine's Node.js and npm, since none can be pulled."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from engines import unavailable

if TYPE_CHECKING:
    from engines import DockerEngine

_DOCKERFILE = """\
FROM python:3.13-slim
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
COPY --from=node node /usr/local/bin/node
COPY --from=npm . /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
"""


def make_node_image(engine: DockerEngine, folder: Path, tag: str) -> None:
    """Build it in this folder. The test fails, or is skipped, without Node.js."""
    programs = [shutil.which("node"), shutil.which("npm")]
    if None in programs:
        unavailable("this machine has no Node.js")
    binary, npm = (Path(program).resolve() for program in programs if program)
    folder.mkdir()
    (folder / "Dockerfile").write_text(_DOCKERFILE, encoding="utf-8")
    contexts = [f"--build-context=node={binary.parent}", f"--build-context=npm={npm.parents[1]}"]
    # Compressing it would take longer than all other steps.
    output = "--output=type=docker,compression=uncompressed"
    engine.docker("buildx", "build", output, "--tag", tag, *contexts, str(folder))
