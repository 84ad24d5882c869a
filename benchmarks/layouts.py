"""Which convolutions get other gradients in channels-last layout than in the usual one, on this machine's CPU.

Every convolution of timm's and torchvision's classification models at small image sizes, each once: its outputs and
its gradients by input, weight and bias in channels-last layout, with `crop_kernels` and without, against the usual
layout. In float32, and in bfloat16 against its own usual layout; with 1 thread and 2; in batches of 3 and 32; with
the instructions that this processor has, and with AVX2 alone (as ONEDNN_MAX_CPU_ISA has it, without bfloat16).

    python benchmarks/layouts.py collect found.jsonl          # the convolutions: minutes
    python benchmarks/layouts.py scan found.jsonl told.jsonl  # hours; goes on where it was stopped
    python benchmarks/layouts.py table found.jsonl told.jsonl

Kernels that are wrong may also crash or hang, so a process of its own computes, and is begun again after one that
does. What crashes is tried once more alone, since memory may have been spoilt by one before.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import sys
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from multiprocessing.connection import Connection

SIZES = (32, 64)
BATCHES = (3, 32)
MODES = ("AVX2 1", "AVX2 2", "ALL 1", "ALL 2")
"""The most that oneDNN may use, and the threads."""
SECONDS = 90.0
"""How long one convolution may take before it counts as one that hangs."""
LIMITS = {"float32": 1e-4, "bfloat16": 3e-2}
"""The relative difference, by norm, that rounding explains."""
Conv = tuple[Any, ...]
"""Channels in and out, kernel, stride, padding, dilation, groups, bias, height and width."""


def collect(out: Path) -> None:
    """Write each convolution of the models once, with the first model that has it."""
    import torch

    seen: dict[str, str] = {}
    covered = Counter[str]()
    for number, (name, size, build) in enumerate(_models(), 1):
        try:
            with torch.device("meta"), torch.no_grad():
                net = build().eval()
                with _looking(name, seen):
                    net(torch.empty(1, 3, size, size))
            covered["seen"] += 1
        except Exception as error:  # noqa: BLE001 - whatever a library raises for images so small
            covered["refused"] += 1
            print(f"{name} at {size}: {type(error).__name__}: {str(error)[:100]}", file=sys.stderr)
        if number % 50 == 0:
            print(dict(covered), len(seen), name, flush=True)
            _write(out, seen)
    _write(out, seen)
    print(dict(covered), len(seen))


def _models() -> Iterator[tuple[str, int, Callable[[], Any]]]:
    """Yield each model at each size by name, and what builds it."""
    import timm
    import torchvision

    def of_timm(model: str, size: int) -> Any:
        try:
            return timm.create_model(model, num_classes=10, img_size=size)
        except (TypeError, RuntimeError, AssertionError, ValueError):
            return timm.create_model(model, num_classes=10)

    for model in timm.list_models():
        for size in SIZES:
            yield f"timm:{model}", size, partial(of_timm, model, size)
    for model in torchvision.models.list_models(module=torchvision.models):
        for size in SIZES:
            yield f"torchvision:{model}", size, partial(torchvision.models.get_model, model, num_classes=10)


def _looking(name: str, seen: dict[str, str]) -> AbstractContextManager[Any]:
    """Return a context that notes each convolution done in it, and the model that did it first."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Looks(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten.convolution.default:
                images, weight, bias, stride, padding, dilation, transposed, _, groups = args
                if images.dim() == 4 and not transposed:
                    pair = [list(x) * (2 if len(x) == 1 else 1) for x in (stride, padding, dilation)]
                    conv = [groups * weight.shape[1], weight.shape[0], list(weight.shape[2:]), *pair, groups,
                            bias is not None, *images.shape[2:]]  # fmt: skip
                    seen.setdefault(json.dumps(conv), name)
            return func(*args, **(kwargs or {}))

    mode: AbstractContextManager[Any] = Looks()
    return mode


def _write(out: Path, seen: dict[str, str]) -> None:
    lines = [json.dumps({"conv": json.loads(conv), "model": model}) + "\n" for conv, model in seen.items()]
    out.write_text("".join(lines), encoding="utf-8")


