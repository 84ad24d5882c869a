"""The augmentations that ship: each works on a whole batch at once and draws for each image on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablate import Count, Natural, Share, augmentation

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from ablate import BatchTransform


@augmentation("random-crop")
def random_crop(*, padding: Natural = 4, fill: float = 0.0) -> BatchTransform:
    """Pad each image on all sides, then cut a piece of the original size from a random place.

    padding: pixels added on each side; the piece moves by at most as many.
    fill: value of the added pixels, in [0, 1].
    Source: He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.2.
    """
    import torch
    from torch.nn.functional import pad

    def apply(images: Tensor, generator: Generator) -> Tensor:
        count, _, height, width = images.shape
        device = images.device
        top, left = torch.randint(2 * padding + 1, (2, count), generator=generator, device=device)
        padded = pad(images, (padding,) * 4, value=fill)
        # A view of every possible piece (B, C, top, left, H, W); only the chosen ones are copied.
        pieces = padded.unfold(2, height, 1).unfold(3, width, 1)
        return pieces[torch.arange(count, device=device), :, top, left]

    return apply


@augmentation("flip")
def flip(*, p: Share = 0.5) -> BatchTransform:
    """Mirror each image left to right with probability p.

    p: share of images mirrored, in [0, 1].
    Source: Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural Networks", section 4.1.
    """
    import torch

    def apply(images: Tensor, generator: Generator) -> Tensor:
        device = images.device
        mirrored = torch.rand(len(images), 1, 1, 1, generator=generator, device=device) < p
        columns = torch.arange(images.shape[3], device=device)
        # One gather over the columns: no copy of the images that stay, and no wait for the device.
        return images.gather(3, torch.where(mirrored, columns.flip(0), columns).expand_as(images))

    return apply


@augmentation("cutout")
def cutout(*, size: Count = 16, fill: float = 0.0) -> BatchTransform:
    """Blank one square of each image, centred at a random pixel.

    size: side of the square in pixels. Near a border part of it falls outside the image, so that less
        is blanked; every pixel of the image is equally likely to be the centre.
    fill: value of the blanked pixels, in [0, 1]. The paper blanks after normalisation, where 0 is the
        dataset's mean; here 0 is black.
    Source: DeVries & Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout".
    """
    import torch

    def apply(images: Tensor, generator: Generator) -> Tensor:
        count, _, height, width = images.shape
        device = images.device

        def inside(length: int) -> Tensor:
            """Draw a centre for each image, and say which places of this axis its square covers: (B, length)."""
            centre = torch.randint(length, (count, 1), generator=generator, device=device)
            # A square of even size has no middle pixel: it reaches one pixel further up and left.
            first = centre - size // 2
            place = torch.arange(length, device=device)
            return (place >= first) & (place < first + size)

        rows, columns = inside(height), inside(width)
        return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], fill)

    return apply
