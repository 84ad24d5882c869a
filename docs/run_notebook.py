"""Run docs/digits.ipynb in a folder of its own, and put what its cells say into the file.

python docs/run_notebook.py [FILE]    FILE: written instead of docs/digits.ipynb
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
NOTEBOOK = HERE / "digits.ipynb"


def run_notebook(written: Path) -> None:
    """Run the notebook's cells and write it with their output. Raises CellExecutionError where a cell fails."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        # As in a checkout, where the notebook is beside the folder of studies.
        there = Path(folder) / "docs"
        there.mkdir()
        shutil.copytree(HERE.parent / "studies", Path(folder) / "studies")
        os.environ.pop("ABLATE_STORE", None)
        resources = {"metadata": {"path": str(there)}}
        NotebookClient(notebook, timeout=300, resources=resources, record_timing=False).execute()
    # What is of this machine.
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", ()):
            if "text" in output:
                output["text"] = output["text"].replace(f"{HERE.parent}/", "../")
    nbformat.write(notebook, written)


if __name__ == "__main__":
    run_notebook(Path(sys.argv[1]) if len(sys.argv) > 1 else NOTEBOOK)
