"""Reports as files: one HTML page that needs nothing else, Markdown with its figures beside it, a table for LaTeX, CSV.

Every value that a template writes is escaped without the template's doing, also in a user's own templates: each
format's environment has its rule of `escapes` as its `finalize`.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jinja2

from .. import paths
from ..errors import InputError, did_you_mean, listing
from . import drawing, escapes, figures, lr_find
from .content import report
from .tidy import csv_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .content import Records, Report

FILES = {"html": ("report.html",), "md": ("report.md",), "tex": ("report.tex",), "csv": ("runs.csv", "epochs.csv")}
"""The files of each format, without figures."""

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
class Block:
    """A figure in its place.

    Where there is nothing to draw, `number` is None, `source` is empty, and `absent` says why.
    """

    name: str
    number: int | None
    title: str
    caption: str
    alt: str
    source: str
    absent: str


class _Material:
    """What a report is made of; nothing is worked out or drawn that no format asks for."""

    def __init__(self, records: Records, formats: Sequence[str]) -> None:
        self.records = records
        self.formats = formats

    @cached_property
    def facts(self) -> Report:
        return report(self.records)

    @cached_property
    def drawn(self) -> list[tuple[figures.FigureData | lr_find.FindData, Any]]:
        """Each figure's data with the figure, or with None where there is nothing to draw."""
        found: list[tuple[figures.FigureData | lr_find.FindData, Any]] = []
        for data, draw in (
            (figures.loss_data(self.records), figures.draw_loss),
            (figures.accuracy_data(self.records), figures.draw_accuracy),
        ):
            found.append((data, None if data.absent else draw(data)))
        if self.records.tested:
            tests = lr_find.find_data(self.records.study, self.records.tested)
            found.append((tests, lr_find.draw_find(tests)))
        return found

    def images(self, kind: str) -> dict[str, bytes]:
        """Return the drawn figures as files of a kind, by name."""
        return {data.name: drawing.encoded(figure, kind) for data, figure in self.drawn if figure is not None}

    def blocks(self, sources: Mapping[str, str]) -> list[Block]:
        """Return the figures in their places; sources: where a template finds each, by name."""
        blocks, number = [], 0
        for data, figure in self.drawn:
            number += figure is not None
            shown = number if figure is not None else None
            source = sources.get(data.name, "")
            blocks.append(Block(data.name, shown, data.title, data.caption, data.alt, source, data.absent))
        return blocks


def render(records: Records, formats: Sequence[str], out: Path) -> list[Path]:
    """Write a report in each format to the folder `out`, and return the files in the order of `formats`.

    html: `report.html`. md: `report.md`, with its figures in `figures/`. tex: `report.tex`, the comparison table as a
    part of a document, with the figures where `md` is asked for too. csv: `runs.csv` and `epochs.csv`.
    Everything is made before anything is written, and each file takes the place of an older one at once.
    InputError for an unknown format or a template that cannot be used, also where `out` cannot be written.
    """
    check_formats(formats)
    material = _Material(records, formats)
    files: dict[Path, bytes] = {}
    for name in dict.fromkeys(formats):
        files |= {out / place: content for place, content in _RENDERERS[name](material).items()}
    write_files(files)
    return [out / place for name in dict.fromkeys(formats) for place in FILES[name]]


def check_formats(formats: Sequence[str]) -> None:
    """Raise InputError, with all that is accepted, unless every format is one and there is any."""
    wrong = [
        f"unknown report format '{escapes.visible(name)}'{did_you_mean(name, FILES)}"
        for name in dict.fromkeys(formats)
        if name not in FILES
    ]
    if wrong or not formats:
        wrong = wrong or ["--format names no format"]
        raise InputError("\n".join([*wrong, f"  accepted: {listing(FILES)}; with commas between them for several"]))


def _html(material: _Material) -> dict[str, bytes]:
    images = material.images("svg")
    blocks = material.blocks(
        {name: "data:image/svg+xml;base64," + base64.b64encode(svg).decode() for name, svg in images.items()}
    )
    text = _text("report.html.jinja", material.facts, blocks, autoescape=True, finalize=escapes.for_html)
    return {"report.html": text.encode()}


def _markdown(material: _Material) -> dict[str, bytes]:
    images = material.images("png")
    blocks = material.blocks({name: _beside(name) for name in images})
    text = _text("report.md.jinja", material.facts, blocks, finalize=escapes.escape_markdown)
    # Templates leave runs of empty lines where a part is left out.
    text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    return {**{_beside(name): png for name, png in images.items()}, "report.md": text.encode()}


def _latex(material: _Material) -> dict[str, bytes]:
    blocks = []
    # Only figures that are written with it: those of an earlier report may show other runs than the table does.
    if "md" in material.formats:
        blocks = material.blocks({data.name: _beside(data.name) for data, _ in material.drawn if not data.absent})
    text = _text("report.tex.jinja", material.facts, blocks, finalize=escapes.escape_latex, **_LATEX_SIGNS)
    # Not in the template, since in a comment nothing is escaped, so that the command can be copied. The lines begin
    # with words of ours: editors and build tools take orders from comments that begin with theirs.
    made = f"Made {material.records.made} of the study {material.facts.name} by: {material.facts.command}"
    head = f"% The comparison table of an ablation study, as a part of a document.\n% {escapes.visible(made)}\n"
    return {"report.tex": (head + text).encode()}


def _csv(material: _Material) -> dict[str, bytes]:
    frames = {"runs.csv": material.records.runs, "epochs.csv": material.records.history}
    return {place: csv_text(frame).encode() for place, frame in frames.items()}


def _beside(figure: str) -> str:
    """Return where Markdown's figures are, from the report's folder."""
    return f"figures/{figure}.png"


_RENDERERS = {"html": _html, "md": _markdown, "tex": _latex, "csv": _csv}


def _text(template: str, facts: Report, blocks: list[Block], **options: Any) -> str:
    folders = [*paths.of_user("templates", None), paths.shipped("templates")]
    environment = jinja2.Environment(  # noqa: S701  # Markdown and LaTeX are escaped by `finalize`
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    environment.filters |= {"code": escapes.code_span, "label": escapes.latex_label}
    try:
        return environment.get_template(template).render(report=facts, figures=blocks)
    except jinja2.TemplateSyntaxError as error:
        raise InputError(f"{error.filename or error.name}:{error.lineno}: {error.message}") from error
    except jinja2.TemplateError as error:
        raise InputError(f"template {template}: {error}") from error


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write files, making their folders, each in place of an older one at once; InputError where one cannot be."""
    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, content)
        except OSError as error:
            raise InputError(
                f"cannot write {paths.shown(path)}: {error.strerror or error}; name a folder that can be written"
            ) from error


def _replace(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there, so that a reader meets the old one or the new one whole."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
