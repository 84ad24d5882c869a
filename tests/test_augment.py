"""Augmentations in a row, in uint8 for as long as that goes, and what mixing does to the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn.functional import cross_entropy

from ablate import Mixed, takes_uint8
from ablate.components.discover import discover
from ablate.training.augment import augment, in_floats, targets

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from ablate import BatchTransform, MixingTransform


def noise(count: int) -> list[Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def levels(count: int = 32) -> Tensor:
    return torch.randint(256, (count, 3, 8, 8), dtype=torch.uint8, generator=noise(1)[0])


def test_without_augmentations_images_only_become_floats() -> None:
    images, mixes = augment(levels(), [], [])
    assert torch.equal(images, levels().float().div(255))
    assert mixes == []


def test_a_batch_stays_uint8_up_to_the_first_that_does_not_take_it() -> None:
    seen = []

    @takes_uint8
    def takes(images: Tensor, generator: Generator) -> Tensor:
        seen.append(images.dtype)
        return images

    def needs_floats(images: Tensor, generator: Generator) -> Tensor:
        seen.append(images.dtype)
        return images

    augment(levels(), [takes, needs_floats, takes], noise(3))
    assert seen == [torch.uint8, torch.float32, torch.float32]


@pytest.mark.parametrize("names", [["random-crop", "flip", "cutout", "trivial-augment", "cutmix"], ["flip", "mixup"]])
def test_uint8_gives_the_same_bits_as_float32(names: list[str]) -> None:
    registry = discover()
    made: list[BatchTransform | MixingTransform] = [registry.get("augmentation", n).build(settings={}) for n in names]
    images, mixes = augment(levels(), made, noise(5)[: len(made)])
    expected = in_floats(levels())
    for transform, generator in zip(made, noise(5), strict=False):
        out = transform(expected, generator)
        expected = out.images if isinstance(out, Mixed) else out
    assert torch.equal(images, expected)
    assert len(mixes) == 1


def test_labels_that_nothing_mixed_stay_labels() -> None:
    labels = torch.arange(5)
    assert targets(labels, [], 7) is labels


def test_mixed_targets_weigh_the_losses_of_both_labels() -> None:
    labels, logits = torch.tensor([0, 2, 1, 2]), torch.randn(4, 3, generator=noise(1)[0])
    partner, share = torch.tensor([1, 0, 3, 2]), torch.tensor([0.25, 1.0, 0.5, 0.0])
    mixed = targets(labels, [Mixed(torch.empty(0), partner, share)], 3)
    own, other = (cross_entropy(logits, which, reduction="none") for which in (labels, labels[partner]))
    assert cross_entropy(logits, mixed).item() == pytest.approx((share * own + (1 - share) * other).mean().item())


def test_mixing_twice_gives_every_label_the_share_its_pixels_have() -> None:
    # Image k is all k, and label k: the mean pixel is the mean label, whatever was mixed.
    registry = discover()
    made = [registry.get("augmentation", name).build(settings={"p": 1.0}) for name in ("cutmix", "mixup")]
    labels = torch.arange(50)
    pixels = labels.to(torch.uint8).view(50, 1, 1, 1).expand(50, 1, 8, 8)
    images, mixes = augment(pixels, made, noise(2))
    shares = targets(labels, mixes, 50)
    assert torch.allclose(shares.sum(1), torch.ones(50))
    assert torch.allclose(shares @ labels.float(), images.mean((1, 2, 3)) * 255, atol=1e-3)
    assert int((shares > 0).sum(1).max()) > 2
