"""Images that do not fit into memory: how much of it a run holds, and that its numbers are those of images that fit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from ablate.components.datasets import Split
from ablate.data import ahead, arrays, parts
from ablate.data.ahead import Pages, in_memory
from ablate.data.images import Images, cut_data
from ablate.host import free_bytes
from ablate.store.store import Store
from ablate.study.splits import Splits
from tests.support import ablate, first_run, run_here

if TYPE_CHECKING:
    from collections.abc import Mapping

STUDY = """
[study]
name = "large"
seeds = 1
keep_predictions = true
[baseline]
epochs = 2
batch_size = 16
precision = "fp32"
dataset = { use = "arrays", path = "../own", train = 150, validation = 50, test = 60 }
model = { use = "simple-cnn", width = 4 }
optimizer = { use = "adam", lr = 1e-3 }
augmentation = [{ use = "random-resized-crop", size = 20 }, { use = "flip" }]
"""


def own_images(folder: Path, count: int, side: int, *, last: bool = False) -> None:
    """Save images of noise, a part at a time."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    shape = (side, side, 3) if last else (3, side, side)
    blocks = (draw.integers(0, 256, (min(1000, count - n), *shape), dtype=np.uint8) for n in range(0, count, 1000))
    parts.write_images(folder / "images.npy", shape, blocks)
    np.save(folder / "labels.npy", np.arange(count) % 5)


def numbers(study: Path) -> Mapping[str, Any]:
    """Return what the one run of a study gave, weights and metrics."""
    spec, _ = first_run(study)
    result = Store(Path("ablate-store").resolve()).run(spec.key).result()
    assert result is not None
    return {name: value for name, value in result.items() if "/" in name or name == "weights"}


