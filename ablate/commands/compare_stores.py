"""Two stores or studies compared, variant by variant: as before and after a library was upgraded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..api.compare import Comparisons, method_of
from ..api.records import read_records
from ..api.run_metrics import direction
from ..api.run_values import checked_margin
from ..checks.results import digest_of
from ..errors import InputError, counted, listing, quoted
from ..metrics import metric
from ..paths import shown
from ..stats.family import compare_all, how_of
from ..store.store import Store
from ..store.studies import find_study, list_studies
from ..study.differences import differences

if TYPE_CHECKING:
    from pathlib import Path

    from ..api.compare import Asked
    from ..stats.results import Results
    from ..store.studies import StudyRecord


SAME = "the same runs, bit for bit"


@dataclass(frozen=True)
class Side:
    """One of the two: a store's folder, or a study's file or name. store: where a study is. study: which of a store."""

    source: Path
    store: Path
    study: str | None = None

    @property
    def name(self) -> str:
        """Return what messages and variants call it."""
        return shown(self.source)

    def records(self) -> tuple[Store, list[StudyRecord]]:
        """Return the studies that it may be. Raises InputError where there is none."""
        if self.source.is_file() and self.source.suffix != ".toml":
            raise InputError(
                f"{self.name}: is a file; ablate compare takes one, with all runs in it\n"
                "  to compare several, write their rows below one header"
            )
        if not self.source.is_dir():
            home, record = find_study(Store(self.store), str(self.source), None)
            return home, [record]
        store = Store(self.source.resolve())
        if not store.studies_folder.is_dir():
            raise InputError(
                f"{self.name}: is a folder and no store: it has no studies in it\n"
                "  accepts a file of runs, or two stores or studies"
            )
        records = [record for record in list_studies(store) if self.study in (None, record.name)]
        if not records:
            raise InputError(
                f"{self.name}: no study {f'called {self.study!r} ' if self.study else ''}has been run in this store\n"
                f"  it has: {listing(record.name for record in list_studies(store)) or 'nothing yet'}"
            )
        return store, records


def compare_sides(reference: Side, candidate: Side, asked: Asked) -> Comparisons:
    """Compare each variant of the candidate with that of the same name of the reference; baselines where none is.

    Raises InputError for a side that is no store or study, and where it is not clear which study is meant.
    """
    if asked.columns.variant or asked.columns.seed or asked.reference:
        raise InputError("--variant, --seed and --reference are for a file of runs; of two stores or studies the first "
                         "is the reference")  # fmt: skip
    if asked.lower_is_better is not None:
        raise InputError("--lower-is-better and --higher-is-better are for a file of runs; a study's metrics say it")
    if reference.source == candidate.source:
        raise InputError(f"{reference.name}: stands on both sides; name two")
    before, after = _chosen(reference, candidate)
    return _compared(before, after, (reference.name, candidate.name), asked)


def _chosen(reference: Side, candidate: Side) -> tuple[Results, Results]:
    """Return the results of both sides: of the one study that each has, or of the one of the same name."""
    (home, ours), (other_home, theirs) = reference.records(), candidate.records()
    both = [(a, b) for a in ours for b in theirs if a.name == b.name]
    if len(ours) == len(theirs) == 1:
        both = [(ours[0], theirs[0])]
    if len(both) != 1:
        names = [[record.name for record in records] for records in (ours, theirs)]
        raise InputError(
            f"{reference.name} and {candidate.name}: it is not clear which studies are meant; name one: --study NAME\n"
            f"  {reference.name} has {listing(quoted(names[0]))}; {candidate.name} has {listing(quoted(names[1]))}"
        )
    return read_records(home, both[0][0]).results, read_records(other_home, both[0][1]).results


def _compared(before: Results, after: Results, names: tuple[str, str], asked: Asked) -> Comparisons:
    one = metric(asked.columns.metric or before.study.metric, before.study.measures)
    metric(one.name, after.study.measures)
    ours, theirs = before.samples(one), after.samples(one)
    common = [name for name in theirs if name in ours]
    notes = [
        f"{counted(len(alone), 'variant')} only in {where}, not compared: {listing(quoted(alone), 6)}"
        for where, alone in zip(
            names, ([n for n in ours if n not in theirs], [n for n in theirs if n not in ours]), strict=True
        )
        if alone
    ]
    notes.append(direction(one.name, one.higher_is_better))
    pairs = [(name, name) for name in common] or [(next(iter(theirs)), next(iter(ours)))]
    notes += _different(before, after, pairs)
    samples = {f"{name} ({names[0]})": runs for name, runs in ours.items()}
    samples |= {f"{name} ({names[1]})": runs for name, runs in theirs.items()}
    how = how_of(before.study, one)
    if asked.method is not None:
        how = replace(how, method=method_of(asked.method))
    if asked.margin is not None:
        how = replace(how, margin=checked_margin(asked.margin, one))
    named = [(f"{a} ({names[1]})", f"{b} ({names[0]})") for a, b in pairs]
    known = [_same(before, after, pair, one.name) for pair in pairs]
    said = {pair: same for pair, same in zip(named, known, strict=True) if same}
    for same in dict.fromkeys(said.values()):
        alike = [name for (name, _), found in zip(pairs, known, strict=True) if found == same]
        notes.append(f"{same}, on both sides: {listing(quoted(alike), 6)}")
    return Comparisons(compare_all(samples, named, how), f"{names[1]} against {names[0]}", notes, said=said)


def _same(before: Results, after: Results, pair: tuple[str, str], metric: str) -> str:
    """Say that the seeds of both sides ended with the same weights and the same value; "" where they did not."""
    theirs, ours = after.stored_of(pair[0]), before.stored_of(pair[1])
    shared = [(ours[seed], theirs[seed]) for seed in ours.keys() & theirs.keys()]
    alike = (digest_of(a) and digest_of(a) == digest_of(b) and a.get(metric) == b.get(metric) for a, b in shared)
    if not shared or not all(alike):
        return ""
    return SAME if ours.keys() == theirs.keys() else f"{SAME}, for the seeds that both have"


def _different(before: Results, after: Results, pairs: list[tuple[str, str]]) -> list[str]:
    """Say of which variants the two sides train different things, and which."""
    found: dict[str, list[str]] = {}
    for name, other in pairs:
        changes = differences(before.study.variant(other).recipe, after.study.variant(name).recipe)
        if changes:
            found.setdefault(listing(f"{factor} {old} → {new}" for factor, old, new in changes), []).append(name)
    return [f"the two sides train {listing(quoted(names), 6)} differently: {what}" for what, names in found.items()]
