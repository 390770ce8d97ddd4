"""The cause of a failed build and what to type, from what BuildKit reported."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.buildx.build_failure import Failure
from poetry_docker_cache.inside.install.failures import PREFIX
from poetry_docker_cache.report.diagnosis import Known, diagnose, last_lines, named_step
from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORDED: Mapping[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("failures.toml").read_text(encoding="utf-8")
)
SLIM = 'Correct it:\nbase-image = "python:{python}-slimm"'
SHOP = "registry.test/team/shop"
KNOWN = Known(
    caches=[f"{SHOP}:cache"],
    images={"docker.io/library/python:3.13-slimm": SLIM},
    instructions=(
        "COPY certs/ca.pem /etc/ssl/",
        "RUN echo first; ./setup.sh --all",
        "RUNN echo",
        "RUN --mont=type=cache true",
    ),
)
CASES = {
    # A front end
    "npm_lock": ("the lock file of the front end does not match", "`npm install`"),
    "pnpm_lock": ("the lock file of the front end does not match", "commit the lock file"),
    "npm_login": ("the npm registry refused access", "`npm login --registry=URL`"),
    "npm_certificate": ("does not trust the certificate", "NODE_EXTRA_CA_CERTS"),
    "npm_script": ("does not have the script", "set `build` in `assets`"),
    "npm_output": ("did not write dist", "Correct `output` in `assets`"),
    "npm_network": ("cannot reach github.test", "set `network = true` in `assets`"),
    # Explained by the scripts in the build
    "refused": (
        "The package source 'acme' (packages.acme.test) refused access: it does not accept",
        "Run `poetry config http-basic.acme USERNAME`",
    ),
    "index_down": (
        "The package source 'acme' cannot be reached from the build.",
        '`-- --build-arg HTTPS_PROXY="$HTTPS_PROXY"`',
    ),
    "dns": ("The package source 'acme' cannot be reached from the build.", "Check that it runs"),
    "tls": (
        "The package source 'acme' has a certificate that the build does not trust.",
        "`poetry config certificates.acme.cert PATH`",
    ),
    "gone": ("The package source 'acme' has no file of alpha===1.0", "Run `poetry update`"),
    "other_hash": (
        "The package source 'acme' serves a file whose hash",
        "`poetry lock --no-cache`",
    ),
    "no_wheel_fits": ("alpha 1.0 has neither a source distribution nor a wheel", ""),
    "header": (
        "alpha (1.0) could not be built from source: its build did not find portaudio.h.",
        'build-packages = ["portaudio19-dev"]',
    ),
    "compiler": (
        "alpha (1.0) could not be built from source: its build did not find a C compiler.",
        'build-packages = ["build-essential"]',
    ),
    "library": ("alpha needs libpq.so.5, which is not in the image.", '["libpq5"]'),
    # Base images
    "no_base": ("The image python:3.13-slimm does not exist.", SLIM),
    "copy_from_stage": ("The image nostage does not exist.", "`instructions` or `template`"),
    "base_host": ("The registry registry.acme.test cannot be reached: no such host.", "network"),
    "base_login": (
        "registry.test refused access to the image registry.test/team/python:3.13-slim: 401",
        "docker login registry.test",
    ),
    "frontend": (
        "BuildKit cannot fetch its frontend docker.io/docker/dockerfile:1",
        "syntax = false",
    ),
    # Pushes
    "push_login": (
        f"registry.test refused the push of {SHOP}:1: 401",
        "docker login registry.test",
    ),
    "push_token": (
        f"registry.test refused the push of {SHOP}:1: 401",
        "docker login registry.test",
    ),
    "push_denied": (f"registry.test refused the push of {SHOP}:1: denied.", f"may push to {SHOP},"),
    "push_scope": (f"registry.test refused the push of {SHOP}:1: push access denied", "login"),
    "push_read_only": (f"registry.test cannot store {SHOP}:1: 405 Method Not Allowed.", "full or"),
    "push_full": (f"registry.test cannot store {SHOP}:1: blob upload unknown", "full or read-only"),
    "push_413": ("registry.test refused the size of a layer: 413", "client_max_body_size"),
    "push_immutable": (f"registry.test does not allow replacing {SHOP}:1", f"`-t {SHOP}:TAG`"),
    "push_broken": ("The connection to the registry registry.test failed", "layers are cached"),
    "push_breaks_off": ("The connection to the registry registry.test failed", "build again"),
    # The cache
    "cache_corrupt": (
        f"A layer of the cache {SHOP}:cache is damaged or was deleted: unexpected commit digest.",
        f"\n--cache {SHOP}:cache-2\n",
    ),
    "cache_truncated": (f"A layer of the cache {SHOP}:cache is damaged or was deleted: 416", "new"),
    "cache_deleted": (f"A layer of the cache {SHOP}:cache is damaged", "the setting `cache`"),
    # The machine
    "oom_shell": ("The step `manifest` was killed (signal 9)", "Give Docker more"),
    "oom_gcc": ("The step `source` was killed (signal 9)", "Give Docker more"),
    "sdist_killed": ("The step `source` was killed (signal 9)", "Give Docker more"),
    "full_device": ("The step `manifest` failed: no space is left", "docker buildx prune"),
    # System packages and the user's own lines
    "apt_name": ("libnothing99 is not a package of the image's Linux", "`runtime-packages`"),
    "apt_mirror": ("mirror.acme.test cannot be reached from the build.", "HTTP_PROXY"),
    "copy_missing": (
        "certs/ca.pem is not in the build context",
        (
            "COPY certs/ca.pem /etc/ssl/\nIf it is excluded, add to [tool.poetry-docker-cache]:\n"
            "ignore"
        ),
    ),
    "own_run": (
        "The step `base` failed (exit code: 127): /bin/sh: 1: ./setup.sh: not found",
        "Correct this line of `instructions`:\nRUN echo first; ./setup.sh --all",
    ),
    "bad_instruction": ("is not valid: unknown instruction: RUNN", "\nRUNN echo\n"),
    "bad_flag": ("is not valid: unknown flag: --mont", 'syntax = "docker/dockerfile:1"'),
    "exec_format": ("A program in the build is for another platform.", "binfmt"),
    # Nothing that the table knows
    "own_wheel": (
        "The step `application` failed (exit code: 1): error: package directory 'nothing' does not",
        "`--progress=plain`",
    ),
    "target": ("--target: the Dockerfile has no stage nothing.", "Remove --target"),
}


def test_every_recorded_failure_has_a_case() -> None:
    """No recording is left out."""
    assert CASES.keys() == RECORDED.keys()


@pytest.mark.parametrize("name", CASES)
def test_cause_and_fix(name: str) -> None:
    """The first line is the cause, and what follows says what to type."""
    problem, fix = CASES[name]
    error = diagnose(Failure(**RECORDED[name]), KNOWN)
    assert problem in error.problem
    assert "\n" not in error.problem
    assert fix in error.fix
    assert "on line" not in str(error)


def test_explanation_is_printed_once() -> None:
    """The last lines of the step end before it."""
    failure = Failure(**RECORDED["refused"])
    assert PREFIX in failure.output
    error = diagnose(failure, KNOWN)
    lines = last_lines(failure.output)
    assert lines[-1] == "ERROR: No matching distribution found for alpha===1.0"
    assert error.problem in failure.output
    assert not [line for line in lines if "refused access" in line]
    assert last_lines("\n".join(map(str, range(30)))) == [str(number) for number in range(10, 30)]


def test_fix_names_the_own_dockerfile() -> None:
    """The lines of the user's Dockerfile are numbered, and the fix names the file."""
    known = replace(KNOWN, dockerfile="docker/Dockerfile")
    error = diagnose(Failure(**RECORDED["bad_flag"]), replace(known, instructions=()))
    assert "docker/Dockerfile is not valid on line" in error.problem
    assert "# syntax=docker/dockerfile:1" in error.fix
    error = diagnose(Failure(**RECORDED["no_base"]), replace(known, images={}))
    assert error.fix == "Correct its name in docker/Dockerfile."
    failure = Failure(step="[2/2] RUN false", error=RECORDED["own_run"]["error"])
    error = diagnose(failure, replace(known, instructions=()), 3)
    assert (error.problem, error.fix) == (
        "The step `RUN false` failed: exit code: 127",
        "Correct docker/Dockerfile.",
    )
    assert error.status == 3


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        ("", "The build failed: docker exited early"),
        ("something new\nand more", "The build failed: something new"),
        ("unknown flag: --nope", "docker buildx does not accept an option: unknown flag: --nope"),
        (
            'process "/bin/sh -c echo x509: no" did not complete successfully: exit code: 2',
            "The build failed: exit code: 2",
        ),
    ],
)
def test_unknown_failure(error: str, problem: str) -> None:
    """An unknown failure gets a message, too; the text of a command is not an error."""
    found = diagnose(Failure(error=error), KNOWN)
    assert found.problem == problem
    assert found.fix


