"""Two studies, or one study in two stores, compared variant by variant: for `ablate compare` and `ablate report`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..checks.results import digest_of
from ..errors import InputError, counted, listing, quoted
from ..metrics import metric
from ..report.content import report
from ..report.side_by_side import Difference, Pair, Side, SideBySide
from ..stats.family import compare_all, how_of
from ..study.differences import differences
from .compare import Comparisons, check_named, method_of
from .run_metrics import direction
from .run_values import checked_margin

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ..metrics import Metric
    from ..report.content import Records
    from ..stats.results import Results
    from ..store.store import Store
    from .compare import Asked

SAME = "the same runs, bit for bit"


@dataclass(frozen=True)
class GivenSide:
    """One of the two: what it is called, the store that it is in, and what is stored of it."""

    name: str
    home: Store
    records: Records

    @property
    def results(self) -> Results:
        """Return its results."""
        return self.records.results

    def of(self, variant: str) -> str:
        """Return what a variant of this side is called beside one of the same name."""
        return f"{variant} ({self.name})"


def compared(before: GivenSide, after: GivenSide, asked: Asked, apart: Collection[str] = ()) -> Comparisons:
    """Compare each variant of a side with that of the same name of the one before; baselines where none is.

    asked: the metric, the margin and the method, where they are not those of the study before. apart: variants of
    `after` that are not compared. Raises InputError for a metric that one of them has not.
    """
    one = metric(asked.columns.metric or before.results.study.metric, before.results.study.measures)
    metric(one.name, after.results.study.measures)
    ours, theirs = before.results.samples(one), after.results.samples(one)
    notes = [
        f"{counted(len(alone), 'variant')} only in {side.name}, not compared: {listing(quoted(alone), 6)}"
        for side, alone in zip((before, after), unmatched(before.results, after.results), strict=True)
        if alone
    ]
    notes.append(direction(one.name, one.higher_is_better))
    pairs = [pair for pair in matched(before.results, after.results) if pair[0] not in apart]
    if pairs and before.results.study.folds != after.results.study.folds:
        each = [f"{side.name} has {side.results.study.folds or 'no'} folds" for side in (before, after)]
        raise InputError(f"{' and '.join(each)}: their runs test other images, and cannot be compared")
    notes += _different(before.results, after.results, pairs)
    samples = {before.of(name): runs for name, runs in ours.items()}
    samples |= {after.of(name): runs for name, runs in theirs.items()}
    how = how_of(before.results.study, one)
    if asked.method is not None:
        check_named(before.results.study, asked.method)
        how = replace(how, method=method_of(asked.method))
    if asked.margin is not None:
        how = replace(how, margin=checked_margin(asked.margin, one))
    named = [(after.of(a), before.of(b)) for a, b in pairs]
    known = [_same(before.results, after.results, pair, one.name) for pair in pairs]
    said = {pair: same for pair, same in zip(named, known, strict=True) if same}
    for same in dict.fromkeys(said.values()):
        alike = [name for (name, _), found in zip(pairs, known, strict=True) if found == same]
        notes.append(f"{same}, on both sides: {listing(quoted(alike), 6)}")
    return Comparisons(compare_all(samples, named, how), f"{after.name} against {before.name}", notes, said=said)


def matched(before: Results, after: Results) -> list[tuple[str, str]]:
    """Return the pairs of variants, of `after` first: those of the same name, or both baselines where none is."""
    ours, theirs = ([variant.name for variant in side.study.variants] for side in (before, after))
    return [(name, name) for name in theirs if name in ours] or [(theirs[0], ours[0])]


def unmatched(before: Results, after: Results) -> tuple[list[str], list[str]]:
    """Return the names that only one of the two has."""
    ours, theirs = ([variant.name for variant in side.study.variants] for side in (before, after))
    return [name for name in ours if name not in theirs], [name for name in theirs if name not in ours]


def side_by_side(before: GivenSide, after: GivenSide, asked: Asked) -> SideBySide:
    """Set two studies, or one in two stores, side by side: what each says, and how far apart they are.

    Variants that were measured on other data, or by a metric that one side has not, are not compared.
    """
    ours, theirs = before.results.study, after.results.study
    one = metric(asked.columns.metric or ours.metric, ours.measures)
    pairs = matched(before.results, after.results)
    cautions, found = [], None
    if one.name not in theirs.measures:
        cautions.append(f"{before.name} is compared on {one.label}, which {after.name} does not measure: "
                        "no difference can be given")  # fmt: skip
        apart = dict.fromkeys((name for name, _ in pairs), f"other metric: {theirs.compared.label}")
    else:
        if one.name != theirs.metric:
            cautions.append(f"{after.name} is compared on {theirs.compared.label} by its own study; here both are on "
                            f"{one.label}")  # fmt: skip
        apart = other_data(before, after, one)
        found = compared(before, after, asked, apart)
    return SideBySide(
        sides=(_one_side(before, one), _one_side(after, one if found else theirs.compared)),
        pairs=tuple(_pair(before, after, pair, found, apart) for pair in pairs),
        comparisons=tuple(found.comparisons) if found else (),
        cautions=(*cautions, *_cautions(before, after, apart)),
    )


def other_data(before: GivenSide, after: GivenSide, one: Metric) -> dict[str, str]:
    """Say of each variant that the two sides measured on other data what is other; by its name after."""
    found = {}
    folds = [side.results.study.folds or "none" for side in (before, after)]
    if folds[0] != folds[1]:
        return {
            name: f"other data: folds {folds[0]} → {folds[1]}" for name, _ in matched(before.results, after.results)
        }
    for name, other in matched(before.results, after.results):
        ours, theirs = _data_of(before, other, one), _data_of(after, name, one)
        differ = [what for what in ours if ours[what] != theirs.get(what)] if ours and theirs else []
        if differ:
            what = differ[0]
            found[name] = "other data" + (
                "" if what == "images" else f": {what} {_written(ours[what])} → {_written(theirs[what])}"
            )
    return found


def _data_of(side: GivenSide, variant: str, one: Metric) -> dict[str, Any]:
    """Return what decides the images that a variant's runs were measured on; empty where no run is stored."""
    dataset = _identity(side, variant).get("dataset")
    if not isinstance(dataset, dict):
        return {}
    splits, split = dataset.get("splits"), one.name.partition("/")[0]
    counted_ = splits.get(split) if isinstance(splits, dict) else None
    return {
        "dataset": dataset.get("use"),
        f"{split} images": counted_,
        "shape": dataset.get("shape"),
        "classes": dataset.get("classes"),
        "images": dataset.get("fingerprint"),
    }


