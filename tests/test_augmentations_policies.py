"""Colour jitter and the policies, against torchvision's functions on one image at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from scipy import stats
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as reference

from ablate.components.discover import discover
from ablate.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Generator, Tensor

    from ablate import BatchTransform
    from ablate.components.registry import Registry

# In the order of `Op` in the plugin.
NAMES = ["ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Contrast", "Color", "Sharpness"]
NAMES += ["Posterize", "Solarize", "AutoContrast", "Equalize", "Identity", "Invert"]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def seeded(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


def build(registry: Registry, name: str, **given: Any) -> BatchTransform:
    entry = registry.get("augmentation", name)
    checked = entry.check(given)
    assert not checked.problems
    made: BatchTransform = entry.build(settings=checked.settings)
    return made


def photographs(count: int, size: int = 16) -> Tensor:
    """Return uint8 images of smooth colours with some noise, and a few of one colour."""
    coarse = torch.rand(count, 3, 4, 4, generator=seeded(0))
    smooth = torch.nn.functional.interpolate(coarse, size, mode="bilinear")
    noisy = smooth * 220 + 30 * torch.rand(smooth.shape, generator=seeded(1))
    noisy[:2] = torch.tensor([0.0, 200.0]).view(2, 1, 1, 1)
    return noisy.clamp(0, 255).to(torch.uint8)


def operated(image: Tensor, name: str, strength: float) -> Tensor:
    """Apply one operation of a policy as torchvision's policies do."""
    changes: dict[str, Callable[[], Tensor]] = {
        "ShearX": lambda: sheared(image, [strength, 0.0]),
        "ShearY": lambda: sheared(image, [0.0, strength]),
        "TranslateX": lambda: reference.affine(image, 0.0, [int(strength), 0], 1.0, [0.0, 0.0]),
        "TranslateY": lambda: reference.affine(image, 0.0, [0, int(strength)], 1.0, [0.0, 0.0]),
        "Rotate": lambda: reference.rotate(image, strength),
        "Brightness": lambda: reference.adjust_brightness(image, 1 + strength),
        "Contrast": lambda: reference.adjust_contrast(image, 1 + strength),
        "Color": lambda: reference.adjust_saturation(image, 1 + strength),
        "Sharpness": lambda: reference.adjust_sharpness(image, 1 + strength),
        "Posterize": lambda: reference.posterize(image, int(strength)),
        "Solarize": lambda: reference.solarize(image, 255 * strength),
        "AutoContrast": lambda: reference.autocontrast(image),
        "Equalize": lambda: reference.equalize(image),
        "Identity": lambda: image,
        "Invert": lambda: reference.invert(image),
    }
    return changes[name]()


def sheared(image: Tensor, slopes: list[float]) -> Tensor:
    degrees = [math.degrees(math.atan(slope)) for slope in slopes]
    made: Tensor = reference.affine(image, 0.0, [0, 0], 1.0, degrees, center=[0.0, 0.0])
    return made


def spaces(policy: type[Any], bins: int, size: int) -> Iterator[tuple[str, list[float], bool]]:
    """Yield the operations of one of torchvision's policies with their strengths and whether they have a sign."""
    for name, (strengths, signed) in policy._AUGMENTATION_SPACE.items():
        found = strengths(bins, size, size)
        yield name, [0.0] * bins if found is None else [float(x) for x in found], signed


@pytest.mark.parametrize("magnitude", [0, 9, 30])
def test_rand_augment_equals_torchvisions_operations_with_the_same_draws(registry: Registry, magnitude: int) -> None:
    images = photographs(150)
    out = build(registry, "rand-augment", magnitude=magnitude)(images, seeded(3))
    known = {name: (strengths, signed) for name, strengths, signed in spaces(v2.RandAugment, 31, 16)}
    assert known.keys() == set(NAMES) - {"Invert"}
    expected, draws = list(images), seeded(3)
    for _ in range(2):
        ops = torch.randint(14, (150,), generator=draws)
        backwards = torch.rand(150, generator=draws) < 0.5
        for i, (op, back) in enumerate(zip(ops.tolist(), backwards.tolist(), strict=True)):
            strengths, signed = known[NAMES[op]]
            expected[i] = operated(expected[i], NAMES[op], strengths[magnitude] * (-1 if back and signed else 1))
    agree(out, expected)


def test_trivial_augment_equals_torchvisions_operations_with_the_same_draws(registry: Registry) -> None:
    images = photographs(250)
    out = build(registry, "trivial-augment")(images, seeded(3))
    known = {name: (strengths, signed) for name, strengths, signed in spaces(v2.TrivialAugmentWide, 31, 16)}
    assert known.keys() == set(NAMES) - {"Invert"}
    draws = seeded(3)
    ops, places = torch.randint(14, (250,), generator=draws), torch.randint(31, (250,), generator=draws)
    backwards = torch.rand(250, generator=draws) < 0.5
    expected = []
    for image, op, place, back in zip(images, ops.tolist(), places.tolist(), backwards.tolist(), strict=True):
        strengths, signed = known[NAMES[op]]
        expected.append(operated(image, NAMES[op], strengths[place] * (-1 if back and signed else 1)))
    agree(out, expected)


