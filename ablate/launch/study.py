"""A study made ready: read, checked and resolved. Its runs are known then, but not yet which of them are stored."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..checks.study import findings
from ..components.discover import discover
from ..errors import InputError, StoreError, counted, did_you_mean, listing, quoted
from ..paths import known_file, shipped, shown
from ..store.documents import read_document, write_document
from ..store.recipes import written_digest
from ..store.store import Store
from ..store.studies import StudyRecord, load_study
from ..study.plan import run_specs
from ..study.resolve import Known, resolve_study
from ..study.spec import parts
from ..study.toml import Changes, Reading, parse_study, read_study
from ..training.machine import fast_precision, on_cpu
from .probes import known_probes
from .schedules import Schedules, walked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..checks.finding import Findings
    from ..components.datasets import Source
    from ..components.registry import CodeSnapshot, Registry
    from ..study.comparisons import PlannedComparison
    from ..study.probes import Probe
    from ..study.spec import Choice, Recipe, RunSpec, Study
    from ..study.tuning import TunedSettings
    from ..study.walks import Walk

Note = Callable[[str], None]
"""Takes a line for the user."""


def silent(line: str) -> None:
    """Drop a line."""


@dataclass(frozen=True)
class Options:
    """What was asked for.

    study: its file; where it has none, the folder that its paths are relative to. text: of a study that has no file,
    or of one before it is written to it.
    only: names of the variants to run; empty for all. store: the folder of the real store, also for a pilot.
    device: by name, as `auto`; it decides what precision "auto" stands for.
    """

    study: Path
    store: Path
    data_dir: Path
    changes: Changes = field(default_factory=Changes)
    only: tuple[str, ...] = ()
    device: str = "auto"
    text: str | None = None

    def read(self) -> Reading:
        """Read the study."""
        if self.text is not None:
            return parse_study(self.text, self.study, self.changes, has_file=not self.study.is_dir())
        return read_study(self.study, self.changes)

    @property
    def home(self) -> Store:
        """Return the store that the runs belong in: a pilot has its own."""
        store = Store(self.store)
        return store.pilot if self.changes.pilot else store


@dataclass(frozen=True, repr=False)
class LoadedStudy:
    """A study that can run: every component is found, every setting checked, every default filled in.

    `ablate.load_study` returns one; `ablate.plan`, `ablate.run` and `ablate.results` take it. For scripts and notebooks
    it has `name`, `title`, `variants` (names, in order), `seeds`, `metric` (as "test/accuracy"), `comparisons` and
    `findings`; everything else is internal, and may change.
    """

    # reading is the study as written, study the same with every setting filled in; specs are all its runs, asked
    # those of the variants to run; walks is what each variant's schedule does; record is what was run before under its
    # name.

    options: Options
    registry: Registry
    reading: Reading
    study: Study
    schedules: Schedules
    walks: Mapping[str, Walk]
    specs: tuple[RunSpec, ...]
    asked: tuple[RunSpec, ...]
    record: StudyRecord | None

    @property
    def name(self) -> str:
        """Return the study's name."""
        return self.study.name

    @property
    def title(self) -> str:
        """Return the study's title, its name where it has none."""
        return self.study.title

    @property
    def variants(self) -> tuple[str, ...]:
        """Return the names of the variants, the baseline first."""
        return tuple(variant.name for variant in self.study.variants)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return the seeds that each variant is run with; where they are added as they are needed, those it may be."""
        return self.study.seeds

    @property
    def metric(self) -> str:
        """Return the metric that variants are compared by, as "test/accuracy"."""
        return self.study.metric

    @property
    def comparisons(self) -> tuple[PlannedComparison, ...]:
        """Return which variants are compared with which: pairs of names, candidate and reference."""
        return self.study.comparisons

    @property
    def written(self) -> Study:
        """Return the study as written."""
        return self.reading.study

    @property
    def home(self) -> Store:
        """Return the store that its runs belong in."""
        return self.options.home

    @property
    def findings(self) -> Findings:
        """Return what is doubtful in the study, serious things first.

        Each has a `code`, a `level`, a place (`where`), a `reason`, a `remedy` and why it is `waived`, if it is.
        """
        return findings(self.study, None if self.study.pilot else self.walks, self.probes)

    @property
    def probes(self) -> Mapping[str, Probe]:
        """Return what is known of the variants' first steps, by variant; a pilot has none."""
        return {} if self.study.pilot else known_probes(self.specs)

    def __repr__(self) -> str:
        names = listing((repr(name) for name in self.variants), 6)
        return (
            f"<study '{self.name}': {'at most ' * bool(self.study.looks)}{counted(len(self.specs), 'run')} of {names}>"
        )

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from ..console.html import study_html

        return study_html(self.study, self.findings)

    def code(self, recipe: Recipe) -> CodeSnapshot:
        """Return the code of a recipe's components, as it was when it was read."""
        return self.registry.snapshot((kind, choice.use) for kind, choice in parts(recipe))

    def user_code(self) -> dict[Path, bytes]:
        """Return the files of all variants' components that do not ship with ablate, as they were when read."""
        files: dict[Path, bytes] = {}
        for variant in self.study.variants:
            files |= self.code(variant.recipe).files
        ships = shipped("plugins").resolve()
        return {file: content for file, content in files.items() if not file.is_relative_to(ships)}

    def changed_code(self, specs: Sequence[RunSpec]) -> list[Path]:
        """Return the files of these runs' code that have changed since they were read."""
        used = {file for spec in specs for file in self.code(spec.recipe).files}
        return sorted(used.intersection(self.registry.code.changed()))

    def sources(self, specs: Sequence[RunSpec]) -> list[Source]:
        """Return the sources of the datasets that runs need, each once."""
        chosen: list[Choice] = []
        for spec in specs:
            chosen += [c for kind, c in parts(spec.recipe) if kind == "dataset" and c not in chosen]
        found = [(self.registry.get("dataset", choice.use), choice.settings) for choice in chosen]
        return [entry.build(self.options.data_dir, settings=settings) for entry, settings in found]


