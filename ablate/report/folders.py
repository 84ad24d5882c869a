"""Where reports go if nobody says otherwise: a folder for each study, one for its pilot, one for each two of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..store.studies import file_name

REPORTS = Path("reports")
_PILOT = "-pilot"


def folder_of(study: str, pilot: bool = False) -> Path:
    """Return where a study's report goes, or that of its pilot, which never takes the place of another one."""
    return REPORTS / f"{_name(study)}{_PILOT * pilot}"


def folder_of_two(study: str, other: str) -> Path:
    """Return where two studies side by side go, which no study's own report does: no file is called with a plus."""
    return REPORTS / f"{_name(study)}+{_name(other)}"


def why(study: str, pilot: bool = False) -> str:
    """Say why a study's folder is not called as the study is; empty where it is."""
    called = _name(study)
    if called == study:
        return ""
    reason = (
        f"since the pilot of a study '{study.removesuffix(_PILOT)}' has that name"
        if file_name(study) == study
        else f"since not every file system has names such as '{study}'"
    )
    return f"the folder is called {folder_of(study, pilot).name}, {reason}"


def _name(study: str) -> str:
    """Return the name of a study's files, with a hash where a pilot's folder may be called so, or where it is empty."""
    called = file_name(study)
    taken = called.endswith(_PILOT) or not called
    return f"{called or 'study'}-{hashlib.sha256(study.encode()).hexdigest()[:8]}" if taken else called
