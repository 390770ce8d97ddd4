"""Check who runs the code, who can write it, and what a build must not leave. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.doctor.checks import error, ok, warning
from poetry_docker_cache.text import listing
from poetry_docker_cache.verify.distributions import find_everywhere

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from poetry_docker_cache.doctor.checks import Check
    from poetry_docker_cache.verify.image_tree import ImageTree, Node

_MOST = 5
_ROOT = "0"
# Folders by the end of their path: what they are.
_LEFT_OVER = {
    ".cache/pip": "pip's cache",
    ".cache/pypoetry": "Poetry's cache",
    ".cache/uv": "uv's cache",
    ".git": "a git repository",
}
_FOLDERS = re.compile(
    rf"(?:.*/)?({'|'.join(map(re.escape, sorted(_LEFT_OVER, reverse=True)))})(?:/.*)?"
)


@dataclass(frozen=True, kw_only=True)
class ImageUser:
    """The user that a container runs as."""

    name: str
    """As in the configuration."""
    uid: int | None
    """None if the image does not say."""
    groups: frozenset[int]

    def can_write(self, node: Node) -> bool:
        """Return whether the mode allows it, or the user may change the mode.

        For root, which can write everything, return whether other users could.
        """
        by_mode = bool(node.mode & 0o002)
        if not self.uid:
            return by_mode
        in_group = node.gid in self.groups and bool(node.mode & 0o020)
        return by_mode or in_group or node.uid == self.uid


def read_user(tree: ImageTree, setting: str) -> ImageUser:
    """Find the user of an image's configuration, as engines do."""
    name, _, group = (setting or _ROOT).partition(":")
    lines = (line.split(":") for line in tree.text("etc/passwd").splitlines())
    # name, password, uid, gid, …
    user = next((each for each in lines if len(each) > 3 and name in (each[0], each[2])), [])  # noqa: PLR2004
    uid, gid = (user[2], group or user[3]) if user else (name, group)
    names = {name, *user[:1]}
    groups = {gid} if gid.isdecimal() else set()
    for line in tree.text("etc/group").splitlines():
        label, _, number, listed = [*line.split(":"), "", "", ""][:4]
        if group == label or (not group and names & set(listed.split(","))):
            groups.add(number)
    return ImageUser(
        name=setting,
        uid=int(uid) if uid.isdecimal() else None,
        groups=frozenset(int(each) for each in groups if each.isdecimal()) or frozenset({0}),
    )


def check_user(user: ImageUser, *, wanted: str) -> Check:
    """Check that the image does not run as root; `wanted` is the user of the settings."""
    if user.uid is None:
        return error(
            "user",
            f"The user {user.name!r} does not exist in the image.",
            "Set `user` to a number in [tool.poetry-docker-cache].",
        )
    if user.uid:
        return ok("user", f"The image runs as the user {user.name}, not as root.")
    if wanted.partition(":")[0] in ("root", _ROOT):
        return warning("user", "The image runs as root, as the settings say.", "Remove `user`.")
    return error("user", "The image runs as root.", "Build it again, and set no USER afterwards.")


def check_writable(
    tree: ImageTree, user: ImageUser, folders: Sequence[str], owned: Sequence[str]
) -> Check | None:
    """Check that the user cannot write the code in `folders`, except for what it should own."""
    own = [tree.resolve(path) for path in owned]
    found = [
        path
        for folder in dict.fromkeys(tree.resolve(folder) for folder in folders)
        for path, node in ((folder, tree.nodes.get(folder)), *tree.below(folder))
        if node and node.kind in ("file", "folder") and user.can_write(node)
        if not any(path == each or path.startswith(f"{each}/") for each in own)
    ]
    if not found:
        return ok("user", "The user cannot write the code.") if user.uid else None
    names = listing([f"/{path}" for path in sorted(found)], _MOST)
    return error(
        "user",
        f"The user can write code: {names}.",
        "Build the image again. For data, add its folder to `directories`.",
    )


def check_secrets(tree: ImageTree, published: Collection[str]) -> Check:
    """Check for logins and keys; packages contain `published` files, which are not secret."""
    found: dict[str, list[str]] = {}
    for path, kind in sorted(tree.secrets.items()):
        if path not in published:
            place = f"/{path}" if path in tree.nodes else f"/{path} (in a layer below)"
            found.setdefault(kind, []).append(place)
    if not found:
        return ok("secrets", "No logins, tokens or private keys were found.")
    kinds = "; ".join(f"{kind}: {listing(paths, _MOST)}" for kind, paths in found.items())
    return error(
        "secrets",
        f"The image contains {kinds}.",
        "Revoke it: removing the file in a later layer does not remove it from the image. Keep it"
        " out with `ignore`, and build again.",
    )


def check_left_over(tree: ImageTree, installed: Collection[str]) -> Iterator[Check]:
    """Check for caches, repositories and Poetry; `installed` are the locked packages."""
    found: dict[str, list[str]] = {}
    for path, node in sorted(tree.nodes.items()):
        match = _FOLDERS.fullmatch(path)
        if match and (node.kind == "file" or match[1] == ".git"):
            folder = path[: match.end(1)]
            names = found.setdefault(_LEFT_OVER[match[1]], [])
            if f"/{folder}" not in names:
                names.append(f"/{folder}")
    if "poetry" not in installed:
        for path in find_everywhere(tree, "poetry"):
            found.setdefault("Poetry", []).append(f"/{posixpath.dirname(path)}")
    for kind, paths in found.items():
        yield error(
            "left-over",
            f"The image contains {kind}: {listing(paths, _MOST)}.",
            "Keep it out with `ignore`, or remove it in the same instruction that adds it.",
        )
    if not found:
        yield ok("left-over", "No cache of pip, no Poetry and no .git were found.")
