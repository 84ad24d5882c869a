"""What the benchmarks have in common: a study's run without the command, the peers' data, tables, versions."""

from __future__ import annotations

import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ablate.components.discover import discover
from ablate.paths import data_dir
from ablate.study.plan import run_specs
from ablate.study.resolve import resolve_study
from ablate.study.toml import Changes, read_study
from ablate.training.build import build, load
from ablate.training.machine import pick_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ablate.training.ingredients import Ingredients

    Made = Callable[[], float] | tuple[Callable[[], float], ...]

STUDY = """
[study]
name = "benchmark"
seeds = 1
[baseline]
epochs = 1
batch_size = 128
dataset = { use = "cifar100" }
model = { use = "simple-cnn" }
optimizer = { use = "adam", lr = 1e-3 }
augmentation = [{ use = "random-crop", padding = 4 }, { use = "flip" }]
"""

MODELS = {"simple CNN": "simple-cnn", "ResNet18": "torchvision:resnet18", "ResNet34": "torchvision:resnet34"}
MEAN, STD = (0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)


@dataclass(frozen=True)
class Timed:
    """Images a second, measured several times."""

    rates: Sequence[float]

    @property
    def median(self) -> float:
        """Return the middle one."""
        return statistics.median(self.rates)

    def __str__(self) -> str:
        return f"{self.median:>9,.0f}  ({min(self.rates):,.0f} to {max(self.rates):,.0f})"


def ingredients(device: str, **settings: Any) -> Ingredients:
    """Build what ablate trains with, as `ablate run` would. settings: values of the baseline, as `--set` takes them."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "benchmark.toml"
        study.write_text(STUDY)
        reading = read_study(study, Changes(tuple(f"baseline.{k}={v}" for k, v in settings.items())))
        registry = discover(study)
        (spec,) = run_specs(resolve_study(reading, registry, data_dir(), {}), (0,))
    return build(spec, registry, load(spec, registry, data_dir(), pick_device(device)))


def model(name: str) -> nn.Module:
    """Build a model of MODELS as the peers get it."""
    registry = discover()
    from ablate import ImageShape

    torch.manual_seed(0)
    entry = registry.get("model", MODELS[name])
    made: nn.Module = entry.build(ImageShape(3, 32, 32), 100, settings=entry.check({}).settings)
    return made


def pil_dataset() -> Any:
    """Return CIFAR-100's training images with the usual transforms on PIL images, as a tutorial has it."""
    from torchvision import transforms
    from torchvision.datasets import CIFAR100

    steps = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    steps += [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    return CIFAR100(str(data_dir()), train=True, transform=transforms.Compose(steps))


def pil_loader(workers: int = 2, batch_size: int = 128) -> Any:
    """Return a loader of `pil_dataset`; its workers live on between epochs."""
    return torch.utils.data.DataLoader(
        pil_dataset(), batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0, drop_last=True
    )


def forever(loader: Any) -> Iterator[Any]:
    """Yield batches without an end."""
    while True:
        yield from loader


def interleaved(contenders: dict[str, Callable[[], float]], rounds: int) -> dict[str, Timed]:
    """Call each contender in turn, `rounds` times after one round to warm up; each returns images a second."""
    for contender in contenders.values():
        contender()
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            time.sleep(0.5)  # the workers of the one before load what they will not use
            rates[name].append(contender())
    return {name: Timed(found) for name, found in rates.items()}


def apart(
    make: Callable[..., Made], *given: Any, settings: Mapping[str, str], count: int = 1
) -> list[Callable[[], float]]:
    """Have contenders in a process of their own, which has its own settings of the system's libraries.

    make, given: a function of a module, and what to call it with there; it returns the measurement, or `count` of
    them that share the process, since one process is a few per cent faster than another.
    settings: environment variables that are set for this process alone.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    before = dict(os.environ)
    for name in ("OMP_WAIT_POLICY", "GLIBC_TUNABLES"):
        os.environ.pop(name, None)
    os.environ.update(settings)
    context.Process(target=_measure, args=(theirs, torch.get_num_threads(), make, given)).start()
    os.environ.clear()
    os.environ.update(before)
    theirs.close()

    def measure(which: int) -> float:
        try:
            ours.send(which)
            found: float = ours.recv()
        except (EOFError, OSError):
            for process in multiprocessing.active_children():
                process.kill()
            sys.exit("a contender ended before its time")
        return found

    return [partial(measure, which) for which in range(count)]


def _measure(theirs: Any, threads: int, make: Callable[..., Made], given: tuple[Any, ...]) -> None:
    torch.set_num_threads(threads)
    made = make(*given)
    measures = made if isinstance(made, tuple) else (made,)
    while True:
        try:
            which = theirs.recv()
        except EOFError:  # the benchmark is over
            os._exit(0)
        theirs.send(measures[which]())


def rate(images: int, work: Callable[[], object], device: torch.device | None = None) -> float:
    """Return images a second of some work, waiting for the device at its end."""
    began = time.perf_counter()
    work()
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
    return images / (time.perf_counter() - began)


def table(title: str, found: dict[str, Timed], against: Sequence[str]) -> str:
    """Write a table of rates, each with its ratio to some of the rows."""
    known = [name for name in against if name in found]
    wide = max(len(name) for name in found) + 2
    rows = [f"{title:<{wide}}{'images/s, median (least to most)':>36}" + "".join(f"  x {name}" for name in known)]
    for name, timed in found.items():
        ratios = "".join(f"{timed.median / found[other].median:>{len(other) + 4}.2f}" for other in known)
        rows.append(f"{name:<{wide}}{timed!s:>36}{ratios}")
    return "\n".join(rows)


def versions(*packages: str) -> str:
    """Name the machine and the versions of what was measured."""
    names = []
    for package in ("ablate-studies", "torch", "torchvision", *packages):
        try:
            names.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            names.append(f"{package} absent")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cuda = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    machine = f"Python {platform.python_version()}, {cores} cores, {torch.get_num_threads()} threads{cuda}"
    return f"{', '.join(names)}; {machine}"
