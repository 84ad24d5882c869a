"""Time training steps with whole kernels and with the live part of a kernel only, side by side.

    python benchmarks/kernel_crop.py --models resnet18 resnet34 --rounds 30

Two copies of a model train on the same made-up images, a step of one after a step of the other (which goes first
alternates), so that whatever else the machine does falls on both alike. Prints the medians of a step's milliseconds
and CPU milliseconds (all threads together; what to look at on a busy machine, where threads that wait must not
spin), and each gain as the median over the rounds of whole / live with its quartiles.
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import sys
import time
from statistics import median, quantiles

import torch
import torchvision
from torch import nn
from torch.nn.functional import cross_entropy

from ablate.training.kernel_crop import crop_kernels, dead_weights

CLASSES = 100
WARM_UP = 3


class Trainee:
    """A model in training, with its optimizer."""

    def __init__(self, model: nn.Module, images: torch.Tensor, *, bf16: bool) -> None:
        self.model, self.images, self.bf16 = model.train(), images, bf16
        self.labels = torch.arange(len(images), device=images.device) % CLASSES
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step(self) -> tuple[float, float]:
        """Take one training step and return its milliseconds, by the clock and of the CPU."""
        began, cpu = time.perf_counter(), time.process_time()
        with torch.autocast(self.images.device.type, torch.bfloat16, enabled=self.bf16):
            loss = cross_entropy(self.model(self.images), self.labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        loss.item()  # waits for a GPU
        return (time.perf_counter() - began) * 1e3, (time.process_time() - cpu) * 1e3


def build(name: str) -> nn.Module:
    """Build a torchvision model, or timm's after `timm:`, with weights drawn at random."""
    torch.manual_seed(0)
    if name.startswith("timm:"):
        import timm

        made: nn.Module = timm.create_model(name.removeprefix("timm:"), num_classes=CLASSES)
        return made
    settings = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    return torchvision.models.get_model(name, num_classes=CLASSES, **settings)


def compare(name: str, arguments: argparse.Namespace, *, bf16: bool) -> str:
    """Time one model both ways and return its row of the table."""
    size, device = arguments.size, arguments.device
    order = torch.contiguous_format if arguments.contiguous else torch.channels_last
    whole = build(name).to(device, memory_format=order)
    dead, parameters = dead_weights(whole, (3, size, size))
    live = copy.deepcopy(whole)
    crop_kernels(live)
    images = torch.randn(arguments.batch, 3, size, size, device=device).to(memory_format=order)
    trainees = [Trainee(model, images, bf16=bf16) for model in (whole, live)]
    rounds = []
    for number in range(WARM_UP + arguments.rounds):
        times = {}
        for which in (0, 1) if number % 2 else (1, 0):
            times[which] = trainees[which].step()
        rounds.append((times[0], times[1]))
    rounds = rounds[WARM_UP:]
    row = f"{name:24} {'bf16' if bf16 else 'fp32'} {dead / parameters:6.1%}"
    for kind in (0, 1):
        whole_ms, live_ms = (median(times[which][kind] for times in rounds) for which in (0, 1))
        low, gain, high = quantiles([of_whole[kind] / of_live[kind] for of_whole, of_live in rounds], n=4)
        row += f" {whole_ms:8.1f} {live_ms:8.1f}  {gain:.2f} ({low:.2f} to {high:.2f})"
    return row


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["resnet18", "resnet34"])
    parser.add_argument("--kinds", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--contiguous", action="store_true", help="keep images and weights out of channels_last")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    layout = "contiguous" if arguments.contiguous else "channels_last"
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, Python {platform.python_version()}")
    where = torch.cuda.get_device_name() if arguments.device.startswith("cuda") else f"{arguments.threads} threads"
    print(f"{where} of {os.cpu_count()} cores, batch {arguments.batch} at {arguments.size}x{arguments.size}, {layout}")
    print(f"{'':36}     by the clock, ms                       CPU, ms, {arguments.rounds} rounds")
    print(f"{'model':24} kind   dead" + 2 * f" {'whole':>8} {'live':>8}  {'gain (quartiles)':20}")
    for name in arguments.models:
        for kind in arguments.kinds:
            print(compare(name, arguments, bf16=kind == "bf16"), flush=True)


if __name__ == "__main__":
    sys.exit(main())
