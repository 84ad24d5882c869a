"""The augmentations that ship and move, blank or mix pixels; each works on a whole batch at once.

Each draws for every image on its own, never waits for the device, and gives the same pixels for uint8 images
as for float32 ones where it takes both.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Interval

from ablate import Count, Natural, NonNegative, Positive, Share, augmentation, takes_uint8
from ablate.errors import InputError

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from ablate import BatchTransform, Mixed, MixingTransform

Range = tuple[float, float]
Tilt = Annotated[float, Interval(gt=-90, lt=90)]
HalfTilt = Annotated[float, Interval(ge=0, lt=90)]
Interpolation = Literal["nearest", "bilinear"]


@augmentation("random-crop")
def random_crop(*, padding: Natural = 4, fill: Share = 0.0) -> BatchTransform:
    """Pad each image on all sides, then cut a piece of the original size from a random place.

    padding: pixels added on each side; the piece moves by at most as many.
    fill: value of the added pixels.
    Source: He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.2.
    """
    import torch
    from torch.nn.functional import pad

    def apply(images: Tensor, generator: Generator) -> Tensor:
        count, channels, height, _ = images.shape
        device = images.device
        top, left = torch.randint(2 * padding + 1, (2, count), generator=generator, device=device)
        # In memory a piece moves by moving where its image begins: one copy of consecutive bytes for each image,
        # with the padding between the rows still in it. The row more at the bottom is for the last image's copy.
        padded = pad(images.contiguous(), (padding, padding, padding, padding + 1), value=_level(images, fill))
        tall, wide = padded.shape[2:]
        first = torch.arange(count, device=device) * channels * tall * wide + top * wide + left
        length = ((channels - 1) * tall + height) * wide
        if not count:
            return images.clone()
        copies = padded.view(-1).unfold(0, length, 1).index_select(0, first)
        pieces = copies.as_strided(images.shape, (length, tall * wide, wide, 1))
        return pieces.contiguous()

    return _exact(apply, fill)


@augmentation("flip")
def flip(*, p: Share = 0.5) -> BatchTransform:
    """Mirror each image left to right with probability p.

    p: share of images mirrored.
    Source: Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural Networks", section 4.1.
    """
    import torch

    @takes_uint8
    def apply(images: Tensor, generator: Generator) -> Tensor:
        count, device = len(images), images.device
        mirrored = torch.rand(count, generator=generator, device=device) < p
        # Mirroring all and choosing whole images is faster than choosing pixels.
        both = torch.cat([images, images.flip(3)])
        return both.index_select(0, torch.arange(count, device=device) + count * mirrored)

    return apply


@augmentation("cutout")
def cutout(*, size: Count = 16, fill: Share = 0.0) -> BatchTransform:
    """Blank one square of each image, centred at a random pixel.

    size: side of the square in pixels. Near a border part of it falls outside the image, so that less
        is blanked; every pixel of the image is equally likely to be the centre.
    fill: value of the blanked pixels. The paper blanks after normalisation, where 0 is the dataset's mean;
        here 0 is black.
    Source: DeVries & Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout".
    """
    import torch

    def apply(images: Tensor, generator: Generator) -> Tensor:
        count, _, height, width = images.shape
        # A square of even size has no middle pixel: it reaches one pixel further up and left.
        top, left = (
            torch.randint(length, (count,), generator=generator, device=images.device) - size // 2
            for length in (height, width)
        )
        return _blanked(images, _boxes(images, top, top + size, left, left + size), fill)

    return _exact(apply, fill)


@augmentation("random-erasing")
def random_erasing(
    *,
    p: Share = 0.5,
    scale: tuple[Share, Share] = (0.02, 0.33),
    ratio: tuple[Positive, Positive] = (0.3, 3.3),
    value: Share | list[Share] | Literal["random"] = 0.0,
) -> BatchTransform:
    """Blank a rectangle of random size and shape at a random place, in each image with probability p.

    p: share of images tried. As in torchvision, up to ten sizes are drawn for an image until one fits; where
        none does, the image stays whole.
    scale: least and greatest area, as a share of the image.
    ratio: least and greatest height divided by width; its logarithm is uniform.
    value: of the blanked pixels: one number, one for each channel, or "random" for noise, each pixel and
        channel one of the 256 levels. The paper's models saw it after normalisation or not; here it is before.
    Source: Zhong et al. 2020, "Random Erasing Data Augmentation"; torchvision.transforms.v2.RandomErasing.
    """
    import torch

    _ends("random-erasing", "scale", scale)
    _ends("random-erasing", "ratio", ratio)

    def apply(images: Tensor, generator: Generator) -> Tensor:
        count, channels, height, width = images.shape

        def draw(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, device=images.device)

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * draw(10, count)

        area = height * width * uniform(*scale)
        shape = uniform(math.log(ratio[0]), math.log(ratio[1])).exp()
        tall, wide = (area * shape).sqrt().round(), (area / shape).sqrt().round()
        fits = (tall < height) & (wide < width)
        first = fits.int().argmax(0, keepdim=True)
        chosen = (draw(count) < p) & fits.any(0)
        tall, wide = (chosen * sides.gather(0, first)[0] for sides in (tall, wide))
        top = (draw(count) * (height - tall + 1)).floor()
        left = (draw(count) * (width - wide + 1)).floor()
        box = _boxes(images, top, top + tall, left, left + wide)
        if value == "random":
            return _blanked(images, box, 0.0).add_(_noise(images, generator) * box)
        if isinstance(value, list):
            if len(value) != channels:
                raise InputError(f"random-erasing: value has {len(value)} numbers, and images have {channels} channels")
            one_each = zip(images.unsqueeze(2).unbind(1), value, strict=True)
            return torch.cat([_blanked(channel, box, number) for channel, number in one_each], 1)
        return _blanked(images, box, value)

    return _exact(apply, *([] if value == "random" else value if isinstance(value, list) else [value]))


@augmentation("rotate")
def rotate(
    *, degrees: NonNegative | Range, interpolation: Interpolation = "nearest", fill: Share = 0.0
) -> BatchTransform:
    """Turn each image about its centre by a random angle.

    degrees: the angle, counter-clockwise, is drawn from [-x, x] for one number x, or from [low, high].
    interpolation: "nearest" copies pixels, "bilinear" blends the four around each place.
    fill: value of the corners that come from outside.
    Source: torchvision.transforms.v2.RandomRotation.
    """
    import torch

    ends = _ends("rotate", "degrees", degrees)

    def apply(images: Tensor, generator: Generator) -> Tensor:
        angle = _uniform(images, generator, ends).deg2rad()
        cos, sin, no = angle.cos(), angle.sin(), torch.zeros_like(angle)
        return _warped(images, (cos, -sin, no, sin, cos, no), fill, interpolation)

    return _exact(apply, fill) if interpolation == "nearest" else apply


@augmentation("affine")
def affine(
    *,
    degrees: NonNegative | Range,
    translate: tuple[Share, Share] = (0.0, 0.0),
    scale: tuple[Positive, Positive] = (1.0, 1.0),
    shear: HalfTilt | tuple[Tilt, Tilt] | tuple[Tilt, Tilt, Tilt, Tilt] = 0.0,
    interpolation: Interpolation = "nearest",
    fill: Share = 0.0,
) -> BatchTransform:
    """Turn, shear, scale and shift each image at random, keeping parallel lines parallel.

    degrees: the angle, clockwise, is drawn from [-x, x] for one number x, or from [low, high].
    translate: greatest shift to either side and up or down, as shares of width and height; whole pixels.
    scale: the factor is drawn from [low, high].
    shear: degrees along x drawn from [-x, x] or [low, high]; four numbers are two ranges, along x and along y.
    interpolation, fill: as for rotate.
    Source: torchvision.transforms.v2.RandomAffine.
    """
    turns, scales = _ends("affine", "degrees", degrees), _ends("affine", "scale", scale)
    along = shear if isinstance(shear, tuple) else (-shear, shear)
    tilts = _ends("affine", "shear", along[:2]), _ends("affine", "shear", along[2:] or (0.0, 0.0))

    def apply(images: Tensor, generator: Generator) -> Tensor:
        angle = _uniform(images, generator, turns).deg2rad()
        height, width = images.shape[2:]
        right, down = (
            _uniform(images, generator, (-most * length, most * length)).round()
            for most, length in zip(translate, (width, height), strict=True)
        )
        factor = _uniform(images, generator, scales)
        tilt, lean = (_uniform(images, generator, tilt).deg2rad() for tilt in tilts)
        # The inverse of turning after shearing: it tells where each pixel comes from.
        a, c = (angle - lean).cos() / lean.cos(), (angle - lean).sin() / lean.cos()
        b, d = -a * tilt.tan() - angle.sin(), -c * tilt.tan() + angle.cos()
        a, b, c, d = d / factor, -b / factor, -c / factor, a / factor
        return _warped(images, (a, b, -a * right - b * down, c, d, -c * right - d * down), fill, interpolation)

    return _exact(apply, fill) if interpolation == "nearest" else apply


@augmentation("mixup")
def mixup(*, alpha: Positive = 1.0, p: Share = 1.0) -> MixingTransform:
    """Blend each image, and its label, with another one of the batch.

    alpha: an image's share of itself is drawn from Beta(alpha, alpha), for each image on its own. The paper and
        its code draw one for a whole batch; the expected loss is the same, and its gradient varies less.
    p: share of images blended. Partners come from one random order of the batch, as in the paper.
    Source: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization" (0.1 to 0.4 on ImageNet, 1 on CIFAR).
    """
    import torch

    from ablate import Mixed

    def apply(images: Tensor, generator: Generator) -> Mixed:
        share, partner = _shares(images, generator, alpha, p)
        return Mixed(torch.lerp(images[partner], images, share.view(-1, 1, 1, 1)), partner, share)

    return apply


@augmentation("cutmix")
def cutmix(*, alpha: Positive = 1.0, p: Share = 0.5) -> MixingTransform:
    """Paste a rectangle of another image of the batch into each image, and mix the labels by area.

    alpha: the share that an image keeps is drawn from Beta(alpha, alpha), for each image on its own, where the
        paper draws one for a whole batch. The rectangle has the image's shape and a random centre; what falls
        outside is cut off, and the labels' shares are those of the pixels.
    p: share of images that get a rectangle; the paper's are 0.5 on CIFAR and 1 on ImageNet.
    Source: Yun et al. 2019, "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features".
    """
    import torch

    from ablate import Mixed

    @takes_uint8
    def apply(images: Tensor, generator: Generator) -> Mixed:
        count, _, height, width = images.shape
        share, partner = _shares(images, generator, alpha, p)
        side = 0.5 * (1 - share).sqrt()

        def ends(length: int) -> tuple[Tensor, Tensor]:
            centre = torch.randint(length, (count,), generator=generator, device=images.device)
            half = (side * length).long()
            return (centre - half).clamp(min=0), (centre + half).clamp(max=length)

        (top, bottom), (left, right) = ends(height), ends(width)
        box = _boxes(images, top, bottom, left, right)
        mixed = _blanked(images, box, 0.0).add_(images.index_select(0, partner) * box)
        return Mixed(mixed, partner, 1 - (bottom - top) * (right - left) / (height * width))

    return apply


def _shares(images: Tensor, generator: Generator, alpha: float, p: float) -> tuple[Tensor, Tensor]:
    """Draw each image's share of itself, from Beta(alpha, alpha) with probability p and else 1, and its partner."""
    import torch

    count, device = len(images), images.device
    chosen, size, angle = torch.rand(3, count, generator=generator, device=device)
    # A symmetric beta from two uniform numbers, with no rejection and so no wait: Devroye 1996, "Random variate
    # generation in one line of code", section 5.
    cosine = (2 * math.pi * angle).cos()
    spread = torch.expm1(-size.log() / alpha) * cosine.square()
    beta = 0.5 + 0.5 * cosine.sign() * (1 + 1 / spread).rsqrt()
    share = torch.where(chosen < p, beta, torch.ones_like(beta))
    return share, torch.randperm(count, generator=generator, device=device)


