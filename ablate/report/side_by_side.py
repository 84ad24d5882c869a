"""Two studies, or one study in two stores, side by side: a page, Markdown and JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import numbers
from ..errors import counted, listing
from . import pages, verdict_text
from .conclusion_text import answer_open, answer_sentences
from .facts import for_templates
from .pages import Templates, write_files
from .plain import comparison_facts, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..metrics import Metric
    from ..stats.comparison import Comparison
    from ..stats.estimates import Estimate
    from .content import Report

FILES = {"html": "sides.html", "md": "sides.md", "json": "sides.json"}
"""The file of each format."""


@dataclass(frozen=True)
class Side:
    """One of the two. name: what it was called by. metric: what its estimates are of, by variant.

    stored, planned: how many runs each variant has a result of, and how many it is to have.
    """

    name: str
    report: Report
    metric: Metric
    estimates: Mapping[str, Estimate]
    stored: Mapping[str, int]
    planned: Mapping[str, int]
    environments: tuple[str, ...]

    @property
    def state(self) -> str:
        """Say how many of its runs are done."""
        return f"{sum(self.stored.values())} of {counted(sum(self.planned.values()), 'run')} done"

    @property
    def answer(self) -> str:
        """Return its own answer: what it comes to, and what is open."""
        found = self.report.conclusion
        return " ".join([*answer_sentences(found), *answer_open(found)])

    @for_templates
    def number(self, variant: str) -> str:
        """Write a variant's mean."""
        return numbers.value(self.estimates[variant].mean, self.metric.quantity, self._decimals)

    @for_templates
    def within(self, variant: str) -> str:
        """Write what stands behind a mean: its interval, and how many runs."""
        found = self.estimates[variant]
        ends = numbers.ends(found.low, found.high, self.metric.quantity, self._decimals)
        stored, planned = self.stored[variant], self.planned[variant]
        runs = counted(stored, "seed") if stored == planned else f"{stored} of {counted(planned, 'seed')}"
        return runs if ends == numbers.ABSENT else f"{ends}, {runs}"

    @property
    def _decimals(self) -> int:
        return numbers.digits(self.metric.quantity, (one.half_width for one in self.estimates.values()))


@dataclass(frozen=True)
class Difference:
    """What the recipe of a variant has on each side. factor: as of `study.differences`."""

    factor: str
    before: str
    after: str


@dataclass(frozen=True)
class Pair:
    """Two variants beside one another, nearly always of the same name.

    compared: candidate minus reference; None where they cannot be compared, and `apart` says why. same: that their
    runs are the same, where they are.
    """

    reference: str
    candidate: str
    compared: Comparison | None
    changes: tuple[Difference, ...]
    apart: str = ""
    same: str = ""

    @property
    def name(self) -> str:
        """Return what the two are called."""
        return self.candidate if self.candidate == self.reference else f"{self.candidate} / {self.reference}"

    @property
    def difference(self) -> str:
        """Write the difference, with its sign and unit."""
        return verdict_text.difference(self.compared)

    @property
    def interval(self) -> str:
        """Write the interval of the difference; empty where there is none."""
        return verdict_text.interval(self.compared)

    @property
    def verdict(self) -> str:
        """Write the verdict, or why there is none."""
        if self.same:
            return "the same"
        return verdict_text.verdict(self.compared) if self.compared else "not compared"

    @property
    def remark(self) -> str:
        """Say what limits a verdict, or is known beside it."""
        return self.apart or self.same or (verdict_text.remark(self.compared) if self.compared else "")


