"""What `import ablate` offers; a change here is a change for every plugin."""

from __future__ import annotations

import subprocess
import sys

import ablate


def test_public_names_are_pinned() -> None:
    assert sorted(ablate.__all__) == [
        "AblateError",
        "BatchTransform",
        "Borrowed",
        "Count",
        "DataFacts",
        "Horizon",
        "ImageShape",
        "Length",
        "Library",
        "Mixed",
        "MixingTransform",
        "Natural",
        "NonNegative",
        "Positive",
        "Range",
        "Share",
        "Source",
        "Split",
        "__version__",
        "augmentation",
        "dataset",
        "library",
        "model",
        "optimizer",
        "scheduler",
        "settings_of_library",
        "takes_uint8",
    ]


def test_every_public_name_is_there_and_documented() -> None:
    for name in ablate.__all__:
        assert getattr(ablate, name) is not None
        assert name == "__version__" or getattr(ablate, name).__doc__ is not None, name


def test_importing_ablate_imports_nothing_slow() -> None:
    slow = {"torch", "numpy", "pydantic", "typer"}
    code = f"import ablate, sys; print(sorted({{m.split('.')[0] for m in sys.modules}} & {slow}))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
