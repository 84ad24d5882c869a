"""Reports as files: one HTML page that needs nothing else, or Markdown with its figures beside it.

Every value that a template writes is escaped without the template's doing, also in a user's own templates:
in HTML by Jinja's autoescape, in Markdown by `escape_markdown` as the environment's `finalize`.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jinja2

from .. import paths
from ..errors import InputError, did_you_mean, listing
from . import drawing, figures
from .content import report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .content import Records, Report

FORMATS = ("html", "md")

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}


class Ready(str):
    """Markdown that is not escaped again."""

    __slots__ = ()


@dataclass(frozen=True)
class Block:
    """A figure in its place.

    Where there is nothing to draw, `number` is None, `source` is empty, and `absent` says why.
    """

    number: int | None
    title: str
    caption: str
    alt: str
    source: str
    absent: str


def render(records: Records, formats: Sequence[str], out: Path) -> list[Path]:
    """Write a report in each format to the folder `out`, and return the files in the order of `formats`.

    html: `report.html`. md: `report.md`, with its figures in `figures/`.
    Everything is made before anything is written, and each file takes the place of an older one at once.
    InputError for an unknown format or a template that cannot be used, also where `out` cannot be written.
    """
    if not formats:
        raise InputError(f"--format names no format\n  accepts {listing(FORMATS)}")
    for name in formats:
        if name not in FORMATS:
            raise InputError(
                f"unknown report format '{name}'{did_you_mean(name, FORMATS)}; accepted: {listing(FORMATS)}"
            )
    facts = report(records)
    drawn = _drawn(records)
    files: dict[Path, bytes] = {}
    made = []
    for name in dict.fromkeys(formats):
        files |= {out / place: content for place, content in _RENDERERS[name](facts, drawn).items()}
        made.append(out / f"report.{name}")
    _write(files)
    return made


def escape_markdown(value: object) -> str:
    """Return a value as Markdown text that reads as the value does: no markup, HTML or new line comes of it.

    A bare web address stays one, which GitHub shows as a link; no other scheme becomes one.
    """
    if isinstance(value, Ready):
        return value
    text = re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", str(value)).strip(" ")
    text = re.sub(r"[&<>|]", lambda found: _ENTITIES[found[0]], text)
    text = re.sub(r"([\\`*_\[\]~$])", r"\\\1", text)
    # Signs that mean a heading, a list or a rule do so only where a line begins.
    text = re.sub(r"^(#|[+=-](?=[\s+=-]|$))", r"\\\1", text)
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", text)


def code_span(value: object) -> Ready:
    """Return a value as a code span, between more backticks than it has in a row. Not for table cells."""
    text = " ".join(str(value).split())
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return Ready(f"{fence}{pad}{text}{pad}{fence}")


def _drawn(records: Records) -> list[tuple[figures.FigureData, Any]]:
    """Return each figure's data with the figure, or with None where there is nothing to draw."""
    found = []
    for data, draw in (
        (figures.loss_data(records), figures.draw_loss),
        (figures.accuracy_data(records), figures.draw_accuracy),
    ):
        found.append((data, None if data.absent else draw(data)))
    return found


def _blocks(drawn: list[tuple[figures.FigureData, Any]], sources: Mapping[str, str]) -> list[Block]:
    blocks, number = [], 0
    for data, figure in drawn:
        number += figure is not None
        shown = number if figure is not None else None
        blocks.append(Block(shown, data.title, data.caption, data.alt, sources.get(data.name, ""), data.absent))
    return blocks


def _html(facts: Report, drawn: list[tuple[figures.FigureData, Any]]) -> dict[str, bytes]:
    images = {data.name: drawing.encoded(figure, "svg") for data, figure in drawn if figure is not None}
    sources = {name: "data:image/svg+xml;base64," + base64.b64encode(svg).decode() for name, svg in images.items()}
    text = _text("report.html.jinja", facts, _blocks(drawn, sources), autoescape=True)
    return {"report.html": text.encode()}


def _markdown(facts: Report, drawn: list[tuple[figures.FigureData, Any]]) -> dict[str, bytes]:
    images = {data.name: drawing.encoded(figure, "png") for data, figure in drawn if figure is not None}
    places = {name: f"figures/{name}.png" for name in images}
    text = _text("report.md.jinja", facts, _blocks(drawn, places), finalize=escape_markdown)
    # Templates leave runs of empty lines where a part is left out.
    text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    return {**{places[name]: png for name, png in images.items()}, "report.md": text.encode()}


_RENDERERS = {"html": _html, "md": _markdown}


def _text(template: str, facts: Report, blocks: list[Block], **options: Any) -> str:
    folders = [*paths.of_user("templates", None), paths.shipped("templates")]
    environment = jinja2.Environment(  # noqa: S701  # Markdown is escaped by `finalize`
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    environment.filters["code"] = code_span
    try:
        return environment.get_template(template).render(report=facts, figures=blocks)
    except jinja2.TemplateSyntaxError as error:
        raise InputError(f"{error.filename or error.name}:{error.lineno}: {error.message}") from error
    except jinja2.TemplateError as error:
        raise InputError(f"template {template}: {error}") from error


def _write(files: Mapping[Path, bytes]) -> None:
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
