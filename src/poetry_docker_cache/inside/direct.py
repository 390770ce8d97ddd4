"""Install what comes from git repositories, URLs and files, with Poetry.

The manifest is like that of any other layer. git, ssh and the files are for this layer only, so no
other layer depends on this script.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import posixpath
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING or __package__:
    from .install import installed_files, poetry_install, secret
    from .install.__main__ import add_common, announcement, conclude
    from .install.failures import OTHER_HASH, UNREACHABLE, explain_build
else:  # in the build, where this file lies beside the folder `install`
    from install import installed_files, poetry_install, secret
    from install.__main__ import add_common, announcement, conclude
    from install.failures import OTHER_HASH, UNREACHABLE, explain_build

ABOVE = ".above"
"""Stands for each `..` in the path of a file, as in the Dockerfile."""
NO_AGENT = """\
No SSH agent reaches the build, and a git dependency comes over ssh.
`poetry docker build` passes it on; with `docker build`, add `--ssh default`."""
REFUSED = """\
{url} refused access: there are no credentials for it, or wrong ones.
Type `poetry config repositories.NAME {url}`
and `poetry config http-basic.NAME USERNAME` (asks for the password), with a NAME of your choice,
then `poetry docker build` again."""
GONE = """\
{url} has no commit {revision} any more, which poetry.lock names.
`poetry update` locks one that is there."""
OTHER_KEY = """\
The host of a git repository, or of a submodule, showed another key than `ssh-known-hosts` in
[tool.poetry-docker-cache] has for it, or is one that it does not name. If its owner has changed
the key, `ssh-keyscan HOST` prints the new one."""
NO_KEY = """\
The host of a git repository refused the keys of your SSH agent: `ssh-add -l` lists them,
`ssh-add` adds one."""
OTHER_FILE = """\
A file is another one than poetry.lock names: see the hash above.
Do not install it unless you know that it was replaced on purpose. `poetry lock --no-cache` takes
the new one."""
# What ssh, git and Poetry say, and what that means.
REASONS = (
    (
        r"No such file or directory: '(?P<program>git|ssh)'",
        "The `build-image` has no {program}, and a git dependency needs it.",
    ),
    (r"Host key verification failed", OTHER_KEY),
    (r"Permission denied \(publickey", NO_KEY),
    (r"Failed to clone (?P<url>\S+?),? check your git configuration", REFUSED),
    (r"unexpected http resp 40[13] for (?P<url>\S+?)/info/refs", REFUSED),
    (r"Failed to clone (?P<url>\S+) at '(?P<revision>[^']+)', verify ref exists", GONE),
    (r"Failed to checkout (?P<url>\S+) at '(?P<revision>[^']+)'", GONE),
    (OTHER_HASH.pattern, OTHER_FILE),
)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; the defaults are the places in the build."""
    parser = argparse.ArgumentParser(prog="direct")
    parser.add_argument("--ssh", action="store_true", help="whether a repository needs an agent")
    add_common(parser, ("--files", "/files"))
    return parser.parse_args(arguments)


def place_files(manifest: dict[str, Any], files: Path, folder: Path) -> dict[str, Any]:
    """Link the files into this folder, and give the manifest with the paths that they have in it.

    These are the lock's, but that one from beside the project lies in the folder, too.
    """
    packages = []
    for package in manifest["packages"]:
        source = package["source"]
        if source["type"] == "file":
            parts = posixpath.normpath(source["url"]).split("/")
            name = "/".join(ABOVE if part == ".." else part for part in parts)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(files / name)
            source = {**source, "url": name}
        packages.append({**package, "source": source})
    return {**manifest, "packages": packages}


def install(options: argparse.Namespace, manifest: dict[str, Any]) -> tuple[int, str]:
    """Install all packages; give the status, and why it failed."""
    print(announcement(manifest), flush=True)
    auth = secret.read(options.secret)
    memory = options.private if options.private.is_dir() else None
    with (
        tempfile.TemporaryDirectory(dir=memory) as private,
        tempfile.TemporaryDirectory() as folder,
    ):
        call = functools.partial(
            poetry_install.install,
            place_files(manifest, options.files, Path(folder)),
            auth,
            Path(private),
            folder=Path(folder),
            venv=options.venv,
            auth_file=options.secret,
            build_config_settings=options.build_config_settings,
            explained=explain,
        )
        status, why = call()
        if not status and of_unknown_origin(options.venv, manifest):
            status, why = call()  # which replaces just these
        return status, why


def of_unknown_origin(venv: Path, manifest: dict[str, Any]) -> list[Path]:
    """Find what came from a git repository or a URL, and does not say so.

    Poetry writes `direct_url.json` where it finds the package that it has just installed. Python
    remembers what a folder holds until its time changes, and two packages that are installed within
    one tick of the file system's clock leave one time: the second one is not found.
    """
    names = {it["name"] for it in manifest["packages"] if it["source"]["type"] in ("git", "url")}
    return [
        folder
        for place in installed_files.site_packages(venv)
        for folder in place.glob("*.dist-info")
        if installed_files.name_and_version(folder)[0] in names
        and not (folder / "direct_url.json").exists()
    ]


def explain(output: str, manifest: dict[str, Any], auth: dict[str, Any]) -> str:
    """Explain a failure; "" if its own words must do."""
    said = " ".join(output.replace(" | ", " ").split())
    for pattern, text in REASONS:
        if found := re.search(pattern, said):
            return text.format(**found.groupdict())
    refused = poetry_install.REFUSED.search(output)
    sources = {urlsplit(source.get("url", "")).netloc for source in manifest["sources"]}
    if refused and urlsplit(refused[1]).netloc not in sources:
        return REFUSED.format(url=refused[1])
    if UNREACHABLE.search(said) and not explain_build(output):
        return "A server cannot be reached from the build: see above."
    return poetry_install.explain(output, manifest, auth)


def forget(venv: Path) -> None:
    """Remove the clones, and the records of where the project's files were in the build."""
    shutil.rmtree(venv / "src", ignore_errors=True)
    for place in installed_files.site_packages(venv):
        for direct in place.glob("*.dist-info/direct_url.json"):
            if json.loads(direct.read_bytes())["url"].startswith("file:"):
                installed_files.drop(direct)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    options = parse(arguments)
    content = options.manifest.read_bytes()
    manifest = json.loads(content)
    status, why = 0, ""
    if manifest["packages"] and options.ssh and not os.environ.get("SSH_AUTH_SOCK"):
        status, why = 1, NO_AGENT
    elif manifest["packages"]:
        status, why = install(options, manifest)
    if not status:
        forget(options.venv)
    return conclude(options, content, (status, why), built=True, elsewhere=True)


if __name__ == "__main__":
    sys.exit(main())
