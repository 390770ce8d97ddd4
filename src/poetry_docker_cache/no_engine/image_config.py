"""The configuration and the manifest of an image: what BuildKit makes of the Dockerfile.

The same inputs give the same bytes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.registry.base_image import Descriptor
from poetry_docker_cache.registry.media_types import (
    DOCKER_LAYER,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from poetry_docker_cache.plan.image_plan import Runtime
    from poetry_docker_cache.registry.base_image import BaseImage
    from poetry_docker_cache.settings.image_values import Healthcheck

_DOCKER_LAYERS = {
    f"{DOCKER_LAYER}.gzip": f"{OCI_LAYER}+gzip",
    f"{DOCKER_LAYER}.zstd": f"{OCI_LAYER}+zstd",
    DOCKER_LAYER: OCI_LAYER,
}
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MADE_BY = "poetry-docker-cache"
_NANOSECONDS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6}
_NANOSECONDS |= {"us": 10**3, "µs": 10**3, "ns": 1}


@dataclass(frozen=True, kw_only=True)
class ImageLayer:
    """A layer of ours, on the base image."""

    name: str
    """The instruction that history shows: `COPY /dependencies/../venv /venv`."""
    blob: Descriptor
    diff_id: str
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Document:
    """A manifest, an index or a configuration, as bytes."""

    media_type: str
    body: bytes

    @property
    def descriptor(self) -> Descriptor:
        """Its digest and size."""
        digest = f"sha256:{hashlib.sha256(self.body).hexdigest()}"
        return Descriptor(media_type=self.media_type, digest=digest, size=len(self.body))


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image for one platform."""

    platform: str
    config: Document
    manifest: Document
    layers: tuple[Descriptor, ...]
    """The layers of the base image, then our own."""


def make_image(  # noqa: PLR0913  # all that an image consists of
    base: BaseImage,
    runtime: Runtime,
    layers: Sequence[ImageLayer],
    *,
    labels: Mapping[str, str],
    further_labels: Mapping[str, str] | None = None,
    may_have_user: bool = False,
    annotations: Mapping[str, str] | None = None,
    epoch: str = "",
) -> Image:
    """Make the configuration and the manifest of an image for the platform of its base.

    `labels` are those that the runtime does not have, and `further_labels` those that the history
    does not show either, as for `docker build --label`. `may_have_user` is the trait of the base,
    and `epoch` the value of SOURCE_DATE_EPOCH. Raises DockerCacheError for ONBUILD in the base.
    """
    config = Document(
        media_type=OCI_CONFIG,
        body=_json(
            _config(
                base,
                runtime,
                layers,
                labels,
                further_labels or {},
                may_have_user=may_have_user,
                epoch=epoch,
            )
        ),
    )
    # Docker's media types must not be mixed with those of OCI; the content is the same.
    below = [
        Descriptor(
            media_type=_DOCKER_LAYERS.get(layer.media_type, layer.media_type),
            digest=layer.digest,
            size=layer.size,
        )
        for layer in base.layers
    ]
    own = [_with_annotations(layer.blob, layer.annotations) for layer in layers]
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.descriptor.json(),
        "layers": [*(layer.json() for layer in below), *own],
    }
    if annotations:
        manifest["annotations"] = dict(sorted(annotations.items()))
    return Image(
        platform=base.platform,
        config=config,
        manifest=Document(media_type=OCI_MANIFEST, body=_json(manifest)),
        layers=(*below, *(layer.blob for layer in layers)),
    )


def make_index(images: Sequence[Image], annotations: Mapping[str, str] | None = None) -> Document:
    """Make the index of an image for several platforms."""
    index: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            {**image.manifest.descriptor.json(), "platform": _platform(image.platform)}
            for image in images
        ],
    }
    if annotations:
        index["annotations"] = dict(sorted(annotations.items()))
    return Document(media_type=OCI_INDEX, body=_json(index))


def _with_annotations(blob: Descriptor, annotations: Mapping[str, str]) -> dict[str, Any]:
    extra = {"annotations": dict(sorted(annotations.items()))} if annotations else {}
    return {**blob.json(), **extra}


def _platform(name: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), name.split("/"), strict=False))