@dataclass(frozen=True)
class SideBySide:
    """Two sides, the reference first. pairs: the variants that both have. cautions: what makes them less than alike."""

    sides: tuple[Side, Side]
    pairs: tuple[Pair, ...]
    comparisons: tuple[Comparison, ...]
    cautions: tuple[str, ...]

    @property
    def title(self) -> str:
        """Return what the page is called."""
        return f"{self.sides[1].name} against {self.sides[0].name}"

    @property
    def answer(self) -> str:
        """Say how far apart the sides are."""
        same = [pair.name for pair in self.pairs if pair.same]
        said = [verdict_text.answer(self._told)] if self._told else []
        said += [f"The same runs on both sides, bit for bit: {listing(same)}."] if same else []
        return " ".join(said) or "Nothing that both sides have can be compared."

    @property
    def terms(self) -> str:
        """Say on what terms differences and verdicts stand; empty where there are none."""
        return verdict_text.terms(self.comparisons) if self._told else ""

    @property
    def sentences(self) -> list[str]:
        """Return each comparison as a sentence."""
        return [verdict_text.sentence(one) for one in self._told]

    @property
    def _told(self) -> list[Comparison]:
        """Return the comparisons that there is something to say of, each named by what its sides do not share."""
        found = [(pair, pair.compared) for pair in self.pairs if not pair.same]
        against = self.sides[0].name
        return [replace(one, candidate=pair.name, reference=against) for pair, one in found if one is not None]

    @property
    def alone(self) -> tuple[tuple[Side, tuple[str, ...]], ...]:
        """Return each side with the variants that the other one lacks, where there are any."""
        paired = ({pair.reference for pair in self.pairs}, {pair.candidate for pair in self.pairs})
        found = ((side, tuple(name for name in side.estimates if name not in there))
                 for side, there in zip(self.sides, paired, strict=True))  # fmt: skip
        return tuple((side, names) for side, names in found if names)

    @property
    def changed(self) -> tuple[Pair, ...]:
        """Return the pairs that the sides train differently."""
        return tuple(pair for pair in self.pairs if pair.changes)

    def document(self) -> dict[str, Any]:
        """Return every number as plain JSON, in the unit of data."""
        reference, candidate = self.sides
        return {
            "reference": _side_facts(reference),
            "candidate": _side_facts(candidate),
            "answer": self.answer,
            "cautions": list(self.cautions),
            "variants": [
                {
                    "reference": pair.reference,
                    "candidate": pair.candidate,
                    "comparison": comparison_facts(pair.compared) if pair.compared else None,
                    "changes": plain(pair.changes),
                    "apart": pair.apart,
                    "same": pair.same,
                }
                for pair in self.pairs
            ],
            "only": {
                name: [one for side, names in self.alone if side is of for one in names]
                for name, of in (("reference", reference), ("candidate", candidate))
            },
        }


def _side_facts(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "study": side.report.name,
        "metric": side.metric.name,
        "answer": side.answer,
        "stored": dict(side.stored),
        "planned": dict(side.planned),
        "estimates": plain(side.estimates),
        "findings": plain(side.report.findings),
        "environments": list(side.environments),
    }


def check_formats(formats: Sequence[str]) -> None:
    """Raise InputError, with what is accepted, unless every format is one of two sides and there is any."""
    pages.check_formats(formats, FILES, "two sides have no format")


def render_sides(made: SideBySide, formats: Sequence[str], folder: str | Path) -> list[Path]:
    """Write two sides to a folder: `sides.html`, `sides.md` or `sides.json` for each format; return these files.

    InputError for another format, for a template that cannot be used, and where the folder cannot be written.
    """
    check_formats(formats)
    files = {Path(folder) / FILES[name]: _RENDERERS[name](made).encode() for name in dict.fromkeys(formats)}
    write_files(files)
    return list(files)


def _html(made: SideBySide) -> str:
    return Templates.of().page("sides.html.jinja", {"made": made})


def _markdown(made: SideBySide) -> str:
    return Templates.of().page("sides.md.jinja", {"made": made})


def _json(made: SideBySide) -> str:
    return json.dumps(made.document(), ensure_ascii=False, indent=2) + "\n"


_RENDERERS: Mapping[str, Callable[[SideBySide], str]] = {"html": _html, "md": _markdown, "json": _json}
