"""Install packages from git repositories, URLs and files with Poetry.

A script of its own, because only this layer needs git, ssh and the files: a change here rebuilds no
other layer.
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
    from .install.__main__ import add_common, conclude, format_announcement
    from .install.failures import OTHER_HASH, UNREACHABLE, explain_build
else:  # in the build, where this file is next to the folder `install`
    from install import installed_files, poetry_install, secret
    from install.__main__ import add_common, conclude, format_announcement
    from install.failures import OTHER_HASH, UNREACHABLE, explain_build

ABOVE = ".above"
"""Replaces each `..` in the path of a file, as in the Dockerfile."""
NO_AGENT = """\
A git dependency uses ssh, but the build has no SSH agent.
Start an agent (`ssh-add -l` lists its keys), and add `--ssh default` to the command."""
REFUSED = """\
{url} refused access: its credentials are missing or wrong.
Run `poetry config repositories.NAME {url}`
and `poetry config http-basic.NAME USERNAME` (asks for the password), with a NAME of your choice,
then run `poetry docker build` again."""
GONE = """\
{url} no longer has commit {revision}, which poetry.lock names.
Run `poetry update` to lock another one."""
OTHER_KEY = """\
The key of a git host does not match `ssh-known-hosts` in [tool.poetry-docker-cache], or that
setting does not list the host. The host may be that of a submodule. `ssh-keyscan HOST` prints its
keys: compare them with those that its owner publishes, then add them."""
NO_KEY = """\
The git host refused the keys of your SSH agent.
Run `ssh-add -l` to list them, and `ssh-add` to add one."""
OTHER_FILE = """\
The hash of a file does not match poetry.lock: see above.
If you are sure that it was replaced on purpose, run `poetry lock --no-cache`."""
# Messages of ssh, git and Poetry, with their explanations.
REASONS = (
    (
        r"No such file or directory: '(?P<program>git|ssh)'",
        "A git dependency needs {program}, which is not in the `build-image`. Set another one.",
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
    """Read the command line; the defaults are the paths in the build."""
    parser = argparse.ArgumentParser(prog="direct")
    parser.add_argument("--ssh", action="store_true", help="a repository needs an SSH agent")
    add_common(parser, ("--files", "/files"))
    parser.set_defaults(secret=Path("/run/secrets/auth.toml"))  # a name that Poetry reads
    return parser.parse_args(arguments)


def place_files(manifest: dict[str, Any], files: Path, folder: Path) -> dict[str, Any]:
    """Link the files into a folder, and return the manifest with their paths in it.

    A path that leaves the project (`../…`) gets one inside of the folder.
    """
    packages = []
    for package in manifest["packages"]:
        source = package["source"]
        if source["type"] == "file":
            parts = posixpath.normpath(source["url"]).split("/")
            # An absolute path does not exist in the build; it must not leave the folder.
            name = "/".join(ABOVE if part == ".." else part for part in parts if part)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(files / name)
            source = {**source, "url": name}
        packages.append({**package, "source": source})
    return {**manifest, "packages": packages}


def install(options: argparse.Namespace, manifest: dict[str, Any]) -> tuple[int, str]:
    """Install all packages; return the status, and why it failed."""
    print(format_announcement(manifest), flush=True)
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
        if not status and without_origin(options.venv, manifest):
            status, why = call()  # replaces only these packages
        return status, why


def without_origin(venv: Path, manifest: dict[str, Any]) -> list[Path]:
    """Find packages from git repositories and URLs that lack `direct_url.json`.

    Poetry looks for the package that it has just installed, then writes that file. Python caches a
    folder's listing until the folder's time changes. If two packages are installed within one tick
    of the file system's clock, the time stays the same, and Poetry does not find the second one.
    """
    packages = manifest["packages"]
    names = {entry["name"] for entry in packages if entry["source"]["type"] in ("git", "url")}
    return [
        folder
        for place in installed_files.site_packages(venv)
        for folder in place.glob("*.dist-info")
        if installed_files.name_and_version(folder)[0] in names
        and not (folder / "direct_url.json").exists()
    ]


def explain(output: str, manifest: dict[str, Any], auth: dict[str, Any]) -> str:
    """Explain a failure; "" if there is nothing to add to the output."""
    said = " ".join(output.replace(" | ", " ").split())
    for pattern, text in REASONS:
        if found := re.search(pattern, said):
            return text.format(**found.groupdict())
    refused = poetry_install.REFUSED.search(output)
    sources = {urlsplit(source.get("url", "")).netloc for source in manifest["sources"]}
    if refused and urlsplit(refused[1]).netloc not in sources:
        return REFUSED.format(url=refused[1])
    if UNREACHABLE.search(said) and not explain_build(output):
        return "A server cannot be reached from the build. See the output above."
    return poetry_install.explain(output, manifest, auth)


def remove_traces(venv: Path) -> None:
    """Remove the clones, and the paths that the project's files had in the build."""
    shutil.rmtree(venv / "src", ignore_errors=True)
    for place in installed_files.site_packages(venv):
        for direct in place.glob("*.dist-info/direct_url.json"):
            if json.loads(direct.read_bytes())["url"].startswith("file:"):
                installed_files.remove_file(direct)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    options = parse(arguments)
    manifest = json.loads(options.manifest.read_bytes())
    status, why = 0, ""
    if manifest["packages"] and options.ssh and not os.environ.get("SSH_AUTH_SOCK"):
        status, why = 1, NO_AGENT
    elif manifest["packages"]:
        status, why = install(options, manifest)
    if not status:
        remove_traces(options.venv)
    return conclude(options, (status, why), built=True)


if __name__ == "__main__":
    sys.exit(main())
