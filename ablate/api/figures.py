"""A study's figures by name, each drawn when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from ..errors import InputError, did_you_mean, listing
from ..report import drawing
from ..report.content import report
from ..report.every_figure import every_figure
from ..report.figure_files import styles_of
from ..report.own_figures import BrokenFigureError
from ..report.styles import WEB
from .load import alone

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..report.content import Records
    from ..report.every_figure import ReportFigure
    from ..report.styles import Style


class NoFigureError(InputError, KeyError):
    """A study has no figure of this name."""

    __str__ = Exception.__str__  # a KeyError's own puts quotes around the message


class Figures(Mapping[str, "Figure"]):
    """The figures of a report by name: "loss" and "accuracy", and "lr-find" and others for a study that has them.

    Each access draws a new matplotlib figure in the report's style, without pyplot: the backend and settings of
    matplotlib stay as they are. `savefig` writes one; a notebook shows it by itself.
    An unknown name raises InputError, which lists the names or says why there is nothing to draw.
    """

    def __init__(self, records: Records, style: Style = WEB) -> None:
        self._records = records
        self._style = style

    def styled(self, style: str, *, wide: bool = False) -> Figures:
        """Return the same figures in a style: "paper", 8.4 cm wide or with `wide` 17.4 cm; "slide"; or "web"."""
        return Figures(self._records, styles_of(style)[-1 if wide else 0])

    @cached_property
    def _every(self) -> dict[str, ReportFigure]:
        with alone():  # one may be a component of the user's
            return {one.name: one for one in every_figure(report(self._records), self._records.own_figures)}

    def __getitem__(self, name: str) -> Figure:
        if name not in self._every:
            raise NoFigureError(f"there is no figure '{name}'{did_you_mean(name, self)}\n  there are: {listing(self)}")
        one = self._every[name]
        if one.absent:
            raise NoFigureError(f"figure '{name}': {one.absent}")
        try:
            with alone(), drawing.styled(self._style):
                return one.draw()
        except BrokenFigureError as error:
            raise NoFigureError(one.broken(error).said) from error

    def __iter__(self) -> Iterator[str]:
        return (name for name, one in self._every.items() if not one.absent)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<figures: {listing(self) or 'none, as long as no run is stored'}>"
