"""What `ablate doctor --gpu` tries on an NVIDIA GPU: steps that are recorded, and runs side by side.

Both are compared with the plain way, and timed. Neither is the default: whoever has seen them hold switches them on.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..console import text
from .doctor_install import Check, checks_apart, devices_check, guarded, torch_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor

    from ..components.registry import Registry
    from ..execute.jobs import Job
    from ..study.spec import RunSpec
    from ..training.ingredients import Ingredients

    Capture = Callable[[Callable[[], Tensor]], tuple[Tensor, Callable[[], None]]]

SECONDS = 120.0
"""How long one trial of recorded steps, and one run, may take."""
PRECISIONS = ("fp32", "bf16")
DROPOUT = 0.3
EPOCHS = 3
"""Of training with recorded steps."""
WORTH_IT = 1.1
"""How many times as fast something has to be, to be worth a word."""
ROUNDING = 10
"""By how much rounding may have grown over some epochs, as a multiple of what a single step is allowed."""
POINTS = 2.0
"""How far accuracies may be apart where a GPU does not give the same bits twice."""
LEAVE = 'leave cuda_graphs at "none", its default'

# Dropout, batch statistics, and augmentations that draw from a generator of their own.
_STUDY = """
[study]
name = "doctor"
seeds = 4
[baseline]
epochs = 20
batch_size = 32
precision = "{precision}"
dataset = {{ use = "digits" }}
model = {{ use = "enhanced-cnn", width = 16, hidden = 64, dropout = {dropout} }}
augmentation = [{{ use = "random-crop", padding = 1 }}, {{ use = "mixup" }}]
optimizer = {{ use = "adam", lr = 1e-3 }}
"""


def gpu_checks() -> Iterator[Check]:
    """Try on the GPU that torch takes first what no run does unless asked to. Ends early without a GPU."""
    for found in checks_apart({"torch": torch_check, "devices": gpu_check}, SECONDS, ""):
        yield found
        if found.state == "problem":
            return
    text.note("trying recorded steps and runs side by side: about two minutes")
    trials = {f"steps {precision}": partial(recording_check, precision) for precision in PRECISIONS}
    for name, trial in trials.items():  # each apart: what one leaves behind on the GPU is not for the next
        yield from checks_apart({name: trial}, SECONDS, LEAVE)
    yield from guarded("side by side", lambda: [side_by_side_check()], "leave --jobs out: one run at a time")


def gpu_check() -> Check:
    """Tell whether torch has an NVIDIA GPU here."""
    import torch

    found = devices_check()
    if torch.cuda.is_available() and not torch.version.hip:
        return found
    return replace(found, state="problem", found=f"{found.found}: torch has no NVIDIA GPU here, so nothing was tried")


def recording_check(precision: str, device: str = "cuda", capture: Capture | None = None) -> Check:
    """Train with steps as they are and with recorded ones, and compare losses, gradients and weights.

    capture: records a step; on the GPU unless it is given.
    """
    import torch
    from packaging.version import Version

    from ..training.preserved import preserved_model
    from ..training.replay import APART, cuda_graph, near, try_out
    from ..training.run import RECORDING_SINCE

    name = f"steps {precision}"
    if Version(torch.__version__) < RECORDING_SINCE:
        found = f"recording takes torch {RECORDING_SINCE} or later, and this is {torch.__version__}"
        return Check(name, "warning", found, LEAVE)
    torch.backends.cudnn.deterministic = True  # as in a run
    with TemporaryDirectory(prefix="ablate-doctor-") as folder:
        (spec, *_), registry = _specs(Path(folder), precision)
        plain, run = (_built(spec, registry, Path(folder), torch.device(device)) for _ in range(2))
    with preserved_model(run):
        run.model.train()
        measured, made = try_out(run, capture or cuda_graph)
    if made is None:
        return Check(name, "problem", f"cannot be recorded: {measured.refused}", LEAVE)
    ends = list(zip(_trained(replace(run, replay=made)), _trained(plain), strict=True))
    bits = all(torch.equal(a, b) for found, wanted in ends for a, b in zip(found, wanted, strict=True))
    if not bits and not all(near(found, wanted, ROUNDING * APART[precision]) for found, wanted in ends):
        return Check(name, "problem", "trained with recorded steps, a network ends with other weights", LEAVE)
    steps = sum(len(losses) for losses in ends[0][0])
    faster = measured.step_seconds / measured.replayed_seconds
    held = (
        f"{steps} steps recorded and as they are: the same losses, gradients and weights, "
        f"{'bit by bit' if bits else 'but for rounding'}\n"
        f"forward and backward pass {1e3 * measured.step_seconds:.2f} ms, recorded "
        f"{1e3 * measured.replayed_seconds:.2f} ms: {faster:.1f} times as fast"
    )
    switch = 'cuda_graphs = "auto" under [study] switches it on' if faster >= WORTH_IT else f"not worth it: {LEAVE}"
    return Check(name, "ok", held, switch)


def side_by_side_check(device: str = "cuda") -> Check:
    """Make a few small runs one after the other and two at a time, and compare their weights."""
    from ..execute.gpu import gauge
    from ..execute.local import LocalProcesses

    with TemporaryDirectory(prefix="ablate-doctor-") as folder:
        place = Path(folder)
        specs, registry = _specs(place, PRECISIONS[0])
        jobs = _jobs(specs, registry, place, device)
        rehearsed = LocalProcesses().rehearse(jobs[:1])
        again, _ = _made(1, jobs[:1], place / "again")
        one, one_seconds = _made(1, jobs, place / "one")
        two, two_seconds = _made(2, jobs, place / "two")
    apart = compared(one, two, again)
    if apart.state != "ok":
        return apart
    faster = one_seconds / two_seconds
    held = f"{apart.found}\ntwo at a time take {two_seconds:.1f} s, one at a time {one_seconds:.1f} s"
    if faster < WORTH_IT:
        return Check("side by side", "ok", held, "not worth it: leave --jobs out, for one run at a time")
    more = ", --jobs 0 as many as the GPU has time and memory for" if gauge(rehearsed.gpu) else ""
    return Check("side by side", "ok", held, f"--jobs 2 makes two runs at a time{more}")


def compared(
    one: Sequence[Mapping[str, Any]], two: Sequence[Mapping[str, Any]], again: Sequence[Mapping[str, Any]]
) -> Check:
    """Compare runs made one after the other with the same side by side, and the first of them with itself, made again.

    Where a GPU does not give the same bits twice, accuracies decide.
    """
    name, remedy = "side by side", "leave --jobs out: one run at a time, the default on a GPU"

    def same(some: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> bool:
        return all(a["weights"] == b["weights"] for a, b in zip(some, others, strict=True))

    def points(some: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> float:
        return max(
            100.0 * abs(float(a["test/accuracy"]) - float(b["test/accuracy"]))
            for a, b in zip(some, others, strict=True)
        )

    if same(one, two):
        return Check(name, "ok", f"{len(one)} runs end with the same weights, bit by bit")
    if same(one[:1], again):
        return Check(name, "problem", "runs side by side end with other weights than one after the other", remedy)
    beside, alone = points(one, two), points(one[:1], again)
    if beside > max(POINTS, 2 * alone):
        found = f"test accuracies are {beside:.1f} points apart, and {alone:.1f} where the same run is made twice"
        return Check(name, "problem", found, remedy)
    found = f"{len(one)} runs end alike but for rounding, which this GPU has from one run to the next"
    return Check(name, "ok", f"{found}: {beside:.1f} points apart at most")


def _specs(folder: Path, precision: str) -> tuple[list[RunSpec], Registry]:
    """Return runs of a small study on data that needs no download."""
    from ..components.discover import discover
    from ..study.plan import run_specs
    from ..study.resolve import resolve_study
    from ..study.toml import Changes, read_study

    file = folder / "doctor.toml"
    file.write_text(_STUDY.format(precision=precision, dropout=DROPOUT), encoding="utf-8")
    registry = discover(file)
    reading = read_study(file, Changes())
    return run_specs(resolve_study(reading, registry, folder, {}), reading.study.seeds), registry


def _built(spec: RunSpec, registry: Registry, folder: Path, device: Any) -> Ingredients:
    from ..training.build import build, load

    return build(spec, registry, load(spec, registry, folder, device))


def _trained(run: Ingredients) -> list[list[Tensor]]:
    """Train a run; return its losses, the last step's gradients, how far its weights have moved, and its buffers."""
    import torch

    from ..training.loop import begin_epoch, train_epoch

    before = [weight.detach().clone() for weight in run.model.parameters()]
    torch.manual_seed(1)  # dropout
    losses = []
    for _ in range(EPOCHS):
        epoch = begin_epoch(run)
        train_epoch(run, epoch)
        losses.append(epoch.losses)
    gradients = [p.grad.clone() for p in run.model.parameters() if p.grad is not None]
    moved = [after.detach() - weight for after, weight in zip(run.model.parameters(), before, strict=True)]
    return [losses, gradients, moved, *([buffer] for buffer in run.model.buffers())]


def _jobs(specs: Sequence[RunSpec], registry: Registry, folder: Path, device: str) -> list[Job]:
    from ..execute.jobs import Job
    from ..study.spec import Limits, parts
    from ..training.machine import Machine

    code = registry.snapshot((kind, choice.use) for kind, choice in parts(specs[0].recipe))
    return [Job(spec, folder, Machine(folder, device, 1), code, limits=Limits(SECONDS)) for spec in specs]


def _made(at_a_time: int, jobs: Sequence[Job], store: Path) -> tuple[list[Mapping[str, Any]], float]:
    """Make runs in a store of their own; return their results, in order, and the seconds that all took."""
    from ..errors import RunError
    from ..execute.jobs import Failed, Finished
    from ..execute.local import LocalProcesses
    from ..store.store import Store

    Store(store).make_writable()
    results: dict[str, Mapping[str, Any]] = {}

    def tell(event: object) -> None:
        if isinstance(event, Failed):
            raise RunError(event.reason)
        if isinstance(event, Finished):
            results[event.spec.key] = event.result

    began = perf_counter()
    LocalProcesses(at_a_time).run([replace(job, store=store) for job in jobs], tell)
    seconds = perf_counter() - began
    return [results[job.spec.key] for job in jobs], seconds
