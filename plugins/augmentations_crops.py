"""The augmentations that ship and bring images to another size: what is stored larger than the model takes it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ablate import Count, InputError, Positive, Share, augmentation, takes_uint8

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from ablate import BatchTransform

    Box = tuple[Tensor, Tensor, Tensor, Tensor]

TRIES = 10


@augmentation("random-resized-crop", side="size")
def random_resized_crop(
    *,
    size: Count | None = None,
    scale: tuple[Positive, Share] = (0.08, 1.0),
    ratio: tuple[Positive, Positive] = (0.75, 1.3333333333333333),
) -> BatchTransform:
    """Cut a rectangle of random size, shape and place out of each image, and resize it to one size.

    size: side of the images that come out, in pixels, which are square; by default the size of those that come in. It
        is at most that of the dataset's images. The model is built for it, and evaluated on the middle of each image.
    scale: least and greatest area of the rectangle, as a share of the image.
    ratio: least and greatest width divided by height; its logarithm is uniform. As in torchvision, up to ten sizes are
        drawn for an image until one fits; where none does, it is the largest one in the middle with such a shape.
    Pixels are those of torchvision's resized_crop for floats: bilinear, and antialiased where a rectangle shrinks.
    Source: Szegedy et al. 2015, "Going Deeper with Convolutions", section 6;
        torchvision.transforms.v2.RandomResizedCrop.
    """
    for name, (low, high) in (("scale", scale), ("ratio", ratio)):
        if low > high:
            raise InputError(f"random-resized-crop: {name} = [{low:g}, {high:g}] has its greater number first")

    @takes_uint8
    def apply(images: Tensor, generator: Generator) -> Tensor:
        box = boxes(images, generator, scale, ratio)
        height, width = (size, size) if size else images.shape[2:]
        # In float32 in any case: levels would round what lies between them.
        return (one_by_one if images.device.type == "cpu" else all_at_once)(images, box, height, width)

    return apply


@augmentation("centre-crop", side="size")
def centre_crop(*, size: Count) -> BatchTransform:
    """Keep the middle of each image: what takes the place of random-resized-crop where a variant is without it.

    size: side in pixels, at most that of the dataset's images.
    Source: torchvision.transforms.v2.CenterCrop.
    """

    @takes_uint8
    def apply(images: Tensor, generator: Generator) -> Tensor:  # noqa: ARG001  # the form of an augmentation
        top, left = (round((length - size) / 2) for length in images.shape[2:])
        return images[:, :, top : top + size, left : left + size].clone()

    return apply


def boxes(images: Tensor, generator: Generator, scale: tuple[float, float], ratio: tuple[float, float]) -> Box:
    """Draw a rectangle for each image: its top, left, height and width in whole pixels, each (B,)."""
    import torch

    count, _, height, width = images.shape

    def uniform(tries: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(tries, count, generator=generator, device=images.device)

    area = height * width * uniform(TRIES, *scale)
    shape = uniform(TRIES, math.log(ratio[0]), math.log(ratio[1])).exp()
    wide, tall = (area * shape).sqrt().round(), (area / shape).sqrt().round()
    fits = (wide > 0) & (wide <= width) & (tall > 0) & (tall <= height)
    first, any_fits = fits.int().argmax(0, keepdim=True), fits.any(0)
    least, most = width / height < ratio[0], width / height > ratio[1]
    rest_tall = max(1, round(width / ratio[0])) if least else height
    rest_wide = max(1, round(height * ratio[1])) if most else width
    tall = torch.where(any_fits, tall.gather(0, first)[0], rest_tall)
    wide = torch.where(any_fits, wide.gather(0, first)[0], rest_wide)
    places = uniform(2, 0.0, 1.0)
    top = torch.where(any_fits, (places[0] * (height - tall + 1)).floor(), (height - rest_tall) // 2)
    left = torch.where(any_fits, (places[1] * (width - wide + 1)).floor(), (width - rest_wide) // 2)
    return top.clamp(max=height - tall), left.clamp(max=width - wide), tall, wide


def one_by_one(images: Tensor, box: Box, height: int, width: int) -> Tensor:
    """Cut a rectangle out of each image (B, C, H, W) and resize it, to float32 in [0, 1].

    box: top, left, height and width, each (B,).
    """
    import torch
    from torch.nn.functional import interpolate

    made = torch.empty(*images.shape[:2], height, width, dtype=torch.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other hundreds of times in a batch
    try:
        for image, one, *ends in zip(images, made, *(each.int().tolist() for each in box), strict=True):
            top, left, tall, wide = ends
            part = _floats(image[None, :, top : top + tall, left : left + wide])
            one.copy_(interpolate(part, (height, width), mode="bilinear", align_corners=False, antialias=True)[0])
    finally:
        torch.set_num_threads(threads)
    return made.clamp_(0, 1)


def all_at_once(images: Tensor, box: Box, height: int, width: int) -> Tensor:
    """Do the same without waiting for a device, up to rounding.

    As two products with a matrix for each image, which has the weight of every pixel in it: rectangles of all sizes are
    one batch, and shrinking without aliases costs no more. On a CPU that is ten times the work.
    """
    count, channels = images.shape[:2]
    top, left, tall, wide = box
    down = _weights(top, tall, height, images.shape[2])
    across = _weights(left, wide, width, images.shape[3])
    # Columns first, so that both are one product for each image, of all its channels.
    narrow = (_floats(images).reshape(count, -1, images.shape[3]) @ across.mT).view(count, channels, -1, width)
    made = down @ narrow.transpose(1, 2).reshape(count, images.shape[2], channels * width)
    return made.view(count, height, channels, width).transpose(1, 2).clamp_(0, 1)


def _floats(images: Tensor) -> Tensor:
    return images if images.is_floating_point() else images.float().div_(255)


def _weights(start: Tensor, length: Tensor, size: int, pixels: int) -> Tensor:
    """Return how much each of the pixels of a line counts in each of those that it is resized to: (B, size, pixels).

    start, length: of the part of the line that is resized, each (B,). A triangle around each place, as wide as the
    distance of two places, or of two pixels where that is more; outside of the part nothing counts.
    """
    import torch

    place = torch.arange(pixels, device=start.device)
    step = (length / size)[:, None, None]
    centre = (torch.arange(size, device=start.device) + 0.5)[:, None] * step
    inside = place - start[:, None, None]
    weight = (1 - ((inside + 0.5 - centre) / step.clamp(min=1)).abs()).clamp(min=0)
    weight = weight * ((inside >= 0) & (inside < length[:, None, None]))
    return weight / weight.sum(2, keepdim=True)
