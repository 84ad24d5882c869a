"""A report as JSON, and back: every number that it says, for programs, and for making the other forms without a store.

What stands in it is what `Report` has, by the type hints of its records (`codec`). Metrics and quantities are
described once, and stand as their names everywhere else; what a comparison says in words stands beside its numbers.
`docs/report.schema.json` is made from the same hints (`schema`).
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import InputError, one_line
from ..metrics import COSTS, METRICS, Metric, Quantity
from ..paths import shown
from ..stats.comparison import Comparison
from ..stats.images import ImageComparison
from .codec import Codec, UnreadableError
from .conclusion_text import answer_sentences
from .content import Report
from .filters import to_baseline_verdict
from .image_text import image_by_image
from .possible import wrong
from .table import TableRow
from .verdict_text import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

FORMAT = "ablate report"
VERSION = 1
"""Raised when a document says something that an `ablate` which reads the number before would not understand."""
HEAD = ("format", "version", "ablate", "quantities", "metrics")
"""What a document has before the fields of its report."""

CODEC = Codec(
    keys={Comparison: {"mean": "difference"}},
    derived={
        Report: {"answer": (str, lambda made: " ".join(answer_sentences(made.conclusion)))},
        Comparison: {"text": (str, sentence)},
        TableRow: {"to_baseline_verdict": (str, to_baseline_verdict)},
        ImageComparison: {
            "gained": (float, lambda found: found.gained),
            "lost": (float, lambda found: found.lost),
            "larger": (str, lambda found: found.larger),
            "within_image_noise": (bool, lambda found: found.within_image_noise),
            "text": (str, image_by_image),
        },
    },
    named={Metric: lambda one: one.name, Quantity: lambda one: one.name},
    wrong=wrong,
)
"""How a report is written."""
DESCRIBING = Codec(
    derived={
        Metric: {"label": (str, lambda one: one.label), "higher_is_better": (bool, lambda one: one.higher_is_better)}
    },
    wrong=wrong,
)
"""How quantities are described, and metrics but for the name of their quantity."""


class _Names:
    """Metrics and quantities by the names that stand for them: their own, unless another one has it already."""

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}
        self.quantities: dict[str, Quantity] = {}
        for one in (METRICS | COSTS).values():
            self.of_metric(one)

    def of_metric(self, one: Metric) -> str:
        self.of_quantity(one.quantity)
        return _name(one.name, one, self.metrics)

    def of_quantity(self, one: Quantity) -> str:
        return _name(one.name, one, self.quantities)


def _name(name: str, one: T, known: dict[str, T]) -> str:
    tried = (f"{name} ({place})" if place > 1 else name for place in count(1))
    return next(free for free in tried if known.setdefault(free, one) == one)


def document(made: Report) -> dict[str, Any]:
    """Return all that a report says as plain JSON: what `ablate report --format json` writes.

    Numbers are in the unit of data (accuracies are fractions); those that are absent or not finite are null. `answer`
    is the answer in words.
    """
    names = _Names()
    named: dict[type, Callable[[Any], str]] = {Metric: names.of_metric, Quantity: names.of_quantity}
    told = replace(CODEC, named=named).encode(made, Report)
    of_metrics = replace(DESCRIBING, named={Quantity: names.of_quantity})
    return {
        "format": FORMAT,
        "version": VERSION,
        "ablate": _ours(),
        "quantities": {name: DESCRIBING.encode(one, Quantity) for name, one in names.quantities.items()},
        "metrics": {name: of_metrics.encode(one, Metric) for name, one in names.metrics.items()},
        **told,
    }


def document_text(made: Report) -> str:
    """Return the document of a report as its file has it: the numbers of a list on one line."""
    text = json.dumps(document(made), ensure_ascii=False, allow_nan=False, indent=1)
    return _LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


MOST_DECIMALS = 1_100
"""More than these no number of a computer has: a tiny one that a study quotes is shown with all its digits."""
_ANCHOR = re.compile(r"variant-[1-9][0-9]{0,6}")
_LIST = re.compile(r'\[\n([^\[\]{}"]*)\]')  # no text of a document has a line break of its own


def load_report(path: str | Path) -> Report:
    """Return the report in a file that `ablate report --format json` wrote.

    Raises InputError, which says what is wrong and where, where the file cannot be read or holds no report.
    """
    try:
        return read_document(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read: {error.strerror or error}") from error
    except (UnreadableError, RecursionError) as error:
        reason = "is nested too deeply" if isinstance(error, RecursionError) else one_line(str(error))
        raise InputError(
            f"{shown(path)}: is no report as this ablate ({_ours()}) writes them\n  {reason}\n"
            "  'ablate report STUDY --format json' writes it anew, where the study's store is"
        ) from error


def read_document(content: bytes | str) -> Report:
    """Return the report that stands in a document. UnreadableError for anything else."""
    try:
        text = content.decode() if isinstance(content, bytes) else content  # json takes UTF-16 too
        found = json.loads(text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_object)
        json.dumps(found, ensure_ascii=False).encode()  # half a character, which no file can hold, raises here
    except UnicodeError as error:
        raise UnreadableError("", f"is not UTF-8 text: {error}") from error
    except ValueError as error:  # of the parser, or of a number of thousands of digits
        raise UnreadableError("", f"is not JSON: {error}") from error
    if isinstance(found, dict) and found.get("kind") == "over datasets":
        raise UnreadableError("kind", "is of a study over several datasets, whose other forms are made from its store")
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UnreadableError("format", f"is not {FORMAT!r}: this is something else")
    version = found.get("version")
    if type(version) is not int or version < 1:
        raise UnreadableError("version", "is no version of a report")
    if version > VERSION:
        made = one_line(str(found.get("ablate")), 20)
        raise UnreadableError("version", f"{version} is newer than {VERSION}: a newer ablate ({made}) wrote it")
    quantities = {name: _quantity(one, name) for name, one in _described(found, "quantities").items()}
    of_metrics = replace(
        DESCRIBING,
        named={Quantity: lambda one: one.name},
        records={(Quantity, name): one for name, one in quantities.items()},
    )
    metrics = {
        name: of_metrics.decode(one, Metric, f"metrics[{name!r}]") for name, one in _described(found, "metrics").items()
    }
    records: dict[tuple[type, str], Any] = {(Quantity, name): one for name, one in quantities.items()}
    records |= {(Metric, name): one for name, one in metrics.items()}
    body = {name: value for name, value in found.items() if name not in HEAD}
    _check_names(body, "")
    made_of: Report = replace(CODEC, records=records).decode(body, Report)
    return made_of


def _quantity(described: Any, name: str) -> Quantity:
    one: Quantity = DESCRIBING.decode(described, Quantity, f"quantities[{name!r}]")
    if wrong := next((each for each in (one.least, one.most, one.plain) if not 0 <= each <= MOST_DECIMALS), None):
        raise UnreadableError(f"quantities[{name!r}]", f"has {wrong} decimals, which are 0 to {MOST_DECIMALS}")
    low, high = one.bounds
    return replace(one, bounds=(-math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high))


def _check_names(part: Any, place: str) -> None:
    """Raise UnreadableError where an anchor, which is part of the names of files, or a number of decimals is none."""
    if isinstance(part, list):
        for index, one in enumerate(part):
            _check_names(one, f"{place}[{index}]")
    if not isinstance(part, dict):
        return
    for name, one in part.items():
        below = f"{place}.{name}" if place else name
        if name == "anchor" and not (isinstance(one, str) and _ANCHOR.fullmatch(one)):
            raise UnreadableError(below, "is no place of a variant, such as 'variant-1'")
        if name == "decimals" and isinstance(one, int) and not 0 <= one <= MOST_DECIMALS:
            raise UnreadableError(below, f"is no number of decimals, which are 0 to {MOST_DECIMALS}")
        _check_names(one, below)


def _described(found: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    described = found.get(part)
    if not isinstance(described, dict):
        raise UnreadableError(part, "is missing, or no object")
    return described


def _ours() -> str:
    return str(sys.modules[__name__.partition(".")[0]].__version__)


def _finite(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise ValueError(f"{written} is no number there")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"{one_line(repr(twice), 80)} stands twice in an object")
    return found
