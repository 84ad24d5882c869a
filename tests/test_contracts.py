"""What components return is held to its contract before a run trains with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from ablate.errors import RunError, StudyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.training.rehearsal import Rehearsal


def transform(body: str, before: str = "") -> str:
    """Return a plugin whose augmentation does this; its decorator stands in line 8."""
    return f"""@augmentation("mine")
def mine():
    {before or "pass"}
    def apply(images, generator):
        batch = len(images)
        {body}
    return apply
"""


DRAW = "torch.rand(batch, generator=generator)"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("return images + 0.25", r"makes pixels from 0.25 to 1.25; they have to stay in [0, 1], as with .clamp(0, 1)"),
        ("return images - 0.1", "makes pixels from -0.1 to 0.9; they have to stay in [0, 1]"),
        ("return images / 0 * 0", "makes pixels that are not finite"),
        ("return images.mul_(0.5)", "changes the images that it is given in place"),
        ("return images.flip(3) if torch.rand(()) < 2 else images", "draws from the process's own generator (torch)"),
        ("return images * random.random()", "draws from the process's own generator (python)"),
        ("return images * np.random.rand()", "draws from the process's own generator (numpy)"),
        ("torch.manual_seed(batch); return images", "draws from the process's own generator (torch), or seeds it"),
        ("return images[:, :, 1:]", r"returns float32 (32, 1, 7, 8) on cpu, not float32 (32, 1, 8, 8) on cpu as given"),
        ("return images.double()", "returns float64 (32, 1, 8, 8) on cpu, not float32 (32, 1, 8, 8) on cpu as given"),
        ("return (images, images)", "returns tuple, not float32"),
        ("return None", "returns NoneType, not float32"),
        (
            f"late = {DRAW}[:, None, None, None] > 0.95; return torch.where(late, images + 0.5, images)",
            "makes pixels from 0 to 1.",
        ),
        (
            "return Mixed(images, torch.arange(batch), torch.full((batch,), 1.5))",
            "mixes with shares from 1.5 to 1.5; they have to lie in [0, 1]",
        ),
        (
            "return Mixed(images, torch.arange(batch) + 1, torch.ones(batch))",
            "mixes with partners from 1 to 32; in a batch of 32 they are from 0 to 31",
        ),
        (
            "return Mixed(images, torch.arange(batch) - 1, torch.ones(batch))",
            "mixes with partners from -1 to 30; in a batch of 32 they are from 0 to 31",
        ),
        (
            "return Mixed(images, torch.arange(batch).float(), torch.ones(batch))",
            "mixes 32 images with a partner that is float32 (32,) on cpu, not int64 (32,) on cpu",
        ),
        (
            "return Mixed(images, torch.arange(batch), torch.ones(1))",
            "mixes 32 images with a share that is float32 (1,) on cpu, not float32 (32,) on cpu",
        ),
        ("return Mixed(images, torch.arange(batch), 0.5)", "mixes 32 images with a share that is float, not float32"),
    ],
)
def test_an_augmentation_that_breaks_its_contract_is_refused_with_its_place(
    tried: Callable[..., Rehearsal],
    body: str,
    text: str,
) -> None:
    with pytest.raises(RunError, match=re.escape(f"augmentation 'mine' (plugins/mine.py:8) {text}")):
        tried(transform(body), "augmentation")


def test_a_generator_of_its_own_that_nothing_seeds_is_refused(tried: Callable[..., Rehearsal]) -> None:
    own = transform("return images * float(rng.random())", "rng = np.random.default_rng()")
    with pytest.raises(RunError, match=r"plugins/mine.py:8\) makes other pixels of the same images with the same gene"):
        tried(own, "augmentation")


def test_an_augmentation_that_forgets_the_scale_is_refused(tried: Callable[..., Rehearsal]) -> None:
    code = transform("return (images + 0.25).clamp(0, 1) if images.is_floating_point() else images")
    with pytest.raises(RunError, match="is marked takes_uint8, and makes other pixels of uint8 than of float32"):
        tried(code.replace("    def apply", "    @takes_uint8\n    def apply"), "augmentation")


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        (
            "augmentation",
            '@augmentation("mine")\ndef mine(): ...',
            "returns NoneType, not a function of images and gener",
        ),
        (
            "model",
            '@model("mine")\ndef mine(shape, classes): return print',
            "returns builtin_function_or_method, not a",
        ),
        (
            "model",
            '@model("mine")\ndef mine(shape, classes): return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))',
            "gives shape (2, 3), not (batch, classes) = (2, 2)",
        ),
        (
            "model",
            (
                '@model("mine")\ndef mine(shape, classes):\n'
                "    class Pair(nn.Linear):\n        def forward(self, x): return (x,)\n    return Pair(64, classes)"
            ),
            "gives tuple, not a tensor of logits",
        ),
        (
            "model",
            (
                '@model("mine")\ndef mine(shape, classes):\n    class Nan(nn.Linear):\n'
                "        def forward(self, x): return super().forward(x.flatten(1)).sqrt()\n    return Nan(64, classes)"
            ),
            "gives logits that are nan before any training",
        ),
        ("optimizer", '@optimizer("mine")\ndef mine(params, *, lr: float): ...', "returns NoneType, not a torch.optim"),
        (
            "optimizer",
            (
                '@optimizer("mine")\ndef mine(params, *, lr: float):\n'
                "    return torch.optim.SGD([p.detach().clone().requires_grad_() for p in params], lr=lr)"
            ),
            "steps 10 tensors that are none of the parameters it was given, so the model never learns",
        ),
        (
            "optimizer",
            (
                '@optimizer("mine")\ndef mine(params, *, lr: float):\n'
                "    return torch.optim.SGD([p for p in params if p.ndim > 1], lr=lr)"
            ),
            "leaves out 5 of the 10 parameters it was given (",
        ),
        (
            "optimizer",
            '@optimizer("mine")\ndef mine(params, *, lr: float): return torch.optim.LBFGS(params, lr=lr)',
            "has a step that takes closure; ablate calls step() alone",
        ),
        (
            "optimizer",
            (
                '@optimizer("mine")\ndef mine(params, *, lr: float):\n    class Free(torch.optim.Optimizer):\n'
                "        def step(self): ...\n    return Free(params, {})"
            ),
            "has no learning rate: each group of its parameters needs an 'lr'",
        ),
        (
            "scheduler",
            '@scheduler("mine", steps="epoch")\ndef mine(optimizer, horizon): return lambda epoch: 1.0',
            "returns function, not a torch.optim.lr_scheduler.LRScheduler",
        ),
        (
            "scheduler",
            (
                '@scheduler("mine", steps="epoch")\ndef mine(optimizer, horizon):\n'
                "    other = torch.optim.SGD([torch.zeros(1)], lr=1.0)\n"
                "    return torch.optim.lr_scheduler.ConstantLR(other)"
            ),
            "schedules another optimizer than the one it was given",
        ),
        (
            "scheduler",
            (
                '@scheduler("mine", steps="batch")\ndef mine(optimizer, horizon):\n'
                "    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)"
            ),
            'watches a loss, which is known after each epoch: register it with steps="epoch"',
        ),
    ],
)
def test_what_a_factory_returns_is_held_to_its_contract(
    tried: Callable[..., Rehearsal],
    kind: str,
    code: str,
    text: str,
) -> None:
    more = {"lr": "0.1"} if kind == "optimizer" else {}
    with pytest.raises(RunError, match=re.escape(f"{kind} 'mine' (plugins/mine.py:8) {text}")):
        tried(code, kind, **more)


def test_parameters_can_be_gone_through_twice(tried: Callable[..., Rehearsal]) -> None:
    code = """@optimizer("mine")
