from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ablate.errors import InputError
from ablate.study.spec import Limits
from ablate.training.checkpoint import NoCheckpointError
from ablate.training.machine import Machine
from ablate.training.randomness import drawn_from, process_random
from ablate.training.run import train_run
from ablate.training.trained import EvaluationImages, evaluation_images, trained_model
from tests.support import first_run

WARM = """
import torch
from torch import nn
from ablate import model


class Warm(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.scores = nn.LazyLinear(classes)
        self.register_buffer("warmth", torch.zeros(()), persistent=False)

    def forward(self, images):
        if self.training:
            self.warmth += 0.01
        return self.scores(images.flatten(1)) * (1 + self.warmth)


@model("warm")
def warm(shape, classes):
    '''Has a lazy layer, and a buffer that is not persistent.'''
    return Warm(classes)
"""


class Kept:
    """A recorder that keeps the last state."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def resume(self) -> None:
        return None

    def kept_range_test(self) -> None:
        return None

    def stopping(self) -> bool:
        return False

    def keep(self, state: dict[str, Any]) -> None:
        self.state = state

    def ignore(self, *_: Any) -> None:
        pass

    unusable = keep_range_test = keep_predictions = started = under_way = epoch = ignore


class Made:
    """A run that was trained, and what is made of its checkpoint again."""

    def __init__(self, study: Path, *settings: str) -> None:
        self.spec, self.registry = first_run(study, *settings)
        kept, limits = Kept(), Limits(keep_checkpoints=True)
        self.result = train_run(self.spec, self.registry, Machine(Path("data"), "cpu", 1), kept, limits)
        self.state = kept.state

    def model(self) -> torch.nn.Module:
        return trained_model(self.spec, self.registry, self.state, self.result["weights"])

    def images(self, split: str = "test") -> EvaluationImages:
        return evaluation_images(self.spec, self.registry, Path("data"), split, self.state["usual_layout"])


@pytest.mark.parametrize(
    "setting",
    [
        "baseline.ema=0.9",
        "baseline.precision=bf16",
        'baseline.model={ use = "enhanced-cnn", width = 4, dropout = 0.5 }',
        "baseline.model.use=timm:test_resnet",
        'baseline.model={ use = "warm" }',
        'baseline.model={ use = "warm" }; baseline.ema=0.5',
    ],
)
def test_a_trained_model_gives_the_bits_that_its_run_measured(setting: str, study: Path) -> None:
    (study.parent.parent / "plugins" / "warm.py").write_text(WARM)
    made = Made(study, *setting.split("; "), "baseline.dataset.images=200")
    random = process_random()
    model = made.model()
    assert drawn_from(random) == []
    assert not model.training
    for split in ("test", "validation"):
        measured = made.images(split).evaluate(model.train())
        assert measured == {name: made.result[f"{split}/{name}"] for name in ("loss", "accuracy")}


def test_images_are_taken_one_by_one_or_several_and_are_those_of_the_dataset(study: Path) -> None:
    images = Made(study).images()
    inputs, labels = images[:4]
    assert inputs.shape == (4, 1, 8, 8)
    assert torch.allclose(inputs * images.std + images.mean, images.images[:4] / 255, atol=1e-6)
    one, label = images[-1]
    assert (one.shape, label) == ((1, 8, 8), images.labels[-1])
    assert torch.equal(labels, images.labels[:4])
    assert sum(len(batch) for _, batch in images.batches()) == len(images) == 16
    loaded = next(iter(torch.utils.data.DataLoader(images, batch_size=4)))
    assert torch.equal(loaded[0], inputs)
    images.images.zero_()
    assert images.images.any()


def test_images_are_chosen_by_places_and_masks(study: Path) -> None:
    images: Any = Made(study).images()
    every, labels = images[:]
    for places in ([1, 2, -3], np.array([1, 2, -3]), torch.tensor([1, 2, 13]), np.array([1, 2, 13], dtype=np.uint8)):
        inputs, chosen = images[places]
        assert torch.equal(inputs, every[[1, 2, 13]])
        assert torch.equal(chosen, labels[[1, 2, 13]])
    mask = images.labels == images.labels[3]
    for places in (mask, mask.numpy(), mask.tolist()):
        inputs, chosen = images[places]
        assert torch.equal(inputs, every[mask])
        assert set(chosen.tolist()) == {int(images.labels[3])}
    for place in (3, np.int64(3), torch.tensor(3), -13):
        assert torch.equal(images[place][0], every[3])
        assert images[place][1].shape == ()
    assert [len(images[none][1]) for none in (np.zeros(0), slice(0, 0), torch.zeros(16, dtype=torch.bool))] == [0, 0, 0]
    assert len(images[[]][1]) == 0
    assert len(images[[5]][1]) == 1
    assert sum(1 for _ in images) == 16


@pytest.mark.parametrize("places", ["3", 1.0, None, (1, 2), [1.5], ["a"], [[1], [2, 3]], [[1, 2]], True, torch.ones(2)])
def test_what_names_no_images_is_a_type_error(places: Any, study: Path) -> None:
    with pytest.raises(TypeError, match="images are chosen by a whole number, a slice"):
        Made(study).images()[places]


@pytest.mark.parametrize("places", [16, -17, [0, 16], torch.tensor([-17]), [True, False]])
def test_images_that_are_not_there_are_an_index_error(places: Any, study: Path) -> None:
    with pytest.raises(IndexError):
        Made(study).images()[places]


def test_a_split_that_a_run_does_not_have_is_an_error(study: Path) -> None:
    made = Made(study, "baseline.dataset.validation=0")
    with pytest.raises(InputError, match=r"has no split 'validation'; it has train, test"):
        made.images("validation")
    with pytest.raises(InputError, match="did you mean 'test'"):
        made.images("tests")


def test_a_checkpoint_of_another_model_or_moment_is_an_error(study: Path) -> None:
    made = Made(study)
    with pytest.raises(NoCheckpointError, match="not those that the run ended with"):
        trained_model(made.spec, made.registry, made.state, "other")
    other = Made(study, "baseline.model.width=8")
    with pytest.raises(NoCheckpointError, match="does not fit the model"):
        trained_model(made.spec, made.registry, other.state, other.result["weights"])
