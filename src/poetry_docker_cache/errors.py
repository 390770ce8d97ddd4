"""The one exception that this project raises for its users."""

from __future__ import annotations


class DockerCacheError(Exception):
    """Something the user can mend: what is wrong, why it matters, and what to type.

    Everything that a user's input can cause is raised as this, or as a subclass, and printed at
    one place (`commands.base`). Any other exception that reaches a user is a bug.
    """

    def __init__(self, problem: str, *, fix: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.problem}\n{self.fix}" if self.fix else self.problem
