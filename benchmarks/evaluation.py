"""Evaluation, side by side: images a second over CIFAR-100's test set.

    ABLATE_DATA_DIR=... python benchmarks/evaluation.py --rounds 5

A tutorial's loop (PIL images turned to tensors in two workers, batches of 128, no autocast) against ablate's (pixels
in memory, batches as large as training's, under inference mode), with the same models, each in a process of its own,
ablate's with the settings that `ablate run` gives it.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import peers
import torch

from ablate.execute.server import SETTINGS
from ablate.training.loop import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable


def tutorial(name: str, images: int, device: torch.device) -> Callable[[], float]:
    """Return a measurement of a tutorial's evaluation."""
    from torchvision import transforms
    from torchvision.datasets import CIFAR100

    steps = transforms.Compose([transforms.ToTensor(), transforms.Normalize(peers.MEAN, peers.STD)])
    dataset = torch.utils.data.Subset(CIFAR100(str(peers.data_dir()), train=False, transform=steps), range(images))
    loader = torch.utils.data.DataLoader(dataset, 128, num_workers=2, persistent_workers=True)
    model = peers.model(name).to(device).eval()

    def work() -> None:
        right = 0
        with torch.no_grad():
            for inputs, labels in loader:
                right += (model(inputs.to(device)).argmax(1) == labels.to(device)).sum().item()

    return lambda: peers.rate(images, work, device)


def ours(name: str, images: int, device: torch.device, precision: str) -> Callable[[], float]:
    """Return a measurement of ablate's evaluation."""
    settings = {"dataset.test": images, "dataset.train": 500, "model.use": peers.MODELS[name], "precision": precision}
    run = peers.ingredients(device.type, **settings)
    return lambda: peers.rate(images, lambda: evaluate(run, run.data.test), device)


def main() -> None:
    """Measure and print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(peers.MODELS), choices=list(peers.MODELS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    device = torch.device(args.device)
    print(peers.versions(), flush=True)
    for name in args.models:
        contenders: dict[str, Callable[[], float]] = {}
        for title, settings in (("tutorial", {}), ("tutorial, PASSIVE", {"OMP_WAIT_POLICY": "PASSIVE"})):
            (contenders[title],) = peers.apart(tutorial, name, args.images, device, settings=settings)
        for precision in ("fp32", "bf16"):
            given = (ours, name, args.images, device, precision)
            (contenders[f"ablate {precision}"],) = peers.apart(*given, settings=SETTINGS)
        print(
            "\n" + peers.table(name, peers.interleaved(contenders, args.rounds), ["tutorial", "tutorial, PASSIVE"]),
            flush=True,
        )


if __name__ == "__main__":
    main()
