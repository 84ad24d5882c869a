"""The notebook and the page about the library: what they show is what the code does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
CHECK = """
run = results.runs.query("variant == 'batch norm' and seed == 0").iloc[0]
assert images.evaluate(model) == {"loss": run["test/loss"], "accuracy": run["test/accuracy"]}
"""
NOTEBOOK = ROOT / "docs" / "digits.ipynb"


def cells(file: Path) -> list[dict[str, Any]]:
    found = json.loads(file.read_text())["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def kinds(cell: dict[str, Any]) -> list[list[str]]:
    """Return what a cell's outputs are, without what they say."""
    return [[output["output_type"], *sorted(output.get("data", {}))] for output in cell["outputs"]]


def test_the_committed_notebook_has_run_to_its_end_and_names_no_machine() -> None:
    written = NOTEBOOK.read_text()
    assert not re.search(r"/(home|root|tmp|work|Users)/", written)
    assert [cell["execution_count"] for cell in cells(NOTEBOOK)] == list(range(1, len(cells(NOTEBOOK)) + 1))
    assert "error" not in {output["output_type"] for cell in cells(NOTEBOOK) for output in cell["outputs"]}


@pytest.mark.slow
def test_the_notebook_runs_and_its_cells_give_what_the_committed_one_shows(folder: Path) -> None:
    made = folder / "made.ipynb"
    script = ROOT / "docs" / "run_notebook.py"
    done = subprocess.run([sys.executable, script, made], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    for now, then in zip(cells(made), cells(NOTEBOOK), strict=True):
        assert (now["source"], kinds(now)) == (then["source"], kinds(then)), "run: python docs/run_notebook.py"


@pytest.mark.slow
def test_the_code_of_the_librarys_page_runs_from_top_to_bottom(folder: Path) -> None:
    page = (ROOT / "docs" / "library.md").read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    code = code.replace('"seeds": 3', '"seeds": 2').replace('"epochs": 8', '"epochs": 1')
    shutil.copytree(ROOT / "studies", folder / "studies")
    (folder / "page.py").write_text(code + CHECK)
    done = subprocess.run([sys.executable, "page.py"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "study 'wrong': " in done.stdout
    assert Path("out/report.html").exists()


def test_a_notebook_shows_a_mistake_without_frames_of_the_library(folder: Path) -> None:
    pytest.importorskip("IPython")
    code = "import ablate\nablate.load_study('none.toml')"
    shell = [sys.executable, "-m", "IPython", "--colors=nocolor", "--HistoryManager.enabled=False", "-c", code]
    done = subprocess.run(
        shell, capture_output=True, text=True, timeout=300, env={**os.environ, "IPYTHONDIR": str(folder / "ipython")}
    )
    said = (done.stdout + done.stderr).strip().splitlines()
    assert said[0] == "InputError: none.toml: no such file"
    assert len(said) == 2
