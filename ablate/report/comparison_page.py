"""A comparison of runs made elsewhere as files: a page, Markdown, and CSV."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import verdict_text
from .csv_tables import comparisons_csv
from .pages import Templates, write_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..stats.comparison import Comparison
    from .verdict_text import Line, Noun


@dataclass(frozen=True)
class Compared:
    """What was compared: where the runs are from, what came of it, and what was decided without being told."""

    source: str
    comparisons: Sequence[Comparison]
    notes: Sequence[str]
    noun: Noun
    said: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def answer(self) -> str:
        """Return the answer in a sentence."""
        return verdict_text.answer(self.comparisons)

    @property
    def terms(self) -> str:
        """Return on what terms it stands."""
        return verdict_text.terms(self.comparisons)

    @property
    def lines(self) -> list[Line]:
        """Return each comparison as the cells of a line."""
        said = [self.said.get((one.candidate, one.reference), "") for one in self.comparisons]
        return [
            verdict_text.line(one, noun=self.noun, said=known)
            for one, known in zip(self.comparisons, said, strict=True)
        ]

    @property
    def remarked(self) -> bool:
        """Tell whether there is more to say of any comparison than its verdict."""
        return any(line.remark for line in self.lines)

    @property
    def sentences(self) -> list[str]:
        """Return each comparison as a sentence."""
        return [verdict_text.sentence(one, self.noun) for one in self.comparisons]


def render_compared(compared: Compared, folder: str | Path) -> list[Path]:
    """Write `compare.html`, `compare.md` and `compare.csv` to a folder. InputError where it cannot be written."""
    templates = Templates.of()
    html, markdown = (templates.page(f"compare.{form}.jinja", {"compared": compared}) for form in ("html", "md"))
    files = {
        Path(folder) / "compare.html": html.encode(),
        Path(folder) / "compare.md": markdown.encode(),
        Path(folder) / "compare.csv": comparisons_csv(compared.comparisons, compared.noun).encode(),
    }
    write_files(files)
    return list(files)
