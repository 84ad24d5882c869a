"""The shipped augmentations, each against a slow reference that works on one image at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from ablate.components.discover import discover

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from ablate import BatchTransform
    from ablate.components.registry import Registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


@pytest.fixture
def generator() -> Generator:
    return torch.Generator().manual_seed(0)


def build(registry: Registry, name: str, **given: Any) -> BatchTransform:
    entry = registry.get("augmentation", name)
    checked = entry.check(given)
    assert not checked.problems
    made: BatchTransform = entry.build(settings=checked.settings)
    return made


def numbered(count: int, channels: int, height: int, width: int) -> Tensor:
    """Return images in which every value occurs once, so that a pixel tells where it came from."""
    total = count * channels * height * width
    return (torch.arange(1, total + 1) / total).reshape(count, channels, height, width)


@pytest.mark.parametrize("name", ["random-crop", "flip", "cutout"])
class TestEveryAugmentation:
    def test_keeps_shape_type_and_range(self, registry: Registry, generator: Generator, name: str) -> None:
        images = torch.rand(5, 3, 20, 24)
        out = build(registry, name)(images, generator)
        assert out.shape == images.shape
        assert out.dtype == torch.float32
        assert 0 <= out.min() <= out.max() <= 1

    def test_leaves_its_input_as_it_was(self, registry: Registry, generator: Generator, name: str) -> None:
        images = torch.rand(64, 1, 8, 8)
        before = images.clone()
        build(registry, name)(images, generator).zero_()
        assert torch.equal(images, before)

    def test_the_generator_alone_decides(self, registry: Registry, name: str) -> None:
        images, augment = torch.rand(64, 3, 16, 16), build(registry, name)
        state = torch.get_rng_state()
        first, again, other = (augment(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert torch.equal(torch.get_rng_state(), state)

    def test_draws_for_each_image_on_its_own(self, registry: Registry, generator: Generator, name: str) -> None:
        images = numbered(1, 1, 16, 16).expand(64, 1, 16, 16)
        out = build(registry, name)(images, generator)
        assert len(torch.unique(out.flatten(1), dim=0)) > 1

    def test_takes_an_empty_batch(self, registry: Registry, generator: Generator, name: str) -> None:
        assert build(registry, name)(torch.rand(0, 3, 8, 8), generator).shape == (0, 3, 8, 8)


def test_random_crop_equals_pad_and_slice_with_the_same_draws(registry: Registry) -> None:
    images, pad, fill = numbered(16, 3, 7, 9), 3, 0.5
    out = build(registry, "random-crop", padding=pad, fill=fill)(images, torch.Generator().manual_seed(4))
    top, left = torch.randint(2 * pad + 1, (2, 16), generator=torch.Generator().manual_seed(4))
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
    out = build(registry, "cutout", size=size, fill=0.25)(images, torch.Generator().manual_seed(9))
    draws = torch.Generator().manual_seed(9)
    rows = torch.randint(11, (32, 1), generator=draws)
    columns = torch.randint(13, (32, 1), generator=draws)
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


@pytest.mark.parametrize(
    ("name", "given"), [("random-crop", {"padding": -1}), ("flip", {"p": 1.5}), ("cutout", {"size": 0})]
)
def test_a_setting_out_of_range_is_a_problem(registry: Registry, name: str, given: dict[str, Any]) -> None:
    assert [setting for setting, _ in registry.get("augmentation", name).check(given).problems] == list(given)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["random-crop", "flip", "cutout"])
def test_works_on_the_device_without_waiting_for_it(registry: Registry, name: str) -> None:
    images = torch.rand(128, 3, 32, 32, device="cuda")
    generator, augment = torch.Generator("cuda").manual_seed(0), build(registry, name)
    torch.cuda.set_sync_debug_mode("error")
    try:
        out = augment(images, generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert out.device == images.device
