"""Where templates run: what they read is the facts of a report, and nothing of Python is in reach.

A template comes with a study as often as with a colleague, and making a report is not running their code.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import runtime
from jinja2.compiler import CodeGenerator
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace, missing

from ..errors import did_you_mean, listing, quoted
from . import bounds
from .escapes import Ready

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jinja2.compiler import Frame

_PLAIN = (str, bytes, int, float, tuple, list, frozenset, set, Mapping)
_JINJAS = (runtime.LoopContext, runtime.Macro, runtime.BlockReference, runtime.TemplateReference, Cycler, Joiner)


class _Code(CodeGenerator):
    """Jinja's code of templates, in which `~` is bounded as `+` is."""

    def visit_Concat(self, node: jinja2.nodes.Concat, frame: Frame) -> None:  # noqa: N802  # Jinja's name
        self.write("environment.bounded(")
        super().visit_Concat(node, frame)
        self.write(")")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, which keeps to what is allowed and not from what is forbidden.

    Of a record of a report a template reads fields and properties, and it calls what Jinja itself has and the methods
    of texts and other plain values. A method of anything else is out of reach: one that makes a pandas frame, say,
    would lead to all that pandas can do, which is to write files and to run code.
    What a macro or a block of a template gives is escaped already, and is `Ready`.
    """

    code_generator_class = _Code
    intercepted_binops = frozenset({"+", "*", "**", "%"})
    concat = staticmethod(lambda parts: Ready(bounds.joined(parts)))
    bounded = staticmethod(bounds.check_text)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        del self.globals["lipsum"]  # at random, and a report of the same runs is the same
        self.filters |= {name: bounds.bounded(name, self.filters[name]) for name in bounds.BOUNDED}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Tell whether a template may read an attribute."""
        if not super().is_safe_attribute(obj, attr, value):
            return False
        if isinstance(obj, (*_PLAIN, *_JINJAS, Namespace, jinja2.environment.TemplateModule)):
            return True
        return attr in readable(obj) or _is_for_templates(value)

    def is_safe_callable(self, obj: Any) -> bool:
        """Tell whether a template may call something."""
        if any(obj is one for one in self.globals.values()) or isinstance(obj, _JINJAS) or _is_for_templates(obj):
            return True
        method = getattr(obj, "__wrapped__", obj)  # the sandbox wraps format of a text
        owner = getattr(method, "__self__", None)
        return isinstance(owner, (*_PLAIN, *_JINJAS)) and not isinstance(owner, type)

    def call_binop(self, context: runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Work an operator out, unless it grows out of the memory."""
        bounds.check_operator(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: runtime.Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805, PYI063
        """Call what may be called, unless that grows out of the memory. The names are Jinja's: kwargs may have any."""
        bounds.check_call(__obj, args, kwargs)
        return super().call(__context, __obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return what formats a text in the sandbox, for the method of one that does."""
        made = super().wrap_str_format(value)
        if made is None:
            return None

        def checked(*args: Any, **kwargs: Any) -> str:
            bounds.check_braces(value.__self__)
            return made(*args, **kwargs)

        return functools.update_wrapper(checked, value)

    def unsafe_undefined(self, obj: Any, attribute: str) -> jinja2.Undefined:
        """Return what an attribute that is out of reach is to a template: told where it is used."""
        has = f"; it has {listing(quoted(readable(obj)))}" if readable(obj) else ""
        told = f"{_called(obj)}: '{attribute}' is not for templates{has}"
        return self.undefined(told, name=attribute, obj=obj, exc=SecurityError)


def _is_for_templates(found: object) -> bool:
    return isinstance(found, MethodType) and getattr(found.__func__, "for_templates", False) is True


def readable(obj: Any) -> list[str]:
    """Return which names of a record a template can read: its fields and properties, in their order."""
    if not dataclasses.is_dataclass(obj):
        return []
    fields = [one.name for one in dataclasses.fields(obj)]
    kind = obj if isinstance(obj, type) else type(obj)
    properties = [
        name
        for base in reversed(kind.__mro__)
        for name, value in vars(base).items()
        if isinstance(value, (property, functools.cached_property)) and not name.startswith("_")
    ]
    return list(dict.fromkeys(fields + properties))


def undefined(known: Iterable[str]) -> type[jinja2.StrictUndefined]:
    """Return what stands for a name that is not there: used in any way, it is told with the nearest one.

    known: the names that every template has.
    """
    names = tuple(known)

    class Absent(jinja2.StrictUndefined):
        __slots__ = ()

        @property
        def _undefined_message(self) -> str:
            if self._undefined_hint:
                return self._undefined_hint
            name, owner = self._undefined_name, self._undefined_obj
            if owner is missing:
                return f"'{name}' is not defined{did_you_mean(str(name), names) or f'; there is {listing(names)}'}"
            if isinstance(name, str) and (has := readable(owner)):
                return f"{_called(owner)} has no '{name}'{did_you_mean(name, has) or f'; it has {listing(has)}'}"
            if isinstance(owner, Mapping):
                return f"there is no {name!r} in it{did_you_mean(str(name), map(str, owner))}"
            return f"{_called(owner)} has no {name!r}"

    return Absent


def unknown_filter(message: str, environment: jinja2.Environment) -> str:
    """Add the nearest name to what Jinja says of a filter or a test that is not there."""
    found = re.fullmatch(r"No (filter|test) named '(.*)'\.?", message)
    if not found:
        return message
    known = environment.filters if found[1] == "filter" else environment.tests
    return f"there is no {found[1]} '{found[2]}'{did_you_mean(found[2], known)}"


def _called(obj: Any) -> str:
    """Say what a value is, to somebody who writes a template and not Python."""
    plain = {"str": "a text", "int": "a number", "float": "a number", "tuple": "a list", "list": "a list"}
    return plain.get(type(obj).__name__, type(obj).__name__)
