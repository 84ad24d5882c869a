"""Shared fixtures: a folder to work in, a tiny dataset as a plugin, and studies on it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ablate.training.rehearsal import Rehearsal

# Tests run beside each other: threads that wait for the next layer by spinning take the core that another one needs,
# and three times the time. Said before torch is imported, and to the processes that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A shell's background jobs ignore Ctrl-C, and so would what tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TINY = '''
from pathlib import Path

import numpy as np

from ablate import Source, Split, dataset


@dataset("tiny")
def tiny(folder: Path, *, images: int = 64) -> Source:
    """Stripes, upright or lying, 8x8."""

    def load():
        draw = np.random.RandomState(0)
        labels = draw.randint(0, 2, images).astype(np.int64)
        stripes = np.where(np.arange(8) % 4 < 2, 60, 190)
        pixels = np.where(labels[:, None, None] == 1, stripes[:, None], stripes[None, :])
        pixels = (pixels + draw.normal(0, 30, pixels.shape)).clip(0, 255).astype(np.uint8)[:, None]
        return {"train": Split(pixels, labels), "test": Split(pixels[:16], labels[:16])}

    return Source.of(load)
'''

STUDY = """
[study]
name = "tiny"
seeds = 2
[baseline]
epochs = 2
batch_size = 16
dataset = { use = "tiny", validation = 16 }
model = { use = "simple-cnn", width = 4, hidden = 8 }
optimizer = { use = "adam", lr = 1e-2 }
[[variant]]
name = "flipped"
add = { augmentation = [{ use = "flip" }] }
"""

ATTACKS = {
    "script": "<script>alert(1)</script>",
    "attribute": '"><img src=x onerror=alert(1)>',
    "single quote": "' onmouseover='alert(1)",
    "link": "](javascript:alert(1))",
    "pipe": "| pipe |",
    "backticks": "`a` ```",
    "input": r"\input{/etc/passwd}",
    "write": r"\write18{touch x}",
    "end": r"\end{tabular}\end{document}",
    "carets": "^^5cinput ^^M",
    "backslash": "\\",
    "tex": "% $ _ ^ ~ # & { }",
    "row": "\\\\[9pt] &",
    "bracket": "[9pt]",
    "star": "*",
    "ligatures": "-- --- '' `` ,, << >> \"",
    "formula": "=cmd|' /C calc'!A0",
    "plus": "+1",
    "minus": "-1+1",
    "at": "@SUM(A1)",
    "wide": "＝1+1",
    "tab": "\t=1+1",
    "return": "\r=1+1",
    "lines": "a\nb\r\nc\x0bd\u2028e\x85f",
    "comma": 'a,"b";=1',
    "control": "a\x00b\x1b[31mc\x7f",
    "override": "a\u202egnp.exe\u2066\u200b",
    "surrogate": "a\udcff",
    "emoji": "🚀 👩\u200d🔬 é ß 中",
    "template": "{{ 7 * 7 }} {% raw %} << 7 * 7 >> <% raw %>",
    "path": "../../etc/passwd",
    "long": "x" * 5000,
    "long words": "many words " * 500,
}
"""What someone might write into a study, or a run into its failure, to do harm in one of the formats."""

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep out of the user's cache; one of its own is shared by the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write lines as without a terminal, whatever is set around the tests or by what runs them."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with no store, data or home of the user's in reach."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ABLATE_STORE", raising=False)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Write:
    """Write a file below the working folder."""

    def put(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return put


@pytest.fixture
def study(write: Write) -> Path:
    """A study of two variants and two seeds on a 64-image dataset; trains in a moment."""
    write("plugins/tiny.py", TINY)
    return write("studies/tiny.toml", STUDY)


MINE = """
import random
import numpy as np
import torch
from torch import nn
from ablate import DataFacts, ImageShape, Mixed, Source, Split, augmentation, dataset, model, optimizer, scheduler
from ablate import takes_uint8
"""


@pytest.fixture
def tried(study: Path, write: Write) -> Callable[..., Rehearsal]:
    """Rehearse the baseline with the component `mine` in it, whose code begins in line 8 of a plugin."""
    from ablate.training.machine import Machine
    from ablate.training.rehearsal import rehearse
    from tests.support import first_run

    def rehearsed(code: str, kind: str, **settings: str) -> Rehearsal:
        write("plugins/mine.py", MINE + code)
        mine = ", ".join(['use = "mine"', *(f"{name} = {value}" for name, value in settings.items())])
        chosen = f"[{{ {mine} }}]" if kind == "augmentation" else f"{{ {mine} }}"
        spec, registry = first_run(study, f"baseline.{kind}={chosen}")
        return rehearse(spec, registry, Machine(Path("data"), "cpu", 1))

    return rehearsed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 4 MB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run([mount, "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True)
    if not done or done.returncode != 0:
        pytest.skip("no small file system can be mounted here; it takes root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def cifar100() -> Path:
    """The folder that holds real CIFAR-100, where there is one."""
    folder = Path(os.environ.get("ABLATE_DATA_DIR", "")).expanduser()
    if not os.environ.get("ABLATE_DATA_DIR") or not (folder / "cifar-100-python" / "train").is_file():
        pytest.skip("real CIFAR-100 is not here: point ABLATE_DATA_DIR at the folder that has cifar-100-python/")
    return folder.resolve()


@pytest.fixture(params=ATTACKS.values(), ids=tuple(ATTACKS))
def attack(request: pytest.FixtureRequest) -> str:
    """Each of the hostile texts in turn."""
    return str(request.param)


@pytest.fixture
def attacks() -> dict[str, str]:
    """All of the hostile texts."""
    return ATTACKS
