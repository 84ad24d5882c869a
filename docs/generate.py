"""Write docs/reference.md from the code: every command, every public name, every component with its settings.

The schema of report.json beside it is made from the code, too.

python docs/generate.py
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

import ablate.cli
from ablate.components.contracts import ALL_KINDS
from ablate.components.discover import discover
from ablate.components.registry import plural
from ablate.components.schema import REQUIRED
from ablate.components.setting_text import value_text
from ablate.report.schema import schema
from ablate.study.codes import CODES

sys.path.insert(0, str(Path(__file__).parent))
from template_facts import templates_page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ablate.components.registry import Entry

HERE = Path(__file__).parent
HEAD = """# Reference

Written by `python docs/generate.py` from the code; a test fails when it is out of date.
"""


def reference() -> str:
    """Return the text of docs/reference.md."""
    return "\n".join([HEAD, *_commands(), *_public_names(), *_findings(), *_components()]) + "\n"


def schema_text() -> str:
    """Return the text of docs/report.schema.json."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _commands() -> Iterator[str]:
    yield "## Commands\n"
    root: Any = typer.main.get_command(ablate.cli.app)
    for path, command in _leaves("ablate", root):
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
        usage = " ".join([path, *(p.name.upper() for p in arguments)])
        yield f"### `{usage}`\n"
        yield f"{inspect.cleandoc(command.help or '')}\n"
        rows = [(f"`{p.name.upper()}`", p.help) for p in arguments] + [
            (f"`{', '.join(p.opts)}`", p.help) for p in options
        ]
        if rows:
            yield "| | |\n|---|---|"
            yield from (f"| {name} | {_cell(text or '')} |" for name, text in rows)
            yield ""


def _leaves(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, one in inner.items():
        yield from _leaves(f"{path} {name}", one)


def _public_names() -> Iterator[str]:
    yield "## Public names\n"
    yield "What `import ablate` offers, in Python. `help(ablate.NAME)` says more.\n"
    yield "| name | |\n|---|---|"
    for name in sorted(ablate.__all__, key=str.casefold):
        if name != "__version__":
            module = import_module(f"ablate.{ablate._HOME[name]}")
            first = docstring_of(name, Path(str(module.__file__)).read_text(encoding="utf-8")).partition("\n\n")[0]
            yield f"| `{name}` | {_cell(' '.join(first.split()))} |"
    yield ""


def docstring_of(name: str, text: str) -> str:
    """Return the docstring of what a module's text defines under a name; of an alias, the text below it."""
    body = ast.parse(text).body
    for statement, below in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)) and statement.name == name:
            return ast.get_docstring(statement) or ""
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == name:
            return str(getattr(below.value, "value", "")) if isinstance(below, ast.Expr) else ""
    return ""


def _findings() -> Iterator[str]:
    yield "## Findings\n"
    yield "What `ablate check` may find, by its code; [Checks](checks.md) says when, and how to waive one.\n"
    yield "| code | about | level | |\n|---|---|---|---|"
    for name, code in CODES.items():
        yield f"| `{name}` | {code.subject} | {code.level} | {_cell(code.meaning)} |"
    yield ""


def _components() -> Iterator[str]:
    registry = discover()
    yield "## Components\n"
    for kind in ALL_KINDS:
        yield f"### {plural(kind)}\n"
        for entry in registry.entries(kind):
            yield from _component(entry)
        for library in registry.libraries(kind):
            listed = f"`ablate components {kind} {library.prefix}:` lists them"
            yield f"**`{library.prefix}:<name>`** {_cell(library.summary)}. {listed}.\n"


def _component(entry: Entry) -> Iterator[str]:
    steps = f" Steps after each {entry.steps}." if entry.kind == "scheduler" else ""
    better = f" {entry.quantity.better.capitalize()} is better." if entry.quantity else ""
    yield f"**`{entry.name}`** {_cell(entry.summary)}.{steps}{better}\n"
    if entry.settings:
        yield "| setting | type | default |\n|---|---|---|"
        for s in entry.settings:
            default = "required" if s.default is REQUIRED else f"`{value_text(s.default)}`"
            yield f"| `{s.name}` | {_cell(s.type)} | {default} |"
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    os.chdir(HERE.parent / "docs")  # away from any plugins folder of the user's
    (HERE / "reference.md").write_text(reference(), encoding="utf-8")
    (HERE / "report.schema.json").write_text(schema_text(), encoding="utf-8")
    templates = HERE / "templates.md"
    templates.write_text(templates_page(templates.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write("docs/reference.md\ndocs/report.schema.json\ndocs/templates.md\n")
