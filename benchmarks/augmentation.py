"""Images a second from uint8 memory to an augmented float32 batch: ablate's, torchvision's and kornia's.

    pip install kornia          # the peer; without it its column is left out
    python benchmarks/augmentation.py --threads 2

Each row is one augmentation on 3x32x32 images in batches of 128, each column one way to make it:

    ablate      gather the batch, augment it in uint8 for as long as that goes, convert it to float32
    float32     the same with the conversion first
    PIL         torchvision.transforms.v2 on PIL images, image by image, in a DataLoader with two workers
    tensors     torchvision.transforms.v2 on uint8 tensors, image by image, in this process
    kornia      on float32 batches, in this process; its policies draw operations once for a whole batch

Every round runs all columns of a row one after the other, so that whatever else the machine does meets all alike;
the table shows medians over the rounds and, below each row, from which to which value they went. On a machine that
is busy with other work --processor counts the seconds that processors spent on it, workers included (Linux only);
take --threads 1 with it, since threads that wait for each other spend time, too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import statistics
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import to_pil_image

from ablate.components.discover import discover
from ablate.training.augment import augment, in_floats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH = 128
WORKERS = 2
CROP, FLIP = ("random-crop", {"padding": 4}), ("flip", {})
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}


class Pictures(Dataset[torch.Tensor]):
    """The images as PIL images, each transformed on its own."""

    def __init__(self, images: torch.Tensor, transform: Any) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        made: torch.Tensor = self.transform(to_pil_image(self.images[index]))
        return made


def rows(
    size: int,
) -> dict[str, tuple[list[tuple[str, dict[str, Any]]], list[Any] | None, Callable[[Any], Any] | None]]:
    """Return each row's name with ablate's components, torchvision's transforms, and what makes kornia's."""
    crop, flip = v2.RandomCrop(size, padding=4), v2.RandomHorizontalFlip()

    def crop_and_flip(k: Any) -> list[Any]:
        return [k.RandomCrop((size, size), padding=4), k.RandomHorizontalFlip()]

    policy = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)
    return {
        "crop + flip": ([CROP, FLIP], [crop, flip], crop_and_flip),
        "crop + flip + erasing": (
            [CROP, FLIP, ("random-erasing", {})],
            [crop, flip, v2.RandomErasing()],
            lambda k: [*crop_and_flip(k), k.RandomErasing()],
        ),
        "color-jitter": (
            [("color-jitter", JITTER)],
            [v2.ColorJitter(**JITTER)],
            lambda k: [k.ColorJitter(*JITTER.values())],
        ),
        "rotate, nearest": (
            [("rotate", {"degrees": 15})],
            [v2.RandomRotation(15)],
            lambda k: [k.RandomRotation(15.0, resample="nearest", p=1.0)],
        ),
        "rotate, bilinear": (
            [("rotate", {"degrees": 15, "interpolation": "bilinear"})],
            [v2.RandomRotation(15, v2.InterpolationMode.BILINEAR)],
            lambda k: [k.RandomRotation(15.0, p=1.0)],
        ),
        "rand-augment": ([("rand-augment", {})], [v2.RandAugment()], lambda k: [k.auto.RandAugment(2, 9)]),
        "trivial-augment": ([("trivial-augment", {})], [v2.TrivialAugmentWide()], lambda k: [k.auto.TrivialAugment()]),
        "auto-augment": ([("auto-augment", {})], [policy], lambda k: [k.auto.AutoAugment("cifar10")]),
        "mixup": ([("mixup", {})], None, lambda k: [k.RandomMixUpV2(data_keys=["input", "class"])]),
        "cutmix": (
            [("cutmix", {"p": 1.0})],
            None,
            lambda k: [k.RandomCutMixV2(data_keys=["input", "class"], use_correct_lambda=True)],
        ),
    }


def ours(images: torch.Tensor, wanted: list[tuple[str, dict[str, Any]]], *, floats: bool) -> Callable[[], None]:
    """Return what makes one epoch with ablate's augmentations."""
    registry = discover()
    made = [(entry := registry.get("augmentation", n)).build(settings=entry.check(s).settings) for n, s in wanted]
    noise = [torch.Generator().manual_seed(i) for i in range(len(made))]

    def epoch() -> None:
        for batch in batches(images):
            augment(in_floats(batch) if floats else batch, made, noise)

    return epoch


