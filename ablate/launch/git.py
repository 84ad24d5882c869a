"""In which state the repository of a study file is, recorded when the study is run; no key depends on it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 5.0


def git_state(file: Path) -> str:
    """Return the commit of a file's repository, and whether the file or what is tracked beside it was changed since.

    Empty where there is no repository, no commit or no git.
    """
    commit = _git(file.parent, "rev-parse", "HEAD")
    if not commit:
        return ""
    changed = _git(file.parent, "status", "--porcelain", "--untracked-files=no")
    unknown = _git(file.parent, "ls-files", "--error-unmatch", file.name) == ""
    remarks = {"with changes that are not committed": bool(changed), "the study file is not tracked": unknown}
    return ", ".join([f"commit {commit}", *(remark for remark, holds in remarks.items() if holds)])


def _git(folder: Path, *arguments: str) -> str:
    """Return what git answers, empty where it fails."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
