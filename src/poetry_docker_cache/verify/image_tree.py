"""The files of an image after all of its layers, as far as the checks need them."""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from poetry_docker_cache.images.image_errors import damaged
from poetry_docker_cache.registry.layer_stream import UNREADABLE, members, normal_path, overlaid
from poetry_docker_cache.verify.secret_files import find_secret

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterator
    from typing import IO, BinaryIO

    from poetry_docker_cache.images.stored_image import StoredImage

_CHUNK = 1 << 20
_SMALL = 1 << 16
"""A file with a secret is smaller."""
_LARGEST_TEXT = 1 << 26
"""More than any RECORD has."""
_TEXTS = re.compile(
    r"etc/(passwd|group)|(.*/)?pyvenv\.cfg"
    r"|.*\.dist-info/(METADATA|RECORD|entry_points\.txt|direct_url\.json)"
)
_MOST_LINKS = 1000


Kind = Literal["file", "folder", "link", "other"]


class Node(NamedTuple):
    """A file, folder or link."""

    kind: Kind
    mode: int
    uid: int
    gid: int
    target: str = ""
    """What a link points to."""
    digest: str = ""
    """The SHA-256 as in RECORD files; empty if no check needs it."""
    text: str = ""
    """The content, if a check needs it."""


class ImageTree:
    """Nodes by their path below the root, without slashes at the ends."""

    def __init__(self, nodes: dict[str, Node], secrets: dict[str, str]) -> None:
        self.nodes = nodes
        self.secrets = secrets
        """The kind of secret in each file of any layer, also if a later one removes it."""

    def resolve(self, path: str) -> str:
        """Return a path after following all links in it."""
        done, waiting = "", path.split("/")[::-1]
        for _ in range(_MOST_LINKS):
            if not waiting:
                break
            part = waiting.pop()
            if part == "..":
                done = done.rpartition("/")[0]
            elif part not in ("", "."):
                place = posixpath.join(done, part)
                node = self.nodes.get(place)
                if node and node.kind == "link":
                    done = "" if node.target.startswith("/") else done
                    waiting += node.target.split("/")[::-1]
                else:
                    done = place
        return done

    def get(self, path: str) -> Node | None:
        """Return the file or folder at a path, after following links."""
        return self.nodes.get(self.resolve(path))

    def text(self, path: str) -> str:
        """Return the content of a file; empty without one."""
        node = self.get(path)
        return node.text if node else ""

    def below(self, folder: str) -> Iterator[tuple[str, Node]]:
        """Yield the nodes in a folder and the folders in it, by path."""
        start = f"{self.resolve(folder)}/".lstrip("/")
        yield from ((path, node) for path, node in self.nodes.items() if path.startswith(start))


def scan(image: StoredImage, venv: str) -> ImageTree:
    """Read all layers of an image; `venv` is the folder of its virtual environment.

    Raises DockerCacheError for a layer that is damaged.
    """
    nodes: dict[str, Node] = {}
    scanner = _Scanner(venv)
    try:
        for layer in image.layers():
            nodes = overlaid(nodes, scanner.nodes(layer), lambda node: node.kind == "folder")
    except UNREADABLE as error:
        raise damaged(image.name, f"a layer cannot be read: {error}") from error
    return ImageTree(_with_parents(nodes), scanner.secrets)


def _with_parents(nodes: dict[str, Node]) -> dict[str, Node]:
    """Add the folders that no layer lists; engines make them when they unpack it."""
    implied = Node("folder", 0o755, 0, 0)
    for path in [*nodes]:
        while (path := posixpath.dirname(path)) and path not in nodes:
            nodes[path] = implied
    return nodes


class _Scanner:
    """Reads layers, and keeps of each file what the checks need."""

    def __init__(self, venv: str) -> None:
        self._hashed = re.compile(rf"{re.escape(venv.strip('/'))}/|.*/(site|dist)-packages/")
        self.secrets: dict[str, str] = {}

    def nodes(self, layer: BinaryIO) -> Iterator[tuple[str, Node]]:
        """Yield path and node of each member of a layer."""
        known: dict[str, Node] = {}
        for path, member, archive in members(layer):
            content = archive.extractfile(member) if member.isreg() else None
            if content:
                node = self._read(_node("file", member), path, member.size, content)
            elif member.islnk():
                node = known.get(normal_path(member.linkname), _node("other", member))
            elif member.issym():
                node = _node("link", member)._replace(target=member.linkname)
            else:
                node = _node("folder" if member.isdir() else "other", member)
            known[path] = node
            yield path, node

    def _read(self, node: Node, path: str, size: int, content: IO[bytes]) -> Node:
        """Add what the checks need of a file's content."""
        is_text = size <= _LARGEST_TEXT and bool(_TEXTS.fullmatch(path))
        digest = hashlib.sha256()
        if size <= _SMALL or is_text:
            data = content.read()
            digest.update(data)
            if secret := find_secret(path, data):
                self.secrets[path] = secret
            if is_text:
                node = node._replace(text=data.decode(errors="replace"))
        elif self._hashed.match(path):
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
        if not self._hashed.match(path):
            return node
        return node._replace(digest=base64.urlsafe_b64encode(digest.digest()).decode().rstrip("="))


def _node(kind: Kind, member: tarfile.TarInfo) -> Node:
    return Node(kind, member.mode & 0o7777, member.uid, member.gid)
