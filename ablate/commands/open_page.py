"""A page shown in the user's browser: a command never waits for that, and never fails for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING

from ..console import text
from ..paths import shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def open_page(files: Sequence[Path]) -> None:
    """Show the page among a report's files in the browser, or say that there is none."""
    page = next(file for file in files if file.suffix == ".html")
    if not has_browser():
        text.note(f"no browser was found to show it in; open {shown(page)} yourself, or name a browser in BROWSER")
        return
    # A process of its own: some browsers return only when they are closed, or write to the terminal.
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-P", "-m", "webbrowser", page.resolve().as_uri()]
    try:
        opening = subprocess.Popen(  # noqa: S603  # our own interpreter, with a file that was just written
            command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )
    except OSError as error:
        text.note(f"no browser could be started ({error.strerror or error}); open {shown(page)} yourself")
    else:
        threading.Thread(target=opening.wait, daemon=True).start()  # nobody else waits for it


def has_browser() -> bool:
    """Tell whether there is a browser; one in the terminal (lynx, w3m) counts only where the user names it."""
    try:
        found = webbrowser.get()
    except webbrowser.Error:
        return False
    if not isinstance(found, webbrowser.GenericBrowser) or isinstance(found, webbrowser.BackgroundBrowser):
        return True
    return bool(os.environ.get("BROWSER")) and shutil.which(found.name) is not None