def compute(mode: str, pipe: Connection) -> None:
    """Take convolutions from a pipe, and answer for each how far channels-last is from the usual layout."""
    instructions, threads = mode.split()
    os.environ["ONEDNN_MAX_CPU_ISA"] = instructions  # read when a process first computes
    import torch

    from ablate.training.kernel_crop import crop_kernels

    torch.set_num_threads(int(threads))

    def gradients(layer: Any, images: Any, layout: Any) -> list[Any]:
        layer.zero_grad()
        images = images.clone().contiguous(memory_format=layout).requires_grad_()
        made = layer.to(memory_format=layout)(images)
        wave = torch.linspace(-1, 1, made.numel()).mul(37).sin().view(made.shape).to(made.dtype)
        made.backward(wave.contiguous(memory_format=layout))
        parts = (made, images.grad, layer.weight.grad, None if layer.bias is None else layer.bias.grad)
        return [part.detach().double() for part in parts if part is not None]

    while True:
        conv, cases = pipe.recv()
        cin, cout, kernel, stride, padding, dilation, groups, bias, height, width = conv
        worst: dict[str, float] = {}
        for kind, batch in cases:
            torch.manual_seed(0)
            layer = torch.nn.Conv2d(cin, cout, kernel, stride, padding, dilation, groups, bias).to(getattr(torch, kind))
            images = torch.randn(batch, cin, height, width).to(layer.weight.dtype)
            usual = gradients(layer, images, torch.contiguous_format)
            small = max(kernel) > 1 and min(height, width) <= max(kernel) * max(dilation)
            for live in (False, True) if small else (False,):
                if live:
                    crop_kernels(layer)
                found = gradients(layer, images, torch.channels_last)
                for name, a, b in zip(("output", "input", "weight", "bias"), found, usual, strict=False):
                    off = float((a - b).norm() / b.norm()) if float(b.norm()) else float(a.norm())
                    key = f"{kind} {'live ' if live else ''}{name}"
                    worst[key] = max(worst.get(key, 0.0), math.inf if math.isnan(off) else off)
        pipe.send(worst)


class Computer:
    """A process that computes in one of MODES, begun again after it dies. This one must not compute: it is copied."""

    def __init__(self, mode: str) -> None:
        self.mode, self.process = mode, None  # type: str, Any

    def ask(self, conv: Conv, cases: list[tuple[str, int]]) -> dict[str, float] | str:
        """Return the differences, or how the process ended."""
        if self.process is None:
            fork = multiprocessing.get_context("fork")
            self.pipe, theirs = fork.Pipe()
            self.process = fork.Process(target=compute, args=(self.mode, theirs), daemon=True)
            self.process.start()
            theirs.close()
        self.pipe.send((conv, cases))
        if not self.pipe.poll(SECONDS):
            self.close()
            return "hangs"
        try:
            told: dict[str, float] = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            code, self.process = self.process.exitcode, None
            return f"dies ({code})"
        return told

    def close(self) -> None:
        """End the process."""
        if self.process:
            self.process.kill()
            self.process.join()
            self.process = None


def cases(conv: Conv, mode: str) -> list[tuple[str, int]]:
    """Return precisions and batch sizes to try; large layers in a small batch only."""
    cin, cout, kernel, stride, _, _, groups, _, height, width = conv
    work = cin * cout * kernel[0] * kernel[1] * height * width / groups / stride[0] / stride[1]
    batches = BATCHES if work < 5e7 else BATCHES[:1]
    half = [] if "AVX2" in mode else [("bfloat16", BATCHES[0])]
    return [*(("float32", batch) for batch in batches), *half]


