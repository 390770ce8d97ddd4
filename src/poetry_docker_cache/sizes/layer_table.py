"""The output of `poetry docker layers`: a table for people, JSON for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.sizes.package_sizes import ORIGINS
from poetry_docker_cache.text import megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poetry_docker_cache.sizes.package_sizes import SizedPackage, Unit
    from poetry_docker_cache.sizes.proposal import Outcome, Setting

_WIDTH = 80
_SHARE_OF_BAR, _SHARE_OF_NAME = 0.3, 0.35
"""The largest shares of the width that bars and names of packages take."""
_SHORTEST_BAR = 6
_FROM = {"environment": "the environment", "image": "the image", "index": "the index"}
_SETTING = 24
_EIGHTHS: tuple[str, ...] = ("", *"▏▎▍▌▋▊▉")
_ASCII = str.maketrans(dict.fromkeys("█▉▊▋▌", "#") | dict.fromkeys("▍▎▏…", ".") | {"≈": "~"})


def table(
    packages: Sequence[SizedPackage],
    unit: Unit,
    now: Outcome,
    better: Outcome | None,
    *,
    width: int = _WIDTH,
) -> list[str]:
    """Return the lines: packages by size, then the cost of an update now and with another split."""
    return [
        *_packages(packages, unit, now, better, width),
        "",
        *_costs(len(packages), now, better, width),
    ]


def as_ascii(text: str) -> str:
    """Replace characters that an ASCII terminal does not have."""
    return text.translate(_ASCII)


def as_data(
    packages: Sequence[SizedPackage], unit: Unit, now: Outcome, better: Outcome | None
) -> dict[str, Any]:
    """Return the data for `--json`; docs/layers.md documents the keys."""
    return {
        "unit": unit,
        "packages": [
            {
                "name": package.name,
                "version": package.version,
                "kind": package.kind,
                "bytes": package.size,
                "from": package.origin,
                "exact": package.exact and package.origin is not None,
                "layer": now.layer_of(package),
            }
            for package in packages
        ],
        "now": _outcome_data(now),
        "better": None if better is None else _outcome_data(better),
    }


def values(setting: Setting) -> dict[str, int | Sequence[str]]:
    """Return the settings as they are in pyproject.toml."""
    return {"layers": int(setting.layers), "own-layers": setting.own}


def _outcome_data(outcome: Outcome) -> dict[str, Any]:
    return {
        "layers": outcome.setting.layers,
        "own-layers": list(outcome.setting.own),
        "split": {
            name: [package.name for package in inside] for name, inside in outcome.layers.items()
        },
        "bump": {
            "packages": round(outcome.packages, 3),
            "packages-share": round(outcome.packages_share, 4),
            "bytes": round(outcome.size),
            "bytes-share": round(outcome.size_share, 4),
        },
    }


def _packages(
    packages: Sequence[SizedPackage],
    unit: Unit,
    now: Outcome,
    better: Outcome | None,
    width: int,
) -> Iterator[str]:
    names = [_short(package.name, int(width * _SHARE_OF_NAME)) for package in packages]
    sizes = [_size_of(package) for package in packages]
    layers = [now.layer_of(package) for package in packages]
    others = [better.layer_of(package) if better else "" for package in packages]
    name, size, layer, other = (max(map(len, column)) for column in (names, sizes, layers, others))
    layer, other = max(layer, len("now")), max(other, len("better")) if better else 0
    room = width - (name + size + layer + other + 9)
    bar = min(int(width * _SHARE_OF_BAR), max(_SHORTEST_BAR, room))
    yield _heading(packages, unit)
    titles = (
        f" {'':{name}}  {'':>{size}}  {'':{bar}}  {'now':{layer}}  {'better' if better else ''}"
    )
    yield titles.rstrip()
    for package, shown, bytes_, own, then in zip(
        packages, names, sizes, layers, others, strict=True
    ):
        drawn = _bar(bar * package.size / (packages[0].size or 1)) if package.origin else ""
        moved = then if then != own else ""
        yield f" {shown:{name}}  {bytes_:>{size}}  {drawn:{bar}}  {own:{layer}}  {moved}".rstrip()


def _bar(length: float) -> str:
    """Draw a bar of this many characters, at least an eighth of one."""
    whole, eighths = divmod(max(1, round(length * 8)), 8)
    return "█" * whole + _EIGHTHS[eighths]


def _heading(packages: Sequence[SizedPackage], unit: Unit) -> str:
    total = megabytes(sum(package.size for package in packages))
    used = [origin for origin in ORIGINS if any(package.origin == origin for package in packages)]
    sources = " and ".join(_FROM[origin] for origin in used) or "nowhere"
    exact = all(package.exact and package.origin for package in packages)
    what = "installed" if unit == "installed" else "to download"
    count = f"{len(packages)} package{'s' * (len(packages) != 1)}"
    return f" {count}, {'' if exact else '≈ '}{total} {what} (sizes from {sources})"


def _costs(count: int, now: Outcome, better: Outcome | None, width: int) -> Iterator[str]:
    title = f" {'average cost of one update':{8 + _SETTING}}"
    yield title + _columns("packages", "size", "layers")
    yield _cost("now", count, now)
    if better:
        yield _cost("better", count, better)
        yield ""
        yield f" layers = {better.setting.layers}"
        yield from _own(better.setting.own, width)


def _cost(title: str, count: int, outcome: Outcome) -> str:
    packages = f"{outcome.packages:.1f} of {count} {_percent(outcome.packages_share)}"
    size = f"{megabytes(outcome.size)} {_percent(outcome.size_share)}"
    own_layers = sum(layer.startswith("own-") for layer in outcome.layers)
    own = f" + {own_layers} own" if own_layers else ""
    setting = f"layers = {json.dumps(outcome.setting.layers)}{own}"
    columns = _columns(packages, size, str(len(outcome.layers)))
    return f" {title:8}{setting:{_SETTING}}{columns}"


def _columns(packages: str, size: str, layers: str) -> str:
    return f"  {packages:>18}  {size:>16}  {layers:>6}"


def _own(names: Sequence[str], width: int) -> Iterator[str]:
    line = " own-layers = ["
    for number, name in enumerate(names, start=1):
        word = f'"{name}"' + (", " if number < len(names) else "]")
        if len(line) + len(word) > width:
            yield line.rstrip()
            line = "    "
        line += word
    yield line if names else f"{line}]"


def _size_of(package: SizedPackage) -> str:
    if package.origin is None:
        return "?"
    return f"{'' if package.exact else '≈ '}{megabytes(package.size)}"


def _percent(share: float) -> str:
    return f"({share:3.0%})".replace("%", " %")


def _short(name: str, longest: int) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
