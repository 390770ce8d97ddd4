"""What differs in the build of an image for development or tests."""

from __future__ import annotations

import json
import re
import shlex
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.build_stream import seconds
from poetry_docker_cache.buildx.command_line import options_for, without_outputs
from poetry_docker_cache.errors import BuildError, DockerCacheError
from poetry_docker_cache.plan.image_plan import RUN_TESTS, TEST
from poetry_docker_cache.report.tests_display import DisplayWithTests, exit_status, step_of_tests
from poetry_docker_cache.text import duration, listing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from poetry_docker_cache.buildx.step_runner import Display, Outcome
    from poetry_docker_cache.commands.console import ProgressConsole
    from poetry_docker_cache.commands.options import BuildOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.plan.image_plan import Variant

_NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '([A-Za-z_]\w*)")
_NO_FILE = re.compile(r"No such file or directory|does not exist|not found", re.IGNORECASE)
_QUOTED = re.compile(r"['\"]([^'\"\s]+)['\"]")
NO_OUTPUT = "--output=type=cacheonly"
"""The argument for buildx with which the result stays in the builder's cache."""
_NO_TESTS = 5
"""The exit status of pytest, and of unittest since Python 3.12, without any test."""


def finished(options: BuildOptions, image: PlannedImage) -> PlannedImage:
    """Let the Dockerfile end with the stage that the options ask for."""
    if not options.variant:
        return image
    (variant,) = image.plan.variants
    plan = image.plan
    if options.variant == TEST:
        tests = (*(variant.command or ()), *options.test_arguments)
        # Notes on the image itself are those of `build`.
        notes = (*plan.notes_for_tests, _note(tests, variant))
        plan = replace(plan, tests=tests, notes=notes)
        if options.network:
            plan = replace(plan, variants=(replace(variant, network=True),))
    return replace(image, plan=plan, suffix=f"-{variant.name}")


def _note(tests: Sequence[str], variant: Variant) -> str:
    groups = [group for group in variant.groups if group not in variant.base["groups"]]
    extras = [extra for extra in variant.extras if extra not in variant.base["extras"]]
    parts = {"the groups": groups, "the extras": extras, "the files": variant.paths}
    with_ = [f"{what} {listing(names)}" for what, names in parts.items() if names]
    return f"Runs `{shlex.join(tests)}`" + (f" with {', '.join(with_)}." if with_ else ".")


def refuse_combinations(options: BuildOptions) -> None:
    """Raise DockerCacheError for options of `build` that do not go with --dev or --test."""
    if options.variant and options.tests_first:
        raise DockerCacheError(
            "--dev and --test cannot be combined: the tests run in the image itself, without the"
            " dev groups.",
            fix="Run `poetry docker test` first, then `poetry docker build --dev`.",
        )
    given = "--dev" if options.variant else "--test"
    if options.file is not None:
        raise DockerCacheError(
            f"{given} needs a Dockerfile with more stages than --file may have.",
            fix=f"Leave --file out. Without {given}, build a stage of that file with --target.",
        )


def options_of_tests(options: BuildOptions, image: str, *, among: bool) -> BuildOptions:
    """Return the options that run the tests of an image before `build` builds it."""
    arguments = options_for(options.after_dashes, image if among else "")
    return replace(
        options,
        images=(image,) if image else (),
        variant=TEST,
        after_dashes=(*without_outputs(arguments), NO_OUTPUT),
        tags=(),
        push=False,
        load=False,
        target=None,
        cache_to=() if options.tests_first else options.cache_to,
        progress=None,
        metadata_file=None,
    )


def tests_display(
    make: Callable[[], Display] | None, console: ProgressConsole
) -> Callable[[], Display] | None:
    """Return a function that makes a display of a build, and then of the output of its tests.

    None if BuildKit shows its own progress, with the output in it.
    """
    if make is None:
        return None
    return lambda: DisplayWithTests(build=make(), stage=RUN_TESTS, write=console.raw)


def report_tests(outcome: Outcome, image: PlannedImage, console: ProgressConsole) -> None:
    """Say that the tests passed. Raises BuildError, with their exit status, if they failed.

    Does nothing if another step failed.
    """
    step = step_of_tests(outcome.stream, RUN_TESTS) if outcome.stream else None
    if not outcome.status:
        took = f" in {duration(seconds([step], time.monotonic()))}" if step else ""
        before = ", unchanged since their last run" if step and step.cached else took
        console.message(f" passed{before}.", title=f"Tests of {image.name or 'the project'}")
        return
    status = exit_status(step) if step else None
    if status is not None:
        raise _failed(image, status, step.text if step else "")


def _failed(image: PlannedImage, status: int, output: str) -> BuildError:
    (variant,) = image.plan.variants
    fix = ""
    if status == _NO_TESTS and "unittest" in image.plan.tests:
        problem = "No test ran: pytest is not in the test groups, so unittest looked for tests."
        fix = (
            "Add pytest: `poetry add --group test pytest`. Or set the command, such as"
            ' `test = { command = ["python", "-m", "unittest", "discover", "tests"] }`.'
        )
    elif status == _NO_TESTS:
        problem = f"No test ran. The image for tests has {listing(variant.paths) or 'no tests'}."
        fix = (
            'Name the files of the tests in [tool.poetry-docker-cache]: `test = { files = ["…"] }`.'
        )
    else:
        problem = f"The tests failed with exit status {status}."
        if missing := _missing_paths(image, output):
            named = json.dumps(missing, ensure_ascii=False)
            fix = (
                f"The image does not have {listing(missing)}. If the application needs it, add it"
                " to `files` in [tool.poetry-docker-cache]; if only tests do, set"
                f" `test = {{ files = {named} }}`."
            )
    return BuildError(problem, fix=fix, status=status)


def _missing_paths(image: PlannedImage, output: str) -> list[str]:
    """Return what the tests did not find, although the project has it: modules, files, folders."""
    (variant,) = image.plan.variants
    files = image.plan.files
    there = {*variant.paths, *(files.paths if files else ())}
    if files and not files.paths:
        return []
    found: dict[str, None] = {}
    for name in _NO_MODULE.findall(output):
        found.update(dict.fromkeys((f"{name}.py", name)))
    workdir = image.plan.runtime.workdir
    for line in filter(_NO_FILE.search, output.splitlines()):
        for path in _QUOTED.findall(line):
            found[path.removeprefix(f"{workdir}/").removeprefix("./").partition("/")[0]] = None
    return [path for path in found if path and path not in there and (image.folder / path).exists()]
