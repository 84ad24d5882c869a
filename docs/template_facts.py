"""What templates can use, from the code: the parts of a report, its records with their fields, the filters.

`generate.py` writes it into docs/templates.md.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ablate.report.blocks import Block
from ablate.report.content import Report
from ablate.report.hints import hints_of
from ablate.report.pages import FILTERS
from ablate.report.sandbox import readable

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATES = Path(__file__).parents[1] / "templates"
MARK = "<!-- below: written by docs/generate.py from the code -->\n"
FORMS = ("html", "md", "tex")


def templates_page(text: str) -> str:
    """Return the text of docs/templates.md with what is below its mark written anew."""
    above, mark, _ = text.partition(MARK)
    assert mark, f"docs/templates.md has no line {MARK}"
    return above + mark + "\n" + "\n".join([*_parts(), *_records(), *_filters()]) + "\n"


def _parts() -> Iterator[str]:
    yield "## The parts of a report\n"
    yield "`report.NAME.FORM.jinja` for each `NAME` and each `FORM` that has it:\n"
    yield "| name | forms | |\n|---|---|---|"
    for name, forms in parts().items():
        shown = ", ".join(form for form in FORMS if form in forms)
        yield f"| `{name}` | {shown} | {_cell(said_of(name, forms))} |"
    yield ""


def parts() -> dict[str, list[str]]:
    """Return the shipped parts, each with the forms that have it."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(TEMPLATES.glob("report.*.*.jinja")):
        _, name, form, _ = file.name.split(".")
        found[name].append(form)
    return dict(found)


def said_of(name: str, forms: list[str]) -> str:
    """Return what a part says of itself: the comment that it begins with, in any of its forms."""
    for form in forms:
        text = (TEMPLATES / f"report.{name}.{form}.jinja").read_text(encoding="utf-8")
        if found := re.match(r"(?:\{% from .*\n)?\{# (.*?)[.:]? #\}|% (.*?)[.:]\s", text):
            return next(group for group in found.groups() if group)
    return ""


def _records() -> Iterator[str]:
    yield "## The facts\n"
    yield "A template has `report`, which is a `Report`, and `figures`, a list of `Block`.\n"
    for record in records():
        yield f"### {record.__name__}\n"
        yield f"{_plain(inspect.cleandoc(record.__doc__ or ''))}\n"
        yield "| field | type |\n|---|---|"
        yield from (f"| `{name}` | {_cell(kind)} |" for name, kind in fields(record).items())
        yield ""


def fields(record: type) -> dict[str, str]:
    """Return what a template reads of a record, each with its type as a reader of templates wants it."""
    hints = hints_of(record)
    found = {}
    for name in readable(record):
        if name in hints:
            found[name] = written(hints[name])
            continue
        held = inspect.getattr_static(record, name)
        function = held.func if isinstance(held, cached_property) else held.fget
        said = (inspect.getdoc(function) or "").partition("\n")[0].removeprefix("Return ").rstrip(".")
        found[name] = f"{_in_words(function.__annotations__.get('return', ''))}: {said[:1].lower()}{said[1:]}"
    return found


def records() -> list[type]:
    """Return the records that a template can come to, those first that it comes to first."""
    found: list[type] = [Report, Block]
    for record in found:
        for hint in hints_of(record).values():
            found += [one for one in _inside(hint) if one not in found]
    return found


def _inside(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and hint.__module__.startswith("ablate."):
        if readable(hint):
            yield hint
        return
    for part in get_args(hint):
        yield from _inside(part)


def written(hint: Any) -> str:
    """Write a type in words: "list of Fact", "Fact or none"."""
    origin, parts_ = getattr(hint, "__origin__", None), get_args(hint)
    if hint is type(None):
        return "none"
    if isinstance(hint, type) and not parts_:
        return {"str": "text", "int": "number", "float": "number", "bool": "true or false"}.get(
            hint.__name__, f"`{hint.__name__}`" if readable(hint) else hint.__name__
        )
    if origin is tuple:
        if parts_[-1:] == (...,):
            return f"list of {written(parts_[0])}"
        return "(" + ", ".join(map(written, parts_)) + ")"
    if parts_ and "Mapping" in str(origin):
        return f"{written(parts_[1])} by {written(parts_[0])}"
    if parts_ and "Literal" in str(hint).partition("[")[0]:
        return " or ".join(f'"{one}"' for one in parts_)
    if parts_:
        return " or ".join(dict.fromkeys(map(written, parts_)))
    return str(hint)


def _filters() -> Iterator[str]:
    yield "## The filters\n"
    yield "Beside [Jinja's own](https://jinja.palletsprojects.com/en/stable/templates/#builtin-filters):\n"
    yield "| filter | of | |\n|---|---|---|"
    for name, function in sorted(FILTERS.items()):
        if name in ("label", "cite"):
            continue
        given = [str(one.annotation) for one in inspect.signature(function).parameters.values()]
        said = (inspect.getdoc(function) or "").partition("\n\n")[0]
        call = name + (f"({', '.join(list(inspect.signature(function).parameters)[1:])})" if len(given) > 1 else "")
        yield f"| `{call}` | {_cell(given[0])} | {_cell(' '.join(said.split()))} |"
    yield "| `code` | any text | Write a text as code of the form at hand. |"
    yield "| `code_block(language)` | any lines | Write lines as a block of code of the form at hand. |"
    yield "| `cite` | any text | Write the citation of a key in LaTeX. |"
    yield "| `label` | any text | Write what a label of LaTeX is called after a name. |"


def _in_words(annotation: str) -> str:
    """Write the annotation of a property as `written` does a hint."""
    words = {"str": "text", "int": "number", "float": "number", "bool": "true or false", "None": "none", "|": "or"}
    return re.sub(r"\b(str|int|float|bool|None)\b|\|", lambda found: words[found[0]], annotation)


def _plain(text: str) -> str:
    return text.replace("<", "&lt;")


def _cell(text: str) -> str:
    return text.replace("|", "or").replace("\n", " ")


if __name__ == "__main__":
    page = Path(__file__).parent / "templates.md"
    sys.stdout.write(templates_page(page.read_text(encoding="utf-8")))
