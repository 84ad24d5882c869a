from __future__ import annotations

import re
import unicodedata

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ablate.report.escapes import code_span, defused, escape_latex, escape_markdown, for_html, latex_label, visible

ANY_TEXT = st.text(st.characters(codec=None))  # halves of characters among them

# --- what can be seen --------------------------------------------------------------------------------------


def test_what_can_be_seen_stays_as_it_is() -> None:
    assert visible("Größe, 中文, 🚀, 👩\u200d🔬, 36\u00a0%") == "Größe, 中文, 🚀, 👩\u200d🔬, 36\u00a0%"


def test_line_breaks_and_control_characters_become_a_space() -> None:
    assert visible("a\r\nb\x00c\x1b[31md\u2028e\x85f") == "a b c [31md e f"


def test_characters_that_reorder_or_hide_others_are_dropped() -> None:
    assert visible("invoice\u202egnp.exe\u2066\u200b\ufeff") == "invoicegnp.exe"


def test_half_a_character_is_replaced_by_one_that_a_file_can_hold() -> None:
    assert visible("a\udcff") == "a\ufffd"


@given(ANY_TEXT)
def test_any_text_becomes_one_line_that_a_file_can_hold(text: str) -> None:
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert shown.encode().decode() == visible(shown) == shown


# --- HTML --------------------------------------------------------------------------------------------------


def test_html_has_the_value_without_what_cannot_be_seen() -> None:
    page = jinja2.Environment(autoescape=True, finalize=for_html)
    assert page.from_string("{{ x }}").render(x="<b>\x00\u202e'\"&") == "&lt;b&gt; &#39;&#34;&amp;"


def test_markup_of_a_macro_is_not_escaped_twice() -> None:
    page = jinja2.Environment(autoescape=True, finalize=for_html)
    macro = "{% macro bold(x) %}<b>{{ x }}</b>{% endmacro %}{{ bold('<') }}"
    assert page.from_string(macro).render() == "<b>&lt;</b>"


# --- Markdown ----------------------------------------------------------------------------------------------

SIGNS = "<script>alert(1)</script> | **b** `c` [x](javascript:alert(1)) ](javascript:alert(1)) <img src=x> _e_ $y$"


