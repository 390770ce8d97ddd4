"""Search everything that a build leaves behind for a password, in any encoding."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import json
import re
import tarfile
import threading
import urllib.request
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engines import DockerEngine
    from typing_extensions import Self

_BASE64 = re.compile(rb"[A-Za-z0-9+/]{32,}={0,2}")
_GZIP, _ZIP, _ZSTD = b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd"
_JSON = (b"{", b"[")
_KINDS = (
    "vnd.oci.image.index.v1+json",
    "vnd.oci.image.manifest.v1+json",
    "vnd.docker.distribution.manifest.v2+json",
    "vnd.docker.distribution.manifest.list.v2+json",
)


def probes(canary: str) -> dict[str, bytes]:
    """Return what to search for: a plain part of the password survives all quoting and escaping.

    Only encodings of each byte remain: hexadecimal, and base64 at each of three offsets.
    """
    plain = canary.encode()
    found = {"plain": plain, "hex": plain.hex().encode(), "HEX": plain.hex().upper().encode()}
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + plain)
        found[f"base64+{shift}"] = whole[4 if shift else 0 : -4]
    return found


class Search:
    """A search for one password; `found` collects places and spellings."""

    def __init__(self, canary: str) -> None:
        self._probes = probes(canary)
        self._searched: dict[bytes, set[str]] = {}
        self.found: set[tuple[str, str]] = set()
        self.looked_at: set[str] = set()

    @property
    def places(self) -> set[str]:
        """Return the places where it was found."""
        return {place for place, _ in self.found}

    def data(self, place: str, data: bytes) -> None:
        """Search bytes, and what is packed into them."""
        self.looked_at.add(place)
        digest = hashlib.sha256(data).digest()
        if digest not in self._searched:  # an image and several caches have the same layers
            self._searched[digest] = self._spellings(place, data)
        self.found |= {(place, how) for how in self._searched[digest]}

    def _spellings(self, place: str, data: bytes, depth: int = 0) -> set[str]:
        assert not data.startswith(_ZSTD), f"{place}: zstd cannot be searched here"
        found = {how for how, probe in self._probes.items() if probe in data}
        if depth < 4:
            for inner in _unpacked(data):
                found |= self._spellings(place, inner, depth + 1)
        return found

    def text(self, place: str, text: str) -> None:
        """Search text."""
        self.data(place, text.encode())

    def folder(self, place: str, folder: Path, *, without: tuple[Path, ...] = ()) -> None:
        """Search names and contents of all files below a folder."""
        for path in sorted(folder.rglob("*")):
            if not any(path.is_relative_to(other) for other in without):
                self.text(place, str(path))
                if path.is_file() and not path.is_symlink():
                    self.data(place, path.read_bytes())

    def image(self, place: str, reference: str) -> None:
        """Search all that a registry has of an image: indexes, configurations, attestations."""
        host, _, rest = reference.partition("/")
        name, _, tag = rest.rpartition(":")
        top = _fetch(f"http://{host}/v2/{name}/manifests/{tag}")
        self._manifest(place, f"http://{host}/v2/{name}", top)

    def _manifest(self, place: str, base: str, data: bytes) -> None:
        self.data(place, data)
        document = json.loads(data)
        for entry in document.get("manifests", ()):
            if str(entry.get("mediaType", "")).endswith(("manifest.v1+json", "manifest.v2+json")):
                attestation = "attestation-manifest" in json.dumps(entry.get("annotations", {}))
                where = f"{place}: attestation" if attestation else place
                self._manifest(where, base, _fetch(f"{base}/manifests/{entry['digest']}"))
            else:  # of a cache: layers, and its own configuration
                self.data(f"{place}: layer", _fetch(f"{base}/blobs/{entry['digest']}"))
        if config := document.get("config"):
            self.data(f"{place}: config", _fetch(f"{base}/blobs/{config['digest']}"))
        for layer in document.get("layers", ()):
            self.data(f"{place}: layer", _fetch(f"{base}/blobs/{layer['digest']}"))


def _unpacked(data: bytes) -> Iterator[bytes]:
    """Yield the content of an archive, a compressed stream, or JSON with base64 in it."""
    if data.startswith(_GZIP):
        yield gzip.decompress(data)
    elif data.startswith(_ZIP):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from map(archive.read, archive.namelist())
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as members:
            for entry in members:
                file = members.extractfile(entry) if entry.isreg() else None
                inner = file.read() if file else b""
                if inner.startswith((_GZIP, _ZIP, *_JSON)):  # others are not compressed
                    yield inner
    elif data.startswith(_JSON):  # an attestation contains the Dockerfile in base64
        for match in _BASE64.finditer(data):
            with contextlib.suppress(ValueError):
                yield base64.b64decode(match[0] + b"=" * (-len(match[0]) % 4))


def _fetch(url: str) -> bytes:
    accept = ", ".join(f"application/{kind}" for kind in _KINDS)
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


def history(engine: DockerEngine) -> set[str]:
    """List the builds in the engine's history.

    Never remove one: dockerd 28.5 crashes when asked for the list afterwards.
    """
    shown = engine.docker("buildx", "history", "ls", "--format", "{{.Ref}}").stdout
    return {line.rpartition("/")[2] for line in shown.split()}


def search_history(search: Search, engine: DockerEngine, before: set[str]) -> None:
    """Search the engine's history of the builds since `before`."""
    new = history(engine) - before
    assert new
    for build in new:
        for command in ("logs", "inspect"):
            done = engine.docker("buildx", "history", command, build)
            search.text("history", done.stdout + done.stderr)


class Processes:
    """Repeatedly reads the command lines of all processes, including those inside containers."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Start watching."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.03):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):  # the process has ended meanwhile
                    self.seen.add(path.read_bytes())
