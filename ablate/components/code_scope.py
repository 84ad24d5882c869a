"""How much of a plugin's file its components may use: what they name, all of it, or any file near it.

A component's digest covers the definitions that it reaches, as far as the text shows them. The text shows all of them
where importing the file does nothing but bind names, and no code is looked up in other ways. Where that is not
certain, more is taken to be used: a run too many is better than a wrong one.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class CodeScope(IntEnum):
    """What a component of a file may use of it."""

    NAMES = 0  # what it names
    FILE = 1  # all of the file, and of those that it imports
    FOLDER = 2  # any file that can be imported from where this one stands


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LIBRARIES = _words(
    "ablate torch torchvision timm numpy PIL scipy sklearn pandas annotated_types pydantic typing_extensions "
    "cv2 skimage einops kornia h5py tqdm torchmetrics"
)
"""Installed libraries that call nothing of a plugin but what it hands them, wherever they are installed."""
# The same of Python's own.
_STANDARD = _words(
    "__future__ abc base64 bisect cmath collections colorsys contextlib copy csv dataclasses datetime decimal enum "
    "fractions functools glob gzip hashlib heapq inspect io itertools json logging lzma math numbers operator os "
    "pathlib pickle random re shutil statistics string struct sys tarfile tempfile textwrap time types typing "
    "urllib uuid warnings zipfile zlib bz2"
)
_HARMLESS = frozenset({"importlib.util.find_spec", "importlib.metadata.version"})
_BY_TEXT = frozenset({"eval", "exec", "compile", "__import__", "__builtins__"})
_BY_NAME = frozenset({"globals", "locals"})
_ATTRIBUTES = _words("__subclasses__ __globals__ __builtins__ __dict__ __code__ __loader__ f_globals f_back f_builtins")
# Functions that Python itself calls when a class is made, or a name is not found.
_HOOKS = _words("__init_subclass__ __class_getitem__ __set_name__ __prepare__ __mro_entries__")
_LOOKUPS = _words(
    "sys.modules sys._getframe sys._current_frames sys.meta_path sys.path_hooks sys.settrace inspect.stack "
    "inspect.currentframe inspect.getmodule inspect.trace pickle.load pickle.loads torch.load "
    "typing.get_type_hints typing.ForwardRef types.ModuleType types.FunctionType logging.config"
)
# What may be called while a file is imported: it makes a value of its arguments, and calls none of them.
_BUILTINS = _words(
    "abs bool bytes complex dict divmod enumerate float frozenset int len list object range reversed round set slice "
    "str sum tuple zip"
)
_CALLS = _words(
    "re.compile math pathlib.Path pathlib.PurePath dataclasses.field functools.partial logging.getLogger "
    "collections.namedtuple collections.OrderedDict typing annotated_types fractions.Fraction decimal.Decimal "
    "pydantic.Field pydantic.TypeAdapter numpy.array numpy.asarray numpy.arange numpy.linspace numpy.zeros numpy.ones "
    "numpy.float32 numpy.float64 numpy.uint8 numpy.int64 torch.tensor torch.arange torch.linspace torch.zeros "
    "torch.ones torch.device torch.Size ablate operator.attrgetter operator.itemgetter"
)
_DECORATORS = _words(
    "ablate functools.cache functools.lru_cache functools.wraps functools.cached_property functools.total_ordering "
    "functools.singledispatch dataclasses.dataclass contextlib.contextmanager abc.abstractmethod enum.unique typing "
    "torch.no_grad torch.inference_mode torch.enable_grad torch.jit"
)
_BUILTIN_DECORATORS = frozenset({"property", "staticmethod", "classmethod"})
_BASES = _words(
    "torch.nn torch.optim torch.autograd torch.utils.data torch.Tensor abc.ABC typing enum ablate pickle.Unpickler "
    "collections.abc"
)
_BUILTIN_BASES = _words("object dict list tuple set frozenset int float str Exception")


@dataclass(frozen=True)
class FileFacts:
    """What a file's text shows: whether it looks code up, whether importing it only binds names, what it imports."""

    looks_up: bool
    binds: bool
    modules: frozenset[str]

    @classmethod
    def of(cls, tree: ast.Module) -> FileFacts:
        """Read a file."""
        reader = _Reader(tree)
        return cls(reader.looks_up_code(), reader.only_binds(), reader.modules())

    def scope(self, is_own: Callable[[str], bool]) -> CodeScope:
        """Return what components of this file may use of it.

        is_own: tells of a module that an import names whether it is the user's; such a file is looked at itself.
        """
        if self.looks_up:
            return CodeScope.FOLDER
        known = all(top in LIBRARIES or top in _STANDARD or is_own(top) for top in self.modules)
        return CodeScope.NAMES if known and self.binds else CodeScope.FILE


