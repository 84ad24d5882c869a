"""Figures that are the user's own: found, called and drawn so that none of them costs more than its own place."""

from __future__ import annotations

import contextlib
import os
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..components.discover import discover, within_ablate
from ..components.drawings import TALLEST, Drawing
from ..components.no_exit import no_exit
from ..components.registry import Entry
from ..errors import AblateError, ComponentError, InputError, error_text
from ..paths import shown
from .escapes import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from matplotlib.figure import Figure

    from ..components.registry import Registry

    OwnFigures = Mapping[str, Entry | str]
    """The user's figures by name: the component, or why there is none."""

LARGEST, FINEST = 1_200.0, 600.0
"""Square inches of a figure, and its dots to the inch: more would fill the memory, and nothing has use for it."""
LONGEST = 5_000
"""Characters of a title, a caption or another text of a figure."""
NOT_HERE = (
    "its code is not here: a report in JSON has its facts and not what draws it; "
    "it is drawn where a file in plugins/ of the working folder registers it"
)


class BrokenFigureError(InputError):
    """A figure of the user's own cannot be drawn; the text says where and why."""


def shipped() -> dict[str, Entry]:
    """Return the figures that ship, by name."""
    return {one.name: one for one in within_ablate() if isinstance(one, Entry)}


def found_figures(names: Sequence[str], registry: Callable[[], Registry]) -> dict[str, Entry | str]:
    """Return the figures of these names that do not ship. registry: loads the components, where there is need."""
    own = [name for name in names if name not in shipped()]
    if not own:
        return {}
    try:
        components = registry()
    except AblateError as error:
        return dict.fromkeys(own, _first_line(error))
    found: dict[str, Entry | str] = {}
    for name in own:
        try:
            found[name] = components.get("figure", name)
        except AblateError as error:
            looked = (line.partition(";")[0] for line in str(error).splitlines() if line.startswith("looked in"))
            found[name] = "; ".join([_first_line(error), *looked])
    return found


def figures_here(names: Sequence[str]) -> dict[str, Entry | str]:
    """Return the figures that a report without a store names, as far as the user has them where they work."""
    found = found_figures(names, discover)
    return {name: NOT_HERE if isinstance(one, str) and "unknown figure" in one else one for name, one in found.items()}


def drawings_of(made: object) -> tuple[Drawing, ...]:
    """Return what a figure returned as drawings. InputError for anything else."""
    several = tuple(made) if isinstance(made, (tuple, list)) else (made,)
    if not several:
        raise InputError("returns no drawing; where there is nothing to draw, return Drawing(title=..., absent=...)")
    for one in several:
        if not isinstance(one, Drawing):
            raise InputError(f"returns {type(one).__name__}, not a Drawing")
    return several


def draw_into(figure: Figure, drawing: Drawing) -> None:
    """Draw into an empty figure. InputError where nothing is drawn there."""
    assert drawing.draw is not None  # or it would be absent
    drawing.draw(figure, drawing.data)
    width, height = map(float, figure.get_size_inches())
    if not (max(width, height) <= TALLEST and width * height <= LARGEST and figure.dpi <= FINEST):
        raise InputError(
            f"makes the figure {width:g} by {height:g} inches with {figure.dpi:g} dots to the inch; at most "
            f"{TALLEST:g} inches a side, {LARGEST:g} square inches and {FINEST:g} dots: leave its size as it is"
        )
    if not any(part is not figure.patch for part in figure.get_children()):
        raise InputError(
            "draws nothing into the figure that it is given: draw there, as on figure.subplots(), not with pyplot"
        )


@contextlib.contextmanager
def guarded(entry: Entry) -> Iterator[None]:
    """Run a user's code; BrokenFigureError, with file and line, for whatever it raises but the user's Ctrl-C."""
    try:
        with no_exit(), _same_folder(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a report says what is absent, and nothing else
            yield
    except BrokenFigureError:
        raise
    except ComponentError as error:  # which names its place
        raise BrokenFigureError(_first_line(error)) from error
    except Exception as error:
        said = _first_line(error) if isinstance(error, InputError) else error_text(error)
        raise BrokenFigureError(f"{_place(error, entry)}: {said}") from error


@contextlib.contextmanager
def _same_folder() -> Iterator[None]:
    """Keep the working folder, in which the report is written. InputError where the code changed it."""
    before = Path.cwd()
    try:
        yield
    finally:
        moved = not _is_here(before)
        if moved:
            os.chdir(before)
    if moved:
        raise InputError("changes the working folder, which a figure must not: name files by their whole path")


def _is_here(folder: Path) -> bool:
    try:
        return Path.cwd() == folder
    except OSError:  # the code removed where it went
        return False


def plain_text(text: str) -> str:
    """Return a text as nothing but that, on one line and not endless, whatever class it is of."""
    whole = str.__getitem__(text, slice(0, LONGEST + 1))
    line = " ".join(visible(whole).split())
    return line if len(whole) <= LONGEST else f"{line[:LONGEST]}…"


def _place(error: Exception, entry: Entry) -> str:
    """Return the last line of the figure's own file that ran into the error, or else where the figure begins."""
    frames: Any = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == str(entry.file)]
    return f"{shown(entry.file)}:{lines[-1]}" if lines else entry.place


def _first_line(error: AblateError) -> str:
    """Return what an error says, without its type where that can be."""
    said = error_text(error)
    return said.removeprefix(f"{type(error).__name__}: ")
