"""Photos to batches of random crops, side by side: images a second of one epoch, alone and with a small network.

    python benchmarks/photos.py --photos 1500 --rounds 3

The script makes photos (JPEG, 400 x 300), which stand in a folder of classes. All give batches of 64 crops of 224
pixels, flipped and normalised, in a random order: torchvision's ImageFolder in a DataLoader with two workers, which
decodes each photo in each epoch; ablate with what it decoded once to 256 pixels, in memory; the same read as images
that do not fit into memory are, from files that the system happens to have in memory; and the same again from the disk.
Each has a process of its own. Decoding once is timed as well. On a machine that is busy with other work --processor
counts the seconds that processors spent on it, workers included (Linux only); take --threads 1 with it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import peers
import torch
from augmentation import processor_seconds
from PIL import Image
from torch.nn.functional import cross_entropy

from ablate.data import ahead
from ablate.execute.server import SETTINGS
from ablate.training.augment import augment
from ablate.training.loop import begin_epoch, normalised, train_epoch

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.training.ingredients import Ingredients

BATCH, STORED, SIZE, CLASSES = 64, 256, 224, 5
NETWORK = "torchvision:shufflenet_v2_x0_5"


def make_photos(root: Path, count: int) -> None:
    """Write photos of blurred noise, which are about as large as others."""
    draw = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(draw.integers(0, 256, (40, 60, 3), dtype=np.uint8))
        fine = draw.normal(0, 6, (300, 400, 3))
        pixels = np.asarray(coarse.resize((400, 300), Image.Resampling.BICUBIC)) + fine
        place = root / "train" / str(number % CLASSES) / f"{number}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place, quality=90)


def tutorial(root: Path, trains: bool, processor: bool) -> Callable[[], float]:
    """Return a measurement of ImageFolder in a DataLoader."""
    from torchvision import models
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    steps = [v2.RandomResizedCrop(SIZE), v2.RandomHorizontalFlip(), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    steps.append(v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    found = ImageFolder(str(root / "train"), v2.Compose(steps))
    loader = torch.utils.data.DataLoader(found, BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    model = models.shufflenet_v2_x0_5(num_classes=CLASSES).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def work() -> None:
        for images, labels in loader:
            if trains:
                optimizer.zero_grad()
                cross_entropy(model(images), labels).backward()
                optimizer.step()

    return lambda: rate(len(found), work, processor)


def ours(root: Path, way: str, trains: bool, processor: bool) -> Callable[[], float]:
    """Return a measurement of ablate. way: "memory", "files" or "disk"."""
    ahead.MOST_OF_MEMORY = 0.5 if way == "memory" else 0.0
    run = peers.ingredients(
        "cpu", batch_size=BATCH, dataset=f'{{ use = "image-folder", root = "{root}", size = {STORED}, test = 0.1 }}',
        augmentation=f'[{{ use = "random-resized-crop", size = {SIZE} }}, {{ use = "flip" }}]', precision="fp32",
        model=f'{{ use = "{NETWORK}" }}', optimizer='{ use = "sgd", lr = 0.01 }',
    )  # fmt: skip
    assert (run.data.train.pages is None) == (way == "memory")

    def measure() -> float:
        if way == "disk":
            forget(run)
        return rate(len(run.data.train), lambda: epoch(run) if trains else batches(run), processor)

    return measure


def rate(images: int, work: Callable[[], object], processor: bool) -> float:
    """Return images a second of some work, by the clock or by what processors spent on it."""
    clock = processor_seconds if processor else time.perf_counter
    began = clock()
    work()
    return images / (clock() - began)


def epoch(run: Ingredients) -> None:
    """Train for an epoch."""
    train_epoch(run, begin_epoch(run))


def batches(run: Ingredients) -> None:
    """Make all batches of an epoch."""
    for images, _ in run.data.train.batches(begin_epoch(run).order.split(BATCH)):  # type: ignore[no-untyped-call]
        normalised(augment(images, run.transforms, run.noise)[0], run.data, run.layout)


def forget(run: Ingredients) -> None:
    """Have the system drop what it keeps of the images in memory."""
    assert run.data.train.pages
    with run.data.train.pages.file.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    """Make photos, measure and print a table for batches alone and one for training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--processor", action="store_true", help="count processor seconds, not those of the clock")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(peers.versions(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "photos"
        make_photos(root, args.photos)
        os.environ["ABLATE_DATA_DIR"] = str(Path(folder) / "data")
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        began = time.perf_counter()
        ours(root, "memory", False, False)
        print(f"decoded once, at {args.photos / (time.perf_counter() - began):,.0f} images/s", flush=True)
        for trains in (False, True):
            contenders: dict[str, Callable[[], float]] = {}
            (contenders["ImageFolder"],) = peers.apart(tutorial, root, trains, args.processor, settings={})
            for way in ("memory", "files", "disk"):
                (contenders[f"ablate, {way}"],) = peers.apart(
                    ours, root, way, trains, args.processor, settings=SETTINGS
                )
            found = peers.interleaved(contenders, args.rounds)
            title = (NETWORK if trains else "batches alone") + ", processor" * args.processor
            print("\n" + peers.table(title, found, ["ImageFolder", "ablate, memory"]), flush=True)


if __name__ == "__main__":
    main()
