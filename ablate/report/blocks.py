"""The figures of a report in their places: as files, and as what a template knows of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from . import drawing, escapes
from .own_figures import BrokenFigureError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .every_figure import ReportFigure


@dataclass(frozen=True)
class Block:
    """A figure in its place.

    Where there is nothing to draw, `number` is None, `source` is empty, and `absent` says why. source: where a template
    finds it, which is the file as seen from the report, and in HTML the `<svg>` element. files: all that it is written
    as, by kind. part: of the report that it belongs to, such as "curves"; of a variant, its section's anchor after
    "variant:". failed: nothing is drawn since the code of a user's figure fails, which `absent` tells.
    """

    name: str
    number: int | None
    title: str
    caption: str
    alt: str
    source: str
    absent: str
    part: str = "curves"
    files: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False


class Figures:
    """The figures of one report: each is drawn once, and encoded once as each kind of file.

    note: takes a line for each figure of the user's own that fails.
    """

    def __init__(self, figures: Sequence[ReportFigure], note: Callable[[str], None]) -> None:
        self._figures = figures
        self._note = note
        self._told: set[str] = set()
        self._drawn: dict[str, Any] = {}
        self._encoded: dict[tuple[str, str], bytes] = {}

    def placed(self, kinds: Sequence[str]) -> tuple[tuple[Block, ...], dict[str, bytes]]:
        """Return the figures in their places, and the files that show them; none where there is no kind.

        kinds: "inline" (an element of HTML), "svg", "png", "pdf"; the first is where templates find it.
        """
        written: dict[str, bytes] = {}
        blocks: list[Block] = []
        for figure in self._figures if kinds else ():
            files, one = dict[str, str](), figure
            try:
                made = {} if one.absent else {kind: self._image(one, kind) for kind in kinds}
            except BrokenFigureError as error:
                made, one = {}, one.broken(error)
            if one.failed and one.said not in self._told:
                self._told.add(one.said)
                self._note(one.said)
            for kind, content in made.items():
                if kind == "inline":
                    files[kind] = Markup(content.decode())  # noqa: S704  # escaped as SVG
                else:
                    files[kind] = escapes.Ready(f"figures/{one.name}.{kind}")  # ours, and no text to be broken
                    written[files[kind]] = content
            number = sum(block.number is not None for block in blocks) + 1 if files else None
            source = files[kinds[0]] if files else ""
            about = (one.name, number, one.title, one.caption, one.alt, source, one.absent, one.part)
            blocks.append(Block(*about, files=files, failed=one.failed))
        return tuple(blocks), written

    def _image(self, one: ReportFigure, kind: str) -> bytes:
        if (one.name, kind) not in self._encoded:
            if one.name not in self._drawn:
                self._drawn[one.name] = one.draw()
            figure = self._drawn[one.name]
            with one.guard():
                if kind == "inline":
                    made = drawing.inline_svg(figure, one.name, escapes.visible(one.alt)).encode()
                else:
                    made = drawing.encoded(figure, kind)
            self._encoded[one.name, kind] = made
        return self._encoded[one.name, kind]
