"""torchvision's own transforms as augmentations, image by image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torchvision.transforms import v2

from ablate.components.discover import discover
from ablate.errors import InputError

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from ablate import BatchTransform
    from ablate.components.registry import Registry

NEEDED: dict[str, dict[str, Any]] = {
    "ElasticTransform": {"alpha": 9.0, "sigma": 1.0},
    "GaussianBlur": {"kernel_size": 3},
    "Grayscale": {"num_output_channels": 3},
    "JPEG": {"quality": [5, 80]},
    "RandomAdjustSharpness": {"sharpness_factor": 2.0},
    "RandomAffine": {"degrees": 10},
    "RandomCrop": {"size": 12, "padding": 4},
    "RandomPosterize": {"bits": 3},
    "RandomResizedCrop": {"size": 12},
    "RandomRotation": {"degrees": [-10, 5]},
    "RandomSolarize": {"threshold": 100.0},
    "ColorJitter": {"brightness": 0.5, "hue": [-0.1, 0.2]},
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


@pytest.fixture
def images() -> Tensor:
    return torch.randint(256, (6, 3, 12, 12), dtype=torch.uint8, generator=seeded(0))


def seeded(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


def build(registry: Registry, name: str, **given: Any) -> BatchTransform:
    entry = registry.get("augmentation", f"torchvision:{name}")
    checked = entry.check(given)
    assert not checked.problems
    made: BatchTransform = entry.build(settings=checked.settings)
    return made


@pytest.mark.filterwarnings("ignore:The image decoding and encoding:DeprecationWarning")  # JPEG, in version 0.29
def test_every_transform_that_is_offered_works_and_repeats(registry: Registry, images: Tensor) -> None:
    found = registry.library("augmentation", "torchvision:")
    assert found is not None
    assert {"ColorJitter", "GaussianBlur", "ElasticTransform", "AugMix"} <= set(found.library.names())
    state = torch.get_rng_state()
    for name in found.library.names():
        augment = build(registry, name, **NEEDED.get(name, {}))
        before = images.clone()
        out, again = augment(images, seeded(1)), augment(images, seeded(1))
        assert (out.shape, out.dtype) == (images.shape, torch.uint8), name
        assert torch.equal(out, again), name
        assert torch.equal(augment(images.float().div(255), seeded(1)), out.float().div(255)), name
        assert torch.equal(images, before), name
    assert torch.equal(torch.get_rng_state(), state)


def test_it_is_torchvisions_transform_with_its_settings(registry: Registry, images: Tensor) -> None:
    out = build(registry, "RandomRotation", degrees=[30, 30], interpolation="bilinear", fill=9)(images, seeded(0))
    rotate = v2.RandomRotation((30, 30), interpolation=v2.InterpolationMode.BILINEAR, fill=9)
    assert torch.equal(out, torch.stack([rotate(image) for image in images]))


def test_a_choice_is_written_by_its_name(registry: Registry) -> None:
    entry = registry.get("augmentation", "torchvision:AutoAugment")
    assert not entry.check({"policy": "svhn", "interpolation": "bilinear"}).problems
    ((name, text),) = entry.check({"policy": "cifar"}).problems
    assert name == "policy"
    assert '"imagenet" | "cifar10" | "svhn"' in text


def test_an_empty_batch_stays_empty(registry: Registry, images: Tensor) -> None:
    assert build(registry, "ColorJitter")(images[:0], seeded(0)).shape == (0, 3, 12, 12)


def test_a_change_of_size_is_refused(registry: Registry, images: Tensor) -> None:
    with pytest.raises(InputError, match="RandomResizedCrop changes the shape of images"):
        build(registry, "RandomResizedCrop", size=10)(images, seeded(0))


@pytest.mark.parametrize("name", ["Resize", "Normalize", "ToTensor", "MixUp", "Compose", "Flip"])
def test_what_is_no_augmentation_is_not_there(registry: Registry, name: str) -> None:
    with pytest.raises(InputError, match=f"torchvision has no augmentation '{name}'"):
        registry.get("augmentation", f"torchvision:{name}")


def test_a_batched_one_is_named_only_where_it_exists(registry: Registry) -> None:
    found = registry.library("augmentation", "torchvision:")
    assert found is not None
    text = Path(found.file).read_text()
    named = dict(re.findall(r'^    "(\w+)": "([\w-]+)",$', text, re.MULTILINE))
    assert len(named) > 5
    assert named.keys() <= set(found.library.names())
    for transform, batched in named.items():
        assert registry.get("augmentation", batched)
        assert found.caution(transform) == f"works image by image, which is slow; {batched} is the batched one"
    assert found.caution("ElasticTransform") == "works image by image, which is slow"
