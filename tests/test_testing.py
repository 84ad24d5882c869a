"""Contract tests for plugins: what ships passes them, and each check can fail."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ablate import testing
from ablate.components.contracts import KINDS, ImageShape
from ablate.components.discover import discover
from ablate.testing.checks import CHECKS, Checked, all_checks, outcome_of
from ablate.testing.subject import subject_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.components.contracts import Kind
    from ablate.testing.subject import Subject

    Write = Callable[[str, str], Path]

HEAD = """
import numpy as np
import torch
from torch import nn
from ablate import DataFacts, ImageShape, Mixed, Source, Split, augmentation, dataset, model, optimizer, scheduler
from ablate import Drawing, figure, loss, metric, takes_uint8

"""
NEEDED: dict[str, dict[str, Any]] = {
    "centre-crop": {"size": 6},
    "cutout": {"size": 5},
    "rotate": {"degrees": 30},
    "affine": {"degrees": 10, "translate": [0.2, 0.1], "scale": [0.8, 1.3], "shear": 10},
}
BORROWED = [
    ("model", "timm:mobilenetv3_small_050", {}),
    ("model", "torchvision:squeezenet1_1", {}),
    ("augmentation", "torchvision:GaussianNoise", {}),
    ("augmentation", "torchvision:RandomAffine", {"degrees": 30}),
    *(("optimizer", f"torch:{name}", {}) for name in ("Adadelta", "Adagrad", "NAdam", "Rprop", "RMSprop")),
    *(("optimizer", f"timm:{name}", {}) for name in ("adafactor", "lamb", "lion", "muon", "sgdp")),
    ("scheduler", "torch:CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 2}),
    ("scheduler", "torch:CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3}),
    ("scheduler", "torch:LinearLR", {}),
    ("scheduler", "torch:MultiStepLR", {"milestones": [2, 4]}),
    ("scheduler", "torch:OneCycleLR", {"max_lr": 0.1}),
    ("scheduler", "torch:PolynomialLR", {}),
    ("scheduler", "torch:ReduceLROnPlateau", {"patience": 1}),
    *(("loss", f"torch:{name}", {}) for name in ("CrossEntropyLoss", "HuberLoss", "MSELoss", "MultiMarginLoss")),
    *(("loss", f"torch:{name}", {}) for name in ("BCEWithLogitsLoss", "MultiLabelSoftMarginLoss")),
    *(("loss", f"timm:AsymmetricLoss{name}", {}) for name in ("SingleLabel", "MultiLabel")),
    *(("loss", f"timm:Poly{name}CrossEntropy", {}) for name in ("", "Binary")),
    ("metric", "torchmetrics:MulticlassCohenKappa", {}),
    ("metric", "torchmetrics:MulticlassFBetaScore", {"beta": 0.5}),
]
SHAPES = [ImageShape(3, 32, 32), ImageShape(3, 12, 20), ImageShape(1, 8, 8)]


def facts(checks: list[Checked], outcome: str) -> dict[str, str]:
    return {checked.fact: checked.text for checked in checks if checked.outcome == outcome}


def checked(kind: Kind, name: str, given: dict[str, Any], shape: ImageShape = SHAPES[0]) -> list[Checked]:
    entry = discover().get(kind, name)
    checks = list(all_checks(subject_of(entry, given, Path("data"), shape)))
    assert facts(checks, "failed") == {}
    return checks


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [entry.name for entry in discover().entries("augmentation")])
def test_a_shipped_augmentation_keeps_its_contract(name: str, shape: ImageShape) -> None:
    skipped = facts(checked("augmentation", name, NEEDED.get(name, {}), shape), "skipped")
    mixes, floats = name in ("mixup", "cutmix", "placebo"), name in ("color-jitter", "mixup")
    allowed = {
        "partners and shares fit the batch": not mixes,
        "uint8 gives the same pixels as float32": floats,
        "it draws for each image": name == "centre-crop",  # it draws nothing
    }
    assert skipped.keys() == {fact for fact, skips in allowed.items() if skips}


@pytest.mark.parametrize("shape", [*SHAPES, ImageShape(2, 1, 1), ImageShape(3, 4, 9)])
@pytest.mark.parametrize("name", [entry.name for entry in discover().entries("model")])
def test_a_shipped_model_keeps_its_contract(name: str, shape: ImageShape) -> None:
    assert facts(checked("model", name, {}, shape), "skipped") == {}


@pytest.mark.parametrize(
    ("kind", "name"),
    [(k, entry.name) for k in ("optimizer", "scheduler", "loss", "metric") for entry in discover().entries(k)],
)
def test_a_shipped_optimizer_scheduler_loss_or_metric_keeps_its_contract(kind: Kind, name: str) -> None:
    assert facts(checked(kind, name, {}), "skipped") == {}


@pytest.mark.parametrize(("kind", "name", "given"), BORROWED)
def test_a_component_of_a_library_keeps_its_contract(kind: Kind, name: str, given: dict[str, Any]) -> None:
    checked(kind, name, given)


def test_the_digits_keep_the_contract_of_a_dataset() -> None:
    assert facts(checked("dataset", "digits", {}), "skipped").keys() == {"its fingerprint changes with the data alone"}


@pytest.mark.slow
def test_cifar100_keeps_the_contract_of_a_dataset(cifar100: Path) -> None:
    checks = list(all_checks(subject_of(discover().get("dataset", "cifar100"), {}, cifar100)))
    assert facts(checks, "failed") == {}
    assert facts(checks, "skipped").keys() == {"its fingerprint changes with the data alone"}


def test_an_image_folder_keeps_the_contract_of_a_dataset(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(0)
    for number in range(8):
        place = folder / "pets" / ("cat", "dog")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(place / f"{number}.png")
    entry = discover().get("dataset", "image-folder")
    subject = subject_of(entry, {"root": str(folder / "pets"), "size": 8}, folder / "data")
    subject.build(subject.folder).prepare()
    first, *_ = checks = list(all_checks(subject))
    assert first.outcome == "passed"
    assert facts(checks, "failed") == {}


def test_a_dataset_that_is_not_there_is_checked_as_far_as_it_can_be(folder: Path) -> None:
    checks = checked("dataset", "mnist", {})
    assert len(facts(checks, "passed")) == 2
    assert all("11.6 MB to download" in text for text in facts(checks, "skipped").values())


def augments(body: str, before: str = "pass", mark: str = "") -> str:
    return f"""@augmentation("mine")
