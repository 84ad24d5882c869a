"""Training, side by side with what people use: images a second of one epoch's steps.

    pip install lightning timm
    ABLATE_DATA_DIR=... python benchmarks/training.py --models "simple CNN" ResNet18 --rounds 5

All train the same model with the same batch, augmentation and optimizer on real CIFAR-100, in turn, each in a process
of its own, ablate's with the settings that `ablate run` gives it, the peers as they come, and with --passive once more
with OpenMP's threads told to sleep while they wait:
a tutorial's loop (torchvision's transforms on PIL images, two workers, `.item()` each step), PyTorch Lightning in
fp32 and bf16-mixed, timm's loader and loop, ablate, and ablate's own model step on one fixed batch with no data at
all ("compute only", in the process of the loop). On a GPU ablate's steps are recorded, and not ("no graphs");
a recorded step alone copies and normalises its batch, too.
Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import peers
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ablate.execute.server import SETTINGS
from ablate.training.augment import in_floats
from ablate.training.loop import autocast, begin_epoch, exact, normalised, train_epoch
from ablate.training.preserved import preserved_model
from ablate.training.replay import cuda_graph, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.training.ingredients import Ingredients

BATCH = 128
# As people run them, and with threads that sleep while they wait, which leaves the cores to their loaders' workers.
PEERS = {"": {}, ", PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"}}


def tutorial(name: str, steps: int, device: torch.device) -> Callable[[], float]:
    """Return a measurement of a tutorial's loop."""
    model = peers.model(name).to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batches = peers.forever(peers.pil_loader())

    def work() -> None:
        total = 0.0
        for _ in range(steps):
            images, labels = next(batches)
            optimizer.zero_grad()
            loss = cross_entropy(model(images.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            total += loss.item()

    return lambda: peers.rate(steps * BATCH, work, device)


def lightning(name: str, steps: int, device: torch.device, precision: str) -> Callable[[], float]:
    """Return a measurement of PyTorch Lightning's trainer; its start is not timed."""
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warm = 5

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = peers.model(name)

        def training_step(self, batch: Any, index: int) -> Any:  # noqa: ARG002  # Lightning calls it so
            images, labels = batch
            return cross_entropy(self.model(images), labels)

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    class Clock(lightning.Callback):
        began = ended = 0.0

        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:  # noqa: ARG002  # Lightning calls it so
            if index == warm:
                _wait(device)
                self.began = time.perf_counter()

        def on_train_end(self, trainer: Any, module: Any) -> None:  # noqa: ARG002  # Lightning calls it so
            _wait(device)
            self.ended = time.perf_counter()

    module, loader = Module(), peers.pil_loader()

    def measure() -> float:
        clock = Clock()
        trainer = lightning.Trainer(
            max_steps=steps + warm, precision=precision, logger=False, enable_checkpointing=False,  # type: ignore[arg-type]
            enable_progress_bar=False, enable_model_summary=False, callbacks=[clock],
            accelerator="gpu" if device.type == "cuda" else "cpu", devices=1,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.fit(module, loader)
        return steps * BATCH / (clock.ended - clock.began)

    return measure


def timm_loop(name: str, steps: int, device: torch.device) -> Callable[[], float]:
    """Return a measurement of the loader and the step of timm's training script, without what that logs."""
    from timm.data import create_loader
    from timm.optim import create_optimizer_v2
    from timm.utils import AverageMeter

    dataset = peers.pil_dataset()
    dataset.transform = None
    loader = create_loader(
        dataset, (3, 32, 32), BATCH, is_training=True, no_aug=False, hflip=0.5, scale=(0.8, 1.0), color_jitter=0.0,
        mean=peers.MEAN, std=peers.STD, num_workers=2, device=device, use_prefetcher=True, persistent_workers=True,
    )  # fmt: skip
    model = peers.model(name).to(device).train()
    optimizer = create_optimizer_v2(model, opt="adam", lr=1e-3)
    batches, losses = peers.forever(loader), AverageMeter()

    def work() -> None:
        for _ in range(steps):
            images, labels = next(batches)
            loss = cross_entropy(model(images), labels)
            losses.update(loss.item(), len(images))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return lambda: peers.rate(steps * BATCH, work, device)


def ours(
    name: str, steps: int, device: torch.device, precision: str, live: bool = True, graphs: bool = False
) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return two measurements: ablate's loop, and its model, loss and optimizer alone on one batch that is ready."""
    run = _ours(name, steps, device, precision, live)
    images, labels = run.data.train.take(torch.arange(BATCH, device=device))
    floats = in_floats(images)
    inputs = normalised(floats, run.data)
    run.model.train()
    if graphs:
        with preserved_model(run):
            run = replace(run, replay=record(run, (floats, labels), cuda_graph))

    def compute_only() -> None:
        for _ in range(steps):
            run.optimizer.zero_grad(set_to_none=True)
            if run.replay is None:
                with autocast(precision, device):
                    logits = exact(run.model(inputs))
                cross_entropy(logits, labels).backward()
            else:
                run.replay(floats, labels)
            run.optimizer.step()

    return (
        lambda: peers.rate(steps * BATCH, lambda: train_epoch(run, begin_epoch(run)), device),
        lambda: peers.rate(steps * BATCH, compute_only, device),
    )


def _ours(name: str, steps: int, device: torch.device, precision: str, live: bool) -> Ingredients:
    return peers.ingredients(
        device.type, **{"dataset.train": steps * BATCH, "model.use": peers.MODELS[name]},
        precision=precision, crop_kernels=str(live).lower(),
    )  # fmt: skip


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def parameters(model: nn.Module) -> int:
    """Count a model's weights."""
    return sum(p.numel() for p in model.parameters())


def main() -> None:
    """Measure and print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(peers.MODELS), choices=list(peers.MODELS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40, help="in each measurement of the simple CNN; others a third")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--passive", action="store_true", help="peers once more with OMP_WAIT_POLICY=PASSIVE")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    print(peers.versions("lightning", "timm"), flush=True)
    for name in args.models:
        steps = args.steps if name == "simple CNN" else max(5, args.steps // 3)
        contenders: dict[str, Callable[[], float]] = {}
        for how, settings in PEERS.items() if args.passive else [("", {})]:
            (contenders["tutorial" + how],) = peers.apart(tutorial, name, steps, device, settings=settings)
            if find_spec("lightning"):
                for title, precision in (("Lightning", "32-true"), ("Lightning bf16", "bf16-mixed")):
                    given = (lightning, name, steps, device, precision)
                    (contenders[title + how],) = peers.apart(*given, settings=settings)
            if find_spec("timm"):
                (contenders["timm loop" + how],) = peers.apart(timm_loop, name, steps, device, settings=settings)
        (contenders["ablate fp32, whole kernels"],) = peers.apart(
            ours, name, steps, device, "fp32", False, settings=SETTINGS
        )
        for precision in ("fp32", "tf32", "bf16") if device.type == "cuda" else ("fp32", "bf16"):
            titles = (f"ablate {precision}", f"compute only, {precision}")
            for how, graphs in (("", True), (", no graphs", False)) if device.type == "cuda" else (("", False),):
                made = peers.apart(ours, name, steps, device, precision, True, graphs, settings=SETTINGS, count=2)
                contenders |= {title + how: one for title, one in zip(titles, made, strict=True)}
        title = f"{name} ({parameters(peers.model(name)):,} weights)"
        print(
            "\n"
            + peers.table(
                title, peers.interleaved(contenders, args.rounds), ["tutorial", "Lightning", "Lightning, PASSIVE"]
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
