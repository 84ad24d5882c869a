"""SVG as matplotlib writes it, made fit to stand in the middle of an HTML page.

A page has one space of names and its own colours: ids are prefixed, colours become the page's, and what belongs to a
variant or a seed can be found by its class.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_GROUP = re.compile(r"variant(\d+)(?:-seed(\d+))?-\d+$")
"""How a figure names what belongs to a variant (`drawing.belongs`)."""
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_LONG = re.compile(r"(\.\d\d)\d+")
_FONT = re.compile(r"'?DejaVu Sans'?(?![\w,])")
FONTS = "'DejaVu Sans', Verdana, sans-serif"
"""Verdana is as wide, so that labels keep their room where the first one is not installed."""


def inlined(svg: bytes, name: str, title: str, colours: Mapping[str, str], axes: Sequence[Mapping[str, Any]]) -> str:
    """Return a figure's SVG as one element of a page.

    name: what ids begin with. title: read out in place of the figure. colours: by hexadecimal colour in small letters,
    what the page has for it. axes: told to the page's script (`data-axes`).
    """
    # Made by matplotlib a moment ago: there is no foreign document to be careful of.
    root = ET.fromstring(svg)  # noqa: S314
    for part in (*root.findall(f"{_SVG}metadata"), *_styles(root)):
        _parent(root, part).remove(part)
    for one in root.iter():
        _adopt(one, name, colours)
    box = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib |= {
        "viewBox": box,
        "role": "img",
        "aria-labelledby": f"{name}-title",
        "style": "stroke-linejoin: round; stroke-linecap: butt",
        "data-axes": json.dumps(list(axes), separators=(",", ":")),
    }
    heading = ET.Element(f"{_SVG}title", {"id": f"{name}-title"})
    heading.text = title
    root.insert(0, heading)
    for one in root.iter():
        one.tag = one.tag.removeprefix(_SVG)
        one.tail = None
        if one.tag not in {"text", "tspan", "title"}:
            one.text = None
    return ET.tostring(root, encoding="unicode", short_empty_elements=True)


def _styles(root: ET.Element) -> list[ET.Element]:
    """Return sheets of styles, which would hold for the whole page."""
    return list(root.iter(f"{_SVG}style"))


def _parent(root: ET.Element, part: ET.Element) -> ET.Element:
    return next(one for one in root.iter() if part in list(one))


def _adopt(one: ET.Element, name: str, colours: Mapping[str, str]) -> None:
    """Give an element its names, classes and colours in the page."""
    own = one.attrib.pop("id", "")
    if found := _GROUP.fullmatch(own):
        variant, seed = found.groups()
        one.set("class", f"v v{variant}" + (f" seed s{seed}" if seed is not None else ""))
    elif own and not own.startswith("text_"):
        one.set("id", f"{name}-{own}")
    if href := one.attrib.pop(_HREF, ""):  # of an image, its own bytes
        one.set("href", f"#{name}-{href[1:]}" if href.startswith("#") else href)
    if clip := one.get("clip-path"):
        one.set("clip-path", clip.replace("url(#", f"url(#{name}-"))
    if style := one.get("style"):
        style = _COLOUR.sub(lambda colour: colours.get(colour[0], colour[0]), style)
        one.set("style", _FONT.sub(FONTS, style))
    if shape := one.get("d"):
        one.set("d", _LONG.sub(r"\1", " ".join(shape.split())))
