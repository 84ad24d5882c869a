"""Runs made elsewhere, compared as those of a study are: the same statistics, verdicts and words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

from ..console.html import page_html, table_html
from ..console.verdicts import verdict_lines
from ..errors import InputError, did_you_mean, listing, quoted
from ..report import verdict_text
from ..report.comparison_page import Compared, render_compared
from ..report.plain import comparison_facts
from ..stats.family import How, compare_all
from ..stats.tested import DEFAULT, SEED_BY_SEED
from ..study.comparisons import Method
from ..study.seeds import no_method
from .notebook import Comparison
from .run_tables import of_frame
from .run_values import Columns, checked_margin, reference_of, runs_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..metrics import Metric
    from ..report.verdict_text import Noun
    from ..stats.tested import Pair, Samples
    from ..study.spec import Study
    from .run_tables import RunTable


def compare(  # noqa: PLR0913  # the form of a call in a notebook
    frame: Any,
    *,
    variant: str | None = None,
    seed: str | None = None,
    metric: str | None = None,
    reference: str | None = None,
    margin: float | None = None,
    method: str | None = None,
    lower_is_better: bool | None = None,
    higher_is_better: bool | None = None,
) -> Comparisons:
    """Compare variants whose runs were made elsewhere: which helped, by how much, and whether it is real.

    frame: a row for each run: a pandas frame, a list of dicts, or a dict of columns.
    variant, seed, metric: the columns that say what a run is of, its seed, and its result. Without `seed`, where no
    column is called that, runs are not paired. Without the others they are guessed where only one column can be meant.
    reference: what all others are compared with; by default the variant called baseline, base, reference, control or
    default, else the first one.
    margin: a difference too small to matter, in the unit of the column; by default half a point for an accuracy.
    method: as of `[compare]` in a study.
    lower_is_better, higher_is_better: one of the two; by default what the name of the metric says, as "loss" does, else
    higher. `notes` of the answer say which way was taken.

    Raises InputError, with the row, for a frame that cannot be compared.
    """
    if higher_is_better is not None:
        if lower_is_better is not None and lower_is_better == higher_is_better:
            raise InputError("lower_is_better and higher_is_better contradict one another; give one of them")
        lower_is_better = not higher_is_better
    # Labels and columns of a frame may be numbers; here all are text.
    named = [None if name is None else str(name) for name in (variant, seed, metric, reference, method)]
    asked = Asked(Columns(*named[:3]), named[3], margin, named[4], lower_is_better)
    return compare_table(of_frame(frame), asked)


@dataclass(frozen=True)
class Asked:
    """How a table of runs is to be compared; None for what nobody said. `compare` says what each is."""

    columns: Columns = field(default_factory=Columns)
    reference: str | None = None
    margin: float | None = None
    method: str | None = None
    lower_is_better: bool | None = None


def compare_table(table: RunTable, asked: Asked) -> Comparisons:
    """Compare the runs of a table. Raises InputError as `compare`."""
    runs = runs_of(table, asked.columns, asked.lower_is_better)
    reference, said = reference_of(runs, asked.reference)
    how = How(runs.metric, method_of(asked.method, runs.seeded), checked_margin(asked.margin, runs.metric))
    if runs.folds:
        if asked.method is not None:
            raise table.error(f"{no_method(asked.method)}; or take column 'fold' out".replace("\n", "\n  "))
        how = replace(how, method="corrected", folds=runs.folds)
    pairs = [(name, reference) for name in runs.samples if name != reference]
    apart = without_common_seed(runs.samples, pairs) if how.method in SEED_BY_SEED else []
    if apart == pairs and runs.folds:
        raise table.error(
            f"no variant has a fold in common with '{reference}': folds are of one repetition where its number is the "
            "same\n  it stands in column 'repetition', or else in that of the seeds"
        )
    if apart == pairs:
        raise table.error(
            f"method '{how.method}': no variant has a seed in common with '{reference}'; take another method"
        )
    alone = (
        f"no seed in common with '{reference}', so not paired with it: {listing(quoted(one for one, _ in apart), 6)}"
    )
    found = compare_all(runs.samples, pairs, how)
    notes = tuple(note for note in (*runs.notes, said, alone if apart else "") if note)
    return Comparisons(found, table.source, notes, "seed" if runs.seeded else "run")


def without_common_seed(samples: Samples, pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs that cannot be compared seed by seed, since no seed has a run on both sides."""
    return [(ours, theirs) for ours, theirs in pairs if samples[ours].keys().isdisjoint(samples[theirs])]


