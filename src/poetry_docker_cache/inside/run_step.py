"""Run a command of the project as the image's user, and keep what it makes for the image.

The command can write to its output, and to its home folder and /tmp. Of all that it writes, only
the output gets into the image, where it belongs to root.
"""

from __future__ import annotations

import argparse
import grp
import os
import pwd
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

PREFIX = "poetry-docker-cache: "
"""Starts an explanation, the last text of a step: the error of the build repeats it."""
SECRETS = Path("/run/secrets")
LAST_LINES = 30
"""The number of lines in which the cause of a failure is looked for."""
TABLE = "[tool.poetry-docker-cache]"


class Cause(NamedTuple):
    """A pattern of what a command prints, and what to say about it."""

    pattern: str
    text: str
    when: str = ""
    """An option of this script that must be set."""


NO_NETWORK = """\
The command needs the network, which build steps do not have.
If it should have it, add to {step}:
network = true"""
NO_VARIABLE = """\
The command needs the environment variable {upper}.
Add it to {step}, where only this command sees it:
env = {{ {upper} = "…" }}
If its real value is a secret, use `secrets = ["{upper}"]` instead."""
NO_SERVER = """\
The command connects to a server, such as a database, which does not run in a build.
Choose settings that need none, with `env` in {step}."""
NO_PERMISSION = """\
The command cannot write {name}: the user of the image owns only the output.
If the image needs what it writes there, add the path to `output` in {step}.
If only the running application writes there, add its folder to `directories`."""
NO_FILE = """\
{name} was made as a folder, because its name has no dot.
Name the folder that contains it instead, in `output` in {step}."""
NO_SOURCE = """\
The command does not find {name}: with `dependencies`, it has the locked packages and those paths.
Add its path to `dependencies` in {step}, or remove `dependencies`."""
QUOTE = "['\"`\u2018\u2019]"
# The first that is found. Python itself, Django, django-environ, environs, python-decouple and
# pydantic-settings print the name of a variable in different ways.
CAUSES = (
    Cause(
        r"Temporary failure in name resolution|Name or service not known|Network is unreachable"
        r"|Could not resolve host|Name does not resolve|No address associated with hostname"
        r"|bad address '|getaddrinfo|ENETUNREACH|could not translate host name",
        NO_NETWORK,
        "offline",
    ),
    Cause(r"(?:environ|<frozen os>|/os\.py)[\s\S]*^KeyError: ['\"](\w+)['\"]$", NO_VARIABLE),
    Cause(rf"[Ee]nvironment variable:? {QUOTE}?([A-Z][A-Z0-9_]*)\b", NO_VARIABLE),
    Cause(r"\b([A-Z][A-Z0-9_]*) (?:environment|env) var(?:iable)?\b", NO_VARIABLE),
    Cause(r"^\S*UndefinedValueError: (\w+) not found", NO_VARIABLE),
    Cause(r"The ([A-Z][A-Z0-9_]*) setting must not be empty", NO_VARIABLE),
    Cause(r"^(\w+)\n +Field required \[type=missing", NO_VARIABLE),
    Cause(r"Connection refused|Cannot assign requested address", NO_SERVER, "offline"),
    Cause(rf"(?:Permission denied|Read-only file system): {QUOTE}([^'\"\n]+)", NO_PERMISSION),
    Cause(
        rf"([^\s'\"`\u2018\u2019]+){QUOTE}?: (?:Permission denied|Read-only file system)$",
        NO_PERMISSION,
    ),
    Cause(rf"Is a directory: {QUOTE}([^'\"\n]+)", NO_FILE),
    Cause(r"No module named '([^']+)'", NO_SOURCE, "narrowed"),
    Cause(
        r"(?:No such file or directory|can't open file):? ['\"]([^'\"\n]+)", NO_SOURCE, "narrowed"
    ),
)


class User(NamedTuple):
    """The user of the image."""

    uid: int
    gid: int

    @classmethod
    def named(cls, text: str) -> User:
        """Return the user `uid:gid`, or the one with this name in the image."""
        name, _, group = text.partition(":")
        if name.isdecimal():
            return cls(int(name), int(group or name))
        entry = pwd.getpwnam(name)
        gid = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid if group else None
        return cls(entry.pw_uid, entry.pw_gid if gid is None else gid)


ROOT = User(0, 0)


def give(path: Path, user: User) -> None:
    """Change the owner of a path, or of a link itself."""
    if os.geteuid() == 0:  # a line of `instructions.runtime` may have set another user
        os.chown(path, user.uid, user.gid, follow_symlinks=False)


def resolved(output: str) -> Path:
    """Return the path of an output, with the links in the path of its folder resolved."""
    path = Path(output)
    return Path(os.path.realpath(path.parent)) / path.name


def make_writable(output: str, user: User) -> None:
    """Let the user write an output; a path that ends with `/` is made as a folder."""
    path = resolved(output)
    top = next(parent for parent in path.parents if parent.exists())
    path.parent.mkdir(parents=True, exist_ok=True)
    made = [parent for parent in path.parents if parent != top and parent.is_relative_to(top)]
    if output.endswith("/"):
        path.mkdir(exist_ok=True)
    for each in (*made, path.parent, *tree(path)):
        give(each, user)
        if not each.is_symlink():
            each.chmod(stat.S_IMODE(each.stat().st_mode) | stat.S_IRWXU)