def mine(params, *, lr: float):
    groups = [{"params": [p for p in params if (p.ndim > 1) == wide]} for wide in (True, False)]
    return torch.optim.SGD(groups, lr=lr)
"""
    assert tried(code, "optimizer", lr="0.1").warning == ""


LOAD = """@dataset("mine")
def mine(folder):
    images, labels = np.zeros((12, 1, 8, 8), np.uint8), np.arange(12) % 3
    {}
    return Source.of(lambda: {{"train": Split(images, labels), "test": Split(images, labels)}})
"""
FACTS = """@dataset("mine")
def mine(folder):
    return Source(lambda: DataFacts({}), lambda: {{}})
"""


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (LOAD.format("labels = labels + 1"), "labels run from 1 to 3, and none is 0; classes are numbered from 0"),
        (LOAD.format("labels = labels * 2"), "labels run from 0 to 4, and none is 1, 3; classes are numbered"),
        (LOAD.format("labels = labels - 1"), "train: labels begin at -1; the first class is 0"),
        (LOAD.format("labels = labels[1:]"), "train: labels are int64 (11,), not int64 (12,)"),
        (LOAD.format("labels = labels.astype(np.int32)"), "train: labels are int32 (12,), not int64 (12,)"),
        (LOAD.format("labels = labels.tolist()"), "train: labels are list, not a numpy array"),
        (
            LOAD.format("images = images.astype(np.float32)"),
            "train: images are float32 (12, 1, 8, 8), not uint8 (N, C,",
        ),
        (LOAD.format("images = images[:, 0]"), "train: images are uint8 (12, 8, 8), not uint8 (N, C, H, W)"),
        (LOAD.format("images, labels = images[:0], labels[:0]"), "loads no training images"),
        (
            LOAD.format("images = np.zeros((12, 8, 8, 3), np.uint8)"),
            "images of shape (8, 8, 3) would have 8 channels of 8x3 pixels; channels come first: images.transpose",
        ),
        (LOAD.format("images = np.zeros((12, 28, 28, 1), np.uint8)"), "would have 28 channels of 28x1 pixels"),
        (LOAD.format("return {}"), "returns dict, not a Source; write 'return Source.of(load)'"),
        (LOAD.format("return Source.of(lambda: (images, labels))"), "loads tuple, not a dict such as {'train': Split("),
        (
            LOAD.format("return Source.of(lambda: {'training': Split(images, labels)})"),
            "loads the splits training; it needs 'train'",
        ),
        (LOAD.format("return Source.of(lambda: {'train': (images, labels)})"), "loads tuple as 'train', not a Split"),
        (FACTS.format('"x", ImageShape(8, 8, 3), 2, 10, 10'), "images of shape (8, 8, 3) would have 8 channels"),
        (
            FACTS.format('"x", ImageShape(1, 8, 8), 2.0, 10, 10'),
            "gives classes = 2.0 in its facts, which is not a number of",
        ),
        (FACTS.format('"", ImageShape(1, 8, 8), 2, 10, 10'), "has the fingerprint ''; it has to be a text that names"),
        (FACTS.format('"x", (8, 8), 2, 10, 10'), "gives the shape (8, 8) in its facts, not (channels, height, width)"),
        (LOAD.format("return Source(lambda: None, dict)"), "gives its facts as NoneType, not as DataFacts"),
    ],
)
def test_a_dataset_that_breaks_its_contract_is_refused_while_planning(
    tried: Callable[..., Rehearsal],
    code: str,
    text: str,
) -> None:
    with pytest.raises(StudyError) as told:
        tried(code, "dataset", validation="4")
    assert text in str(told.value)
    assert "see plugins/mine.py:8" in str(told.value)


def test_images_three_pixels_wide_are_images(tried: Callable[..., Rehearsal]) -> None:
    code = LOAD.format("images = np.zeros((12, 3, 8, 3), np.uint8)")
    assert tried(code, "dataset", validation="4").state_bytes > 0