def _config(  # noqa: PLR0913  # as make_image
    base: BaseImage,
    runtime: Runtime,
    layers: Sequence[ImageLayer],
    labels: Mapping[str, str],
    further_labels: Mapping[str, str],
    *,
    may_have_user: bool,
    epoch: str,
) -> dict[str, Any]:
    inherited = dict(base.config.get("config") or {})
    if inherited.pop("OnBuild", None):
        raise DockerCacheError(
            f"The base image {base.name} has ONBUILD instructions, which need a container engine.",
            fix="Set another `base-image`, or build without `--no-engine`.",
        )
    variables = {"PATH": _DEFAULT_PATH} if "PATH" not in base.variables else {}
    variables = {**base.variables, **variables, **({"HOME": "/root"} if may_have_user else {})}
    path = f"/venv/bin:{variables['PATH']}"
    first = {"VIRTUAL_ENV": "/venv", "PATH": path, "PYTHONUNBUFFERED": "1"}
    given = {each.env: each.default for each in runtime.arguments if each.env}
    variables = {**variables, **first, **runtime.environment, **given}
    own: dict[str, Any] = {
        "User": runtime.user,
        "Env": [f"{name}={value}" for name, value in variables.items()],
        "WorkingDir": runtime.workdir,
    }
    marks = {each.label: each.default for each in runtime.arguments if each.label}
    wanted = {**runtime.labels, **labels, **marks}
    own["Labels"] = {**(inherited.get("Labels") or {}), **wanted, **further_labels}
    if runtime.volumes:
        volumes: dict[str, Any] = {path: {} for path in runtime.volumes}
        own["Volumes"] = {**(inherited.get("Volumes") or {}), **volumes}
    if runtime.ports:
        ports = [port if "/" in port else f"{port}/tcp" for port in runtime.ports]
        own["ExposedPorts"] = {**(inherited.get("ExposedPorts") or {}), **{p: {} for p in ports}}
    if runtime.healthcheck is not None:
        own["Healthcheck"] = _healthcheck(runtime.healthcheck)
    if runtime.stop_signal:
        own["StopSignal"] = runtime.stop_signal
    if runtime.entrypoint is not None:
        own["Entrypoint"] = list(runtime.entrypoint) or None
        own["Cmd"] = None  # ENTRYPOINT resets the command of the base image
    if runtime.command is not None:
        own["Cmd"] = list(runtime.command) or None
        own["ArgsEscaped"] = True  # as BuildKit sets it for each CMD
    merged = {key: value for key, value in {**inherited, **own}.items() if value not in (None, {})}
    created = _created(base, epoch)
    steps = [
        {"created": created, "created_by": text, "comment": _MADE_BY}
        | ({} if is_layer else {"empty_layer": True})
        for text, is_layer in _history(
            runtime, layers, first=first, labels=wanted, may_have_user=may_have_user
        )
    ]
    rootfs = base.config["rootfs"]
    kept = {key: base.config.get(key) for key in ("architecture", "os", "variant")}
    return {
        **{key: value for key, value in kept.items() if value},
        "created": created,
        "config": merged,
        "rootfs": {
            "type": "layers",
            "diff_ids": [*rootfs["diff_ids"], *(layer.diff_id for layer in layers)],
        },
        "history": [*(base.config.get("history") or ()), *steps],
    }


def _created(base: BaseImage, epoch: str) -> str:
    """Return SOURCE_DATE_EPOCH, else the time of the base image: the clock changes the digest."""
    if epoch.isdecimal():
        time = dt.datetime.fromtimestamp(int(epoch), tz=dt.timezone.utc)
        return time.strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(base.config.get("created") or "1970-01-01T00:00:00Z")


def _history(
    runtime: Runtime,
    layers: Iterable[ImageLayer],
    *,
    first: Mapping[str, str],
    labels: Mapping[str, str],
    may_have_user: bool,
) -> list[tuple[str, bool]]:
    """List the instructions, as BuildKit writes them, and whether each has a layer."""
    before = ["USER 0", "ENV HOME=/root"] if may_have_user else []
    before.append(f"ENV {_pairs(first)}")
    before += [f"ENV {_pairs(runtime.environment)}"] if runtime.environment else []
    before.append(f"WORKDIR {runtime.workdir}")
    after = [f"LABEL {_pairs(labels)}"] if labels else []
    after += [f"ENV {each.env}={each.default}" for each in runtime.arguments if each.env]
    after += [f"VOLUME [{' '.join(runtime.volumes)}]"] if runtime.volumes else []
    if runtime.ports:
        ports = (port if "/" in port else f"{port}/tcp" for port in runtime.ports)
        after.append(f"EXPOSE [{' '.join(ports)}]")
    if runtime.healthcheck is not None:
        command = runtime.healthcheck and json.dumps([*runtime.healthcheck.command])
        after.append(f"HEALTHCHECK {f'CMD {command}' if command else 'NONE'}")
    after += [f"STOPSIGNAL {runtime.stop_signal}"] if runtime.stop_signal else []
    after.append(f"USER {runtime.user}")
    for name, words in (("ENTRYPOINT", runtime.entrypoint), ("CMD", runtime.command)):
        if words is not None:
            after.append(f"{name} [{' '.join(json.dumps(word) for word in words)}]")
    return [
        *((text, False) for text in before),
        *((layer.name, True) for layer in layers),
        *((text, False) for text in after),
    ]


def _pairs(values: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())


def _healthcheck(check: Healthcheck | Literal[False]) -> dict[str, Any]:
    if check is False:
        return {"Test": ["NONE"]}
    values = {
        "Test": ["CMD", *check.command],
        "Interval": _duration(check.interval),
        "Timeout": _duration(check.timeout),
        "StartPeriod": _duration(check.start_period),
        "StartInterval": _duration(check.start_interval),
        "Retries": check.retries,
    }
    return {name: value for name, value in values.items() if value}


def _duration(text: str | None) -> int:
    """Return a duration in Go's notation as nanoseconds."""
    parts = re.findall(r"([0-9]+)(?:\.([0-9]+))?(ns|us|µs|ms|s|m|h)", text or "")
    total = 0
    for whole, fraction, unit in parts:
        total += int(whole) * _NANOSECONDS[unit]
        total += int(fraction or 0) * _NANOSECONDS[unit] // 10 ** len(fraction)
    return total


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
