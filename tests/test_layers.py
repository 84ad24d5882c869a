"""The direction of imports: a module imports from its own folder, never in a circle, and from what stands before it."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import ablate

ORDER = [
    "errors",
    "paths",
    "stdio",
    "files",
    "host",
    "metrics",
    "numbers",
    "components",
    "study",
    "data",
    "training",
    "store",
    "execute",
    "tune",
    "stats",
    "checks",
    "report",
    "console",
    "launch",
    "api",
    "testing",
    "commands",
    "cli",
    "__main__",
]
PACKAGE = Path(ablate.__file__).parent


def imports(path: Path) -> list[tuple[int, str]]:
    """Return the first name below `ablate` of each import of the package's own modules, with its line."""
    depth = len(path.relative_to(PACKAGE).parts)
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, "absolute") for a in node.names if a.name.split(".")[0] == "ablate"]
        if not isinstance(node, ast.ImportFrom):
            continue
        if not node.level and (node.module or "").split(".")[0] == "ablate":
            found.append((node.lineno, "absolute"))
        elif node.level > depth:
            found.append((node.lineno, "outside"))
        elif node.level == depth:
            names = [node.module] if node.module else [a.name for a in node.names]
            found += [(node.lineno, name.split(".")[0]) for name in names]
    return found


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py" and "shipped" not in p.parts)


def test_every_module_stands_in_the_order() -> None:
    assert {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in modules()} <= set(ORDER)


def test_modules_import_only_what_stands_before_them() -> None:
    wrong = []
    for path in modules():
        own = ORDER.index(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))
        for line, name in imports(path):
            if name not in ORDER or ORDER.index(name) > own:
                wrong.append(f"{path.relative_to(PACKAGE.parent)}:{line} imports {name}")
    assert wrong == []


def folders() -> list[Path]:
    return sorted({path.parent for path in modules()} - {PACKAGE})


@pytest.mark.parametrize("room", ["study", "training", "store", "execute", "stats", "checks", "report", "launch"])
def test_a_room_lists_its_modules(room: str) -> None:
    text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text())) or ""
    listed = [line.split()[0] for line in text.partition("\n\n")[2].splitlines()]
    assert sorted(listed) == sorted(path.stem for path in (PACKAGE / room).glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_no_modules_of_a_folder_import_each_other_in_a_circle(folder: Path) -> None:
    wanted = {path.stem: neighbours(path) for path in folder.glob("*.py")}
    try:
        TopologicalSorter(wanted).prepare()
    except CycleError as error:
        # Each is imported by the one before it.
        pytest.fail(f"ablate/{folder.name}: {' imports '.join(reversed(error.args[1]))}", pytrace=False)


def neighbours(path: Path) -> set[str]:
    """Return the modules of its own folder that a module imports: also inside functions, and for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {name.split(".")[0] for name in names}
    return {name for name in found if (path.parent / f"{name}.py").is_file()}
