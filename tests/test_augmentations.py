"""The shipped augmentations that move, blank or mix pixels, against slow references."""

from __future__ import annotations

import random
from math import exp, log, sqrt
from typing import TYPE_CHECKING, Any

import pytest
import torch
from scipy import stats
from torch.nn.functional import cross_entropy
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from ablate import Mixed
from ablate.components.discover import discover
from ablate.errors import InputError
from ablate.training.augment import targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Generator, Tensor

    from ablate.components.registry import Registry

EVERY: dict[str, dict[str, Any]] = {
    "random-crop": {},
    "flip": {},
    "cutout": {"size": 5},
    "random-erasing": {},
    "rotate": {"degrees": 30},
    "affine": {"degrees": 10, "translate": [0.2, 0.1], "scale": [0.8, 1.3], "shear": 10},
    "color-jitter": {},
    "rand-augment": {},
    "trivial-augment": {},
    "auto-augment": {},
    "mixup": {},
    "cutmix": {},
    "placebo": {},
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


@pytest.fixture
def generator() -> Generator:
    return torch.Generator().manual_seed(0)


def seeded(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


def build(registry: Registry, name: str, **given: Any) -> Callable[[Tensor, Generator], Any]:
    entry = registry.get("augmentation", name)
    checked = entry.check(given)
    assert not checked.problems
    made: Callable[[Tensor, Generator], Any] = entry.build(settings=checked.settings)
    return made


def pixels(made: Any) -> Tensor:
    images: Tensor = made.images if isinstance(made, Mixed) else made
    return images


def levels(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=seeded(seed))


def numbered(count: int, channels: int, height: int, width: int) -> Tensor:
    """Return images in which every value occurs once, so that a pixel tells where it came from."""
    total = count * channels * height * width
    return (torch.arange(1, total + 1) / total).reshape(count, channels, height, width)


@pytest.mark.parametrize("name", EVERY)
class TestEveryAugmentation:
    def test_takes_an_empty_batch(self, registry: Registry, generator: Generator, name: str) -> None:
        out = build(registry, name, **EVERY[name])(torch.rand(0, 3, 8, 8), generator)
        assert pixels(out).shape == (0, 3, 8, 8)

    def test_gives_the_same_bits_for_uint8_where_it_takes_that(self, registry: Registry, name: str) -> None:
        augment, images = build(registry, name, **EVERY[name]), levels(64, 3, 12, 16)
        if name in ("color-jitter", "mixup"):
            assert not hasattr(augment, "takes_uint8")
            return
        assert vars(augment)["takes_uint8"] is True
        small, large = pixels(augment(images, seeded(1))), pixels(augment(images.float().div(255), seeded(1)))
        assert small.dtype == torch.uint8
        assert torch.equal(small.float().div(255), large)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_works_on_the_device_without_waiting_for_it(self, registry: Registry, name: str) -> None:
        images = torch.rand(128, 3, 32, 32, device="cuda")
        generator, augment = torch.Generator("cuda").manual_seed(0), build(registry, name, **EVERY[name])
        torch.cuda.set_sync_debug_mode("error")
        try:
            out = pixels(augment(images, generator))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert out.device == images.device


@pytest.mark.parametrize("level", [*range(0, 256, 5), 254])
def test_a_fill_that_is_a_level_is_the_same_for_uint8(registry: Registry, generator: Generator, level: int) -> None:
    augment = build(registry, "random-crop", fill=level / 255)
    small, large = augment(levels(4, 1, 2, 2), seeded(0)), augment(levels(4, 1, 2, 2).float().div(255), seeded(0))
    assert torch.equal(small.float().div(255), large)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("random-crop", {"fill": 0.5}),
        ("cutout", {"fill": 0.5}),
        ("random-erasing", {"value": [0.0, 0.5, 1.0]}),
        ("rotate", {"degrees": 9, "fill": 0.1}),
        ("rotate", {"degrees": 9, "interpolation": "bilinear"}),
        ("affine", {"degrees": 9, "interpolation": "bilinear"}),
    ],
)
def test_what_falls_between_levels_is_made_in_float32(registry: Registry, name: str, given: dict[str, Any]) -> None:
    assert not hasattr(build(registry, name, **given), "takes_uint8")


