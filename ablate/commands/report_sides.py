"""`ablate report A B`: two studies, or one study in two stores, side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..api.compare import Asked
from ..api.sides import side_by_side
from ..console import text
from ..errors import InputError
from ..paths import expanded, shown
from ..report.folders import folder_of_two
from ..report.side_by_side import check_formats, render_sides
from .compare_stores import Side, chosen
from .open_page import open_page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class SidesOptions:
    """What to set side by side: stores or studies, the reference first, as `ablate compare` takes them.

    study: which of two stores. asked: how they are compared. opened: the page is shown in a browser.
    """

    sources: tuple[Path, Path]
    store: Path
    study: str | None = None
    formats: Sequence[str] = ("html", "md")
    out: Path | None = None
    asked: Asked = field(default_factory=Asked)
    json: bool = False
    opened: bool = False


def report_sides(options: SidesOptions) -> int:
    """Write two sides, name the files, and return the exit code."""
    formats = (*options.formats, *("html",) * (options.opened and "html" not in options.formats))
    check_formats(formats)
    for source in options.sources:
        if source.is_file() and source.suffix != ".toml":
            raise InputError(
                f"{shown(source)}: is no study\n  accepts two studies, by file or name, or two stores; "
                "of files of runs, 'ablate compare' takes one with all of them in it"
            )
    reference, candidate = (Side(source, options.store, options.study) for source in options.sources)
    before, after = chosen(reference, candidate, text.note)
    made = side_by_side(before, after, options.asked)
    studies = [side.results.study.name for side in (before, after)]
    folder = expanded(options.out) if options.out else folder_of_two(*studies)
    files = render_sides(made, formats, folder)
    if options.json:
        text.say_json({"studies": studies, "files": [str(file.resolve()) for file in files]})
    else:
        for side in made.sides:
            text.note(f"{side.name}: {side.state}")
        for caution in made.cautions:
            text.note(caution)
        for file in files:
            text.say(shown(file))
    if options.opened:
        open_page(files)
    return 0