def scan(found: Path, told: Path) -> None:
    """Compute each convolution that was not yet, one of each kind first, and write what it gave."""
    import torch  # noqa: F401  # once for all processes

    import ablate.training.kernel_crop  # noqa: F401

    convs = [json.loads(line)["conv"] for line in found.read_text(encoding="utf-8").splitlines()]
    done = {json.dumps(json.loads(line)["conv"]) for line in told.open(encoding="utf-8")} if told.exists() else set()
    left = [conv for conv in _ordered(convs) if json.dumps(conv) not in done]
    computers = {mode: Computer(mode) for mode in MODES}
    with told.open("a", encoding="utf-8") as out:
        for number, conv in enumerate(left, 1):
            gave: dict[str, Any] = {}
            for mode, computer in computers.items():
                if _suspect(conv):
                    gave[mode] = _alone(mode, conv)
                    continue
                gave[mode] = computer.ask(conv, cases(conv, mode))
                if isinstance(gave[mode], str):
                    gave[f"{mode} alone"] = _alone(mode, conv)
            out.write(json.dumps({"conv": conv, "gave": gave}) + "\n")
            out.flush()
            if number % 200 == 0:
                print(number, "of", len(left), flush=True)
    for computer in computers.values():
        computer.close()


def _alone(mode: str, conv: Conv) -> Any:
    """Compute a convolution in processes of its own, one for each precision and batch size."""
    worst: dict[str, float] = {}
    for case in cases(conv, mode):
        computer = Computer(mode)
        gave = computer.ask(conv, [case])
        computer.close()
        if isinstance(gave, str):
            return f"{gave}, {case[0]}, batch of {case[1]}"
        worst = {name: max(worst.get(name, 0.0), value) for name, value in gave.items()}
    return worst


def _suspect(conv: Conv) -> bool:
    cin, _, kernel, stride, *_ = conv
    return kernel == [1, 1] and max(stride) >= 2 and cin < 16


def _ordered(convs: list[Conv]) -> list[Conv]:
    """Return convolutions with one of each kind first, the cheapest."""
    convs = sorted(convs, key=lambda conv: conv[0] * conv[1] * conv[8] * conv[9] / conv[6])
    kinds: dict[Any, int] = defaultdict(int)
    ranked = []
    for conv in convs:
        cin, cout, kernel, stride, padding, dilation, groups, _, height, width = conv
        sides = zip((height, width), kernel, padding, dilation, strict=True)
        if any(side + 2 * p < d * (k - 1) + 1 for side, k, p, d in sides):
            continue  # the meta device lets kernels pass that are larger than the image
        shape = "depthwise" if groups == cin > 1 else "grouped" if groups > 1 else "whole"
        kind = json.dumps([kernel, stride, padding, dilation, shape, min(cin, 17), min(cout, 17), min(height, 4)])
        ranked.append((kinds[kind], cin * cout * height * width / groups, conv))
        kinds[kind] += 1
    return [conv for *_, conv in sorted(ranked, key=lambda one: one[:2])]


def wrong(gave: dict[str, Any]) -> list[str]:
    """Return what of a convolution is wrong, in words."""
    said = []
    for mode, first in gave.items():
        if "alone" in mode:
            continue
        told = gave.get(f"{mode} alone", first)
        if isinstance(told, str):
            said.append(f"{mode}: {told}")
        else:
            bad = {k: v for k, v in told.items() if v > LIMITS[k.split()[0]]}
            said += [f"{mode}: {name} off by {value:.1g}" for name, value in bad.items()]
    return said


def table(found: Path, told: Path) -> None:
    """Print what is wrong, a line for each convolution."""
    models = {json.dumps(r["conv"]): r["model"] for r in map(json.loads, found.open(encoding="utf-8"))}
    records = [json.loads(line) for line in told.open(encoding="utf-8")]
    print(f"{len(records)} of {len(models)} convolutions")
    worst: dict[str, float] = {}
    for record in records:
        bad = wrong(record["gave"])
        if bad:
            print(record["conv"], models.get(json.dumps(record["conv"])), "; ".join(bad))
        for told_ in record["gave"].values():
            if isinstance(told_, dict) and not bad:
                worst = {k: max(worst.get(k, 0.0), v) for k, v in {**worst, **told_}.items()}
    print("the largest difference of the others:", {k: f"{v:.1g}" for k, v in sorted(worst.items())})


if __name__ == "__main__":
    task, *rest = sys.argv[1:]
    {"collect": collect, "scan": scan, "table": table}[task](*map(Path, rest))
