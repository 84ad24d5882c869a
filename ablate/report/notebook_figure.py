"""A figure that a notebook shows by itself, also where pyplot was never imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable


class NotebookFigure(Figure):
    """A matplotlib figure. Pyplot does not know it, so that nothing has to close it.

    encoded: makes a file of it, of a kind such as "png".
    """

    def __init__(self, encoded: Callable[[Figure, str], bytes], **options: Any) -> None:
        super().__init__(**options)
        self._encoded = encoded

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        width, height = (round(100 * inches) for inches in self.get_size_inches())
        return self._encoded(self, "png"), {"width": width, "height": height}
