"""The report of a study over several datasets as plain JSON (`docs/datasets.md` has its keys)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..stats.over_datasets import FEWEST_FOR_IQM, FEWEST_FOR_RANKS
from .over_text import open_lines, over_sentence, over_sentences
from .plain import comparison_facts, plain

if TYPE_CHECKING:
    from ..stats.over_datasets import OverDatasets
    from .over_content import GridRow, OverReport

VERSION = 1


def over_document(made: OverReport) -> dict[str, Any]:
    """Return all that is said as plain JSON, in the unit of data."""
    return {
        "version": VERSION,
        "kind": "over datasets",
        "name": made.name,
        "title": made.title,
        "made": made.made,
        "pilot": made.pilot,
        "metric": made.metric.name,
        "higher_is_better": made.metric.higher_is_better,
        "one_scale": made.one_scale,
        "margin": made.margin,
        "answer": " ".join(over_sentences(made)),
        "open": open_lines(made),
        "datasets": plain(made.datasets),
        "variants": [_row_facts(row) for row in made.rows],
        "comparisons": [comparison_over_facts(one, made.names) for one in made.comparisons],
        "ranks": plain(made.ranks) if made.ranks else None,
        "interquartile_means": plain(made.iqms) if made.iqms else None,
        "fewest_datasets": {"ranks": FEWEST_FOR_RANKS, "interquartile_means": FEWEST_FOR_IQM},
        "commands": list(made.commands),
        "references": [{"key": one.key, "what": one.what} for one in made.references],
    }


def _row_facts(row: GridRow) -> dict[str, Any]:
    cells = {
        cell.dataset: {
            **plain(cell.mean), "done": cell.done, "planned": cell.planned,
            "compared": comparison_facts(cell.compared) if cell.compared else None,
        }
        for cell in row.cells if cell
    }  # fmt: skip
    return {"variant": row.variant, "reference": row.reference, "mean": plain(row.mean), "on": cells}


def comparison_over_facts(one: OverDatasets, names: tuple[str, ...]) -> dict[str, Any]:
    """Return every number of a comparison over datasets; names: of the study's datasets."""
    mean = comparison_facts(one.mean, "dataset") if one.mean else None
    if one.mean and mean:
        of = dict(zip((names[place] for place in one.mean.seeds), one.mean.per_seed, strict=True))
        without = {"seeds", "per_seed", "left_out", "one_sided", "n_candidate", "n_reference", "look", "superiority"}
        more = {"datasets": one.mean.n, "further_datasets": mean.pop("further_seeds"), "per_dataset": plain(of)}
        mean = {name: value for name, value in mean.items() if name not in without} | more
    return {
        "candidate": one.candidate,
        "reference": one.reference,
        "kind": one.kind,
        "verdict": one.verdict,
        "mean": mean,
        "better": one.better,
        "worse": one.worse,
        "same": one.same,
        "p_signs": one.p_signs,
        "p_ranks": one.p_ranks,
        "without": list(one.without),
        "on": {name: {"difference": plain(of.mean), "low": of.low, "high": of.high, "verdict": of.verdict}
               for name, of in one.on.items()},
        "text": over_sentence(one),
    }  # fmt: skip