def method_of(named: str | None, seeded: bool = True) -> Method:
    """Return the method of this name, by default the usual one. InputError for another, or one that takes seeds."""
    known: dict[str, Method] = {method: method for method in get_args(Method)}
    if named is None:
        return DEFAULT
    if named not in known:
        raise InputError(f"method '{named}': there is none of this name{did_you_mean(named, known)}\n"
                         f"  accepts {listing(known)}")  # fmt: skip
    if named == "paired" and not seeded:
        others = [method for method in known if method != "paired"]
        raise InputError(
            "method 'paired': pairs runs by their seed, and no column has seeds\n"
            f"  name that column with --seed (seed= in Python), or take another method: {listing(others)}"
        )
    return known[named]


def check_named(study: Study, method: str) -> None:
    """Raise InputError where no method can be named, since a study's runs are folds."""
    if study.folds:
        raise InputError(no_method(method).replace("\n", "\n  "))


class RunComparison(Comparison):
    """A comparison of runs that have no seeds."""

    noun: Noun = "run"


class Comparisons:
    """What comparing runs came to.

    comparisons: of each variant with the reference, each with `candidate`, `reference`, `difference`, `low`, `high`
    (the 95 % interval), `p` (adjusted over all of them), `verdict` and more, in the unit of the column.
    source: what was compared. notes: lines on what was decided without being told. said: what is known of two variants
    beside their comparison, by candidate and reference.
    """

    def __init__(
        self,
        found: Sequence[Any],
        source: str = "",
        notes: Sequence[str] = (),
        noun: Noun = "seed",
        said: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        shown = RunComparison if noun == "run" else Comparison
        self.comparisons: tuple[Comparison, ...] = tuple(shown(**vars(one)) for one in found)
        self.source, self.notes, self.noun, self.said = source, tuple(notes), noun, dict(said or {})

    @property
    def metric(self) -> Metric:
        """Return what was compared."""
        return self.comparisons[0].metric

    @property
    def answer(self) -> str:
        """Return what helped, what hurt and what is open, in a sentence."""
        return verdict_text.answer(self.comparisons)

    def report(self, folder: str | Path) -> list[Path]:
        """Write the answer as `compare.html`, `compare.md` and `compare.csv`, and return these files.

        Raises InputError where the folder cannot be written.
        """
        return render_compared(self._compared(), folder)

    def document(self) -> dict[str, Any]:
        """Return every number as plain JSON, in the unit of the column."""
        return {
            "source": self.source,
            "metric": self.metric.name,
            "higher_is_better": self.metric.higher_is_better,
            "answer": self.answer,
            "notes": list(self.notes),
            "comparisons": [comparison_facts(one, self.noun) for one in self.comparisons],
        }

    def _compared(self) -> Compared:
        return Compared(self.source, self.comparisons, self.notes, self.noun, self.said)

    def __repr__(self) -> str:
        return "\n".join(verdict_lines(self.comparisons, noun=self.noun, width=0, said=self.said))

    def _repr_html_(self) -> str:
        rows = [list(vars(one).values()) for one in self._compared().lines]
        shown = table_html(("", "difference", "95 % interval", "verdict", ""), rows)
        return page_html(self.answer, verdict_text.terms(self.comparisons), shown, self.notes)