# Crop, flip, cutout


def test_random_crop_equals_pad_and_slice_with_the_same_draws(registry: Registry) -> None:
    images, pad, fill = numbered(16, 3, 7, 9), 3, 0.5
    out = build(registry, "random-crop", padding=pad, fill=fill)(images, seeded(4))
    top, left = torch.randint(2 * pad + 1, (2, 16), generator=seeded(4))
    for i, image in enumerate(images):
        padded = torch.full((3, 7 + 2 * pad, 9 + 2 * pad), fill)
        padded[:, pad:-pad, pad:-pad] = image
        assert torch.equal(out[i], padded[:, top[i] : top[i] + 7, left[i] : left[i] + 9])


def test_random_crop_reaches_every_offset_about_equally_often(registry: Registry, generator: Generator) -> None:
    images = numbered(1, 1, 5, 5).expand(9000, 1, 5, 5)
    out = build(registry, "random-crop", padding=1)(images, generator)
    # The centre of the piece shows which of the nine places it came from.
    _, counts = torch.unique(out[:, 0, 2, 2], return_counts=True)
    assert len(counts) == 9
    assert (counts - 1000).abs().max() < 150  # five standard deviations


def test_random_crop_without_padding_changes_nothing(registry: Registry, generator: Generator) -> None:
    images = torch.rand(4, 3, 6, 6)
    assert torch.equal(build(registry, "random-crop", padding=0)(images, generator), images)


