"""The exception for mistakes that the user can fix."""

from __future__ import annotations


class DockerCacheError(Exception):
    """A mistake that the user can fix, with the problem and the fix.

    All errors caused by user input are raised as this class, and printed in one place. Any other
    exception is a bug.
    """

    def __init__(self, problem: str, *, fix: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.problem}\n{self.fix}" if self.fix else self.problem


class BuildError(DockerCacheError):
    """A failed build, with BuildKit's exit status."""

    def __init__(self, problem: str, *, fix: str = "", status: int = 1) -> None:
        super().__init__(problem, fix=fix)
        self.status = status
