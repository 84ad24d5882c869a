"""From a study's file and the command line to its planned runs: what `run` and `plan` have in common."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..components.discover import discover
from ..console import text
from ..errors import InputError, StoreError, did_you_mean, listing
from ..paths import shown
from ..store.files import read_document, write_document
from ..store.frame import Cost, costs
from ..store.store import Store
from ..store.studies import StudyRecord, load_study, written_digest
from ..study.plan import PlannedRun, cost_key, plan_runs, run_specs
from ..study.settle import Known, Settled, settle
from ..study.spec import Finder
from ..study.toml import Changes, Reading, read_study
from ..training.machine import fast_precision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..components.contracts import Source
    from ..components.registry import Registry
    from ..study.spec import Choice, RunSpec, Study
    from ..study.tuning import Found

# What a run costs beside its steps: its process, its data and its model.
START_SECONDS = 1.0
# Upper bounds of what a run's files take on the disk and of a line of its history: 12,288 and 318 bytes were the most
# in a store of the digits study and one of CIFAR-100.
# A step of a range test is three numbers on a line each.
RECORD_BYTES, EPOCH_BYTES, TEST_BYTES = 16_000, 500, 80


@dataclass(frozen=True)
class Options:
    """What a command was asked for.

    only: names of the variants to run; empty for all. store: the folder of the real store, also for a pilot.
    device: by name, as `auto`; it decides what precision "auto" stands for.
    """

    study: Path
    store: Path
    data_dir: Path
    changes: Changes = field(default_factory=Changes)
    only: tuple[str, ...] = ()
    device: str = "auto"


@dataclass
class Prepared:
    """A study ready to run: read, settled, and each of its runs looked up in the store.

    reading is the study as read, settled the same with every setting filled in; specs are all its runs, planned
    those that were asked for; home is the store they belong in; record is what was run under its name before.
    """

    options: Options
    registry: Registry
    reading: Reading
    settled: Settled
    specs: list[RunSpec]
    planned: list[PlannedRun]
    home: Store
    record: StudyRecord | None

    @property
    def written(self) -> Study:
        """Return the study as read."""
        return self.reading.study

    @property
    def todo(self) -> list[RunSpec]:
        """Return the runs that are to be made: new ones and unfinished ones."""
        return [p.spec for p in self.planned if p.state in ("new", "unfinished")]

    @property
    def failed(self) -> list[RunSpec]:
        """Return the runs whose last try failed."""
        return [p.spec for p in self.planned if p.state == "failed"]

    def source(self, choice: Choice) -> Source:
        """Build a dataset's source."""
        built: Source = self.registry.get("dataset", choice.use).build(self.options.data_dir, settings=choice.settings)
        return built

    def sources(self, specs: Sequence[RunSpec]) -> list[Source]:
        """Return the sources of the datasets that runs need, each once."""
        chosen: list[Choice] = []
        for spec in specs:
            if spec.recipe.dataset not in chosen:
                chosen.append(spec.recipe.dataset)
        return [self.source(choice) for choice in chosen]


def prepare(options: Options) -> Prepared:
    """Read, check and plan a study. Raises InputError for whatever is wrong, before anything runs."""
    store = Store(options.store)
    home = store.pilot if options.changes.pilot else store
    reading = read_study(options.study, options.changes)
    record = load_study(home, reading.study.name)
    asked_for_tuned = options.changes.tuned is not None
    if record and not asked_for_tuned:
        options = replace(options, changes=replace(options.changes, tuned=_still_tuned(options, record)))
        reading = read_study(options.study, options.changes)
    known: Known = read_document(store.known_file) or {}
    written = reading.study
    registry = discover(options.study, written.plugins)
    passed = len(known)
    settled = settle(reading, registry, options.data_dir, known, _say_slow, fast_precision(options.device))
    if len(known) > passed and store.root.is_dir():
        with contextlib.suppress(StoreError):  # a cache: without it the next command is slower, and no more
            write_document(store.known_file, known)
    specs = run_specs(settled, settled.study.seeds)
    if record and record.path != options.study.resolve() and record.path.exists():
        raise InputError(
            f"{shown(options.study)}: the name '{written.name}' is that of {shown(record.path)} in this store\n"
            "  give one of the two studies another name, or use another store (--store DIR)"
        )

    def before(spec: RunSpec) -> dict[str, object] | None:
        key = record.last_key(spec.variant, spec.seed) if record else None
        return (home.run(key).spec() or {}).get("identity") if key else None

    options = replace(options, only=_named(options.only, settled.study, asked_for_tuned))
    asked = [spec for spec in specs if not options.only or spec.variant in options.only]
    if not asked_for_tuned and not options.only:  # they stay in the study, and are run where --tuned asks for them
        asked = [spec for spec in asked if not settled.study.variant(spec.variant).tuned]
    planned = plan_runs(asked, home.state, before, settled.places)
    return Prepared(options, registry, reading, settled, specs, planned, home, record)


