"""Reports without their figures, for tests of what is said: figures take most of the time.

Imports no torch, since some tests see to it that reports need none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ablate.report.render import render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ablate.report.content import Records


def worded(records: Records, formats: Sequence[str], folder: Path) -> list[Path]:
    """Write a report in these formats to a folder, and return its files."""
    study = replace(records.results.study, figures=())
    return render(replace(records, results=replace(records.results, study=study)), formats, folder)