def test_flip_mirrors_whole_images_left_to_right(registry: Registry, generator: Generator) -> None:
    images = numbered(200, 3, 4, 5)
    out = build(registry, "flip")(images, generator)
    mirrored = [torch.equal(out[i], image.flip(2)) for i, image in enumerate(images)]
    kept = [torch.equal(out[i], image) for i, image in enumerate(images)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 65 <= sum(mirrored) <= 135  # 100 and five standard deviations


@pytest.mark.parametrize(("p", "mirrored"), [(0.0, False), (1.0, True)])
def test_flip_is_certain_at_both_ends(registry: Registry, generator: Generator, p: float, mirrored: bool) -> None:
    images = numbered(50, 1, 3, 4)
    out = build(registry, "flip", p=p)(images, generator)
    assert torch.equal(out, images.flip(3) if mirrored else images)


@pytest.mark.parametrize("size", [1, 4, 5, 100])
def test_cutout_equals_a_slice_with_the_same_draws(registry: Registry, size: int) -> None:
    images = numbered(32, 3, 11, 13)
    out = build(registry, "cutout", size=size, fill=0.25)(images, seeded(9))
    draws = seeded(9)
    rows = torch.randint(11, (32,), generator=draws)
    columns = torch.randint(13, (32,), generator=draws)
    for i, image in enumerate(images):
        top, left = int(rows[i]) - size // 2, int(columns[i]) - size // 2
        expected = image.clone()
        expected[:, max(0, top) : max(0, top + size), max(0, left) : max(0, left + size)] = 0.25
        assert torch.equal(out[i], expected)


def test_cutout_blanks_as_many_pixels_as_uniform_centres_would(registry: Registry, generator: Generator) -> None:
    out = build(registry, "cutout", size=16)(torch.ones(4000, 1, 32, 32), generator)
    # Along one axis the square covers 8 + c places for a centre c below 8, 40 - c above 24, else 16.
    covered = (sum(8 + c for c in range(8)) + 16 * 17 + sum(40 - c for c in range(25, 32))) / 32
    assert float((out == 0).float().mean()) == pytest.approx((covered / 32) ** 2, rel=0.02)


# Random erasing


def rectangles(out: Tensor) -> list[tuple[int, int, int, int]]:
    """Return top, left, height and width of what is 0 in each image of ones, which has to be a rectangle."""
    found = []
    for image in out[:, 0]:
        places = (image == 0).nonzero()
        if len(places):
            (top, left), (bottom, right) = places.amin(0).tolist(), places.amax(0).tolist()
            assert len(places) == (bottom - top + 1) * (right - left + 1)
            found.append((top, left, bottom - top + 1, right - left + 1))
    return found


def erased_by_torchvision(count: int, shape: tuple[int, int], scale: list[float], ratio: list[float]) -> list[Any]:
    """Draw rectangles as torchvision does, one by one."""
    (height, width), draw, found = shape, random.Random(0), []
    for _ in range(count):
        for _ in range(10):
            area = height * width * draw.uniform(*scale)
            aspect = exp(draw.uniform(log(ratio[0]), log(ratio[1])))
            tall, wide = round(sqrt(area * aspect)), round(sqrt(area / aspect))
            if tall < height and wide < width:
                found.append((draw.randint(0, height - tall), draw.randint(0, width - wide), tall, wide))
                break
    return found


@pytest.mark.parametrize(("scale", "ratio"), [([0.02, 0.33], [0.3, 3.3]), ([0.5, 1.0], [0.2, 2.0])])
def test_random_erasing_draws_what_torchvisions_rule_draws(
    registry: Registry, generator: Generator, scale: list[float], ratio: list[float]
) -> None:
    ours = rectangles(
        build(registry, "random-erasing", p=1.0, scale=scale, ratio=ratio)(torch.ones(3000, 1, 24, 32), generator)
    )
    theirs = erased_by_torchvision(3000, (24, 32), scale, ratio)
    assert len(ours) == pytest.approx(len(theirs), abs=5 * sqrt(3000) / 2)
    for one, other in zip(zip(*ours, strict=True), zip(*theirs, strict=True), strict=True):
        assert stats.ks_2samp(one, other).pvalue > 1e-3


def test_random_erasing_tries_a_share_of_the_images(registry: Registry, generator: Generator) -> None:
    out = build(registry, "random-erasing", p=0.25)(torch.ones(2000, 1, 16, 16), generator)
    assert len(rectangles(out)) == pytest.approx(500, abs=100)  # five standard deviations


def test_random_erasing_fills_each_channel_with_its_value(registry: Registry, generator: Generator) -> None:
    out = build(registry, "random-erasing", p=1.0, value=[0.25, 0.5, 1.0])(torch.zeros(50, 3, 16, 16), generator)
    for image in out:
        (box,) = {tuple(map(tuple, (channel > 0).nonzero().tolist())) for channel in image}
        assert box
        assert image.amax((1, 2)).tolist() == [0.25, 0.5, 1.0]


def test_random_erasing_fills_with_noise_of_all_levels(registry: Registry, generator: Generator) -> None:
    out = build(registry, "random-erasing", p=1.0, value="random")(torch.full((500, 3, 16, 16), 0.5001), generator)
    noise = out[out != 0.5001] * 255
    assert len(torch.unique(noise.round())) == 256
    assert stats.kstest(noise.numpy(), stats.uniform(0, 255).cdf).statistic < 0.01


def test_random_erasing_wants_a_value_for_each_channel(registry: Registry, generator: Generator) -> None:
    with pytest.raises(InputError, match="value has 2 numbers, and images have 3 channels"):
        build(registry, "random-erasing", value=[0.0, 1.0])(torch.rand(2, 3, 8, 8), generator)


# Rotate and affine


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("fill", [0.0, 0.25])
def test_rotate_equals_torchvisions_with_the_same_draws(registry: Registry, interpolation: str, fill: float) -> None:
    images = numbered(24, 3, 15, 20)
    out = build(registry, "rotate", degrees=70, interpolation=interpolation, fill=fill)(images, seeded(5))
    angles = -70 + 140 * torch.rand(24, generator=seeded(5))
    mode = InterpolationMode(interpolation)
    expected = [
        reference.rotate(image - fill, float(angle), interpolation=mode) + fill
        for image, angle in zip(images, angles, strict=True)
    ]
    agree(out, torch.stack(expected), interpolation)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_affine_equals_torchvisions_with_the_same_draws(registry: Registry, interpolation: str) -> None:
    images, given = numbered(24, 3, 15, 20), {"degrees": [-20, 50], "translate": [0.3, 0.2], "scale": [0.6, 1.4]}
    augment = build(registry, "affine", **given, shear=[-20, 10, 5, 30], interpolation=interpolation, fill=0.5)
    out = augment(images, seeded(6))
    draws = seeded(6)

    def uniform(low: float, high: float) -> list[float]:
        found: list[float] = (low + (high - low) * torch.rand(24, generator=draws)).tolist()
        return found

    angles, right, down = uniform(-20, 50), uniform(-6, 6), uniform(-3, 3)
    scales, tilts, leans = uniform(0.6, 1.4), uniform(-20, 10), uniform(5, 30)
    mode = InterpolationMode(interpolation)
    expected = []
    for i, image in enumerate(images):
        shift, shear = [round(right[i]), round(down[i])], [tilts[i], leans[i]]
        expected.append(reference.affine(image - 0.5, angles[i], shift, scales[i], shear, mode) + 0.5)
    agree(out, torch.stack(expected), interpolation)


def agree(out: Tensor, expected: Tensor, interpolation: str) -> None:
    """Compare with an image warped without a fill: with one torchvision blends it in twice at a smooth border."""
    different = (out - expected).abs().amax(1) > 1e-5
    # Two ways to compute a place may fall on two sides of the middle between two pixels.
    assert different.sum() <= (2 if interpolation == "nearest" else 0)


def test_affine_with_one_number_shears_along_x_only(registry: Registry) -> None:
    columns = torch.linspace(0, 1, 12).expand(8, 1, 12, 12)
    rows = columns.transpose(2, 3).contiguous()
    augment = build(registry, "affine", degrees=0, shear=30, fill=0.0)
    inner = (slice(None), slice(None), slice(None), slice(4, 8))
    assert torch.equal(augment(rows, seeded(0))[inner], rows[inner])
    assert not torch.equal(augment(columns, seeded(0))[inner], columns[inner])


# Mixup and cutmix


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 4.0])
def test_mixup_draws_its_shares_from_the_beta_distribution(
    registry: Registry, generator: Generator, alpha: float
) -> None:
    mixed = build(registry, "mixup", alpha=alpha)(torch.rand(4000, 1, 1, 1), generator)
    # Close to 1, where a small alpha draws much, float32 has few numbers left: more than 0.9999 is one to the test.
    theirs = torch.from_numpy(stats.beta(alpha, alpha).rvs(4000, random_state=0)).float()
    ours, theirs = (shares.clamp(1e-4, 0.9999) for shares in (mixed.share, theirs))
    assert stats.ks_2samp(ours.numpy(), theirs.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixing_is_reported_exactly(registry: Registry, generator: Generator, name: str) -> None:
    # Image k is all k: a pixel tells which images it came from and in what shares.
    images = torch.arange(1.0, 101).view(-1, 1, 1, 1).expand(100, 1, 9, 14) / 100
    out, partner, share = build(registry, name)(images, generator)
    assert partner.dtype == torch.int64
    assert sorted(partner.tolist()) == list(range(100))
    assert share.dtype == torch.float32
    assert 0 <= share.min() <= share.max() <= 1
    expected = share * images[:, 0, 0, 0] + (1 - share) * images[partner, 0, 0, 0]
    assert torch.allclose(out.mean((1, 2, 3)), expected, atol=1e-6)
    if name == "cutmix":
        own, other = images.expand_as(out), images[partner].expand_as(out)
        assert ((out == own) | (out == other)).all()


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_an_image_that_is_not_mixed_keeps_its_bits(registry: Registry, generator: Generator, name: str) -> None:
    images = torch.rand(2000, 1, 6, 6)
    out, _, share = build(registry, name, p=0.25)(images, generator)
    kept = share == 1
    assert torch.equal(out[kept], images[kept])
    if name == "mixup":  # a rectangle may be empty, a blend never is
        assert int((~kept).sum()) == pytest.approx(500, abs=100)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_cutmix_draws_the_areas_that_torchvisions_draws(registry: Registry, generator: Generator, alpha: float) -> None:
    ours = build(registry, "cutmix", alpha=alpha, p=1.0)(torch.rand(3000, 1, 24, 32), generator).share
    theirs, image = v2.CutMix(alpha=alpha, num_classes=2), torch.zeros(1, 1, 24, 32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shares = [theirs.make_params([image])["lam_adjusted"] for _ in range(3000)]
    assert stats.ks_2samp(ours.numpy(), shares).pvalue > 1e-3


# Placebo


def test_the_placebo_gives_each_image_another_place_and_takes_its_label_along(
    registry: Registry, generator: Generator
) -> None:
    images = numbered(50, 1, 4, 4)
    labels = torch.arange(50)
    made = build(registry, "placebo")(images, generator)
    shares = targets(labels, [made], 50)
    order = shares.argmax(1)
    assert torch.equal(made.images, images[order])
    assert sorted(order.tolist()) == list(range(50))
    assert not torch.equal(order, labels)
    assert torch.equal(shares.max(1).values, torch.ones(50))


def test_the_placebo_that_only_draws_returns_the_images_as_they_were(registry: Registry, generator: Generator) -> None:
    before, images = generator.get_state(), torch.rand(8, 3, 4, 4)
    assert torch.equal(build(registry, "placebo", reorder=False)(images, generator), images)
    assert not torch.equal(generator.get_state(), before)


def test_the_gradient_of_a_batch_with_a_placebo_is_the_one_without(registry: Registry, generator: Generator) -> None:
    images, labels = torch.rand(32, 3, 6, 6), torch.randint(4, (32,), generator=seeded(1))
    weights = torch.randn(3 * 6 * 6, 4, generator=seeded(2), dtype=torch.float64, requires_grad=True)
    made = build(registry, "placebo")(images, generator)
    gradients = [
        torch.autograd.grad(cross_entropy(some.flatten(1).double() @ weights, wanted, label_smoothing=0.1), weights)[0]
        for some, wanted in ((images, labels), (made.images, targets(labels, [made], 4).double()))
    ]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("random-crop", {"padding": -1}),
        ("random-crop", {"fill": 2}),
        ("flip", {"p": 1.5}),
        ("cutout", {"size": 0}),
        ("random-erasing", {"value": "noise"}),
        ("random-erasing", {"ratio": [0, 1]}),
        ("rotate", {"degrees": -5}),
        ("affine", {"degrees": 5, "shear": 90}),
        ("color-jitter", {"hue": 0.6}),
        ("rand-augment", {"num_magnitude_bins": 1}),
        ("mixup", {"alpha": 0}),
        ("cutmix", {"p": -0.1}),
    ],
)
def test_a_setting_out_of_range_is_a_problem(registry: Registry, name: str, given: dict[str, Any]) -> None:
    wrong = [setting for setting, _ in registry.get("augmentation", name).check(given).problems]
    assert wrong == [list(given)[-1]]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("random-erasing", {"scale": [0.3, 0.1]}),
        ("rotate", {"degrees": [5.0, -5.0]}),
        ("affine", {"degrees": 5, "scale": [1.2, 0.8]}),
        ("color-jitter", {"contrast": [1.2, 0.8]}),
        ("rand-augment", {"magnitude": 31}),
    ],
)
def test_settings_that_contradict_each_other_are_reported(registry: Registry, name: str, given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{name}: {list(given)[-1]}"):
        build(registry, name, **given)