def tree(path: Path) -> list[Path]:
    """Return a path and all below it; nothing if it does not exist."""
    if path.is_symlink() or not path.is_dir():
        return [path] if os.path.lexists(path) else []
    below = [Path(top, name) for top, folders, files in os.walk(path) for name in folders + files]
    return [path, *below]


def is_missing(path: Path) -> bool:
    """Return whether the command has not made an output: an empty folder was there before."""
    return not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir()))


def keep(output: str, place: Path, parents: dict[Path, os.stat_result]) -> None:
    """Move an output to the same path below `place`, owned by root and readable by all.

    `parents` are the folders above it as they were before: the image's own stay as they are.
    """
    path = resolved(output)
    folder = place
    folder.mkdir(exist_ok=True)
    for parent in [*path.parents][-2::-1]:
        folder = folder / parent.name
        folder.mkdir(exist_ok=True)
        before = parents.get(parent)
        give(folder, User(before.st_uid, before.st_gid) if before else ROOT)
        folder.chmod(stat.S_IMODE(before.st_mode) if before else 0o755)
    for each in tree(path):
        normalise(each)
    shutil.move(path, folder / path.name)


def normalise(path: Path) -> None:
    """Give a file or folder to root, readable by all; remove what is neither, such as a socket."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        give(path, ROOT)
    elif stat.S_ISDIR(mode) or stat.S_ISREG(mode):
        give(path, ROOT)
        path.chmod(0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644)
    else:
        path.unlink()


def run(command: list[str], environment: dict[str, str], user: User, hidden: list[str]) -> str:
    """Run the command and show its output, in which secrets are hidden.

    Raises CalledProcessError, with the output, if it fails.
    """
    is_root = os.geteuid() == 0
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        user=user.uid if is_root else None,
        group=user.gid if is_root else None,
        extra_groups=[] if is_root else None,
        umask=0o022,
    )
    lines: list[str] = []
    with process:
        for line in process.stdout or ():
            text = line.decode(errors="replace")
            for value in hidden:
                text = text.replace(value, "****")
            print(text, end="", flush=True)
            lines.append(text)
    output = "".join(lines)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    return output


def explanation(output: str, options: argparse.Namespace) -> str:
    """Say why the command failed, and what to do about it; "" if that is not known."""
    step = f"the table of {options.title} in {TABLE}"
    for cause in CAUSES:
        found = re.search(cause.pattern, output, re.MULTILINE)
        if found and (not cause.when or getattr(options, cause.when)):
            name = "".join(found.groups(""))
            return cause.text.format(name=name, upper=name.upper(), step=step)
    return ""


def ending(status: int) -> str:
    """Say how a process ended, as `subprocess` reports it."""
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"failed with exit status {status}"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user", type=User.named, required=True)
    parser.add_argument("--output", action="append", required=True)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--secret", action="append", default=[])
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--narrowed", action="store_true")
    arguments = sys.argv[1:] if arguments is None else arguments
    end = arguments.index("--")
    options = parser.parse_args(arguments[:end])
    options.command = arguments[end + 1 :]
    options.title = options.keep.name.replace("-", " ", 1).replace(".", " of ", 1)
    return options


def main(arguments: list[str] | None = None) -> str | int:
    """Run the command line; return what went wrong, or 0."""
    options = parse(arguments)
    environment = {**os.environ, **dict(each.split("=", 1) for each in options.env)}
    hidden = []
    for name in options.secret:
        try:
            value = (SECRETS / name).read_text(encoding="utf-8").rstrip("\n")
        except FileNotFoundError:
            return (
                f"The build did not get the secret {name}.\n"
                f"Set the variable {name} and run `poetry docker build`, or pass"
                f" `--secret id={name},env={name}` to `docker build`."
            )
        environment[name] = value
        hidden += [value] if value else []
    above = {parent for output in options.output for parent in resolved(output).parents}
    parents = {parent: parent.stat() for parent in above if parent.exists()}
    for output in options.output:
        make_writable(output, options.user)
    words = shlex.join(options.command)
    try:
        run(options.command, environment, options.user, hidden)
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.output.splitlines() if line.strip()]
        return explanation("\n".join(lines[-LAST_LINES:]), options) or (
            f"`{words}` {ending(error.returncode)}: {lines[-1].strip() if lines else 'no output'}\n"
            f"It is {options.title} in {TABLE}: it runs as the user of the image"
            f"{', without a network' * options.offline}."
        )
    except OSError as error:
        return (
            f"`{words}` cannot be started: {error.strerror}.\n"
            f"Correct `command` of {options.title} in {TABLE}, or add what it needs to `packages`."
        )
    for output in options.output:
        if is_missing(resolved(output)):
            return (
                f"`{words}` has not written {output}.\n"
                f"Correct `output` of {options.title} in {TABLE}: a path is absolute, or relative"
                f" to {Path.cwd()}."
            )
    for output in options.output:
        keep(output, options.keep, parents)
    return 0


if __name__ == "__main__":
    outcome = main()
    if isinstance(outcome, str):
        print(f"\n{PREFIX}{outcome}", flush=True)
    sys.exit(bool(outcome))