def test_cancelled_step_was_not_killed() -> None:
    """BuildKit kills the other steps when one fails."""
    error = 'process "x" did not complete successfully: exit code: 137: context canceled'
    assert "killed" not in diagnose(Failure(error=error), KNOWN).problem


@pytest.mark.parametrize(
    ("output", "killed"),
    [
        ("checking whether SIGKILL is declared... yes\nerror: no", False),
        ("ImportError: libgomp.so.1: cannot allocate memory in static TLS block", False),
        ("exit code: 1370", False),
        ("test_all_jobs_are Killed\nAssertionError", False),
        ("make[1]: *** [Makefile:9: all] Killed\nmore", True),
        ("/bin/sh: line 1:     7 Killed                  cc x.c", True),
        ("died with <Signals.SIGKILL: 9>.", True),
        ("process didn't exit successfully: `rustc` (signal: 9, SIGKILL: kill)", True),
    ],
)
def test_output_about_a_kill(output: str, *, killed: bool) -> None:
    """A compiler and a test may print such words for another reason."""
    error = 'process "x" did not complete successfully: exit code: 1'
    found = diagnose(Failure(error=error, output=f"{output}\n{PREFIX}own words"), KNOWN)
    assert ("killed" in found.problem, found.problem == "own words") == (killed, not killed)


def test_long_words_are_cut_and_take_no_time() -> None:
    """Such as code or data in one line, in the output or in the error."""
    data = "x" * 100_000
    failure = Failure(error='process "x" did not complete successfully: 1', output=data)
    started = time.monotonic()
    problem = diagnose(failure, KNOWN).problem
    diagnose(Failure(error=data), KNOWN)
    assert time.monotonic() - started < 5
    assert problem == f"The build failed (1): {data[:999]}…"
    assert last_lines(f"{data}\nend") == [f"{data[:999]}…", "end"]


def test_step_is_one_line() -> None:
    """Without its mounts, and within a terminal's width."""
    long = f"[linux/amd64 base 2/3] RUN --mount=type=cache,target=/x    --network=none a {'b' * 99}"
    assert named_step(long).startswith("[linux/amd64 base] RUN a bbb")
    assert named_step(long).endswith("…")
    assert len(named_step(long)) == 76
