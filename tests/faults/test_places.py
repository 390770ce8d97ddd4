"""Full, read-only, missing and noexec folders; a real process of Poetry and a fake docker.

Each test asserts the exit status, one message that ends with what to do, that no other file
changed, that the password is nowhere, and that the same command works once the fault is over.
"""

from __future__ import annotations

from dataclasses import dataclass

from fault_rows import PLACES, Row, rows
from fault_sandbox import BUILD, EXPORT, Sandbox, changed

FULL = "head -c 200k /dev/zero > {0}/filler 2> /dev/null || true"
ELSEWHERE = "Free some space and inodes there (`df -h`, `df -i`), or choose another path."
ROOM = "Set TMPDIR to a folder with room for a few kilobytes."


def small(folder: str, options: str, then: str = ":") -> str:
    """Return a script that mounts a small file system on a folder, which it creates."""
    return f"mkdir -p {folder}; mount -t tmpfs -o {options} small {folder}; {then.format(folder)}"


@dataclass(frozen=True, kw_only=True)
class Place(Row):
    """A folder with a fault."""

    script: str
    """What makes the fault; the variables are those of the command."""
    over: str
    """The folder to unmount, after which the command works."""
    command: tuple[str, ...] = BUILD
    settings: str = ""
    env: tuple[tuple[str, str], ...] = ()
    leaves: frozenset[str] = frozenset()
    """Files of the project that the faulty command may write."""