def batches(images: torch.Tensor) -> Iterator[torch.Tensor]:
    """Gather one batch after the other in a random order."""
    for indices in torch.randperm(len(images)).split(BATCH):
        yield images.index_select(0, indices)


def by_pictures(images: torch.Tensor, transforms: list[Any]) -> Callable[[], None]:
    """Return what makes one epoch with torchvision on PIL images, in worker processes."""
    # Erasing is for tensors only.
    last = [t for t in transforms if isinstance(t, v2.RandomErasing)]
    first = [t for t in transforms if t not in last]
    whole = v2.Compose([*first, v2.ToImage(), v2.ToDtype(torch.float32, scale=True), *last])
    loader = DataLoader(Pictures(images, whole), BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True)

    def epoch() -> None:
        for _ in loader:
            pass

    return epoch


def by_tensors(images: torch.Tensor, transforms: list[Any]) -> Callable[[], None]:
    """Return what makes one epoch with torchvision on uint8 tensors, in this process."""
    whole = v2.Compose(transforms)

    def epoch() -> None:
        for batch in batches(images):
            in_floats(torch.stack([whole(image) for image in batch]))

    return epoch


def by_kornia(images: torch.Tensor, make: Callable[[Any], list[Any]]) -> Callable[[], None]:
    """Return what makes one epoch with kornia, on batches."""
    import kornia.augmentation as k
    import kornia.augmentation.auto  # noqa: F401  # makes k.auto

    transforms, labels = make(k), torch.zeros(BATCH, dtype=torch.int64)

    def epoch() -> None:
        for batch in batches(images):
            made = in_floats(batch)
            for transform in transforms:
                mixes = "Mix" in type(transform).__name__
                made = transform(made, labels[: len(made)])[0] if mixes else transform(made)

    return epoch


def processor_seconds() -> float:
    """Return the processor time of this process and of its workers so far."""
    ticks = 0
    for worker in multiprocessing.active_children():
        ticks += sum(map(int, Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def measured(
    columns: dict[str, Callable[[], None]], images: int, rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Return the images a second of each column in each round, after one round to warm up."""
    found: dict[str, list[float]] = {name: [] for name in columns}
    for number in range(rounds + 1):
        for name, epoch in columns.items():
            began = clock()
            epoch()
            if number:
                found[name].append(images / (clock() - began))
    return found


def main() -> None:
    """Measure every row and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="of this process")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=20, help="in an epoch")
    parser.add_argument("--processor", action="store_true", help="count processor seconds, not those of the clock")
    parser.add_argument("--only", default="", help="rows whose names have this in them")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    images = torch.randint(0, 256, (options.batches * BATCH, 3, 32, 32), dtype=torch.uint8)
    print(about(options.threads))
    names = ["ablate", "float32", "PIL", "tensors", "kornia"]
    clock = processor_seconds if options.processor else time.perf_counter
    print(f"\nimages a {'processor ' * options.processor}second".ljust(25) + "".join(name.rjust(16) for name in names))
    for row, (components, transforms, kornia) in rows(32).items():
        if options.only not in row:
            continue
        columns = {name: ours(images, components, floats=name == "float32") for name in names[:2]}
        if transforms:
            columns |= {"PIL": by_pictures(images, transforms), "tensors": by_tensors(images, transforms)}
        if kornia and has("kornia"):
            columns["kornia"] = by_kornia(images, kornia)
        found = measured(columns, len(images), options.rounds, clock)
        middle = [f"{statistics.median(found[n]):,.0f}" if n in found else "" for n in names]
        spread = [f"{min(found[n]):,.0f}-{max(found[n]):,.0f}" if n in found else "" for n in names]
        print(row.ljust(24) + "".join(text.rjust(16) for text in middle))
        print(" " * 24 + "".join(text.rjust(16) for text in spread), flush=True)


def about(threads: int) -> str:
    """Return the versions and the machine, as far as they matter."""
    parts = [f"{name} {version(name)}" for name in ("torch", "torchvision", "pillow", "kornia") if has(name)]
    return f"{', '.join(parts)}; Python {platform.python_version()}; {threads} threads of {os.cpu_count()} cores"


def has(package: str) -> bool:
    """Tell whether a package is installed."""
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


if __name__ == "__main__":
    main()
