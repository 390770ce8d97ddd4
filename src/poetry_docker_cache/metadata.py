"""What a project says of itself, for the labels and the name of its image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry.core.constraints.version import Version

if TYPE_CHECKING:
    from poetry.poetry import Poetry


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What the OCI labels are made of; absent values are None or empty."""

    name: str | None
    version: str | None
    description: str
    licenses: str
    authors: tuple[str, ...]
    homepage: str | None
    repository: str | None


def read_metadata(poetry: Poetry) -> Metadata:
    """The metadata as pyproject.toml has it."""
    data = poetry.pyproject.data
    project, legacy = data.get("project", {}), data.get("tool", {}).get("poetry", {})
    package = poetry.package
    # Without package mode Poetry makes up a name and a version: only what is written counts.
    named = bool(project.get("name") or legacy.get("name"))
    license_ = getattr(package, "license_expression", None) or (
        package.license.id if package.license else ""
    )
    return Metadata(
        name=package.pretty_name if named else None,
        version=_version(project.get("version") or legacy.get("version")),
        description=package.description or "",
        # `license = { file = … }` is the whole text here: nothing that a label could name.
        licenses="" if "\n" in str(license_).strip() else str(license_),
        authors=tuple(map(str, package.authors)),
        homepage=package.homepage,
        repository=package.repository_url,
    )


def _version(written: object) -> str | None:
    """The version in pyproject.toml, normalised: a plugin may have put git's into the package."""
    return str(Version.parse(str(written))) if written else None
