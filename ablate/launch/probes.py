"""What the first steps of a study's variants give: taken where variants are tried out, remembered on this machine."""

from __future__ import annotations

import contextlib
from importlib.metadata import version
from typing import TYPE_CHECKING

from ..errors import StoreError
from ..paths import probes_dir
from ..store.documents import read_document, write_document
from ..study.plan import key_of
from ..study.probes import Probe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ..study.spec import RunSpec

PROBES_VERSION = 2
"""Raised whenever the code of probes changes what they find."""


def known_probe(spec: RunSpec) -> Probe | None:
    """Return what a variant's first steps gave, where they were taken on this machine."""
    document = read_document(_file(spec))
    return Probe.of(document.get("probe")) if document else None


def known_probes(specs: Iterable[RunSpec]) -> dict[str, Probe]:
    """Return what is known of first steps, by variant."""
    first: dict[str, RunSpec] = {}
    for spec in specs:
        first.setdefault(spec.variant, spec)
    return {name: probe for name, spec in first.items() if (probe := known_probe(spec))}


def keep_probe(spec: RunSpec, probe: Probe) -> None:
    """Remember what a variant's first steps gave."""
    with contextlib.suppress(StoreError, OSError):  # only a cache: without it they are taken again
        file = _file(spec)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_document(file, {"probe": probe.document()})


def _file(spec: RunSpec) -> Path:
    """Return where a probe is remembered: by all that it depends on, which seed, length and schedule are not."""
    parts = {name: part for name, part in spec.identity.items() if name not in ("seed", "epochs", "scheduler")}
    images = [spec.shape, spec.classes]
    key = key_of({**parts, "dataset": images, "versions": [PROBES_VERSION, version("torch")]})
    return probes_dir() / f"{key}.json"
