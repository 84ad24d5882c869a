"""What a template makes, by its name: how values are escaped, how the template is written, where its figures are."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError
from . import escapes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LATEX_SIGNS = {
    "block_start_string": "<%",
    "block_end_string": "%>",
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}
"""Of templates for LaTeX, where braces and per cent signs have meanings of their own."""


@dataclass(frozen=True)
class Form:
    """One kind of file that templates make.

    finalize: what makes a value safe to write; code: one that is set as code is (the filter `code`). code_block: lines
    of it (`code_block`); without one they are a value of one line. autoescape: Jinja's own escaping of HTML is added.
    signs: those of the template where they are not Jinja's. images: as what its figures are made, the first one being
    where a template finds a figure; inline in HTML. tidy: empty lines that a part leaves behind are taken out. beside:
    what is to be cited and sample images are files beside it.
    """

    finalize: Callable[[Any], object]
    code: Callable[[object], str] = escapes.visible
    code_block: Callable[..., str] = escapes.one_line
    autoescape: bool = False
    signs: Mapping[str, str] = field(default_factory=dict)
    images: tuple[Literal["inline", "svg", "png", "pdf"], ...] = ()
    tidy: bool = False
    beside: bool = False

    def finished(self, text: str) -> str:
        """Return what a template made as it is written to a file."""
        return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n" if self.tidy else text


def _json(value: Any) -> str:
    """Return a value as JSON: a text in its quotes, and null for what is absent or not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return "null"
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value)
    return json.dumps(escapes.visible(value), ensure_ascii=False)


def _unless_ready(escape: Callable[[Any], str]) -> Callable[[Any], object]:
    return lambda value: value if isinstance(value, escapes.Ready) else escape(value)


_HTML = Form(escapes.for_html, escapes.html_code, escapes.html_code_block, autoescape=True, images=("inline",))
_MARKDOWN = Form(
    escapes.escape_markdown, escapes.code_span, escapes.fenced, images=("svg", "png"), tidy=True, beside=True
)
_LATEX = Form(
    escapes.escape_latex,
    escapes.latex_code,
    escapes.latex_code_block,
    signs=_LATEX_SIGNS,
    images=("pdf",),
    tidy=True,
    beside=True,
)
FORMS = {
    "html": _HTML,
    "htm": _HTML,
    "md": _MARKDOWN,
    "markdown": _MARKDOWN,
    "tex": _LATEX,
    "csv": Form(_unless_ready(escapes.csv_field)),
    "json": Form(_unless_ready(_json)),
    "txt": Form(_unless_ready(escapes.visible), code_block=escapes.plain_block),
}
"""By what a file's name ends in."""


def file_of(template: str) -> str:
    """Return the file that a template makes: `my.md` of `my.md.jinja`. InputError where its name does not say."""
    made = template.removesuffix(".jinja")
    if made == template or not PurePath(made).suffix[1:] or PurePath(made).name != made:
        raise InputError(
            f"{escapes.visible(template)}: a template is called as the file that it makes, with .jinja after it, "
            "such as my.md.jinja"
        )
    return made


def form_of(template: str) -> Form:
    """Return what a template makes. InputError where its name does not say, or says what is not known."""
    ending = PurePath(file_of(template)).suffix[1:].lower()
    if ending not in FORMS:
        raise InputError(
            f"{escapes.visible(template)}: it is not known how values are escaped in .{escapes.visible(ending)}\n"
            f"  accepted: {', '.join(f'.{known}.jinja' for known in FORMS)}; .txt.jinja leaves text as it is"
        )
    return FORMS[ending]
