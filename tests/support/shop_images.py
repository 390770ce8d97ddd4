"""A made-up image of a project named shop, in memory, for checks of its content."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import tarfile
from typing import TYPE_CHECKING, Any, NamedTuple

from poetry_docker_cache.images.stored_image import StoredImage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SITE = "venv/lib/python3.13/site-packages"
STDLIB = "usr/local/lib/python3.13"


KEY = b"-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA0123456789\n"


class Item(NamedTuple):
    """A file with content, a link with a target, or a folder with neither."""

    content: bytes | None = None
    link: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


Layer = dict[str, Item]


def program(text: str = "#!/venv/bin/python\n") -> Item:
    """Return a program."""
    return Item(text.encode(), mode=0o755)


def distribution(  # noqa: PLR0913  # what a package consists of
    name: str,
    version: str,
    *,
    scripts: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    commit: str = "",
    site: str = SITE,
) -> Layer:
    """Return what a wheel installs: a module, its scripts, and the dist-info folder."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    contents = {f"{module}/__init__.py": b"", **(files or {})}
    contents[f"{info}/METADATA"] = f"Name: {name}\nVersion: {version}\n\nVersion: 9\n".encode()
    if scripts:
        lines = "\n".join(f"{script} = {target}" for script, target in scripts.items())
        contents[f"{info}/entry_points.txt"] = f"[console_scripts]\n{lines}\n[x]\na = b\n".encode()
    if commit:
        contents[f"{info}/direct_url.json"] = b'{"vcs_info": {"commit_id": "%s"}}' % commit.encode()
    layer = {f"{site}/{path}": Item(content) for path, content in contents.items()}
    for script in scripts or {}:
        contents[f"../../../bin/{script}"] = program().content or b""
        layer[f"venv/bin/{script}"] = program()
    rows = [
        f"{path},sha256={_hash(content)},{len(content)}\n" for path, content in contents.items()
    ]
    rows += [f"{info}/RECORD,,\n", f"{module}/__pycache__/__init__.cpython-313.pyc,,\n"]
    return {**layer, f"{site}/{info}/RECORD": Item("".join(rows).encode())}


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


BASE: Layer = {
    "bin": Item(link="usr/bin"),
    "usr/bin/sh": program(),
    "usr/local/bin/python3.13": program(),
    f"{STDLIB}/http/server.py": Item(b""),
    "etc/passwd": Item(b"root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:x:/:/bin/sh\n"),
    "etc/group": Item(b"root:x:0:\nadm:x:4:www-data\n"),
}
VENV: Layer = {
    "venv/pyvenv.cfg": Item(b"home = /usr/local/bin\nversion = 3.13.5\n"),
    "venv/bin/python": Item(link="/usr/local/bin/python3.13"),
    "venv/bin/activate": Item(b""),
    "app/data": Item(mode=0o755, uid=10001, gid=10001),
    "app": Item(mode=0o755),
    "home/app": Item(mode=0o755, uid=10001, gid=10001),
}
LAYERS: tuple[Layer, ...] = (
    BASE,
    VENV,
    {
        **distribution("gunicorn", "23.0.0", scripts={"gunicorn": "gunicorn:run"}),
        **distribution("a-lib", "1.0", files={"a_lib/test.pem": KEY}),
    },
    distribution("shop", "1.0", scripts={"shop": "shop:main"}),
)
CONFIG: dict[str, Any] = {
    "User": "10001:10001",
    "Env": ["PATH=/venv/bin:/usr/local/bin:/bin", "VIRTUAL_ENV=/venv"],
    "WorkingDir": "/app",
    "Cmd": ["gunicorn", "shop:app", "--bind", "0.0.0.0:8000"],
    "Labels": {
        "org.opencontainers.image.base.name": "python:3.13-slim",
        "org.opencontainers.image.base.digest": f"sha256:{'1' * 64}",
    },
}


def stored(
    *more: Layer, config: Mapping[str, Any] | None = None, sbom: bytes | None = None
) -> StoredImage:
    """Return the image with more layers on top."""
    archives = [archive(layer) for layer in (*LAYERS, *more)]
    ids = [f"sha256:{hashlib.sha256(content).hexdigest()}" for content in archives]
    return StoredImage(
        name="shop:1",
        place="engine",
        platform="linux/amd64",
        digest="sha256:0",
        config={
            "created": "2026-01-01T00:00:00Z",
            "config": {**CONFIG, **(config or {})},
            "rootfs": {"diff_ids": ids},
        },
        open_layers=lambda: _opened(archives),
        find_attached=lambda _: () if sbom is None else (sbom,),
    )


def _opened(archives: list[bytes]) -> Iterator[contextlib.AbstractContextManager[io.BytesIO]]:
    for content in archives:
        yield contextlib.closing(io.BytesIO(content))


def archive(layer: Layer) -> bytes:
    """Write a layer; an engine adds the folders that it does not list."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as file:
        for path, item in layer.items():
            member = tarfile.TarInfo(path)
            member.mode, member.uid, member.gid = item.mode, item.uid, item.gid
            member.linkname = item.link
            member.type = tarfile.SYMTYPE if item.link else tarfile.DIRTYPE
            if item.content is not None:
                member.type, member.size = tarfile.REGTYPE, len(item.content)
            file.addfile(member, io.BytesIO(item.content or b""))
    return output.getvalue()
