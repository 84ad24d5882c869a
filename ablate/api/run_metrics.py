"""What a column of values measures, by its name: which way is better, in which unit, with how many digits."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import counted, listing
from ..metrics import ACCURACY, UNBOUNDED, Metric, Quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .run_tables import RunTable

LOW = re.compile(
    r".*loss(es)?\d*|.*err(or)?s?\d*|n?ece\d*|mce|brier|nll\d*|.*perplexity|ppl\d*|n?r?mse\d*|mae|s?mape|[wct]er|eer|[fk]id\d*k?"
    r"|latency|(?!life|up).*time|seconds?|secs?|ms|parameters|params|g?flops|regret|bp[cd]|hamming"
)
"""Words in the name of a metric of which less is better, those of the metrics and costs that ship among them."""
ACCURACIES = re.compile(r".*acc(\d+|top\d+)?|.*accurac(y|ies)(\d+|top\d+)?|top(\d+|k)?|f1(score|macro|micro|weighted)?")
"""Words in the name of an accuracy, which is a fraction or a percentage."""
HIGH = re.compile(
    r"(.*roc)?auc|auroc|auprc|m?ap\d*|m?iou|dice|jaccard|psnr|ssim|precision|recall|sensitivity|specificity"
    r"|bleu\d*|rouge\w?|rewards?|returns?|r2|throughput|mcc|kappa|likelihood"
)
"""Further words in the name of a metric of which more is better."""
SPLITS = ("train", "training", "validation", "valid", "val", "dev", "test", "eval")
LARGEST = 1e70
"""The statistics take fourth powers: beyond this size, and below its inverse, they leave the range of a number."""


def metric_of(
    table: RunTable, column: str, values: Sequence[float], lower_is_better: bool | None
) -> tuple[Metric, list[str]]:
    """Return what the values are of, and what was decided about them. Raises InputError for values that it cannot have.

    lower_is_better: None to go by the name of the column.
    """
    _check_size(table, column, values)
    known = higher_by_name(column)
    higher = known is not False if lower_is_better is None else not lower_is_better
    if lower_is_better is None and known is None:
        said = f"more of '{column}' is taken to be better; --lower-is-better if not"
    else:
        said = direction(column, higher)
    if not is_accuracy(column):
        plain = _decimals(values)
        return Metric(column, Quantity(column, column, higher, UNBOUNDED, least=0, most=400, plain=plain)), [said]
    quantity = replace(ACCURACY, name=column, label=column, higher_is_better=higher)
    _check_within(table, column, values)
    if max(values) > 1:
        _check_not_mixed(table, column, values)
        quantity = replace(quantity, factor=1.0, bounds=(0.0, 100.0), margin=0.5)
    return Metric(column, quantity), [said]


def direction(name: str, higher: bool) -> str:
    """Say which way is better."""
    return f"{'more' if higher else 'less'} of '{name}' is better"


def is_accuracy(column: str) -> bool:
    """Tell by its name whether a column holds accuracies, which are fractions or percentages."""
    return bool(higher_by_name(column)) and any(map(ACCURACIES.fullmatch, _words(column)))


def higher_by_name(column: str) -> bool | None:
    """Tell whether more of a metric is better, by the words of its name; None where none of them is known.

    Capitals begin a word, as in `Top1Error`. One of which less is better goes before others: `error@top1`. A name that
    begins with `neg` turns it round, as in `neg_mean_squared_error`, and so does `1 - `.
    """
    words = _words(column)
    rest = [word for word in words if word not in SPLITS]
    turned = bool(rest) and (rest[0] in ("neg", "negative") or re.match(r"\s*1\s*[-\u2212]", column) is not None)
    if any(map(LOW.fullmatch, words)):
        return turned
    if any(ACCURACIES.fullmatch(word) or HIGH.fullmatch(word) for word in words):
        return not turned
    return None


def _words(column: str) -> list[str]:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", column)
    words = re.split(r"[^a-z0-9]+", f"{column} {apart}".casefold())
    return list(dict.fromkeys(word for word in words if word))


def _decimals(values: Sequence[float]) -> int:
    """Return the decimals that show how far apart values are: three, or more for small ones."""
    apart = max(values) - min(values) or abs(values[0])
    return 3 if apart == 0 else max(3, 2 - math.floor(math.log10(apart)))


def _check_size(table: RunTable, column: str, values: Sequence[float]) -> None:
    """Raise InputError for values so large or so small that their squares leave the range of a number."""
    row = max(range(len(values)), key=lambda place: abs(values[place]))
    if values[row] and not 1 / LARGEST <= abs(values[row]) <= LARGEST:
        large = abs(values[row]) > 1
        raise table.error(
            f"column '{column}' is {values[row]:g}{'' if large else ', the largest of all'}: too "
            f"{'large' if large else 'small'} to compute with\n  write the column in another unit",
            row,
        )


def _check_within(table: RunTable, column: str, values: Sequence[float]) -> None:
    """Raise InputError where an accuracy is below 0 or above 100."""
    outside = [row for row, value in enumerate(values) if not 0 <= value <= 100]
    if outside:
        lines = listing((f"{table.where(row)} ({values[row]:g})" for row in outside), 4)
        raise table.error(
            f"column '{column}' has {counted(len(outside), 'value')} outside 0 to 100: {lines}\n"
            "  mend them; where they are right, rename the column, as in 'score', and numbers are taken as they are"
        )


def _check_not_mixed(table: RunTable, column: str, values: Sequence[float]) -> None:
    """Raise InputError where some accuracies are fractions and others percentages."""
    small = [row for row, value in enumerate(values) if 0 < value <= 1]
    if not small:
        return
    lines = listing((f"{table.where(row)} ({values[row]:g})" for row in small), 4)
    raise table.error(
        f"column '{column}' has percentages, up to {max(values):g}, and {counted(len(small), 'value')} of 1 or less, "
        f"which would be fractions: {lines}\n"
        "  write all of them the same way; where they are right, rename the column, as in 'score', and numbers are "
        "taken as they are"
    )
