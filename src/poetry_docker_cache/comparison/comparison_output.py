"""The output of `poetry docker diff`: for a terminal, as Markdown and as JSON. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from poetry_docker_cache.comparison.package_changes import lines_by_layer, short_version
from poetry_docker_cache.text import megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poetry_docker_cache.comparison.image_comparison import (
        Cause,
        Comparison,
        LayerChange,
        Reason,
    )

_TITLE = 9
_UNLIMITED = 1 << 20
_SHORT = 12
"""The characters of a digest or commit that are shown."""
_CAUSES: dict[Cause, str] = {
    "packages": "other packages",
    "installation": "other files of the same packages, or another way to install them",
    "base image": "another base image",
    "base digest": "a newer base image",
    "Python": "another Python",
    "plugin": "another release of the plugin",
    "settings": "other settings",
}
# What an image says about itself may be anything.
_SPECIAL = re.compile(r"[^\w.,;:+!@/() →-]|(?<!\w)@")


@dataclass(frozen=True, kw_only=True)
class Against:
    """What the project is compared with."""

    kind: Literal["image", "revision"]
    name: str
    """The name of the image, or the revision as it was given."""
    digest: str
    """The digest of the image, or the commit."""

    @property
    def text(self) -> str:
        """Its name and the start of its digest."""
        if self.kind == "image":
            return f"{self.name} (sha256:{self.digest.partition(':')[2][:_SHORT]})"
        short = self.digest[:_SHORT]
        return f"commit {short}" if self.digest.startswith(self.name) else f"{self.name} ({short})"


@dataclass(frozen=True, kw_only=True)
class Result:
    """The comparison of one image."""

    image: str
    """Its name in the settings; empty for the only image of a project."""
    title: str
    against: Against
    comparison: Comparison


def lines(result: Result) -> list[tuple[str, str]]:
    """Return the lines for a terminal, as title and text."""
    comparison = result.comparison
    found = [("Against", result.against.text)]
    found += [("Change", text) for text in lines_by_layer(comparison.packages, _UNLIMITED)]
    found += [("Change", text) for text in _reasons(comparison)]
    found.append(("Layers", _count(comparison)))
    found += [("Rebuild", f"{names}: {why}") for names, why in _rebuilt(comparison)]
    found += [("New", text) for text in _names(comparison.in_state("added"))]
    found += [("Remove", text) for text in _names(comparison.in_state("removed"))]
    found += [("Push", text) for text in _bytes(comparison)]
    return [(f"{title:{_TITLE}}", text) for title, text in found]


def markdown(result: Result) -> str:
    """Return a section for a pull request: a table of packages, and what is rebuilt."""
    comparison = result.comparison
    parts = [f"### {_plain(result.title)}: {_count(comparison)}", ""]
    parts += [f"Compared with `{_plain(result.against.text)}`.", ""]
    if comparison.packages:
        parts += ["| package | before | now | layer |", "| --- | --- | --- | --- |"]
        for change in comparison.packages:
            place = f"{change.layer}{change.details}"
            cells = (change.name, short_version(change.old), short_version(change.new), place)
            parts.append(f"| {' | '.join(map(_plain, cells))} |")
        parts.append("")
    facts = [*_reasons(comparison)]
    facts += [f"Rebuilt because of {why}: {names}" for names, why in _rebuilt(comparison)]
    facts += [f"New: {text}" for text in _names(comparison.in_state("added"))]
    facts += [f"Removed: {text}" for text in _names(comparison.in_state("removed"))]
    facts += [f"To push: {text}" for text in _bytes(comparison)]
    parts += [f"- {_plain(fact)}" for fact in facts]
    return "\n".join(parts).rstrip() + "\n"


def as_data(result: Result) -> dict[str, Any]:
    """Return the data for `--json`; docs/diff.md documents the keys."""
    comparison = result.comparison
    every = [*comparison.platforms]
    return {
        "image": result.image,
        "against": {
            "kind": result.against.kind,
            "name": result.against.name,
            "digest": result.against.digest,
        },
        "platforms": every,
        "new-platforms": [*comparison.new_platforms],
        "old-platforms": [*comparison.old_platforms],
        "packages": [
            {
                "name": change.name,
                "old": change.old,
                "new": change.new,
                "layer": change.layer,
                "old-layer": change.old_layer or (change.layer if change.old else None),
                "platforms": [*change.platforms] or every,
            }
            for change in comparison.packages
        ],
        "layers": [
            {
                "name": layer.name,
                "state": layer.state,
                "causes": [cause.replace(" ", "-").lower() for cause in layer.causes],
                "packages": [*layer.packages],
                "old-bytes": layer.size,
                "platforms": [*layer.platforms] or every,
            }
            for layer in comparison.layers
        ],
        "reasons": [
            {
                "cause": reason.cause.replace(" ", "-").lower(),
                "old": reason.old,
                "new": reason.new,
            }
            for reason in comparison.reasons
        ],
        "bytes": {"kept": comparison.kept_bytes, "rebuilt": comparison.old_bytes},
    }


def _count(comparison: Comparison) -> str:
    now = {layer.name for layer in comparison.in_state("kept", "rebuilt", "added")}
    built = {layer.name for layer in comparison.to_build}
    total = f"{len(now)} dependency layer{'s' * (len(now) != 1)}"
    if not built:
        return f"{total}, nothing to rebuild" if now else "no dependency layers"
    return f"{len(built)} of {total} to rebuild"


def _reasons(comparison: Comparison) -> Iterator[str]:
    for reason in comparison.reasons:
        yield _reason(reason)
    for title, names in (
        ("new platforms, built from the start", comparison.new_platforms),
        ("platforms that are no longer built", comparison.old_platforms),
    ):
        if names:
            yield f"{title}: {', '.join(names)}"


def _reason(reason: Reason) -> str:
    if reason.cause == "base digest":
        return f"the base image is newer: {_short(reason.old)} → {_short(reason.new)}"
    if reason.cause == "settings":
        return "settings, or other content of the Dockerfile"
    return f"{reason.cause} {reason.old} → {reason.new}"


def _short(digest: str) -> str:
    algorithm, _, value = digest.partition(":")
    return f"{algorithm}:{value[:_SHORT]}"


def _rebuilt(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Yield the layers to rebuild, and why: those with the same causes together."""
    groups: dict[str, list[LayerChange]] = {}
    for layer in comparison.in_state("rebuilt"):
        groups.setdefault(", ".join(_CAUSES[cause] for cause in layer.causes), []).append(layer)
    for why, layers in groups.items():
        if len(layers) == len(comparison.layers) > 1:
            yield "all layers", why
        else:
            yield from ((names, why) for names in _names(layers))


def _names(layers: Sequence[LayerChange]) -> list[str]:
    """Return the names of layers in one text; nothing without any."""
    names = [
        f"{layer.name} (on {', '.join(layer.platforms)})" if layer.platforms else layer.name
        for layer in layers
    ]
    return [", ".join(names)] if names else []


def _bytes(comparison: Comparison) -> Iterator[str]:
    """Yield what a push has to send; nothing if the sizes are unknown, as for a revision."""
    kept, old = comparison.kept_bytes, comparison.old_bytes
    if kept is None or old is None or all(layer.size is None for layer in comparison.layers):
        return
    rebuilt, added = comparison.in_state("rebuilt"), comparison.in_state("added")
    sent = [f"about {megabytes(old)} (as before)"] if rebuilt else []
    if added:
        sent.append(f"{len(added)} new layer{'s' * (len(added) != 1)} of unknown size")
    yield f"{' and '.join(sent) or 'no dependency layer'}; {megabytes(kept)} kept"


def _plain(text: str) -> str:
    """Replace what would be Markdown, HTML or a mention, in text from an image or a revision."""
    return _SPECIAL.sub("?", text)
