"""What docs/templates.md says that a template can use is there: a template of a user's touches all of it."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest

from ablate.components.contracts import Values
from ablate.metrics import metric
from ablate.report.classes import ChangedImage
from ablate.report.content import report
from ablate.report.facts import ChosenFigure
from ablate.report.hints import hints_of
from ablate.report.methods import DataUse
from ablate.report.pages import FILTERS, Templates
from ablate.report.render import render
from ablate.report.sandbox import readable
from ablate.report.tuning import TradeOff, TradeOffs
from ablate.stats.claims import ReportedDifference
from ablate.stats.contrasts import Missing
from ablate.stats.courses import Dip
from tests.reports import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "templates.md"
_SPEC = importlib.util.spec_from_file_location("template_facts", DOCS / "template_facts.py")
assert _SPEC is not None
assert _SPEC.loader is not None
template_facts: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(template_facts)


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == template_facts.templates_page(text), "run: python docs/generate.py"


def test_every_part_says_what_it_is() -> None:
    parts = template_facts.parts()
    assert {"answer", "table", "figures", "claims", "variant", "tuning", "findings", "provenance"} <= set(parts)
    assert [name for name, forms in parts.items() if not template_facts.said_of(name, forms)] == []


def test_every_filter_says_what_it_is_of() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## The filters")[2]
    assert set(FILTERS) | {"code", "code_block"} == set(re.findall(r"(?m)^\| `(\w+)", text))


def test_every_example_of_the_page_is_a_template_that_works(tmp_path: Path) -> None:
    examples = re.findall(r"(?s)```jinja\n(.*?)```", PAGE.read_text(encoding="utf-8"))
    facts = {"report": report(replace(KINDS["phases"](), commands=("ablate report phases",))), "figures": []}
    own, made = tmp_path / "mine.md.jinja", ""
    for example in examples:
        own.write_text(example)
        made = Templates.of(template=own).page(own.name, facts).replace("\xa0", " ")
    assert re.match(r"Phase 3: [+−].* points \(.+ to .+\), (helped|hurt|not decided)\n", made)
    of_none = [FILTERS[name](None) for name in ("difference", "interval", "verdict")]
    assert of_none == ["–", "", ""], "the baseline is compared with nothing"


def documented() -> dict[str, list[str]]:
    """Return the fields of each record as the page has them."""
    facts = PAGE.read_text(encoding="utf-8").partition("## The facts")[2].partition("## The filters")[0]
    return {part.partition("\n")[0]: re.findall(r"(?m)^\| `(\w+)` \|", part) for part in facts.split("\n### ")[1:]}


def touching() -> str:
    """Return a template that writes every documented field of every record that a report holds, with its name."""
    records = {record.__name__: record for record in template_facts.records()}
    macros = ""
    for name, fields in documented().items():
        hints = hints_of(records[name])
        touched = "".join(f"@{name}.{field} " + "".join(touch(f"x.{field}", hints.get(field))) for field in fields)
        touched = touched.replace("{{ x.value }}", "{{ x.value if x.values is not defined or x.values else '' }}")
        macros += f"{{% macro show_{name}(x) %}}{touched}{{% endmacro %}}\n"
    return macros + "{{ show_Report(report) }}{% for figure in figures %}{{ show_Block(figure) }}{% endfor %}"


def touch(place: str, hint: Any, depth: int = 0) -> Iterator[str]:
    """Yield what writes a value of a type."""
    parts, kind = get_args(hint), str(getattr(hint, "__origin__", ""))
    if isinstance(hint, type) and readable(hint):
        yield f"{{{{ show_{hint.__name__}({place}) }}}}"
    elif ("tuple" in kind and parts[-1:] == (...,)) or "Mapping" in kind:
        each = f"{place}.values()" if "Mapping" in kind else place
        inner = "".join(touch(f"v{depth}", parts[1] if "Mapping" in kind else parts[0], depth + 1))
        yield f"{{% for v{depth} in {each} %}}{inner}{{% endfor %}}"
    elif "tuple" in kind:
        for at, part in enumerate(parts):
            yield from touch(f"{place}[{at}]", part, depth)
    elif any(isinstance(part, type) and readable(part) for part in parts):
        for record in [part for part in parts if isinstance(part, type) and readable(part)]:
            first = readable(record)[0]
            there = f"{place} is not none and {place} is not string and {place} is not number"
            there += f" and {place}.{first} is defined"
            yield f"{{% if {there} %}}{''.join(touch(place, record, depth))}{{% endif %}}"
    else:
        yield f"{{{{ {place} }}}}"


RARE = {
    "TradeOffs": TradeOffs((metric("test/accuracy"),), (TradeOff("a", 0, (0.5,), {"lr": 0.1}),)),
    "Values": Values((1, "two", None)),
    "ReportedDifference": ReportedDifference(metric("test/accuracy"), 0.1, 0.2, True),
    "Missing": Missing(0, ("a", "b")),
    "ChangedImage": ChangedImage("gained", 0, "cat", "dog", b"", 96, 96),
    "ChosenFigure": ChosenFigure("differences", {"most": 2}),
    "DataUse": DataUse("digits", ("a",)),
    "Dip": Dip(metric("test/accuracy"), 12, 20, 0.42, 0.28, 30, 0.53, 0.02, 0.98),
}
"""Records that no planted study has."""


@pytest.mark.slow
def test_a_template_can_use_every_field_that_is_documented(tmp_path: Path) -> None:
    text, touched = touching(), ""
    (tmp_path / "mine.txt.jinja").write_text(text)
    (tmp_path / "mine.md.jinja").write_text(text)
    for kind, made in KINDS.items():
        own = tmp_path / ("mine.md.jinja" if kind == "phases" else "mine.txt.jinja")  # a text has no figures
        (file,) = render(made(), [], tmp_path / "out", own=[own])
        touched += file.read_text()
    macros = text.rpartition("{{ show_Report")[0]
    (tmp_path / "rare.txt.jinja").write_text(macros + "".join(f"{{{{ show_{name}({name}) }}}}" for name in RARE))
    touched += Templates.of(template=tmp_path / "rare.txt.jinja").page("rare.txt.jinja", RARE)
    wanted = {f"{name}.{field}" for name, fields in documented().items() for field in fields}
    assert len(wanted) > 200
    assert wanted - set(re.findall(r"@(\w+\.\w+) ", touched)) == set()