def read_markdown(text: str) -> str:
    """Return what a paragraph of nothing but text says."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    (inline,) = tokens[1:2]
    assert {child.type for child in inline.children or []} <= {"text", "text_special"}
    return "".join(child.content for child in inline.children or [])


@pytest.mark.parametrize(
    "value",
    [SIGNS, "# a", "- a", "+ a", "1. a", "1) a", "---", "===", "> a", "a\n\n# b", "a\\", "a\\|b", "&lt;b&gt;",
     "~~a~~", "![a](b)", "<javascript:alert(1)>", "[a]: javascript:alert(1)", "   a", "\ta", "``", "a  \nb"],
)  # fmt: skip
def test_escaped_markdown_reads_as_the_value_does(value: str) -> None:
    assert read_markdown(escape_markdown(value)).split() == value.split()


def test_hostile_text_is_text_in_markdown(attack: str) -> None:
    assert read_markdown(escape_markdown(attack)).split() == visible(attack).split()


def test_numbers_stay_readable_in_markdown() -> None:
    assert escape_markdown("+18.68 points") == "+18.68 points"
    assert escape_markdown("−0.67") == "−0.67"
    assert escape_markdown(12) == "12"


@pytest.mark.parametrize("value", ["a", "a`b", "``", "a ``` b\nc"])
def test_a_code_span_holds_any_backticks(value: str) -> None:
    tokens = MarkdownIt("commonmark").parse(code_span(value))
    (span,) = tokens[1].children or []
    assert (span.type, span.content.strip()) == ("code_inline", " ".join(value.split()))


def test_hostile_text_is_code_in_a_code_span(attack: str) -> None:
    tokens = MarkdownIt("commonmark").parse(code_span(attack))
    (span,) = tokens[1].children or []
    assert (span.type, span.content.split()) == ("code_inline", visible(attack).split())


# --- LaTeX -------------------------------------------------------------------------------------------------

READS = {
    r"\textbackslash{}": "\\", r"\textasciicircum{}": "^", r"\textasciitilde{}": "~", r"\textasciigrave{}": "`",
    r"\textless{}": "<", r"\textgreater{}": ">", r"\textbar{}": "|", r"\symbol{34}": '"', r"\phantom{0}": "\u2007",
    r"\phantom{.}": "\u2008", r"\#": "#", r"\$": "$", r"\%": "%", r"\&": "&", r"\_": "_", r"\{": "{", r"\}": "}",
    "{[}": "[", "{]}": "]", "{*}": "*", "{}": "", "~": "\u00a0", "$-$": "−", r"$\rightarrow$": "→", r"$\times$": "×",
    r"$\pm$": "±", r"$\leq$": "≤", r"$\geq$": "≥", r"$\neq$": "≠", r"$\approx$": "≈", r"$\infty$": "∞",
    r"$\alpha$": "α", r"$\beta$": "β", r"$\gamma$": "γ", r"$\delta$": "δ", r"$\varepsilon$": "ε", r"$\eta$": "η",
    r"$\lambda$": "λ", r"$\mu$": "μ", r"$\sigma$": "σ", r"$\tau$": "τ", r"$\Delta$": "Δ",
    r"\allowbreak{}": "",
}  # fmt: skip
"""All of LaTeX that a value may become, and what it is read as."""


def read_latex(text: str) -> str:
    """Return what LaTeX shows for an escaped value; fails at whatever is not one of READS or an ordinary letter."""
    known = "|".join(re.escape(atom) for atom in sorted(READS, key=len, reverse=True))
    atoms = re.findall(rf"{known}|.", text, re.DOTALL)
    assert not [atom for atom in atoms if atom not in READS and re.match(r"[\\{}$&%#_^~`<>|\"*\[\]\x00-\x1f]", atom)]
    assert not re.search(r"--|''|,,", text)
    return "".join(READS.get(atom, atom) for atom in atoms)


def test_hostile_text_is_text_in_latex(attack: str) -> None:
    assert read_latex(escape_latex(attack)) == unicodedata.normalize("NFC", visible(attack))


@given(ANY_TEXT)
def test_any_text_is_text_in_latex(text: str) -> None:
    assert read_latex(escape_latex(text)) == unicodedata.normalize("NFC", visible(text))


@given(st.text("\\{}%$_^~#&[]*`'\"-,<>|\n\0 a"))
def test_any_run_of_latex_signs_is_text(text: str) -> None:
    assert read_latex(escape_latex(text)) == visible(text)


def test_numbers_stay_readable_in_latex() -> None:
    assert escape_latex(12) == "12"
    assert escape_latex("−0.67") == "$-$0.67"
    assert escape_latex("36.9\u00a0to\u00a047.3") == "36.9~to~47.3"


@pytest.mark.parametrize(
    ("name", "label"), [("cifar100-phases", "cifar100-phases"), ("}{\\x -- é", "x"), ("中", "study")]
)
def test_a_label_keeps_what_every_label_may_hold(name: str, label: str) -> None:
    assert latex_label(name) == label


# --- CSV ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\r=1", "\n@a", "\u00a0=1", "＝1", "-"]
)
def test_what_a_spreadsheet_would_compute_has_an_apostrophe(text: str) -> None:
    assert defused(text) == f"'{visible(text)}"


@pytest.mark.parametrize("text", ["", "batch norm", "lr=1", "a-b", "1e-3", "'quoted'", "é", "(=1)"])
def test_other_text_is_left_alone(text: str) -> None:
    assert defused(text) == text


@given(st.text("'=+- a"))
def test_taking_the_apostrophe_away_gives_back_the_text(text: str) -> None:
    made = defused(text)
    assert (made[1:] if re.match(r"'+ *[=+-]", made) else made) == text


def test_hostile_text_begins_no_formula(attack: str) -> None:
    assert not defused(attack).lstrip().startswith(("=", "+", "-", "@", "＝", "\t", "\r"))
