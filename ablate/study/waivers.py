"""[[waive]] of a study file: findings that the author has looked at and accepts, each with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..components.setting_text import value_text
from ..errors import did_you_mean
from .codes import CODES, Waiver
from .tables import WaiveTable, read_table

if TYPE_CHECKING:
    from .spec import Report


def read_waivers(report: Report, raw: Any) -> tuple[Waiver, ...]:
    """Return what a study waives; problems go to `report(place, where, text)`."""
    if not isinstance(raw, list):
        report(("waive",), "waive", "is not a list of tables; write [[waive]]")
        return ()
    found = []
    for index, given in enumerate(raw):
        place, where = ("waive", index), f"waive {index + 1}"
        table = read_table(report, WaiveTable, given, place, where)
        if table is None:
            continue
        if table.code not in CODES:
            near = did_you_mean(table.code, CODES)
            text = f"no finding has the code {value_text(table.code)}{near}\n'ablate check' shows the code of each"
            report((*place, "code"), f"{where}: code", text)
        elif not table.reason.strip():
            text = "is empty: a waiver says why the finding does not matter here\nthe report prints it"
            report((*place, "reason"), f"{where}: reason", text)
        else:
            found.append(Waiver(table.code, table.reason.strip(), table.where))
    return tuple(found)