def test_images_from_the_disk_give_the_same_bits_as_in_memory(
    folder: Path, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_images(folder / "own", 300, 24)
    np.savez(folder / "own.npz", **{name: np.load(folder / "own" / f"{name}.npy") for name in ("images", "labels")})
    taken, from_disk, found = Images.batches, set(), []

    def noted(images: Images, chosen: Any) -> Any:
        from_disk.add(images.pages is not None)
        return taken(images, chosen)

    monkeypatch.setattr(Images, "batches", noted)
    for path, most, writable in (("own.npz", 0.5, False), ("own", 0.0, True)):
        monkeypatch.setattr(ahead, "MOST_OF_MEMORY", most)
        monkeypatch.setattr(arrays, "can_be_written", lambda _, writable=writable: writable)
        study = write("studies/large.toml", STUDY.replace("../own", f"../{path}"))
        assert run_here(study) == 0
        assert any(from_disk) == (most == 0)
        found.append(numbers(study))
        shutil.rmtree("ablate-store")
    assert found[0]["weights"]
    assert found[0] == found[1]


def test_a_plan_says_that_images_are_read_again_and_again(
    folder: Path, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_images(folder / "own", 300, 24)
    study = write("studies/large.toml", STUDY)
    assert "is read from the disk" not in ablate("plan", study).stdout
    monkeypatch.setattr(ahead, "free_bytes", lambda: 500_000)
    said = "259 kB of training images, more than 50% of the free memory (500 kB): each batch is read from the disk"
    monkeypatch.setattr(ahead, "megabytes", lambda size: f"{size / 1e3:.0f} kB")
    assert said in " ".join(ablate("plan", study).stdout.split())


HOLDS = """
import json, sys, threading, time
from pathlib import Path
import numpy as np
import torch
from ablate.data import ahead
from ablate.data.images import channel_statistics
from ablate.training.build import build, load
from ablate.training.loop import begin_epoch, evaluate, train_epoch
from tests.support import first_run, run_here

def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

seen = []

def watch():
    while True:
        seen.append(held())
        time.sleep(0.005)

warm, study = Path(sys.argv[1]), Path(sys.argv[2])
assert run_here(warm) == 0  # which loads what a run needs
ahead.MOST_OF_MEMORY = 0.0
before = held()
threading.Thread(target=watch, daemon=True).start()
spec, registry = first_run(study)  # not rehearsed, which takes a few images of this size, however many there are
data = load(spec, registry, Path("data"), torch.device("cpu"))
run = build(spec, registry, data)
train_epoch(run, begin_epoch(run))
evaluate(run, data.test)
everything = data.train.images.numpy()
channel_statistics(everything, np.arange(len(everything)))
print(json.dumps([max(seen) - before, everything.nbytes, data.train.pages is not None]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts maps of files apart")
@pytest.mark.parametrize("form", ["archive", "folder"])
def test_a_run_never_holds_more_than_a_part_of_its_images(folder: Path, write: Any, study: Path, form: str) -> None:
    """From an archive with channels last, or photos, to training and evaluation; what is mapped does not count."""
    dataset = '{ use = "arrays", path = "../own.npz", train = 150, validation = 50, test = 60 }'
    if form == "archive":
        own_images(folder / "own", 25_000, 64, last=True)
        own = {name: np.load(folder / "own" / f"{name}.npy", mmap_mode="r") for name in ("images", "labels")}
        np.savez(folder / "own.npz", **own)
    else:
        dataset = '{ use = "image-folder", root = "../own", size = 256, validation = 30, test = 30 }'
        for number in range(1500):
            place = folder / "own" / str(number % 5) / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8), number % 256, np.uint8)).save(place)
    old = next(line for line in STUDY.splitlines() if line.startswith("dataset"))
    large = write("studies/large.toml", STUDY.replace(old, f"dataset = {dataset}").replace("epochs = 2", "epochs = 1"))
    made = subprocess.run(
        [sys.executable, "-c", HOLDS, str(study), str(large)], capture_output=True, text=True, check=False,
        timeout=300, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    most, size, from_disk = json.loads(made.stdout.splitlines()[-1])
    assert most < size / 2
    assert from_disk


def test_images_for_another_device_are_copied_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 8, 8), dtype=np.uint8)
    monkeypatch.setattr(parts, "PART_BYTES", 7 * images[0].nbytes)
    taken: list[int] = []
    take = np.take

    def noted(images: Any, rows: Any, axis: int) -> Any:
        taken.append(len(rows))
        return take(images, rows, axis=axis)

    monkeypatch.setattr(np, "take", noted)
    made = cut_data(
        {"train": Split(images, np.arange(50) % 2)}, Splits(40), torch.device("meta"), ([0.5] * 3, [1.0] * 3)
    )
    assert taken == [7, 7, 7, 7, 7, 5]
    assert tuple(made.train.images.shape) == (40, 3, 8, 8)


def test_what_is_gathered_ahead_comes_in_order_and_fails_where_it_is_used() -> None:
    made = ahead.ahead(lambda n: 1 // (5 - n), range(10))
    assert [next(made) for _ in range(5)] == [0, 0, 0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(made)


def test_a_thread_that_gathers_ends_with_the_one_who_uses_it() -> None:
    before = threading.active_count()
    made = ahead.ahead(str, range(10))
    next(made)
    assert threading.active_count() == before + 1
    made.close()  # type: ignore[attr-defined]  # a generator
    assert threading.active_count() == before


def test_images_larger_than_the_machine_can_be_mapped(folder: Path) -> None:
    free = free_bytes()
    assert free is None or (in_memory(free // 4) and not in_memory(free))
    file = folder / "images.npy"
    parts.write_images(file, (3, 1024, 1024), [np.ones((1, 3, 1024, 1024), np.uint8)])
    count = 2**42 // 3 // 2**20  # 4 TB, and not a byte of it on the disk
    with file.open("r+b") as opened:
        form: Any = {"descr": "|u1", "fortran_order": False, "shape": (count, 3, 1024, 1024)}
        np.lib.format.write_array_header_1_0(opened, form)
        try:
            opened.truncate(opened.tell() + count * 3 * 1024 * 1024)
        except OSError:
            pytest.skip("this file system has no files of that size")
    images = parts.mapped(file)
    assert images[0].all()
    assert not images[-1].any()
    pages = Pages.of(images)
    assert pages == Pages(file, int(images.offset), 3 * 1024 * 1024)  # type: ignore[attr-defined]  # a memmap
    pages.announce(np.array([count - 1, 0]))