def open_study(options: Options, note: Note = silent, any_file: bool = False) -> LoadedStudy:
    """Read, check and resolve a study. Raises InputError for whatever is wrong, before anything runs.

    note: takes a line before anything that takes seconds. any_file: another file may have been run under its name.
    """
    reading = options.read()
    record = load_study(options.home, reading.study.name)
    asked_for_tuned = options.changes.tuned is not None
    if record and not asked_for_tuned:
        options = replace(options, changes=replace(options.changes, tuned=_still_tuned(options, record)))
        reading = options.read()
    registry = discover(reading.file, reading.study.plugins)
    study = resolved(reading, registry, options, note)
    schedules = Schedules(registry, note)
    walks = {} if study.pilot else walked(reading, study, schedules)
    _check_precision(reading.source, study, options.device)
    specs = tuple(run_specs(study, study.seeds))
    if not any_file:
        _check_name(reading, record)
    options = replace(options, only=_named(options.only, study, asked_for_tuned))
    # What was tuned before stays in the study, and runs where --tuned asks for it.
    others = {v.name for v in study.variants if v.tuned and not asked_for_tuned}
    wanted = set(options.only) or {v.name for v in study.variants} - others
    asked = tuple(spec for spec in specs if spec.variant in wanted)
    return LoadedStudy(options, registry, reading, study, schedules, walks, specs, asked, record)


def resolved(reading: Reading, registry: Registry, options: Options, note: Note) -> Study:
    """Resolve a study; what passes of libraries is remembered on this machine."""

    def slow(prefix: str) -> None:
        note(f"loading {prefix} to check the settings of its components: a few seconds, the first time")

    known: Known = {digest: True for digest, passed in (read_document(known_file()) or {}).items() if passed is True}
    passed = len(known)
    resolved = resolve_study(reading, registry, options.data_dir, known, slow, fast_precision(options.device))
    if len(known) > passed:
        with contextlib.suppress(StoreError, OSError):  # only a cache: without it the next command is slower
            known_file().parent.mkdir(parents=True, exist_ok=True)
            write_document(known_file(), known)
    return resolved


def _check_precision(source: str, study: Study, device: str) -> None:
    """Raise InputError where a device is known, without asking torch, to lack a precision."""
    wanting = [variant.name for variant in study.variants if variant.recipe.precision == "tf32"]
    if wanting and (on_cpu(device) or device == "mps"):
        raise InputError(
            f"{source}: {listing(wanting)}: precision 'tf32' needs an NVIDIA GPU\n"
            "  choose fp32 or bf16; where the runs are made on a GPU elsewhere, --device cuda plans for it"
        )


def _check_name(reading: Reading, record: StudyRecord | None) -> None:
    """Raise InputError where another study file has this name in the store."""
    file = reading.file and reading.file.resolve()
    if record and record.has_file and record.path != file and record.path.exists():
        raise InputError(
            f"{reading.source}: the name '{record.name}' is that of {shown(record.path)} in this store\n"
            "  give one of the two studies another name, or use another store (--store DIR)"
        )


def _still_tuned(options: Options, record: StudyRecord) -> TunedSettings:
    """Return the tuned variants that the study was run with and that are still what they were then."""
    found = record.changes.tuned or ()
    study = replace(options, changes=replace(options.changes, tuned=found)).read().study
    planned = {row.digest for row in record.rows}
    same = {v.parent for v in study.variants if v.tuned and written_digest(v.recipe) in planned}
    return tuple((name, settings) for name, settings in found if name in same)


def _named(names: Sequence[str], study: Study, tuned: bool) -> tuple[str, ...]:
    """Return the variants that `--only` names. tuned: those that tuning found settings for may be among them."""
    there = [v.name for v in study.variants]
    listed = [v.name for v in study.variants if not v.tuned]
    if odd := [name for name in names if not isinstance(name, str)]:
        raise InputError(f"--only: {odd[0]!r:.80} is not the name of a variant\n  accepts {listing(listed, 20)}")
    names = [there[0] if name == "baseline" and name not in there else name for name in names]
    unknown = [name for name in names if name not in (there if tuned else listed)]
    if unknown:
        if unknown[0] in there:
            raise InputError(f"--only: '{unknown[0]}' runs with --tuned; name the variant without '(tuned)'")
        raise InputError(
            f"--only: there is no variant '{unknown[0]}'{did_you_mean(unknown[0], listed)}\n"
            f"  accepts {listing(quoted(listed), 20)}"
        )
    return tuple(names)
