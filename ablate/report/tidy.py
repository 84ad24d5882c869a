"""The frames of a report as CSV, for a notebook or a spreadsheet: a row a run, and a row a run and epoch."""

from __future__ import annotations

import csv
import io
import math
from numbers import Integral
from typing import TYPE_CHECKING, Any

from .escapes import defused

if TYPE_CHECKING:
    import pandas as pd


def csv_text(frame: pd.DataFrame) -> str:
    """Write a frame by RFC 4180, its columns as they are called, without its index.

    Numbers keep every digit, metrics stay the fractions that they are, and what is absent is empty. Text is on one
    line, and an apostrophe stands before what a spreadsheet would take for a formula.
    """
    made = io.StringIO(newline="")
    writer = csv.writer(made)  # ends lines with CR LF, as the RFC has it
    writer.writerow(map(defused, frame.columns))
    writer.writerows([_field(value) for value in row] for row in frame.itertuples(index=False, name=None))
    return made.getvalue()


def _field(value: Any) -> str:
    if isinstance(value, str):
        return defused(value)
    if isinstance(value, Integral):
        return str(int(value))  # not by way of a float, which a large seed would not survive
    if value is None or math.isnan(value):
        return ""
    return repr(float(value)).removesuffix(".0")
