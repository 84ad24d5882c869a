"""The registry of components, and the decorators that mark them.

A decorator checks the factory's contract where it stands and marks it; nothing is registered at
import. `discover` collects the marked factories of each plugin into a `Registry`.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..errors import ComponentError, InputError, did_you_mean, listing
from ..paths import shown
from .contracts import KINDS, Kind, Library, Steps
from .schema import Checked, Setting, arguments, check_settings, settings_of
from .sources import source_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

P = ParamSpec("P")
R = TypeVar("R")
LibraryType = TypeVar("LibraryType", bound=type[Library])

# What `ablate` passes to a factory of each kind, by position, before the study's settings.
POSITIONAL: Mapping[Kind, tuple[str, ...]] = {
    "dataset": ("folder",),
    "model": ("shape", "classes"),
    "augmentation": (),
    "optimizer": ("params",),
    "scheduler": ("optimizer", "horizon"),
}
_NAME = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")


@dataclass(frozen=True)
class Entry:
    """One registered component.

    `factory` is called with what POSITIONAL names, then the settings as keywords; `file` and `line` say
    where it stands; `steps` says whether a scheduler steps after each epoch or each batch; `borrowed` is the
    library that a component comes from.
    """

    kind: Kind
    name: str
    factory: Callable[..., Any]
    summary: str
    file: Path
    line: int
    settings: tuple[Setting, ...]
    steps: Steps = "epoch"
    borrowed: LibraryEntry | None = None

    @cached_property
    def source(self) -> str:
        """Return the digest of all the source that the component uses; a library's is that of its plugin."""
        return self.borrowed.source if self.borrowed else source_digest(self.factory)

    @property
    def place(self) -> str:
        """Return `file:line` as a person would type it."""
        return f"{shown(self.file)}:{self.line}"

    @property
    def signature(self) -> str:
        """Return the settings with their types and defaults, on one line."""
        return listing((str(s) for s in self.settings), most=8) or "no settings"

    def check(self, given: Mapping[str, Any]) -> Checked:
        """Check a study's values for this component's settings."""
        return check_settings(self.name, self.settings, given, fill=self.borrowed is None)

    def build(self, *args: Any, settings: Mapping[str, Any]) -> Any:
        """Call the factory with `args` by position and plain stored `settings` as keywords."""
        return self.factory(*args, **arguments(self.settings, settings))


@dataclass(frozen=True)
class LibraryEntry:
    """A whole library behind a prefix, such as `timm:`; its components become entries on use."""

    kind: Kind
    prefix: str
    library: Library
    summary: str
    file: Path
    line: int

    @cached_property
    def source(self) -> str:
        """Return the digest of the plugin's source; the library's own version is recorded with each run."""
        return source_digest(type(self.library))

    @property
    def version(self) -> str:
        """Return the version of the library, where its distribution has the prefix's name."""
        try:
            return version(self.prefix)
        except PackageNotFoundError:
            return ""

    @property
    def place(self) -> str:
        """Return `file:line` as a person would type it."""
        return f"{shown(self.file)}:{self.line}"

    def caution(self, name: str) -> str:
        """Return what the library says a plan should tell of a component (without the prefix), if anything."""
        say = getattr(self.library, "caution", None)
        return str(say(name)) if say else ""

    def entry(self, name: str) -> Entry:
        """Return the library's component of this name (without the prefix), or raise InputError."""
        try:
            found = self.library.component(name)
        except KeyError:
            raise InputError(
                f"{self.prefix} has no {self.kind} '{name}'{did_you_mean(name, self.library.names())}\n"
                f"see 'ablate components {self.kind} {self.prefix}:' for all of them"
            ) from None
        name = f"{self.prefix}:{name}"
        place = (self.file, self.line, found.settings, found.steps)
        return Entry(self.kind, name, found.build, found.summary, *place, borrowed=self)


class Registry:
    """Every component that a study can name. A name is taken once for each kind."""

    def __init__(self) -> None:
        self._entries: dict[tuple[Kind, str], Entry] = {}
        self._libraries: dict[tuple[Kind, str], LibraryEntry] = {}
        self.files: list[Path] = []

    def add(self, found: Entry | LibraryEntry) -> None:
        """Register a component or a library; a taken name is an error that names both places."""
        name = found.name if isinstance(found, Entry) else f"{found.prefix}:"
        taken = self._entries.get((found.kind, name)) or self._libraries.get((found.kind, name.removesuffix(":")))
        if taken is not None:
            raise ComponentError(
                f"{found.place}: the {found.kind} name '{name}' is taken by {taken.place}\n"
                "  give one of them another name"
            )
        if isinstance(found, Entry):
            self._entries[found.kind, found.name] = found
        else:
            self._libraries[found.kind, found.prefix] = found

    def entries(self, kind: Kind) -> list[Entry]:
        """Return the components of a kind by name, without those behind prefixes."""
        return sorted((e for (k, _), e in self._entries.items() if k == kind), key=lambda e: e.name)

    def libraries(self, kind: Kind) -> list[LibraryEntry]:
        """Return the libraries of a kind by prefix."""
        return sorted((e for (k, _), e in self._libraries.items() if k == kind), key=lambda e: e.prefix)

    def library(self, kind: Kind, name: str) -> LibraryEntry | None:
        """Return the library whose prefix a name carries, if any."""
        prefix, colon, _ = name.partition(":")
        return self._libraries.get((kind, prefix)) if colon else None

    def get(self, kind: Kind, name: str) -> Entry:
        """Return the component of this name.

        Raises InputError naming the nearest name and all that are accepted.
        """
        if (kind, name) in self._entries:
            return self._entries[kind, name]
        library = self.library(kind, name)
        if library is not None:
            return library.entry(name.partition(":")[2])
        names = [e.name for e in self.entries(kind)]
        prefixes = [f"{e.prefix}:<name>" for e in self.libraries(kind)]
        rest = name.partition(":")[2]
        near = did_you_mean(name, [*names, *(f"{e.prefix}:{rest}" for e in self.libraries(kind) if rest)])
        raise InputError(f"unknown {kind} '{name}'{near}\naccepts {listing(names + prefixes, 20)}")