def mine():
    {before}
    {mark}
    def apply(images, generator):
        batch = len(images)
        {body}
    return apply
"""


def draws(body: str) -> str:
    return f"""@figure("mine")
def mine(report):
    {body}

def bars(figure, data):
    figure.subplots().bar([0], [1])
"""


def shows(body: str) -> str:
    return draws("return Drawing(title='a', draw=bars)").replace("figure.subplots().bar([0], [1])", body)


def models(forward: str, init: str = "pass") -> str:
    return f"""class Net(nn.Module):
    def __init__(self, size, classes):
        super().__init__()
        self.linear = nn.Linear(size, classes)
        self.calls = 0
        {init}
    def forward(self, x):
        {forward}

@model("mine")
def mine(shape, classes):
    return Net(shape.channels * shape.height * shape.width, classes)
"""


def optimizes(step: str, init: str = "pass") -> str:
    return f"""class Mine(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {{"lr": lr}})
        self.velocity = {{}}
        {init}
    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            lr = group["lr"]
            for p in group["params"]:
                if p.grad is not None:
                    {step}

@optimizer("mine")
def mine(params, *, lr: float):
    return Mine(params, lr)
"""


def schedules(factor: str, before: str = "pass") -> str:
    return f"""@scheduler("mine", steps="epoch")
def mine(optimizer, horizon):
    calls = []
    {before}
    def factor(epoch):
        {factor}
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
"""


def measures(body: str) -> str:
    """Return a metric with this body."""
    return f'@metric("mine", higher_is_better=True, percent=True)\ndef mine(logits, labels):\n    {body}\n'


def loses(body: str) -> str:
    """Return a loss with this body; `each` is cross entropy."""
    each = "each = -(targets * logits.log_softmax(1)).sum(1)"
    return f'@loss("mine", shares=True)\ndef mine(logits, targets):\n    {each}\n    {body}\n'


def loads(source: str, before: str = "pass") -> str:
    return f"""CALLS = []
def data(labels=3, seed=0):
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 256, (12, 1, 8, 8), dtype=np.uint8)
    return {{"train": Split(images, np.arange(12) % labels), "test": Split(images, np.arange(12) % labels)}}

