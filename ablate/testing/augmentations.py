"""The contract of an augmentation: each function checks one fact, and says what breaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..components.contracts import Mixed
from ..training.augment import in_floats, takes_uint8
from ..training.contracts import (
    NOT_REPEATED,
    OTHER_FOR_UINT8,
    apart,
    build_transform,
    call_transform,
    wrong_form,
    wrong_input,
    wrong_mix,
    wrong_pixels,
    wrong_randomness,
)
from .small_run import an_interrupted_run_ends_with_the_same_bits
from .subject import fail, skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from ..training.contracts import TransformCall
    from .subject import Subject

BATCH, SEEDS = 32, range(4)
DRAW_EACH = "draw one number for each image, as by torch.rand(len(images), generator=generator, device=images.device)"


def it_is_a_function_of_images_and_generator(subject: Subject) -> None:
    """Check what its function returns: a callable, with both methods for a state or neither."""
    _built(subject)


def it_keeps_the_shape_and_the_type(subject: Subject) -> None:
    """Check the shape and the type of what comes out, however the images lie in memory."""
    _check_calls(subject, wrong_form)


def it_keeps_pixels_finite_and_in_range(subject: Subject) -> None:
    """Check that pixels of images in [0, 1] stay there."""
    _check_calls(subject, wrong_pixels)


def it_leaves_its_input_as_it_was(subject: Subject) -> None:
    """Check that its input is not changed in place."""
    _check_calls(subject, wrong_input)


def it_draws_from_its_generator_alone(subject: Subject) -> None:
    """Check that the generators of torch, NumPy and Python are neither drawn from nor seeded."""
    _check_calls(subject, wrong_randomness)


def partners_and_shares_fit_the_batch(subject: Subject) -> None:
    """Check what it says of mixed images."""
    if not isinstance(_call(subject, _floats(subject)).made, Mixed):
        skip("it does not mix images")
    _check_calls(subject, wrong_mix)


def it_takes_a_batch_of_one(subject: Subject) -> None:
    """Check a single image, which a last batch may hold."""
    call = _call(subject, _floats(subject)[:1])
    if wrong := wrong_mix(call):
        fail(f"{wrong} (a batch of one)")


def the_same_generator_gives_the_same_pixels(subject: Subject) -> None:
    """Check that a seed repeats, also when the augmentation is built again."""
    for seed in SEEDS:
        one, two = (_call(subject, _floats(subject), seed).outcome for _ in range(2))
        if apart(one, two):
            fail(NOT_REPEATED, "draw from the generator that it is given, and from nothing else")


def every_memory_layout_gives_the_same_pixels(subject: Subject) -> None:
    """Check that only the values of images matter, not how they lie in memory."""
    for images in _types(subject):
        expected = _call(subject, images).outcome
        for layout, other in _layouts(images):
            if apart(_call(subject, other).outcome, expected):
                fail(f"makes other pixels of the same images where these are {layout} in memory")


def it_draws_for_each_image(subject: Subject) -> None:
    """Check that images of a batch do not share their draws."""
    image = _floats(subject)[-1]
    images = torch.stack([image, 1 - image]).repeat(BATCH, 1, 1, 1)  # of two kinds, for mixing to show
    made = [_call(subject, images, seed).outcome[0][::2] for seed in SEEDS]
    if all(torch.equal(one, made[0]) for one in made):
        skip("different generators give the same pixels")
    if all(torch.equal(one, one[:1].expand_as(one)) for one in made):
        fail("does the same to all images of a batch", DRAW_EACH)


def uint8_gives_the_same_pixels_as_float32(subject: Subject) -> None:
    """Check what is marked `takes_uint8` with images of both types."""
    if not takes_uint8(_built(subject)):
        skip("it is not marked @takes_uint8")
    levels = subject.images(BATCH)
    for seed in SEEDS:
        if apart(_call(subject, levels, seed).outcome, _call(subject, in_floats(levels), seed).outcome):
            fail(OTHER_FOR_UINT8, "a fill or an amount that falls between two of the 256 levels needs float32")


def it_waits_for_no_device(subject: Subject) -> None:
    """Check that it waits for no value from a GPU; where it does, the check is skipped and says so."""
    transform, images = _built(subject), _floats(subject)
    try:
        # The meta device has no values to give.
        transform(images.to("meta"), torch.Generator().manual_seed(0))
    except Exception as error:  # noqa: BLE001  # whatever a plugin raises
        said = str(error).strip().partition("\n")[0]
        skip(f"it waits for the device, and so is slower on a GPU, or cannot be tried without one: {said}")


def _built(subject: Subject) -> Any:
    return build_transform(subject.entry, subject.settings)


def _call(subject: Subject, images: Tensor, seed: int = 0) -> TransformCall:
    """Call an augmentation that was just built."""
    call = call_transform(_built(subject), images, seed, subject.entry.side_after(subject.settings))
    if wrong := wrong_form(call):
        fail(wrong)
    return call


def _check_calls(subject: Subject, check: Callable[[TransformCall], str]) -> None:
    """Call an augmentation on images of each type in each layout, with several seeds."""
    for images in _types(subject):
        for layout, other in _layouts(images):
            transform = _built(subject)
            for seed in SEEDS:
                call = call_transform(transform, other, seed, subject.entry.side_after(subject.settings))
                if wrong := wrong_form(call) or check(call):
                    fail(f"{wrong} (images {layout} in memory)")


def _floats(subject: Subject) -> Tensor:
    return in_floats(subject.images(BATCH))


def _types(subject: Subject) -> list[Tensor]:
    """Return images of each type that the augmentation takes."""
    return [_floats(subject), *([subject.images(BATCH)] if takes_uint8(_built(subject)) else [])]


def _layouts(images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield the same images as they may lie in memory."""
    yield "contiguous", images
    yield "channels last", images.contiguous(memory_format=torch.channels_last)
    yield "transposed", images.mT.contiguous().mT
    yield "every second column of wider ones", images.repeat_interleave(2, 3)[..., ::2]


CHECKS = (
    it_is_a_function_of_images_and_generator,
    it_keeps_the_shape_and_the_type,
    it_keeps_pixels_finite_and_in_range,
    it_leaves_its_input_as_it_was,
    it_draws_from_its_generator_alone,
    partners_and_shares_fit_the_batch,
    it_takes_a_batch_of_one,
    the_same_generator_gives_the_same_pixels,
    every_memory_layout_gives_the_same_pixels,
    it_draws_for_each_image,
    uint8_gives_the_same_pixels_as_float32,
    it_waits_for_no_device,
    an_interrupted_run_ends_with_the_same_bits,
)