@dataclass(frozen=True)
class _Mark:
    kind: Kind
    name: str
    steps: Steps = "epoch"


def dataset(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a dataset: `(folder: Path, *, settings) -> Source`. `folder` is ablate's data folder."""
    return _marker(_Mark("dataset", name))


def model(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a model: `(shape: ImageShape, classes: int, *, settings) -> nn.Module` giving logits (B, classes)."""
    return _marker(_Mark("model", name))


def augmentation(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register an augmentation: `(*, settings) -> BatchTransform`, or a `MixingTransform`."""
    return _marker(_Mark("augmentation", name))


def optimizer(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register an optimizer: `(params, *, settings) -> torch.optim.Optimizer`."""
    return _marker(_Mark("optimizer", name))


def scheduler(name: str, *, steps: Steps) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a scheduler: `(optimizer, horizon: Horizon, *, settings) -> LRScheduler`.

    `steps` says when it is stepped: after each "epoch" or after each "batch".
    """
    return _marker(_Mark("scheduler", name, steps))


def library(kind: Kind, prefix: str) -> Callable[[LibraryType], LibraryType]:
    """Register a whole library of components of one kind behind `prefix:`; the class follows `Library`."""

    def mark(cls: LibraryType) -> LibraryType:
        _put_mark(cls, _Mark(kind, f"{prefix}:"))
        return cls

    return mark


def marked(module: Any, file: Path) -> list[Entry | LibraryEntry]:
    """Return an entry for each factory that a module, or a package with its own submodules, defines and marks."""
    found: list[Entry | LibraryEntry] = []
    home = module.__name__
    own = [t for t in vars(module).values() if f"{getattr(t, '__module__', None)}.".startswith(f"{home}.")]
    for thing in {id(thing): thing for thing in own}.values():  # a second name for the same factory is no other one
        for mark in vars(thing).get("__ablate__", ()) if hasattr(thing, "__dict__") else ():
            file, line = Path(inspect.getsourcefile(inspect.unwrap(thing)) or file), _line(thing)
            if mark.name.endswith(":"):
                prefix = mark.name.removesuffix(":")
                found.append(LibraryEntry(mark.kind, prefix, _made(mark, thing), _summary(thing), file, line))
            else:
                settings = tuple(settings_of(thing))
                found.append(Entry(mark.kind, mark.name, thing, _summary(thing), file, line, settings, mark.steps))
    return found


def _marker(mark: _Mark) -> Callable[[Callable[P, R]], Callable[P, R]]:
    if not isinstance(mark.name, str):  # the decorator stands there without parentheses
        raise ComponentError(f'write @{mark.kind}("NAME"), with a name in parentheses')

    def decorate(factory: Callable[P, R]) -> Callable[P, R]:
        _check_contract(mark, factory)
        _put_mark(factory, mark)
        return factory

    return decorate


def _put_mark(thing: Any, mark: _Mark) -> None:
    thing.__ablate__ = (*vars(thing).get("__ablate__", ()), mark)


def _check_contract(mark: _Mark, factory: Callable[..., Any]) -> None:
    """Raise ComponentError, with file and line, where a factory breaks the contract of its kind."""
    wanted = POSITIONAL[mark.kind]
    form = f"def {getattr(factory, '__name__', 'factory')}({', '.join([*wanted, '*', '...settings'])})"
    parameters = list(inspect.signature(factory).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    wrong = ""
    if not _NAME.fullmatch(mark.name):
        wrong = "a name is lower-case letters and digits, joined by '-', '_' or '.', such as 'wide-resnet'"
    elif any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        wrong = f"*args and **kwargs hide the settings, which could not be checked; write each one out: {form}"
    elif len(positional) != len(wanted):
        wrong = f"takes {len(positional)} positional parameters, and ablate passes {len(wanted)}: {form}"
    else:
        try:
            list(settings_of(factory))
        except TypeError as error:
            wrong = str(error)
    if wrong:
        file = inspect.getsourcefile(factory) or "?"
        raise ComponentError(f"{shown(file)}:{_line(factory)}: {mark.kind} '{mark.name}': {wrong}")


def _made(mark: _Mark, cls: type[Library]) -> Library:
    try:
        return cls()
    except Exception as error:
        file = inspect.getsourcefile(cls) or "?"
        text = f"{mark.kind} '{mark.name}': cannot be made: {type(error).__name__}: {error}"
        raise ComponentError(f"{shown(file)}:{_line(cls)}: {text}") from error


@lru_cache(maxsize=1024)  # for a class its whole file is parsed
def _line(thing: Any) -> int:
    code = getattr(inspect.unwrap(thing), "__code__", None)
    if code is not None:
        return int(code.co_firstlineno)
    try:
        return inspect.getsourcelines(thing)[1]
    except (OSError, TypeError):
        return 0


def _summary(thing: Any) -> str:
    lines = (inspect.getdoc(thing) or "").splitlines()
    return lines[0].rstrip(".") if lines else ""


def kind_named(text: str) -> Kind:
    """Return the kind that a user wrote, singular or plural, or raise InputError."""
    for kind in KINDS:
        if text.lower() in (kind, kind + "s"):
            return kind
    raise InputError(f"unknown kind '{text}'{did_you_mean(text, KINDS)}\naccepts {listing(KINDS)}")
