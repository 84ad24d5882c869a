"""A study's figures by name, each drawn when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from ..errors import InputError, did_you_mean, listing
from ..report.every_figure import every_figure

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from ..report.content import Records
    from ..report.every_figure import FigureFacts


class NoFigureError(InputError, KeyError):
    """A study has no figure of this name."""

    __str__ = Exception.__str__  # a KeyError's own puts quotes around the message


class Figures(Mapping[str, "Figure"]):
    """The figures of a report by name: "loss" and "accuracy", and "lr-find" and others for a study that has them.

    Each access draws a new matplotlib figure in the report's style, without pyplot: the backend and settings of
    matplotlib stay as they are. `savefig` writes one; a notebook shows it by itself.
    An unknown name raises InputError, which lists the names or says why there is nothing to draw.
    """

    def __init__(self, records: Records) -> None:
        self._records = records

    @cached_property
    def _every(self) -> dict[str, tuple[FigureFacts, Callable[[], Figure]]]:
        return {facts.name: (facts, draw) for facts, draw in every_figure(self._records)}

    def __getitem__(self, name: str) -> Figure:
        if name not in self._every:
            raise NoFigureError(f"there is no figure '{name}'{did_you_mean(name, self)}\n  there are: {listing(self)}")
        facts, draw = self._every[name]
        if facts.absent:
            raise NoFigureError(f"figure '{name}': {facts.absent}")
        return draw()

    def __iter__(self) -> Iterator[str]:
        return (name for name, (facts, _) in self._every.items() if not facts.absent)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<figures: {listing(self) or 'none, as long as no run is stored'}>"