def _noise(images: Tensor, generator: Generator) -> Tensor:
    """Draw one of the 256 levels for every pixel and channel."""
    import torch

    # Eight levels a draw: drawing is what takes the time.
    words = torch.empty(images.numel() // 8 + 1, dtype=torch.int64, device=images.device)
    levels = words.random_(-(2**63), None, generator=generator).view(torch.uint8)[: images.numel()].view(images.shape)
    return levels.to(images.dtype).div_(255) if images.is_floating_point() else levels


def _boxes(images: Tensor, top: Tensor, bottom: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Return a rectangle in each image (B, 1, H, W) as ones among zeros, its ends (B,) excluded.

    Numbers of the images' own type: products with them are several times as fast as a mask.
    """
    import torch

    def inside(first: Tensor, end: Tensor, length: int) -> Tensor:
        place = torch.arange(length, device=images.device)
        return ((place >= first[:, None]) & (place < end[:, None])).to(images.dtype)

    rows, columns = inside(top, bottom, images.shape[2]), inside(left, right, images.shape[3])
    return rows[:, None, :, None] * columns[:, None, None, :]


def _blanked(images: Tensor, box: Tensor, fill: float) -> Tensor:
    """Return images with `fill` where the box is one."""
    kept = images * (1 - box)
    return kept.add_(box * _level(images, fill)) if fill else kept


def _warped(images: Tensor, rows: tuple[Tensor, ...], fill: float, interpolation: Interpolation) -> Tensor:
    """Move pixels: the one at (x, y) comes from (a x + b y + c, d x + e y + f), for rows a to f, each (B,).

    Both places are counted from the centre of the image, in pixels.
    """
    import torch
    from torch.nn.functional import grid_sample, pad

    _, channels, height, width = images.shape
    a, b, c, d, e, f = (number.view(-1, 1, 1) for number in rows)
    middle, centre = (width - 1) / 2, (height - 1) / 2
    across = torch.arange(width, device=images.device) - middle
    down = torch.arange(height, device=images.device)[:, None] - centre
    x, y = (a * across + (c + middle)) + b * down, d * across + (e * down + (f + centre))
    if interpolation == "bilinear":
        grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], 3)
        # What comes from outside is 0 to grid_sample.
        sampled = grid_sample(images - fill, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        return sampled.add_(fill).clamp_(0, 1)
    bordered = pad(images, (1, 1, 1, 1), value=_level(images, fill))
    x, y = x.round_().clamp_(-1, width), y.round_().clamp_(-1, height)
    place = y.add_(1).mul_(width + 2).add_(x).add_(1).long()
    return bordered.flatten(2).gather(2, place.flatten(1)[:, None].expand(-1, channels, -1)).view(images.shape)


def _uniform(images: Tensor, generator: Generator, ends: Range) -> Tensor:
    """Draw a number between two for each image."""
    import torch

    return ends[0] + (ends[1] - ends[0]) * torch.rand(len(images), generator=generator, device=images.device)


def _ends(owner: str, name: str, value: float | Range) -> Range:
    """Return what a setting means: itself for two numbers, -x to x for one."""
    low, high = value if isinstance(value, tuple) else (-value, value)
    if low > high:
        raise InputError(f"{owner}: {name} = [{low:g}, {high:g}] has its greater number first")
    return low, high


def _level(images: Tensor, value: float) -> float:
    """Return a value in [0, 1] on the scale of the images."""
    return value if images.is_floating_point() else round(255 * value)


def _exact(apply: BatchTransform, *values: float) -> BatchTransform:
    """Mark a transform as one that takes uint8, where all `values` that it fills in are among the 256 levels."""
    return takes_uint8(apply) if all(round(255 * value) / 255 == value for value in values) else apply
