"""Templates found and filled, and files written: what reports of every kind have in common."""

from __future__ import annotations

import contextlib
import os
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2.exceptions import SecurityError

from .. import paths
from ..errors import InputError, did_you_mean, listing
from ..files import is_temporary, only_writer, replace_files
from . import (
    claim_text,
    class_text,
    conclusion_text,
    course_text,
    design_text,
    diff,
    drawing,
    escapes,
    filters,
    methods_text,
    page_data,
    references,
    table_columns,
)
from .forms import FORMS, form_of
from .sandbox import Sandbox, undefined, unknown_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

PARTS = ("figures", "parts")
"""Folders of a report for what its documents take in."""
_PAGES = (".html", ".htm")
_SUFFIXES = {*(f".{ending}" for ending in FORMS), ".svg", ".png", ".pdf", ".bib"}
"""What files of a report end in."""
SHIPPED = "shipped/"
"""Before a template's name: the one that comes with `ablate`, whatever the user has under that name."""


class _Folder(jinja2.FileSystemLoader):
    """Templates of one folder of a user's, who is told of what looks like one and is passed over."""

    def __init__(self, folder: Path, named: str = "") -> None:
        super().__init__(folder)
        self.folder, self.named = folder, named

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        if not template.endswith(".jinja"):  # nothing that is no template gets into a report
            raise jinja2.TemplateNotFound(template)
        place = self.folder / template
        try:
            if (place.is_symlink() or place.exists()) and not place.is_file():
                raise InputError(f"{paths.shown(place)}: is not a file; take it away, or make it a template")
            source, name, fresh = super().get_source(environment, template)
        except UnicodeDecodeError as error:
            told = f"is not UTF-8 text: {error.reason} (byte {error.start + 1})"
            raise InputError(f"{paths.shown(place)}: {told}") from error
        except OSError as error:
            if isinstance(error, jinja2.TemplateNotFound):
                raise
            raise InputError(f"{paths.shown(place)}: cannot be read: {error.strerror or error}") from error
        if template != self.named and not Path(name).resolve().is_relative_to(self.folder.resolve()):
            where = Path(name).resolve()
            raise InputError(f"{paths.shown(place)}: is a link to {where}, which is not in {paths.shown(self.folder)}")
        return source, name, fresh

    def list_templates(self) -> list[str]:
        return sorted(file.name for file in self.folder.glob("*.jinja"))


@dataclass(frozen=True)
class Templates:
    """Where templates are looked for: a user's folders, nearest first, before those that ship with `ablate`.

    named: a template that the user named, beside which they are looked for before all others.
    """

    folders: tuple[Path, ...] = ()
    named: Path | None = None

    @classmethod
    def of(cls, study: Path | None = None, template: Path | None = None) -> Templates:
        """Return where to look: beside a template that the user named, where they work, and beside a study's file.

        One that is named may be a link to anywhere; what stands beside it is what stands beside the link.
        """
        named = template.parent.resolve() / template.name if template is not None else None
        return cls(tuple(paths.of_user("templates", study)), named)

    def page(self, template: str, facts: Mapping[str, Any]) -> str:
        """Return what a template makes of facts; InputError with file and line for whatever a user's one raises.

        Its name says what it makes (`forms`), and so how every value is escaped.
        """
        form = form_of(template)
        environment = Sandbox(
            loader=self._loader(),
            undefined=undefined(facts),
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=form.autoescape,
            finalize=form.finalize,
            **form.signs,
        )
        environment.globals["colours"] = {"light": drawing.COLOURS, "dark": drawing.DARK_COLOURS}
        environment.filters |= {**FILTERS, "code": form.code, "code_block": form.code_block}
        try:
            made = environment.get_template(template).render(facts)
            made.encode()  # what a template calls safe may hold half a character, which no file can
        except Exception as error:  # a user's template may raise anything
            raise InputError(self._told(error, template, environment)) from error
        return form.finished(made)

    def _loader(self) -> jinja2.BaseLoader:
        shipped = jinja2.FileSystemLoader(paths.shipped("templates"))
        prefixed = jinja2.PrefixLoader({SHIPPED.rstrip("/"): shipped})
        beside = [_Folder(self.named.parent, self.named.name)] if self.named else []
        return jinja2.ChoiceLoader([prefixed, *beside, *map(_Folder, self.folders), shipped])

    def _told(self, error: Exception, template: str, environment: jinja2.Environment) -> str:
        """Say what went wrong in which line of which template."""
        place, reason = self._place(error, template), self._reason(error, environment)
        if isinstance(error, InputError):
            return reason if place is None else f"{reason} ({place})"
        return f"{place or self._first(template)}: {reason}"

    def _first(self, template: str) -> str:
        """Return the file of a template as a person would type it."""
        beside = [self.named.parent] if self.named else []
        found = (folder / template for folder in (*beside, *self.folders, paths.shipped("templates")))
        return paths.shown(next((file for file in found if file.is_file()), Path(template)))

    def _place(self, error: Exception, template: str) -> str | None:
        """Return the file and line of a template at which it failed; None where no line is known."""
        if isinstance(error, jinja2.TemplateSyntaxError):
            return f"{paths.shown(error.filename or self._first(error.name or template))}:{error.lineno}"
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if frame.filename.endswith(".jinja"):
                return f"{paths.shown(frame.filename)}:{frame.lineno}"
        return None

    def _reason(self, error: Exception, environment: jinja2.Environment) -> str:
        match error:
            case jinja2.TemplateAssertionError():
                return unknown_filter(str(error.message), environment)
            case InputError() | jinja2.TemplateSyntaxError() | jinja2.UndefinedError() | SecurityError():
                return str(error)
            case jinja2.TemplateNotFound():
                near = did_you_mean(str(error.name), environment.list_templates())
                return f"there is no template '{error.name}'{near}"
            case RecursionError():
                return f"it calls or includes itself without end; the shipped template NAME is '{SHIPPED}NAME'"
            case _:
                return f"{type(error).__name__}: {error}"