def test_auto_augment_equals_torchvisions_pairs_with_the_same_draws(registry: Registry) -> None:
    images = photographs(500)
    out = build(registry, "auto-augment")(images, seeded(3))
    known = {name: (strengths, signed) for name, strengths, signed in spaces(v2.AutoAugment, 10, 16)}
    pairs = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)._policies
    expected, draws = list(images), seeded(3)
    chosen = torch.randint(len(pairs), (500,), generator=draws).tolist()
    assert set(chosen) == set(range(25))
    for step in range(2):
        happens, backwards = torch.rand(500, generator=draws), torch.rand(500, generator=draws) < 0.5
        for i, pair in enumerate(chosen):
            name, p, place = pairs[pair][step]
            strengths, signed = known[name]
            if happens[i] < p:
                expected[i] = operated(
                    expected[i], name, strengths[place or 0] * (-1 if backwards[i] and signed else 1)
                )
    agree(out, expected)


def agree(out: Tensor, expected: list[Tensor]) -> None:
    difference = (out.int() - torch.stack(expected).int()).abs()
    # Rounding in another order may move a blend to the next level, and that may be spread by the step after it.
    same = (difference <= 1).flatten(1).all(1)
    assert same.float().mean() > 0.98
    assert (difference == 0).float().mean() > 0.995


def test_rand_augment_draws_operations_and_signs_as_often_as_torchvision(registry: Registry) -> None:
    image = photographs(3)[2:]
    ours = build(registry, "rand-augment", num_ops=1, magnitude=19)(image.expand(4000, -1, -1, -1), seeded(0))
    # Nine operations have two outcomes each, and at this strength all are different and no place is a tie.
    outcomes = [
        (operated(image[0], name, sign * strengths[19]), 1 / 28 if signed else 1 / 14)
        for name, strengths, signed in spaces(v2.RandAugment, 31, 16)
        for sign in ((-1, 1) if signed else (1,))
    ]
    counts = [int(((ours.int() - made.int()).abs() <= 1).flatten(1).all(1).sum()) for made, _ in outcomes]
    assert sum(counts) == 4000
    assert stats.chisquare(counts, [4000 * share for _, share in outcomes]).pvalue > 1e-3


def test_rand_augment_without_operations_changes_nothing(registry: Registry) -> None:
    images = photographs(5)
    assert torch.equal(build(registry, "rand-augment", num_ops=0)(images, seeded(0)), images)


def test_a_policy_fills_what_comes_from_outside(registry: Registry) -> None:
    # Only moving pixels can bring 1.0 into images of 100/255 under these operations and strengths.
    images = torch.full((400, 3, 16, 16), 100, dtype=torch.uint8)
    filled = build(registry, "rand-augment", num_ops=1, magnitude=15, fill=1.0)(images, seeded(0))
    assert 60 < int((filled == 255).flatten(1).any(1).sum()) < 240


@pytest.mark.parametrize("name", ["color-jitter", "rand-augment", "trivial-augment", "auto-augment"])
def test_images_of_other_than_one_or_three_channels_are_refused(registry: Registry, name: str) -> None:
    with pytest.raises(InputError, match=f"{name} takes images of 1 or 3 channels, these have 4"):
        build(registry, name)(torch.rand(2, 4, 8, 8), seeded(0))


def test_color_jitter_equals_torchvisions_functions_with_the_same_draws(registry: Registry) -> None:
    images = photographs(100).float() / 255
    given = {"brightness": 0.6, "contrast": [0.2, 1.5], "saturation": 1.5, "hue": [-0.4, 0.5]}
    out = build(registry, "color-jitter", **given)(images, seeded(2))
    order, draws = torch.rand(2, 100, 4, generator=seeded(2))
    ends = [(0.4, 1.6), (0.2, 1.5), (0.0, 2.5), (-0.4, 0.5)]
    functions = [reference.adjust_brightness, reference.adjust_contrast]
    functions += [reference.adjust_saturation, reference.adjust_hue]
    for i, image in enumerate(images):
        expected = image
        for step in order[i].argsort().tolist():
            low, high = ends[step]
            expected = functions[step](expected, low + (high - low) * float(draws[i, step]))
        assert (out[i] - expected).abs().max() < 1e-4


def test_color_jitter_draws_both_orders_of_two_steps_equally_often(registry: Registry) -> None:
    image = photographs(3)[2].float() / 255
    given: dict[str, Any] = {"brightness": [1.8, 1.8], "contrast": [0.4, 0.4], "saturation": 0, "hue": 0}
    out = build(registry, "color-jitter", **given)(image.expand(2000, -1, -1, -1), seeded(0))
    brighter_first = reference.adjust_contrast(reference.adjust_brightness(image, 1.8), 0.4)
    brighter_last = reference.adjust_brightness(reference.adjust_contrast(image, 0.4), 1.8)
    counts = [int(((out - made).abs() < 1e-4).flatten(1).all(1).sum()) for made in (brighter_first, brighter_last)]
    assert sum(counts) == 2000
    assert stats.binomtest(counts[0], 2000).pvalue > 1e-3


def test_color_jitter_with_nothing_to_change_changes_nothing(registry: Registry) -> None:
    images = torch.rand(4, 3, 8, 8)
    given = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}
    assert torch.equal(build(registry, "color-jitter", **given)(images, seeded(0)), images)


def test_color_jitter_leaves_colours_out_of_gray_images(registry: Registry) -> None:
    images = torch.rand(20, 1, 8, 8)
    out = build(registry, "color-jitter", brightness=0, contrast=0, saturation=0.9, hue=0.5)(images, seeded(0))
    assert torch.equal(out, images)
