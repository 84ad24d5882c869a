"""How large a template may make a text or a list: one line of it must not fill the memory.

What one operator, method or filter gives is bounded here before it is made, and a whole page as its parts are joined.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import SecurityError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

MOST_WIDTH = 10_000
"""The largest width that a text is filled up to, and the most places of a number."""
MOST_TEXT = 10_000_000
"""How long a text or list may become in one step, and how many bits a power has."""
MOST_PAGE = 500_000_000
"""How many characters a page may have: one of 2,000 variants has a tenth of that."""

_FILLING = frozenset({"ljust", "rjust", "zfill", "expandtabs", "to_bytes"})
"""Methods that take a width."""
_WIDE = frozenset({"center", "indent", "batch", "slice", "round", "tojson", "wordwrap", "truncate", "urlize"})
"""Filters that take a width, or a number of parts or places, and methods of these names."""
_PERCENT = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|\d*)(?:\.(\*|\d*))?")
_BRACES = re.compile(r"\{[^{}]*:([^{}]*)(\{)?")
_TEXTS = (str, bytes)


def check_operator(operator: str, left: Any, right: Any) -> None:
    """Raise SecurityError where an operator would make too much."""
    sizes = [len(one) for one in (left, right) if isinstance(one, (*_TEXTS, list, tuple))]
    times = [one for one in (left, right) if isinstance(one, int)]
    if operator == "*" and sizes and times:
        _check_size(sizes[0] * times[0], "a text or list repeated")
    elif operator == "+" and len(sizes) == 2:
        _check_size(sum(sizes), "a text or list with another added")
    elif operator == "**" and len(times) == 2 and times[0].bit_length() * times[1] > MOST_TEXT:
        raise SecurityError("a power is too large")
    elif operator == "%" and isinstance(left, _TEXTS):
        check_percent(left)


def check_percent(text: str | bytes) -> None:
    """Raise SecurityError where `%` would fill a text up too far."""
    written = text.decode("latin-1") if isinstance(text, bytes) else text
    for widths in _PERCENT.findall(written):
        _check_widths("%", ["*" if "*" in widths else "", *widths])


def check_braces(text: str) -> None:
    """Raise SecurityError where `format` of a text would fill it up too far."""
    for spec, nested in _BRACES.findall(text):
        _check_widths("format", ["*" if nested else "", *re.findall(r"\d+", spec)])


def check_call(called: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Raise SecurityError where a method of a plain value would make too much."""
    owner = getattr(called, "__self__", None)
    if isinstance(owner, (*_TEXTS, int)):
        _check(getattr(called, "__name__", ""), owner, [*arguments, *named.values()])


def bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter of Jinja that makes no more than it may."""

    @functools.wraps(function)
    def checked(*arguments: Any, **named: Any) -> Any:
        first = 1 if hasattr(function, "jinja_pass_arg") else 0  # which has Jinja's own before the value
        before, (value, *more) = arguments[:first], arguments[first:]
        if name == "join" and not isinstance(value, (*_TEXTS, list, tuple)):
            value = list(value)
        if name == "format":
            check_percent(str(value))
        _check(name, value, [*more, *named.values()])
        return function(*before, value, *more, **named)

    return checked


BOUNDED = (*sorted(_WIDE), "format", "join", "replace", "sum")
"""Jinja's filters that can make more than they are given."""


def check_text(made: str) -> str:
    """Return what `~` made of texts that were not too long. Raises SecurityError where it is."""
    _check_size(len(made), "a text with another added")
    return made


def joined(parts: Iterable[str]) -> str:
    """Join the parts of a page. Raises SecurityError where it becomes too long."""
    found, size = [], 0
    for part in parts:
        found.append(part)
        size += len(part)
        if size > MOST_PAGE:
            raise SecurityError(f"makes more than {MOST_PAGE:,} characters")
    return "".join(found)


def _check(name: str, value: Any, arguments: Sequence[Any]) -> None:
    if name in _WIDE | _FILLING:
        _check_widths(name, [one for one in arguments if isinstance(one, int)])
    texts = [one for one in arguments if isinstance(one, _TEXTS)]
    longest, size = max(map(len, texts), default=0), len(value) if isinstance(value, (*_TEXTS, list, tuple)) else 0
    match name:
        case "indent" | "expandtabs" | "wordwrap" if isinstance(value, _TEXTS):
            widths = [abs(one) for one in arguments if isinstance(one, int)]
            breaks = len(value.splitlines()) if name == "indent" else size
            _check_size(size + breaks * max([longest, *widths], default=0), f"a text that '{name}' makes")
        case "replace" if isinstance(value, _TEXTS):
            times = value.count(texts[0]) if texts and isinstance(value, type(texts[0])) else size  # type: ignore[arg-type]
            _check_size(size + times * longest, "a text that 'replace' makes")
        case "join":
            method = isinstance(value, _TEXTS) and bool(arguments) and isinstance(arguments[0], (list, tuple))
            items, between = (arguments[0], size) if method else (value, longest)
            _check_size(
                sum(len(one) for one in items if isinstance(one, _TEXTS)) + len(items) * between,
                "a text that 'join' makes",
            )
        case "sum" if size:
            _check_size(sum(len(one) for one in value if isinstance(one, (list, tuple))), "a list that 'sum' makes")


def _check_widths(name: str, widths: Iterable[int | str]) -> None:
    for one in widths:
        if one == "*":
            raise SecurityError(f"'{name}' takes a width from a value, which templates cannot: write the number")
        if one and abs(int(one)) > MOST_WIDTH:
            raise SecurityError(f"'{name}' with {int(one):,}: widths and places are at most {MOST_WIDTH:,}")


def _check_size(size: int, what: str) -> None:
    if size > MOST_TEXT:
        raise SecurityError(f"{what} would have {size:,} parts, which are at most {MOST_TEXT:,}")