def facts(name="x", classes=3, train=12, **more):
    return DataFacts(name, ImageShape(1, 8, 8), classes, train, 12, **more)

@dataset("mine")
def mine(folder, *, noise: int = 1):
    {before}
    return {source}
"""


def tasks(body: str) -> str:
    """Return a task with this body."""
    head = "import subprocess\nfrom ablate import Metric, Run, task\nseen = []\n"
    declared = "[Metric('test/x', 'maximize')]"
    return f"{head}@task('mine', metrics={declared})\ndef mine(run: Run) -> dict:\n    {body}\n"


# For each check a component that breaks what it checks, and what is then said.
BROKEN: list[tuple[Kind, str, str, str]] = [
    (
        "augmentation", "it is a function of images and generator",
        '@augmentation("mine")\ndef mine(): ...',
        "returns NoneType, not a function of images and generator",
    ),
    (
        "augmentation", "it keeps the shape and the type",
        augments("return images[:, :, 1:]"),
        "returns float32 (32, 3, 31, 32) on cpu, not float32 (32, 3, 32, 32) on cpu as given",
    ),
    (
        "augmentation", "it keeps pixels finite and in range",
        augments("return images + 0.25"),
        "makes pixels from 0.25 to 1.25; they have to stay in [0, 1], as with .clamp(0, 1)",
    ),
    (
        "augmentation", "it leaves its input as it was",
        augments("return images.mul_(0.5) if images.is_contiguous(memory_format=torch.channels_last) else images"),
        "changes the images that it is given in place; leave them, and return others (images channels last in memory)",
    ),
    (
        "augmentation", "it draws from its generator alone",
        augments("return images * torch.rand(())"),
        "draws from the process's own generator (torch), or seeds it",
    ),
    (
        "augmentation", "partners and shares fit the batch",
        augments("return Mixed(images, torch.arange(batch) + 1, torch.ones(batch))"),
        "mixes with partners from 1 to 32; in a batch of 32 they are from 0 to 31",
    ),
    (
        "augmentation", "it takes a batch of one",
        augments("return images.squeeze(0)"),
        "returns float32 (3, 32, 32) on cpu, not float32 (1, 3, 32, 32) on cpu as given",
    ),
    (
        "augmentation", "the same generator gives the same pixels",
        augments("return images * float(rng.random())", "rng = np.random.default_rng()"),
        "makes other pixels of the same images with the same generator: a seed does not repeat",
    ),
    (
        "augmentation", "every memory layout gives the same pixels",
        augments("return images * torch.empty_like(images).uniform_(generator=generator)"),
        "makes other pixels of the same images where these are channels last in memory",
    ),
    (
        "augmentation", "it draws for each image",
        augments("return images * torch.rand((), generator=generator)"),
        "does the same to all images of a batch\ndraw one number for each image",
    ),
    (
        "augmentation", "uint8 gives the same pixels as float32",
        augments("return (images + 0.25).clamp(0, 1) if images.is_floating_point() else images", mark="@takes_uint8"),
        "is marked takes_uint8, and makes other pixels of uint8 than of float32",
    ),
    (
        "augmentation", "an interrupted run ends with the same bits",
        augments("calls.append(1); return images / len(calls)", "calls = []"),
        "keeps state that no checkpoint holds (calls.0, calls.1, calls.2)",
    ),
    (
        "model", "it gives logits for any number of classes",
        models("return self.linear(x.flatten(1))[:, :2]"),
        "gives shape (4, 2), not (batch, classes) = (4, 7)",
    ),
    (
        "model", "it takes a batch of one",
        models("return self.linear(x.flatten(1)).squeeze(0)"),
        "gives shape (10,), not (batch, classes) = (1, 10)",
    ),
    (
        "model", "the same seed gives the same weights",
        models("return self.linear(x.flatten(1))", "self.linear.bias.data.fill_(np.random.rand())"),
        "begins with other weights for the same seed (linear.bias)",
    ),
    (
        "model", "gradients reach every parameter",
        models("return self.linear(x.flatten(1))", "self.unused = nn.Linear(2, 2)"),
        "gives no gradient to 2 of 4 parameters (unused.weight, unused.bias)",
    ),
    (
        "model", "gradients reach every parameter",
        models("return (self.linear(x.flatten(1)) * 0).sqrt()"),
        "gives 2 of 2 parameters gradients that are not finite",
    ),
    (
        "model", "evaluation repeats and leaves the state alone",
        models("return nn.functional.dropout(self.linear(x.flatten(1)), 0.5)"),
        "gives other logits for the same images when it is evaluated again",
    ),
    (
        "model", "evaluation repeats and leaves the state alone",
        models("self.seen += 1; return self.linear(x.flatten(1))", 'self.register_buffer("seen", torch.zeros(()))'),
        "changes its state in evaluation (seen)",
    ),
    (
        "model", "in evaluation each image counts alone",
        models("return self.linear((x - x.mean(0)).flatten(1))"),
        "gives an image other logits in evaluation when other images are in its batch",
    ),
    (
        "model", "channels last gives the same logits",
        models("return self.linear(x.as_strided((len(x), x[0].numel()), (x[0].numel(), 1)))"),
        "gives other logits in channels-last layout",
    ),
    (
        "model", "a copy gives the same logits",
        models("return self.linear(x.flatten(1))", "self.numbers = (n for n in range(3))"),
        "cannot be copied by copy.deepcopy: TypeError",
    ),
    (
        "model", "a copy gives the same logits",
        models("return self.linear(x.flatten(1))\n    def __deepcopy__(self, memo): return Net(3072, 10)"),
        "gives other logits when it is copied by copy.deepcopy",
    ),
    (
        "model", "an interrupted run ends with the same bits",
        models("self.calls += self.training; return self.linear(x.flatten(1)) * (1 + self.calls)"),
        "keeps state that no checkpoint holds (calls): a run that is interrupted would end with other numbers",
    ),
    (
        "optimizer", "it steps the parameters that it was given",
        '@optimizer("mine")\ndef mine(params, *, lr: float): return torch.optim.SGD(params[:2], lr=lr)',
        "leaves out 1 of the 3 parameters it was given (2)",
    ),
    (
        "optimizer", "it steps the parameters that it was given",
        optimizes("p.sub_(p.grad)", "self.param_groups[0]['lr'] = None"),
        "has no learning rate: each group of its parameters needs an 'lr'",
    ),
    (
        "optimizer", "each parameter stands in one group once",
        optimizes("p.sub_(lr * p.grad)", "self.param_groups.append(dict(self.param_groups[0]))"),
        "has 3 parameters more than once in its groups, and steps them as often",
    ),
    (
        "optimizer", "it lowers a quadratic",
        optimizes("p.add_(lr * p.grad)"),
        "in 100 steps\nit has to go down",
    ),
    (
        "optimizer", "the same steps give the same parameters",
        optimizes("p.sub_(lr * p.grad * float(np.random.default_rng().random()))"),
        "makes other steps of the same gradients",
    ),
    (
        "optimizer", "its rate can be scheduled",
        optimizes("p.sub_(self.rate * p.grad)", "self.rate = lr"),
        "takes the same steps when the learning rate of its groups is halved",
    ),
    (
        "optimizer", "a parameter without gradient stays",
        optimizes("pass").replace("if p.grad is not None:", "p.mul_(0.9)").replace("                    pass\n", ""),
        "moves a parameter that has no gradient",
    ),
    (
        "optimizer", "an interrupted run ends with the same bits",
        optimizes(
            "v = self.velocity[p] = 0.9 * self.velocity.get(p, torch.zeros_like(p)) + p.grad; p.sub_(lr * v)"
        ),
        "a run that is interrupted would end with other numbers",
    ),
    (
        "scheduler", "it schedules the optimizer that it was given",
        '@scheduler("mine", steps="epoch")\ndef mine(optimizer, horizon): ...',
        "returns NoneType, not a torch.optim.lr_scheduler.LRScheduler",
    ),
    (
        "scheduler", "rates are finite and not negative",
        schedules("return 1 - epoch"),
        "sets the learning rate -0.1 (in a run of 7 epochs of 1 step)",
    ),
    (
        "scheduler", "rates are finite and not negative",
        schedules("return 0"),
        "keeps the learning rate at 0 (in a run of 1 epoch of 1 step), so nothing is learned",
    ),
    (
        "scheduler", "it lasts as long as the run",
        schedules("return [1.0, 0.5, 0.25][epoch]"),
        "fails before the run has ended: IndexError: list index out of range (in a run of 7 epochs of 1 step)",
    ),
    (
        "scheduler", "it takes optimizers with and without momentum",
        schedules("return optimizer.param_groups[0]['momentum']"),
        "fails before the run has ended: KeyError: 'momentum' (in a run of 4 epochs of 3 steps), with torch.optim.Adam",
    ),
    (
        "scheduler", "the same run has the same rates",
        schedules("return float(np.random.default_rng().random())"),
        "sets other learning rates in the same run",
    ),
    (
        "scheduler", "it goes on wherever it was saved",
        schedules("calls.append(1); return 1 / len(calls)"),
        "sets other learning rates when it was saved and loaded after step 1 of 4",
    ),
    (
        "scheduler", "it goes on wherever it was saved",
        schedules("return 1.0").replace("return torch", "made = torch") + "    made.kept = nn.Linear\n    return made",
        "cannot be saved: ",
    ),
    (
        "scheduler", "an interrupted run ends with the same bits",
        schedules("calls.append(1); return 1 / len(calls)"),
        "keeps state that no checkpoint holds (",
    ),
    ("loss", "it gives the loss of each image", loses("return each.mean()"), "not the loss of each image: float32 (32"),
    ("loss", "it gives the loss of each image", loses("return each.detach()"), "gives a loss that has no gradient"),
    (
        "loss", "it takes very sure predictions",
        loses("return -(targets * logits.softmax(1).log()).sum(1)"),
        "gives a loss that is not finite of very sure predictions\nwork with log_softmax or logsigmoid",
    ),
    ("loss", "an images loss is its own", loses("return each - each.mean() / 2"), "another loss alone than in a batch"),
    ("loss", "better predictions have a lower loss", loses("return -each"), "where all is wrong\nturn its sign"),
    (
        "loss", "it takes mixed labels",
        loses("return each + (targets.max(1).values < 1).float() * torch.inf"),
        "gives a loss that is not finite of small logits",
    ),
    (
        "loss", "the same logits have the same loss",
        loses("return each + float(np.random.default_rng().random())"),
        "has another value the second time",
    ),
    ("loss", "it leaves its input", loses("targets *= 2; return each"), "changes the logits or targets"),
    ("metric", "it returns a finite number", measures("return logits"), "returns ndarray, not a number"),
    (
        "metric", "it returns a finite number",
        measures("return np.log(0.0)"),
        "returns -inf\nreturn a finite number; leave out what it is not defined for",
    ),
    (
        "metric", "it stays within its bounds",
        measures("return 100 * (logits.argmax(1) == labels).mean()"),
        "is 50, and says that it lies between 0 and 1",
    ),
    (
        "metric", "better predictions are better",
        measures("return (logits.argmax(1) != labels).mean()"),
        "is 0 where all is predicted right and 1 where all is wrong, and says that higher is better",
    ),
    (
        "metric", "the same predictions have the same value",
        measures("return np.random.default_rng().random()"),
        "has another value the second time",
    ),
    (
        "metric", "the order of the images does not matter",
        measures("return (logits.argmax(1) == labels)[:50].mean()"),
        "with the images in another order",
    ),
    ("metric", "it leaves its input", measures("logits *= 2; return 0.5"), "changes the logits or labels"),
    (
        "metric", "it takes a class without images",
        measures("return np.mean([(logits.argmax(1) == c)[labels == c].mean() for c in range(10)])"),
        "returns nan where a class has no image",
    ),
    ("figure", "it returns a drawing", draws("return 3"), "returns int, not a Drawing"),
    (
        "figure", "it returns a drawing",
        draws("return Drawing(title='a', alt='b', draw=bars)"),
        "has no caption\ngive its Drawing one: Drawing(caption=...)",
    ),
    ("figure", "it can be drawn in every width", shows("pass"), "draws nothing into the figure that it is given"),
    (
        "figure", "it becomes a file of every kind",
        shows("figure.text(0, 0, 'a').set_path_effects([1])"),
        "cannot be written as SVG: AttributeError",
    ),
    (
        "figure", "the same facts give the same figure",
        shows("figure.subplots().plot(np.random.rand(3))"),
        "is another one the second time",
    ),
    (
        "figure", "it says so where there are no results",
        draws("return Drawing(title=str(report.histories[0].series['lr'].mean[0]), draw=bars)"),
        "raises KeyError: 'lr' (plugins/mine.py:",
    ),
    (
        "figure", "it takes any name of a variant",
        draws("return Drawing(title=report.histories[-1].variant.format(), draw=bars)"),
        "raises",
    ),
    (
        "figure", "it leaves pyplot alone",
        shows("import matplotlib.pyplot; matplotlib.pyplot.figure(); figure.subplots()"),
        "leaves a figure of pyplot's open",
    ),
    ("dataset", "it returns a source", loads("data()"), "returns dict, not a Source"),
    (
        "dataset", "its facts are complete",
        loads("Source(lambda: facts(''), data)"),
        "has the fingerprint ''",
    ),
    (
        "dataset", "preparing twice is safe",
        loads("Source(facts, data, lambda: CALLS.append(1), lambda: 'again' if CALLS else '')"),
        "says after prepare() that there is still to do: again",
    ),
    (
        "dataset", "it loads uint8 images and int64 labels",
        loads("Source(facts, lambda: {'train': Split(np.zeros((12, 1, 8, 8)), np.arange(12) % 3)})"),
        "train: images are float64 (12, 1, 8, 8), not uint8 (N, C, H, W)",
    ),
    (
        "dataset", "it loads what its facts say",
        loads("Source(lambda: facts(classes=2), data)"),
        "train: labels run from 0 to 2, and there are 2 classes",
    ),
    (
        "dataset", "it loads what its facts say",
        loads("Source(lambda: facts(train=11), data)"),
        "loads {'train': 12, 'test': 12} images, and its facts say {'train': 11, 'test': 12}",
    ),
    (
        "dataset", "it loads what its facts say",
        loads("Source(lambda: facts(counts={'test': (4, 5, 3)}), data)"),
        "test: has 4 images of class 1, and its facts say 5",
    ),
    (
        "dataset", "every class has images",
        loads("Source(facts, lambda: {n: Split(s.images, 2 * s.labels) for n, s in data().items()})"),
        "labels run from 0 to 4, and none is 1, 3",
    ),
    (
        "dataset", "it loads the same each time",
        loads("Source(facts, lambda: data(seed=np.random.randint(1000)))"),
        "loads other images or labels the second time",
    ),
    (
        "dataset", "its fingerprint stays",
        loads("Source(lambda: CALLS.append(1) or facts(str(len(CALLS))), data)"),
        "has another fingerprint for the same data",
    ),
    (
        "dataset", "its fingerprint changes with the data alone",
        loads("Source(facts, lambda: data(seed=noise))"),
        "has the same fingerprint with noise = 2, which loads other images or labels",
    ),
    (
        "dataset", "its fingerprint changes with the data alone",
        loads("Source(lambda: facts(str(noise)), data)"),
        "has another fingerprint with noise = 2, which loads the same images and labels",
    ),
    (
        "task", "it reports finite numbers",
        tasks("return {'test/x': float('nan')}"),
        "cannot be run as a pilot: diverged: test/x is nan",
    ),
    (
        "task", "it reports what it declares",
        tasks("return {'test/y': 1.0}"),
        "declares test/x and reports test/y",
    ),
    (
        "task", "the same seed gives the same numbers",
        tasks("seen.append(1)\n    return {'test/x': len(seen)}"),
        "gives other numbers the second time with the same seed",
    ),
    (
        "task", "it stops when it is asked",
        tasks(
            "for step in range(3):\n        try:\n            run.log(step=step, metrics={'train/x': 1})\n"
            "        except Exception:\n            pass\n    return {'test/x': 1.0}"
        ),
        "goes on after it was asked to stop",
    ),
    (
        "task", "an interrupted run ends with the same bits",
        tasks(
            "total = 0.0\n    for step in range((run.restored() or {'step': 0})['step'], 4):\n        total += step\n"
            "        run.log(step=step, metrics={'train/x': total})\n        run.save({'step': step + 1})\n"
            "    return {'test/x': total}"
        ),
        "goes on otherwise from the state after 3 lines than without an interruption, from step 3",
    ),
    (
        "task", "it leaves no process behind",
        tasks("seen.append(subprocess.Popen(['sleep', '20']))\n    return {'test/x': 1.0}"),
        "leaves 1 processes behind",
    ),
]  # fmt: skip


@pytest.fixture
def mine(write: Write) -> Callable[[Kind, str], Subject]:
    """Return the component `mine` of a plugin."""

    def made(kind: Kind, code: str) -> Subject:
        write("plugins/mine.py", HEAD + code)
        return subject_of(discover().get(kind, "mine"), {}, Path("data"))

    return made


def outcome(subject: Subject, fact: str) -> Checked:
    (check,) = (c for c in CHECKS[subject.entry.kind] if c.__name__.replace("_", " ") == fact)
    return outcome_of(check, subject)


@pytest.mark.parametrize(("kind", "fact", "code", "text"), BROKEN)
def test_a_component_that_breaks_it_is_caught(
    mine: Callable[[Kind, str], Subject], kind: Kind, fact: str, code: str, text: str
) -> None:
    found = outcome(mine(kind, code), fact)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    assert found.outcome == "failed"
    assert text in found.text


def test_every_check_can_fail() -> None:
    caught = {(kind, fact) for kind, fact, _, _ in BROKEN}
    every = {(kind, check.__name__.replace("_", " ")) for kind in KINDS for check in CHECKS[kind]}
    assert every - caught == {("augmentation", "it waits for no device")}  # which is a reason to skip


def test_one_that_waits_for_the_device_is_reported(mine: Callable[[Kind, str], Subject]) -> None:
    code = augments("return images * torch.rand(batch, generator=generator, device=images.device).max().item()")
    found = outcome(mine("augmentation", code), "it waits for no device")
    assert found.outcome == "skipped"
    assert "it waits for the device" in found.text


def test_a_model_that_cannot_be_laid_out_is_reported(mine: Callable[[Kind, str], Subject]) -> None:
    found = outcome(
        mine("model", models("return self.linear(x.view(len(x), -1))")), "channels last gives the same logits"
    )
    assert found.outcome == "skipped"
    assert "it cannot be used in channels-last layout: RuntimeError: view size" in found.text


def test_whatever_a_component_raises_is_reported_with_its_line(mine: Callable[[Kind, str], Subject]) -> None:
    found = outcome(mine("augmentation", augments("raise KeyError('x')")), "it keeps the shape and the type")
    assert (found.outcome, found.text) == ("failed", "raises KeyError: 'x' (plugins/mine.py:14)")


NOISE = """
import torch
from ablate import augmentation