def _still_tuned(options: Options, record: StudyRecord) -> Found:
    """Return the tuned variants that the study was run with and that are still what they were then."""
    found = record.changes.tuned or ()
    study = read_study(options.study, replace(options.changes, tuned=found)).study
    planned = {row.digest for row in record.rows}
    same = {v.parent for v in study.variants if v.tuned and written_digest(v.recipe) in planned}
    return tuple((name, settings) for name, settings in found if name in same)


def _say_slow(prefix: str) -> None:
    text.note(f"loading {prefix} to check the settings of its components: a few seconds, the first time")


def expected_costs(prepared: Prepared) -> dict[str, Cost]:
    """Return what runs of the study and of its pilot were measured to cost, by cost key."""
    found: dict[str, Cost] = {}
    store = Store(prepared.options.store)
    for home in (store.pilot, store):
        record = load_study(home, prepared.written.name)
        found |= costs(home, list(dict.fromkeys(row.key for row in record.rows))) if record else {}
    return found


def expected_seconds(prepared: Prepared, known: Mapping[str, Cost]) -> dict[str, float | None]:
    """Return the expected seconds of each run to be made, by key.

    None where no run with the same model, augmentation, optimizer, batch size and image shape was measured.
    """
    expected: dict[str, float | None] = {}
    for spec in prepared.todo:
        cost, splits = known.get(cost_key(spec.identity)), spec.recipe.splits
        if cost is None:
            expected[spec.key] = None
            continue
        evaluated = (splits.validation or 0) + (splits.test or 0)
        each = cost.training * (splits.train or 0) + cost.evaluation * evaluated
        finder = Finder.of(spec.recipe)
        test = cost.training * finder.steps * spec.recipe.batch_size if finder else 0.0
        expected[spec.key] = START_SECONDS + test + spec.recipe.epochs * each
    return expected


def expected_bytes(prepared: Prepared, states: Mapping[str, int], specs: Sequence[RunSpec], jobs: int) -> int | None:
    """Return how much room runs take in the store at most, or None where the size of one's state is not known.

    states: bytes of a run's state by variant. A state is written beside the one before, for each run under way.
    """
    sizes = [states.get(spec.variant) for spec in specs]
    known = sorted(size for size in sizes if size is not None)
    if len(known) < len(sizes):
        return None
    records = sum(RECORD_BYTES + EPOCH_BYTES * spec.recipe.epochs for spec in specs)
    records += sum(TEST_BYTES * finder.steps for spec in specs if (finder := Finder.of(spec.recipe)))
    kept = sum(known) if prepared.written.limits.keep_checkpoints else 0
    return records + kept + 2 * sum(known[-jobs:])


def total_seconds(expected: dict[str, float | None], jobs: int = 1) -> float | None:
    """Return how long all runs together are expected to take, or None where one of them is not known."""
    known = [seconds for seconds in expected.values() if seconds is not None]
    return sum(known) / jobs if len(known) == len(expected) else None


def _named(names: Sequence[str], study: Study, tuned: bool) -> tuple[str, ...]:
    """Return the variants that `--only` names. tuned: those that tuning found settings for may be among them."""
    there = [v.name for v in study.variants]
    listed = [v.name for v in study.variants if not v.tuned]
    names = [there[0] if name == "baseline" and name not in there else name for name in names]
    unknown = [name for name in names if name not in (there if tuned else listed)]
    if unknown:
        if unknown[0] in there:
            raise InputError(f"--only: '{unknown[0]}' is run with --tuned, and named without '(tuned)'")
        raise InputError(
            f"--only: there is no variant '{unknown[0]}'{did_you_mean(unknown[0], listed)}\n"
            f"  accepts {listing(listed, 20)}"
        )
    return tuple(names)