def _identity(side: GivenSide, variant: str) -> dict[str, Any]:
    """Return what decided the first stored run of a variant; empty where there is none."""
    run = next(iter(side.results.stored_of(variant).values()), None)
    identity = (side.home.run(str(run["key"])).spec() or {}).get("identity") if run else None
    return identity if isinstance(identity, dict) else {}


def _written(value: Any) -> str:
    return "all" if value is None else "×".join(map(str, value)) if isinstance(value, list) else str(value)


def _one_side(side: GivenSide, one: Metric) -> Side:
    made, results = report(side.records), side.results
    estimates = {variant.name: results.estimate(variant.name, one.name) for variant in results.study.variants}
    counts = {name: states["stored"] for name, states in results.states.items()}
    planned = {name: sum(states.values()) for name, states in results.states.items()}
    return Side(side.name, made, one, estimates, counts, planned, side.records.environments)


def _pair(
    before: GivenSide,
    after: GivenSide,
    names: tuple[str, str],
    found: Comparisons | None,
    apart: Mapping[str, str],
) -> Pair:
    """Return what is known of two variants that stand beside one another. names: of `after` first."""
    a, b = (side.results.study.variant(name).recipe for side, name in zip((after, before), names, strict=True))
    named = (after.of(names[0]), before.of(names[1]))
    comparisons = found.comparisons if found else ()
    comparison = next((one for one in comparisons if (one.candidate, one.reference) == named), None)
    return Pair(
        reference=names[1],
        candidate=names[0],
        compared=comparison,
        changes=tuple(Difference(*change) for change in differences(b, a)),
        apart=apart.get(names[0], ""),
        same=found.said.get(named, "") if found else "",
    )


def _cautions(before: GivenSide, after: GivenSide, apart: Mapping[str, str]) -> list[str]:
    """Say plainly what makes the two sides less than one measurement made twice."""
    told = []
    pairs = matched(before.results, after.results)
    if pairs[0][0] != pairs[0][1]:
        told.append("no variant has the same name on both sides, so the first of each stands beside the other")
    for what, names in _grouped(apart).items():
        told.append(f"{what}, so not compared: {listing(quoted(names), 6)}")
    epochs = {
        name: f"other epochs, {counts[0]} → {counts[1]}"
        for name, other in pairs
        if len(set(counts := (before.results.study.variant(other).recipe.epochs,
                              after.results.study.variant(name).recipe.epochs))) > 1
    }  # fmt: skip
    for what, names in _grouped(epochs).items():
        told.append(f"{what}: {listing(quoted(names), 6)}")
    engines = [{_identity(side, name).get("engine") for name in names} - {None}
               for side, names in ((before, [b for _, b in pairs]), (after, [a for a, _ in pairs]))]  # fmt: skip
    if all(engines) and engines[0] != engines[1]:
        told.append("the two sides were made by versions of ablate that compute results differently")
    pilots = [side.name for side in (before, after) if side.results.study.pilot]
    told += [f"{name} is a pilot, whose numbers mean nothing" for name in pilots]
    return told


def _grouped(said: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names that the same is said of."""
    found: dict[str, list[str]] = {}
    for name, what in said.items():
        found.setdefault(what, []).append(name)
    return found


def _different(before: Results, after: Results, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Say of which variants the two sides train different things, and which."""
    found = {}
    for name, other in pairs:
        changes = differences(before.study.variant(other).recipe, after.study.variant(name).recipe)
        if changes:
            found[name] = listing(f"{factor} {old} → {new}" for factor, old, new in changes)
    return [f"the two sides train {listing(quoted(names), 6)} differently: {what}"
            for what, names in _grouped(found).items()]  # fmt: skip


def _same(before: Results, after: Results, pair: tuple[str, str], metric: str) -> str:
    """Say that the seeds of both sides ended with the same weights and the same value; "" where they did not."""
    theirs, ours = after.stored_of(pair[0]), before.stored_of(pair[1])
    shared = [(ours[seed], theirs[seed]) for seed in ours.keys() & theirs.keys()]
    alike = (digest_of(a) and digest_of(a) == digest_of(b) and a.get(metric) == b.get(metric) for a, b in shared)
    if not shared or not all(alike):
        return ""
    return SAME if ours.keys() == theirs.keys() else f"{SAME}, for the seeds that both have"