class _Reader:
    """Reads one file. imports: what each name stands for that an import binds, and nothing else does."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._nodes = list(ast.walk(tree))
        self._functions: dict[str, list[ast.FunctionDef]] = {}
        bound: set[str] = set()
        for node in self._nodes:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                bound.add(node.name)
            elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                bound.add(node.id)
            elif isinstance(node, ast.arg):
                bound.add(node.arg)
        for statement in tree.body:
            if isinstance(statement, ast.FunctionDef):
                self._functions.setdefault(statement.name, []).append(statement)
        self._bound = bound
        self._imports: dict[str, set[str]] = {}
        for node in self._nodes:
            for name, origin in _imported(node):
                self._imports.setdefault(name, set()).add(origin)

    def looks_up_code(self) -> bool:
        """Tell whether it may import what no import names, or run text."""
        return any(_is_import_by_name(origin) for origins in self._imports.values() for origin in origins) or any(
            isinstance(node, ast.Name) and node.id in _BY_TEXT for node in self._nodes
        )

    def modules(self) -> frozenset[str]:
        """Return the first names of the modules that it imports."""
        origins = {origin for origins in self._imports.values() for origin in origins if origin not in _HARMLESS}
        return frozenset(_top(origin) for origin in origins) - {""}

    def only_binds(self) -> bool:
        """Tell whether importing it does nothing but bind names, and its code is reached by those alone."""
        return not any(map(self._is_lookup, self._nodes)) and self._plain(self._tree.body)

    def _is_lookup(self, node: ast.AST) -> bool:
        match node:
            case ast.Global():
                return True
            case ast.Name(id=name):
                return name in _BY_NAME or self._origin(node) in _LOOKUPS
            case ast.Attribute(attr=name):
                return name in _ATTRIBUTES or self._origin(node) in _LOOKUPS
            case ast.Call(func=ast.Name(id="vars" | "dir"), args=[]):
                return True
            case ast.FunctionDef(name=name):
                return name in _HOOKS
        return False

    def _origin(self, node: ast.AST) -> str:
        """Return the dotted name that an expression has outside of this file, or ""."""
        if isinstance(node, ast.Attribute):
            base = self._origin(node.value)
            return f"{base}.{node.attr}" if base else ""
        if isinstance(node, ast.Name) and node.id not in self._bound:
            origins = self._imports.get(node.id, set())
            return next(iter(origins)) if len(origins) == 1 else ""
        return ""

    def _is(self, node: ast.AST, builtins: Iterable[str], outside: Iterable[str]) -> bool:
        """Tell whether an expression is one of these builtins, or one of these from outside, or inside of one."""
        if isinstance(node, ast.Name) and node.id in builtins:
            return node.id not in self._bound and node.id not in self._imports
        parts = self._origin(node).split(".")
        return any(".".join(parts[:count]) in outside for count in range(1, len(parts) + 1))

    def _plain(
        self, body: Iterable[ast.stmt], within: tuple[str, ...] = (), inside: frozenset[str] = frozenset()
    ) -> bool:
        """Tell whether statements only bind names. within: names of local functions whose body this is."""
        return all(self._binds(statement, within, inside) for statement in body)

    def _binds(self, node: ast.stmt, within: tuple[str, ...], inside: frozenset[str]) -> bool:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return self._defines(node, within, inside)
            case ast.ClassDef():
                return self._makes(node, within)
            case ast.Assign(targets=targets):
                return all(_is_name(target) for target in targets) and self._still(node.value, within)
            case ast.AnnAssign():
                return _is_name(node.target) and self._still(node, within)
            case ast.If():
                return self._still(node.test, within) and self._plain([*node.body, *node.orelse], within, inside)
            case ast.Try():
                handled = [s for handler in node.handlers for s in handler.body]
                return self._plain([*node.body, *handled, *node.orelse, *node.finalbody], within, inside)
            case ast.ImportFrom():
                return all(alias.name != "*" for alias in node.names)
            case ast.Assert() | ast.Raise() | ast.Return():
                return self._still(node, within)
            case ast.Expr():
                return isinstance(node.value, ast.Constant)
        return type(node).__name__ in ("Import", "Pass", "TypeAlias")

    def _defines(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, within: tuple[str, ...], inside: frozenset[str]
    ) -> bool:
        """Tell whether making a function only binds its name."""
        if node.name in ("__getattr__", "__dir__") and not inside:  # Python asks these for names of the module
            return False
        decorated = all(self._decorates(decorator, inside) for decorator in node.decorator_list)
        return decorated and all(self._still(part, within) for part in (node.args, node.returns) if part is not None)

    def _makes(self, node: ast.ClassDef, within: tuple[str, ...]) -> bool:
        """Tell whether making a class only binds its names."""
        names = frozenset(s.name for s in node.body if isinstance(s, ast.FunctionDef))
        bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
        local = [isinstance(base, ast.Name) and base.id in self._bound for base in bases]
        known = all(own or self._is(base, _BUILTIN_BASES, _BASES) for own, base in zip(local, bases, strict=True))
        # An enumeration makes its members, and calls its own methods for it, while it is imported.
        enum = any(self._origin(base).startswith("enum.") for base in bases) or any(local)
        quiet = not (enum and any(name in ("__new__", "__init__", "_missing_") for name in names) and self._has_enum())
        decorated = all(self._decorates(d, frozenset()) for d in node.decorator_list)
        return known and quiet and not node.keywords and decorated and self._plain(node.body, within, names or _CLASS)

    def _has_enum(self) -> bool:
        return any(origin.startswith("enum") for origins in self._imports.values() for origin in origins)

    def _decorates(self, node: ast.expr, inside: frozenset[str]) -> bool:
        """Tell whether a decorator only wraps or marks. inside: the methods of the class that it stands in."""
        if isinstance(node, ast.Attribute) and node.attr in ("setter", "getter", "deleter"):
            return isinstance(node.value, ast.Name) and node.value.id in inside
        if isinstance(node, ast.Call):
            return self._is(node.func, (), _DECORATORS) and all(
                self._still(part, ()) for part in (*node.args, *(keyword.value for keyword in node.keywords))
            )
        return self._is(node, _BUILTIN_DECORATORS, _DECORATORS)

    def _still(self, node: ast.AST, within: tuple[str, ...]) -> bool:
        """Tell whether working out an expression calls nothing that could change anything."""
        return all(
            self._is(call.func, _BUILTINS, _CALLS) or self._is_still_function(call.func, within)
            for call in ast.walk(node)
            if isinstance(call, ast.Call)
        )

    def _is_still_function(self, node: ast.expr, within: tuple[str, ...]) -> bool:
        """Tell whether this is a function of the file whose own body changes nothing."""
        if not isinstance(node, ast.Name) or node.id in within:
            return False
        found = self._functions.get(node.id, [])
        return (
            len(found) == 1
            and self._bound_once(node.id)
            and not found[0].decorator_list
            and self._plain(found[0].body, (*within, node.id))
        )

    def _bound_once(self, name: str) -> bool:
        stored = [n for n in self._nodes if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)]
        named = [n for n in self._nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name == name]
        return not stored and len(named) == 1 and not any(isinstance(n, ast.arg) and n.arg == name for n in self._nodes)


_CLASS = frozenset({""})  # a class without methods


def _is_name(target: ast.expr) -> bool:
    if isinstance(target, (ast.Tuple, ast.List)):
        return all(_is_name(element) for element in target.elts)
    return isinstance(target, ast.Name)


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each name that an import binds, with what it stands for; of relative imports, that begins with a dot."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
            if not alias.asname and "." in alias.name:
                yield "", alias.name  # imported as well, and bound to no name of its own
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name, f"{'.' * node.level}{node.module or ''}.{alias.name}"


def _top(origin: str) -> str:
    return origin.partition(".")[0]


def _is_import_by_name(origin: str) -> bool:
    """Tell whether this is a part of Python that can import by name or run text."""
    top = _top(origin)
    if not top or top in _STANDARD or origin in _HARMLESS:
        return False
    return top in sys.stdlib_module_names or top in ("imp", "hydra", "mmengine", "stevedore")
