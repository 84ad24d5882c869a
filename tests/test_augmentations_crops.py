"""The augmentations that bring images to another size, against torchvision's; and the runs that have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as reference

from ablate.checks.study import findings
from ablate.components.discover import discover
from ablate.errors import StudyError
from ablate.study.resolve import resolve_study
from ablate.study.toml import Changes, read_study
from ablate.testing import AugmentationContract
from ablate.training.augment import in_floats
from ablate.training.build import build, load
from ablate.training.loop import begin_epoch, evaluate, middle, train_epoch
from tests.support import first_run, run_here

CROPS: Any = discover().get("augmentation", "random-resized-crop").factory.__globals__
NOISE = torch.randint(256, (24, 3, 40, 52), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


class TestRandomResizedCrop(AugmentationContract):
    component = "random-resized-crop"
    settings = {"size": 20}  # noqa: RUF012  # as users write it


class TestCentreCrop(AugmentationContract):
    component = "centre-crop"
    settings = {"size": 21}  # noqa: RUF012


@pytest.mark.parametrize("way", ["one_by_one", "all_at_once"])
@pytest.mark.parametrize("size", [(17, 23), (64, 64)])
def test_pixels_are_those_of_torchvision(way: str, size: tuple[int, int]) -> None:
    boxes = CROPS["boxes"](NOISE, torch.Generator().manual_seed(0), (0.08, 1.0), (0.5, 2.0))
    found = CROPS[way](NOISE, boxes, *size)
    ends = zip(*(each.int().tolist() for each in boxes), strict=True)
    wanted = [
        reference.resized_crop(image, *box, list(size), antialias=True)
        for image, box in zip(in_floats(NOISE), ends, strict=True)
    ]
    torch.testing.assert_close(found, torch.stack(wanted), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("scale", "ratio"), [((0.08, 1.0), (3 / 4, 4 / 3)), ((0.5, 1.0), (0.2, 0.4)), ((1.0, 1.0), (3.0, 4.0))]
)
def test_rectangles_are_distributed_as_torchvisions(scale: tuple[float, float], ratio: tuple[float, float]) -> None:
    """The second has ratios of which few sizes fit, the third none at all, so that it is always the middle."""
    count, shape = 3000, (1, 60, 80)
    torch.manual_seed(0)
    theirs = v2.RandomResizedCrop(8, scale, ratio)
    image = torch.zeros(shape)
    drawn = [theirs.make_params([image]) for _ in range(count)]
    wanted = np.array([[one[name] for name in ("top", "left", "height", "width")] for one in drawn])
    generator = torch.Generator().manual_seed(1)
    found = torch.stack(CROPS["boxes"](torch.zeros(count, *shape), generator, scale, ratio), 1).double().numpy()
    assert (found[:, :2] >= 0).all()
    assert (found[:, :2] + found[:, 2:] <= shape[1:]).all()
    measures = [
        (each[:, 2] * each[:, 3], each[:, 3] / each[:, 2], each[:, 0], each[:, 1], each[:, 0] + each[:, 2])
        for each in (found, wanted)
    ]
    for ours, others in zip(*measures, strict=True):
        assert stats.ks_2samp(ours, others).pvalue > 1e-3


def test_the_middle_is_that_of_torchvision() -> None:
    for height, width, side in ((40, 52, 21), (33, 48, 32), (32, 35, 32), (9, 9, 9)):
        images = NOISE[:, :, :height, :width]
        assert torch.equal(middle(images, side), reference.center_crop(images, [side, side]))


STUDY = """
[study]
name = "crops"
seeds = 2
[baseline]
epochs = 1
batch_size = 16
precision = "fp32"
dataset = { use = "arrays", path = "../own.npz", validation = 40, test = 40 }
model = { use = "simple-cnn" }
optimizer = { use = "sgd", lr = 0.01 }
augmentation = [{ use = "random-resized-crop", size = 16 }, { use = "flip" }]
[[variant]]
name = "plain"
from = "baseline"
remove = ["augmentation.random-resized-crop"]
[[variant]]
name = "middle"
from = "baseline"
set = { augmentation = [{ use = "centre-crop", size = 16 }, { use = "flip" }] }
"""


@pytest.fixture
def crops(folder: Path, write: Any) -> Path:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (140, 24, 28, 3), dtype=np.uint8)
    np.savez(folder / "own.npz", images=images, labels=np.arange(140) % 2)
    study: Path = write("studies/crops.toml", STUDY)
    return study


def test_a_model_trains_on_crops_and_is_evaluated_on_the_middle(crops: Path) -> None:
    spec, registry = first_run(crops)
    run = build(spec, registry, load(spec, registry, Path("data"), torch.device("cpu")))
    sizes: set[tuple[int, ...]] = set()
    run.model.register_forward_pre_hook(lambda _, inputs: sizes.add(tuple(inputs[0].shape[1:])))
    train_epoch(run, begin_epoch(run))
    assert run.data.test
    evaluate(run, run.data.test)
    assert sizes == {(3, 16, 16)}
    assert tuple(run.data.test.take(torch.arange(1))[0].shape) == (1, 3, 24, 28)


def test_a_study_with_crops_runs_to_its_end(crops: Path) -> None:
    assert run_here(crops, "study.seeds=1", only=("baseline",)) == 0


def test_a_variant_that_is_evaluated_in_another_size_is_found(crops: Path) -> None:
    study = resolve_study(read_study(crops, Changes(())), discover(crops), Path("data"), {})
    found = [one for one in findings(study) if one.code == "unequal-size"]
    assert [one.where for one in found] == ["plain"]
    assert "on 16 pixels a side, and 'plain' on 24 x 28" in found[0].reason


def test_a_crop_of_more_than_there_is_is_refused(crops: Path) -> None:
    with pytest.raises(StudyError, match="size = 64 is more than the images have, which are 24 x 28 pixels there"):
        first_run(crops, "baseline.augmentation.random-resized-crop.size=64")