OUT = (*EXPORT, "-o", "out/Dockerfile")
AUTH = (*EXPORT, "-o", "out/Dockerfile", "--auth-file", "../../home/auth.toml")
CACHE = (*BUILD, "--cache", "../../home/cache")
WHEELS = 'download-cache = "../../home/wheels"\n'
CACHE_NOTE = "home/cache was not written; the image itself is complete."
MARK = "touch {0}/.poetry-docker-cache; "
READ_ONLY = "for place in /tmp /var/tmp; do mount --bind $place $place; "
READ_ONLY += "mount -o remount,bind,ro $place; done"
INSIDE = "cannot be written: No space left on device. Nothing was built."
CASES = (
    Place(
        fault="TMPDIR is full",
        happens="another temporary folder is used",
        status=0,
        script=small("$TMPDIR", "size=64k", FULL),
        over="$TMPDIR",
    ),
    Place(
        fault="TMPDIR has no inodes",
        happens="another temporary folder is used",
        status=0,
        script=small("$TMPDIR", "nr_inodes=1"),
        over="$TMPDIR",
    ),
    Place(
        fault="TMPDIR becomes full during the build",
        says=INSIDE,
        fix=ROOM,
        script=small("$TMPDIR", "size=64k", "head -c 40k /dev/zero > {0}/filler"),
        over="$TMPDIR",
    ),
    Place(
        fault="TMPDIR runs out of inodes during the build",
        says=INSIDE,
        fix=ROOM,
        script=small("$TMPDIR", "nr_inodes=8"),
        over="$TMPDIR",
    ),
    Place(
        fault="TMPDIR is read-only",
        happens="another temporary folder is used",
        status=0,
        script=small("$TMPDIR", "ro"),
        over="$TMPDIR",
    ),
    Place(
        fault="TMPDIR does not exist",
        happens="another temporary folder is used",
        status=0,
        script="mount -t tmpfs small $HOME; rmdir $TMPDIR",
        over="$HOME",
    ),
    Place(
        fault="TMPDIR is mounted with noexec",
        status=0,
        script=small("$TMPDIR", "noexec"),
        over="$TMPDIR",
    ),
    Place(
        fault="every temporary folder is read-only",
        says="No writable folder outside the build context",
        fix="Set TMPDIR to a writable folder outside the project.",
        script=READ_ONLY,
        over="/tmp /var/tmp",
    ),
    Place(
        fault="XDG_RUNTIME_DIR is full, TMPDIR has room",
        happens="TMPDIR is used",
        status=0,
        script=small("$HOME/run", "size=64k", FULL),
        over="$HOME/run",
        env=(("XDG_RUNTIME_DIR", "home/run"),),
    ),
    Place(
        fault="the folder of `export -o` is full",
        says="out/Dockerfile cannot be written: No space left on device",
        fix=ELSEWHERE,
        script=small("out", "size=16k", FULL),
        over="out",
        command=OUT,
    ),
    Place(
        fault="the folder of `export -o` becomes full during the export",
        says="cannot be written: No space left on device",
        fix=ELSEWHERE,
        script=small("out", "size=64k"),
        over="out",
        command=OUT,
    ),
    Place(
        fault="the folder of `export -o` has too few inodes",
        says="cannot be written: No space left on device",
        fix=ELSEWHERE,
        script=small("out", "nr_inodes=8"),
        over="out",
        command=OUT,
    ),
    Place(
        fault="the folder of `export -o` is read-only",
        says="out/Dockerfile.scripts cannot be written: Read-only file system",
        fix="Fix the permissions of the folder, or give `-o` another path.",
        script=small("out", "ro"),
        over="out",
        command=OUT,
    ),
    Place(
        fault="the folder of `export --auth-file` is full",
        says="auth.toml cannot be written: No space left on device.",
        fix=ELSEWHERE,
        script=small("$HOME", "size=16k", FULL),
        over="$HOME",
        command=AUTH,
    ),
    Place(
        fault="the folder of `export --auth-file` is read-only",
        says="auth.toml cannot be written: Read-only file system.",
        fix="Choose a path that you may write to.",
        script=small("$HOME", "ro"),
        over="$HOME",
        command=AUTH,
    ),
    Place(
        fault="the cache folder is full",
        says=CACHE_NOTE,
        happens="the image is complete; a note says that the cache was not written",
        status=0,
        script=small("$HOME/cache", "size=16k", FULL.replace("filler", ".gitkeep")),
        over="$HOME/cache",
        command=CACHE,
    ),
    Place(
        fault="the cache folder has no inodes",
        says=CACHE_NOTE,
        happens="the image is complete; a note says that the cache was not written",
        status=0,
        script=small("$HOME/cache", "nr_inodes=1"),
        over="$HOME/cache",
        command=CACHE,
    ),
    Place(
        fault="the cache folder is read-only",
        says=CACHE_NOTE,
        happens="the image is complete; a note says that the cache was not written",
        status=0,
        script=small("$HOME/cache", "ro"),
        over="$HOME/cache",
        command=CACHE,
    ),
    Place(
        fault="the folder of `download-cache` is full",
        says="New wheels are not kept in",
        happens="the image is complete; a note says that new wheels are not kept",
        status=0,
        script=small("$HOME/wheels", "size=16k", MARK + FULL.replace("filler", ".gitkeep")),
        over="$HOME/wheels",
        settings=WHEELS,
    ),
    Place(
        fault="the folder of `download-cache` has no inodes",
        says="New wheels are not kept in",
        happens="the image is complete; a note says that new wheels are not kept",
        status=0,
        script=small("$HOME/wheels", "nr_inodes=2", MARK),
        over="$HOME/wheels",
        settings=WHEELS,
    ),
    Place(
        fault="the folder of `download-cache` is read-only",
        says="New wheels are not kept in",
        happens="the image is complete; a note says that new wheels are not kept",
        status=0,
        script=small("$HOME/wheels", "ro"),
        over="$HOME/wheels",
        settings=WHEELS,
    ),
)


@rows(PLACES, CASES)
def test_faulty_folder(mounted: Sandbox, row: Place) -> None:
    """One message and no half-written file; the next command works."""
    assert mounted.mounts
    mounted.configure(row.settings)
    mounted.client.writes("alpha-1.0-py3-none-any.whl", "named.txt")
    mounted.mounts.shell(row.script, at=mounted.project, env=mounted.environment)
    env = {name: str(mounted.folder / value) for name, value in row.env}
    before = mounted.files()
    outcome = mounted.run(*row.command, env=env)
    assert outcome.status == row.status, outcome.err
    assert row.says in "\n".join(outcome.err.splitlines()[-2:])
    assert row.fix in outcome.err.splitlines()[-1]
    assert changed(before, mounted.files()) == row.leaves
    assert not row.status or not mounted.seen(mounted.auth_file).exists()
    over = f"umount --lazy {row.over}; mkdir -p $TMPDIR"
    mounted.mounts.shell(over, at=mounted.project, env=mounted.environment)
    outcome = mounted.run(*row.command, env=env)
    assert outcome.status == 0, outcome.err
    assert "No space" not in outcome.err
