"""What `import ablate` offers; a change here is a change for every plugin and every notebook."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ablate

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(ablate.__file__).parent
ROOT = PACKAGE.parent
docstring_of = runpy.run_path(str(ROOT / "docs" / "generate.py"))["docstring_of"]
PINNED = {
    "components": "augmentation dataset figure library loss metric model optimizer scheduler task",
    "tasks": "Covered Metric Run check_program run_program",
    "what components receive and return": "BatchTransform DataFacts Horizon ImageShape Mixed MixingTransform Source"
    " Split takes_uint8",
    "figures": "Drawing Report belongs variant_look",
    "settings": "Count Length Natural NonNegative Positive Range Share",
    "libraries of components": "Borrowed Library Quantity Setting settings_of_library",
    "datasets": "Remote array_source csv_images_source downloaded_source huggingface_source image_folder_source",
    "studies and runs": "LoadedStudy OverResults StudyResults load_datasets load_study over_datasets plan results run",
    "executors": "Executor executor inline_executor local_executor ray_executor slurm_executor",
    "runs made elsewhere": "compare",
    "errors": "AblateError DataError InputError",
}


def test_public_names_are_pinned() -> None:
    pinned = [name for names in PINNED.values() for name in names.split()]
    assert sorted(ablate.__all__) == sorted(["__version__", *pinned])


def test_type_checkers_see_the_same_names() -> None:
    lines = [
        f"    from .{module} import {name} as {name}"
        for module, names in sorted(ablate._NAMES.items())
        for name in names.split()
    ]
    _, block = (PACKAGE / "__init__.py").read_text().split("if TYPE_CHECKING:", 1)
    assert block.partition("\n\n")[0].splitlines()[1:] == lines


@pytest.mark.parametrize("name", sorted(ablate._HOME))
def test_every_public_name_is_documented_where_it_is_defined(name: str) -> None:
    module = import_module(f"ablate.{ablate._HOME[name]}")
    assert getattr(ablate, name) is getattr(module, name)
    assert docstring_of(name, Path(str(module.__file__)).read_text())


@pytest.mark.parametrize("text", ["def a(): ...", "class a: ...", "a = int", "a = int\nb = 1\n'text'", "'text'"])
def test_what_has_no_docstring_of_its_own_is_noticed(text: str) -> None:
    assert docstring_of("a", text) == ""


def test_no_module_hides_a_public_name() -> None:
    # Importing ablate.x sets the attribute x of ablate, whatever it was before.
    modules = {path.stem for path in PACKAGE.iterdir()}
    assert modules & ablate._HOME.keys() == set()


def private_imports(text: str) -> Iterator[str]:
    """Yield the modules below `ablate` that a file imports from."""
    for node in ast.walk(ast.parse(text)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (name for name in names if name.startswith("ablate."))


def test_plugins_and_templates_import_public_names_alone() -> None:
    files = [*(ROOT / "plugins").glob("*.py"), *(ROOT / "templates" / "new").glob("*.py.jinja")]
    assert len(files) > 10
    for file in files:
        text = file.read_text().replace("{{ function }}", "function").replace("{{ name }}", "name")
        assert list(private_imports(text)) == [], file.name


@pytest.mark.parametrize("text", ["import ablate.errors", "def f():\n    from ablate.data import disk"])
def test_an_import_of_what_is_not_public_is_noticed(text: str) -> None:
    assert list(private_imports(text))


def test_the_package_says_that_it_has_types() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_importing_ablate_imports_nothing_slow() -> None:
    slow = {"torch", "numpy", "pydantic", "typer"}
    code = f"import ablate, sys; print(sorted({{m.split('.')[0] for m in sys.modules}} & {slow}))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
