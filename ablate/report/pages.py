"""Templates filled, and files written: what reports of every kind have in common."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING, Any

import jinja2

from .. import paths
from ..errors import InputError
from ..files import replace_file
from . import claim_text, design_text, escapes, filters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def page(template: str, facts: Mapping[str, Any], **options: Any) -> str:
    """Return what a template makes of facts; InputError with file and line for whatever a user's one raises.

    options: of the Jinja environment; its `finalize` is the escape of the format.
    """
    folders = [*paths.of_user("templates", None), paths.shipped("templates")]
    for folder in folders:
        _check_readable(folder, template)
    environment = jinja2.Environment(  # noqa: S701  # Markdown and LaTeX are escaped by `finalize`
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    environment.filters |= {
        **filters.FILTERS,
        **design_text.FILTERS,
        **claim_text.FILTERS,
        "code": escapes.code_span,
        "label": escapes.latex_label,
    }
    try:
        made = environment.get_template(template).render(facts)
        made.encode()  # what a template calls safe may hold half a character, which no file can
    except Exception as error:  # a user's template may raise anything
        first = next(folder / template for folder in folders if (folder / template).is_file())
        raise InputError(f"{_place(error, first)}: {_reason(error)}") from error
    return made


def _check_readable(folder: Path, template: str) -> None:
    """Raise InputError where a user's template is passed over without a word, as Jinja does with what is no file."""
    try:
        there = any(path.name == template for path in folder.iterdir())
        if there and not (folder / template).is_file():
            raise InputError(f"{paths.shown(folder / template)}: is not a file; take it away, or make it a template")
    except OSError as error:
        raise InputError(f"{paths.shown(folder)}: templates cannot be read: {error.strerror or error}") from error


def _place(error: Exception, template: Path) -> str:
    """Return the file and line of a template at which it failed; the whole file where no line is known."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"{paths.shown(error.filename or error.name or template)}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.endswith(".jinja"):
            return f"{paths.shown(frame.filename)}:{frame.lineno}"
    return paths.shown(template)


def _reason(error: Exception) -> str:
    match error:
        case jinja2.TemplateSyntaxError() | jinja2.UndefinedError():
            return str(error.message)
        case jinja2.TemplateNotFound():
            return f"there is no template '{error.name}'"
        case RecursionError():
            return "it calls or includes itself without end"
        case UnicodeDecodeError():
            return f"it, or what it includes, is not UTF-8 text: {error.reason} (byte {error.start + 1})"
        case _:
            return f"{type(error).__name__}: {error}"


def check_folder(folder: Path) -> None:
    """Raise InputError where files cannot be written to a folder, which need not be there, before what takes time."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise InputError(
            f"cannot write to {paths.shown(folder)}: {paths.shown(there)} is no folder that can be written"
        )


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write files, making their folders, each in place of an older one at once; InputError where one cannot be."""
    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)
        except OSError as error:
            raise InputError(
                f"cannot write {paths.shown(path)}: {error.strerror or error}; name a folder that can be written"
            ) from error
