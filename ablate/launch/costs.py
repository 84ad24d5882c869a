"""What runs are expected to cost, in seconds and in bytes of the store, judged by earlier runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..store.run_frames import Cost, costs
from ..store.store import Store
from ..store.studies import load_study
from ..study.plan import cost_key
from ..study.spec import RangeTest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..study.spec import Limits, RunSpec

# What a run takes besides its steps: starting its process, loading its data, building its model.
START_SECONDS = 1.0
# Upper bounds of what a run's files take on the disk and of a line of its history: 12,288 and 318 bytes were the most
# in a store of the digits study and one of CIFAR-100.
# A step of a range test is three numbers on a line each.
RECORD_BYTES, EPOCH_BYTES, TEST_BYTES = 16_000, 500, 80
# Of an image that a run keeps its prediction of: a logit in half precision, and a label at most.
LOGIT_BYTES, LABEL_BYTES = 2, 4


def measured_costs(folder: Path, study: str) -> dict[str, Cost]:
    """Return the measured costs of earlier runs of a study and of its pilot, by cost key.

    folder: of the real store. study: its name.
    """
    found: dict[str, Cost] = {}
    store = Store(folder)
    for home in (store.pilot, store):
        record = load_study(home, study)
        found |= costs(home, list(dict.fromkeys(row.key for row in record.rows))) if record else {}
    return found


def expected_seconds(specs: Sequence[RunSpec], known: Mapping[str, Cost]) -> dict[str, float | None]:
    """Return the expected seconds of each run, by key.

    None if no run with the same model, augmentation, optimizer, batch size and image shape was measured.
    """
    return {spec.key: _seconds(spec, known.get(cost_key(spec))) for spec in specs}


def _seconds(spec: RunSpec, cost: Cost | None) -> float | None:
    if cost is None:
        return None
    (trained, evaluated), test = spec.recipe.work, RangeTest.of(spec.recipe)
    tested = cost.training * test.steps * spec.recipe.batch_size if test else 0.0
    return START_SECONDS + tested + cost.training * trained + cost.evaluation * evaluated


def total_seconds(expected: Mapping[str, float | None], jobs: int = 1) -> float | None:
    """Return how long all runs together are expected to take, or None if that is unknown for one of them."""
    known = [seconds for seconds in expected.values() if seconds is not None]
    return sum(known) / jobs if len(known) == len(expected) else None


def expected_bytes(specs: Sequence[RunSpec], states: Mapping[str, int], jobs: int, limits: Limits) -> int | None:
    """Return how much room runs take in the store at most, or None if the size of one's state is unknown.

    states: bytes of a run's state by variant. limits: say what runs keep when they are finished.
    A state is written beside the one before, for each run under way.
    """
    sizes = [states.get(spec.variant) for spec in specs]
    known = sorted(size for size in sizes if size is not None)
    if len(known) < len(sizes):
        return None
    records = sum(RECORD_BYTES + EPOCH_BYTES * spec.recipe.epochs for spec in specs)
    records += sum(TEST_BYTES * test.steps for spec in specs if (test := RangeTest.of(spec.recipe)))
    if limits.keep_predictions:
        records += sum(predictions_bytes(spec) for spec in specs)
    return records + (sum(known) if limits.keep_checkpoints else 0) + 2 * sum(known[-jobs:])


def predictions_bytes(spec: RunSpec) -> int:
    """Return how much room what a run predicts takes in the store. A negative size is a split that it may not see."""
    splits = spec.recipe.splits
    images = max(0, splits.validation or 0) + max(0, splits.test or 0)
    return int(images) * (LOGIT_BYTES * spec.classes + LABEL_BYTES)
