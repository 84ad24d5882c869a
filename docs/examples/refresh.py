"""Write every example anew from its report.json: after a change of how reports look.

python docs/examples/refresh.py

An example is a folder with a report.json, which `ablate report STUDY --format json --out docs/examples/NAME` writes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from ablate.report.document import load_report
from ablate.report.render import render

HERE = Path(__file__).parent
FORMATS = ("html", "md", "tex", "json")


def examples() -> list[Path]:
    """Return the folder of each example."""
    return sorted(file.parent for file in HERE.glob("*/report.json"))


def refresh(example: Path, folder: Path) -> None:
    """Write the report of an example to a folder."""
    render(load_report(example / "report.json"), FORMATS, folder)


if __name__ == "__main__":
    for example in examples():
        made = load_report(example / "report.json")
        shutil.rmtree(example / "figures", ignore_errors=True)  # forms may have others now
        render(made, FORMATS, example)
        sys.stdout.write(f"docs/examples/{example.name}\n")