FILTERS: dict[str, Callable[..., object]] = {
    **filters.FILTERS,
    **design_text.FILTERS,
    **claim_text.FILTERS,
    **page_data.FILTERS,
    **conclusion_text.FILTERS,
    **course_text.FILTERS,
    **class_text.FILTERS,
    **methods_text.FILTERS,
    **table_columns.FILTERS,
    "diff_lines": diff.diff_lines,
    "bibitems": references.bibitems,
    "cite": escapes.latex_cite,
    "label": escapes.latex_label,
}
"""What templates write facts with, beside Jinja's own filters."""


def check_formats(formats: Sequence[str], accepted: Iterable[str], wrong: str = "unknown report format") -> None:
    """Raise InputError, with all that is accepted, unless every format is one and there is any.

    wrong: what is said before the name of one that is none.
    """
    accepted = [*accepted]
    said = [
        f"{wrong} '{escapes.visible(name)}'{did_you_mean(name, accepted)}"
        for name in dict.fromkeys(formats)
        if name not in accepted
    ]
    if said or not formats:
        said = said or ["no report format is named"]
        raise InputError("\n".join([*said, f"  accepted: {listing(accepted)}; with commas between them for several"]))


def check_folder(folder: Path) -> None:
    """Raise InputError where files cannot be written to a folder, which need not be there, before what takes time."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise InputError(
            f"cannot write to {paths.shown(folder)}: {paths.shown(there)} is no folder that can be written"
        )


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write files that belong together, all of them or none, making their folders; InputError where one cannot be.

    A page that is one file is never absent meanwhile, since it loads itself again where more is to come. What a killed
    process left half written goes.
    """
    if not files:
        return
    folder = min((path.parent for path in files), key=lambda place: len(place.parts))
    folders = {folder, *(folder / name for name in PARTS), *(path.parent for path in files)}
    # What others are shown in comes last: figures before the document, and the page after all.
    ordered = sorted(files, key=lambda path: (path.suffix in _PAGES, -len(path.parts)))
    try:
        for place in {path.parent for path in files}:
            place.mkdir(parents=True, exist_ok=True)
        with only_writer(folder) as alone:
            if alone:
                _clean(folders)
            pages = ordered if len(files) == 1 else [path for path in ordered if path.suffix in _PAGES]
            replace_files({path: files[path] for path in ordered}, pages)
    except OSError as error:
        at = Path(error.filename or folder)
        path = next((path for path in files if _is_for(at, path)), at)
        raise InputError(
            f"cannot write {paths.shown(path)}: {error.strerror or error}; name a folder that can be written"
        ) from error


def _clean(folders: Iterable[Path]) -> None:
    """Remove what is left of files that a process wrote and did not end; nobody writes to these folders now."""
    for folder in folders:
        for file in folder.glob(".*") if folder.is_dir() else ():
            if is_temporary(file.name) and Path(file.stem).suffix in _SUFFIXES and file.is_file():
                with contextlib.suppress(OSError):
                    file.unlink()


def _is_for(file: Path, path: Path) -> bool:
    """Tell whether a file is one, or is written beside one, or is the folder that one lies in."""
    return file in (path, path.parent) or (file.parent == path.parent and file.name.startswith(f".{path.name}."))