@augmentation("noise")
def noise(*, strength: float = 0.1):
    def apply(images, generator):
        drawn = torch.randn(images.shape, generator=generator, device=images.device)
        return (images + strength * drawn){}
    return apply
"""
CONTRACT = """
from pathlib import Path
from ablate.testing import AugmentationContract

class TestNoise(AugmentationContract):
    component = "noise"
    settings = {"strength": 0.2}
    plugin = Path("mine/noise.py")

class TestGlare(AugmentationContract):
    component = "glare"
    plugin = Path("mine/glare.py")
    test_it_waits_for_no_device = None
"""


def test_a_plugin_writer_inherits_a_test_for_each_check(write: Write, folder: Path) -> None:
    write("mine/noise.py", NOISE.format(".clamp(0, 1)"))
    write("mine/glare.py", NOISE.format("").replace("noise", "glare"))
    write("test_mine.py", CONTRACT)
    command = [sys.executable, "-m", "pytest", "-rA", "--tb=short", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    outcomes = re.findall(r"^(PASSED|FAILED) test_mine\.py::Test(\w+)::test_(\w+)", done.stdout, re.MULTILINE)
    assert {(name, fact) for outcome, name, fact in outcomes if outcome == "FAILED"} == {
        ("Glare", "it_keeps_pixels_finite_and_in_range")
    }
    facts = {check.__name__ for check in CHECKS["augmentation"]}
    facts -= {"partners_and_shares_fit_the_batch", "uint8_gives_the_same_pixels_as_float32"}  # which are skipped
    assert {fact for _, name, fact in outcomes if name == "Noise"} == facts
    assert {fact for _, name, fact in outcomes if name == "Glare"} == facts - {"it_waits_for_no_device"}
    assert "it does not mix images" in done.stdout
    assert "augmentation 'glare' (mine/glare.py:5) makes pixels from -" in done.stdout


def test_checks_and_classes_are_there_without_pytest() -> None:
    for file in Path(testing.__file__).parent.glob("[!e]*.py"):  # those of executors are classes alone
        tops = [line for line in file.read_text().splitlines() if re.match(r"(import|from) pytest", line)]
        assert tops == [], file.name
