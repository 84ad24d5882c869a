"""What a shell completes: study files and names, and names of variants. Nothing here is slow, or fails.

A completion that cannot be made is none: the shell would show an error in the middle of a line.
"""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST = 200


def study_files(incomplete: str) -> list[str]:
    """Complete the path of a study file, folder by folder."""
    folder, slash, begun = incomplete.rpartition("/")
    found = []
    with contextlib.suppress(OSError):
        for path in sorted(Path(folder + slash).expanduser().iterdir())[:MOST]:
            if path.name.startswith(begun) and not path.name.startswith("."):
                name = f"{folder}{slash}{path.name}"
                found += [f"{name}/"] if path.is_dir() else [name] if path.suffix == ".toml" else []
    return found


def studies(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a study by its name in the store, or by its file."""
    return [*_typed(_stored(ctx), incomplete), *study_files(incomplete)]


def variants(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a variant of the study that the command line has named before."""
    named, text = ctx.params.get("study") or _file_on_the_line(), ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = Path(str(named)).read_text(encoding="utf-8") if named else ""
    text = text or _stored(ctx).get(str(named), "")
    return _typed(_names(text), incomplete)


def _typed(names: Iterable[str], incomplete: str) -> list[str]:
    """Return the names that begin so. Bash takes them as they stand, so what would end a word there is escaped."""
    found = [name for name in names if name.isprintable() and name.startswith(incomplete)]
    in_bash = os.environ.get("_ABLATE_COMPLETE", "").endswith("_bash")
    return [re.sub(r"([^\w.,/+=-])", r"\\\1", name) for name in found] if in_bash else found


def _names(text: str) -> Iterator[str]:
    """Yield the names of a study's variants, the baseline first."""
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        study: dict[str, Any] = tomllib.loads(text)
        if "baseline" in study:
            yield str(study["baseline"].get("name", "baseline"))
        if "design" in study:
            from ..study.design import read_factors

            yield from read_factors(lambda *_: None, study).names
        yield from (str(variant["name"]) for variant in study.get("variant", []) if "name" in variant)


def _file_on_the_line() -> str:
    """Return the first study file that is typed: where an option's value is completed, typer knows no argument yet."""
    line = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS", "")
    return next((word for word in line.split() if word.endswith(".toml")), "")


def _stored(ctx: typer.Context) -> dict[str, str]:
    """Return the text of each study in the store, by name."""
    from ..errors import AblateError
    from ..paths import store_dir
    from ..store.documents import read_document
    from ..store.store import Store

    with contextlib.suppress(AblateError, OSError):
        files = sorted(Store(store_dir(ctx.params.get("store"))).studies_folder.glob("*.json"))[:MOST]
        documents = [document for file in files if (document := read_document(file))]
        return {str(document.get("name", "")): str(document.get("text", "")) for document in documents}
    return {}
