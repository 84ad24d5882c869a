"""The augmentations that ship and turn or recolour images, and the policies that are made of such operations.

As in augmentations.py each works on a whole batch, draws for every image on its own, and never waits for the
device. For the same draws the pixels are those of torchvision.transforms.v2 on tensors.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Interval

from ablate import Natural, NonNegative, Share, augmentation, takes_uint8
from ablate.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch
    from torch import Generator, Tensor

    from ablate import BatchTransform

    Change = Callable[..., Tensor]

Range = tuple[float, float]
Turn = Annotated[float, Interval(ge=-0.5, le=0.5)]
HalfTurn = Annotated[float, Interval(ge=0, le=0.5)]
Bins = Annotated[int, Ge(2)]


@augmentation("color-jitter")
def color_jitter(
    *,
    brightness: NonNegative | tuple[NonNegative, NonNegative] = 0.4,
    contrast: NonNegative | tuple[NonNegative, NonNegative] = 0.4,
    saturation: NonNegative | tuple[NonNegative, NonNegative] = 0.4,
    hue: HalfTurn | tuple[Turn, Turn] = 0.1,
) -> BatchTransform:
    """Change brightness, contrast, saturation and hue of each image, in a random order.

    brightness, contrast, saturation: the factor is drawn from [1 - x, 1 + x], cut off at 0, for one number x,
        or from [low, high]; a factor of 1 changes nothing.
    hue: turn of the colour wheel, 1 being all round, drawn from [-x, x] or from [low, high].
    The order of the four is drawn for each image, as in torchvision. Images of one channel have no saturation
    or hue to change. The defaults are SimCLR's for CIFAR.
    Source: torchvision.transforms.v2.ColorJitter; Chen et al. 2020, "A Simple Framework for Contrastive Learning
    of Visual Representations".
    """
    import torch

    every: list[tuple[Change, Range]] = [
        (_brightened, _ends("brightness", brightness, around=1.0)),
        (_contrasted, _ends("contrast", contrast, around=1.0)),
        (_colored, _ends("saturation", saturation, around=1.0)),
        (_turned, _ends("hue", hue)),
    ]
    steps = [(change, low, high) for change, (low, high) in every if (low, high) != (0, 0)]
    changes = [change for change, _, _ in steps]

    def apply(images: Tensor, generator: Generator) -> Tensor:
        _check_channels("color-jitter", images)
        order, draws = torch.rand(2, len(images), len(changes), generator=generator, device=images.device)
        amounts = [low + (high - low) * draws[:, i] for i, (_, low, high) in enumerate(steps)]
        for kind in order.argsort(1).unbind(1):
            amount = torch.stack(amounts, 1).gather(1, kind[:, None])[:, 0]
            images = _each(kind, images, changes, amount)
        return images

    return apply


class Op(IntEnum):
    """What a policy can do to an image. The first nine have a direction, the first five move pixels."""

    SHEAR_X = 0
    SHEAR_Y = 1
    TRANSLATE_X = 2
    TRANSLATE_Y = 3
    ROTATE = 4
    BRIGHTNESS = 5
    CONTRAST = 6
    COLOR = 7
    SHARPNESS = 8
    POSTERIZE = 9
    SOLARIZE = 10
    AUTO_CONTRAST = 11
    EQUALIZE = 12
    IDENTITY = 13
    INVERT = 14


@augmentation("rand-augment")
def rand_augment(
    *, num_ops: Natural = 2, magnitude: Natural = 9, num_magnitude_bins: Bins = 31, fill: Share = 0.0
) -> BatchTransform:
    """Apply to each image a few random operations of one fixed strength, out of fourteen.

    num_ops: operations in a row, each drawn from all fourteen.
    magnitude: strength of all of them, from 0 to num_magnitude_bins - 1.
    num_magnitude_bins: number of strengths between none and the greatest.
    fill: value of pixels that come from outside.
    Works on the 256 levels of uint8: float32 images are rounded to them first.
    Source: Cubuk et al. 2020, "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space";
    operations and strengths of torchvision.transforms.v2.RandAugment.
    """
    import torch

    if magnitude >= num_magnitude_bins:
        raise InputError(f"rand-augment: magnitude {magnitude} needs num_magnitude_bins above it")

    def draw(images: Tensor, generator: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(num_ops):
            op = torch.randint(Op.INVERT, (len(images),), generator=generator, device=images.device)
            yield op, torch.full_like(op, magnitude)

    def strengths(height: int, width: int) -> Tensor:
        return _strengths(num_magnitude_bins, 0.3, (150 / 331 * width, 150 / 331 * height), 30, 0.9, 4)

    return _policy("rand-augment", draw, strengths, fill)


@augmentation("trivial-augment")
def trivial_augment(*, num_magnitude_bins: Bins = 31, fill: Share = 0.0) -> BatchTransform:
    """Apply to each image one random operation of random strength, out of fourteen, with the wide ranges.

    num_magnitude_bins: number of strengths between none and the greatest.
    fill: value of pixels that come from outside.
    Works on the 256 levels of uint8: float32 images are rounded to them first. Shifts go up to 32 pixels
    whatever the size of the images, as in the paper.
    Source: Müller & Hutter 2021, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation";
    operations and strengths of torchvision.transforms.v2.TrivialAugmentWide.
    """
    import torch

    def draw(images: Tensor, generator: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        op, place = (
            torch.randint(highest, (len(images),), generator=generator, device=images.device)
            for highest in (Op.INVERT, num_magnitude_bins)
        )
        yield op, place

    def strengths(_height: int, _width: int) -> Tensor:
        return _strengths(num_magnitude_bins, 0.99, (32, 32), 135, 0.99, 6)

    return _policy("trivial-augment", draw, strengths, fill)


@augmentation("auto-augment")
def auto_augment(*, fill: Share = 0.0) -> BatchTransform:
    """Apply to each image one of the 25 pairs of operations that were learned on CIFAR-10.

    fill: value of pixels that come from outside.
    Works on the 256 levels of uint8: float32 images are rounded to them first.
    Source: Cubuk et al. 2019, "AutoAugment: Learning Augmentation Strategies from Data", table 7; operations
    and strengths of torchvision.transforms.v2.AutoAugment.
    """
    import torch

    pairs = torch.tensor(_CIFAR10)

    @cache
    def pairs_on(device: torch.device) -> Tensor:
        return pairs.to(device, non_blocking=True)

    def draw(images: Tensor, generator: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        count, device = len(images), images.device
        pair = torch.randint(len(pairs), (count,), generator=generator, device=device)
        for op, p, magnitude in pairs_on(device).index_select(0, pair).permute(1, 2, 0):
            skipped = torch.rand(count, generator=generator, device=device) >= p
            yield op.long().masked_fill(skipped, Op.IDENTITY), magnitude.long()

    def strengths(height: int, width: int) -> Tensor:
        return _strengths(10, 0.3, (150 / 331 * width, 150 / 331 * height), 30, 0.9, 4)

    return _policy("auto-augment", draw, strengths, fill)


# Operation, probability, strength from 0 to 9.
_CIFAR10 = [
    [[Op.INVERT, 0.1, 0], [Op.CONTRAST, 0.2, 6]],
    [[Op.ROTATE, 0.7, 2], [Op.TRANSLATE_X, 0.3, 9]],
    [[Op.SHARPNESS, 0.8, 1], [Op.SHARPNESS, 0.9, 3]],
    [[Op.SHEAR_Y, 0.5, 8], [Op.TRANSLATE_Y, 0.7, 9]],
    [[Op.AUTO_CONTRAST, 0.5, 0], [Op.EQUALIZE, 0.9, 0]],
    [[Op.SHEAR_Y, 0.2, 7], [Op.POSTERIZE, 0.3, 7]],
    [[Op.COLOR, 0.4, 3], [Op.BRIGHTNESS, 0.6, 7]],
    [[Op.SHARPNESS, 0.3, 9], [Op.BRIGHTNESS, 0.7, 9]],
    [[Op.EQUALIZE, 0.6, 0], [Op.EQUALIZE, 0.5, 0]],
    [[Op.CONTRAST, 0.6, 7], [Op.SHARPNESS, 0.6, 5]],
    [[Op.COLOR, 0.7, 7], [Op.TRANSLATE_X, 0.5, 8]],
    [[Op.EQUALIZE, 0.3, 0], [Op.AUTO_CONTRAST, 0.4, 0]],
    [[Op.TRANSLATE_Y, 0.4, 3], [Op.SHARPNESS, 0.2, 6]],
    [[Op.BRIGHTNESS, 0.9, 6], [Op.COLOR, 0.2, 8]],
    [[Op.SOLARIZE, 0.5, 2], [Op.INVERT, 0.0, 0]],
    [[Op.EQUALIZE, 0.2, 0], [Op.AUTO_CONTRAST, 0.6, 0]],
    [[Op.EQUALIZE, 0.2, 0], [Op.EQUALIZE, 0.6, 0]],
    [[Op.COLOR, 0.9, 9], [Op.EQUALIZE, 0.6, 0]],
    [[Op.AUTO_CONTRAST, 0.8, 0], [Op.SOLARIZE, 0.2, 8]],
    [[Op.BRIGHTNESS, 0.1, 3], [Op.COLOR, 0.7, 0]],
    [[Op.SOLARIZE, 0.4, 5], [Op.AUTO_CONTRAST, 0.9, 0]],
    [[Op.TRANSLATE_Y, 0.9, 9], [Op.TRANSLATE_Y, 0.7, 9]],
    [[Op.AUTO_CONTRAST, 0.9, 0], [Op.SOLARIZE, 0.8, 3]],
    [[Op.EQUALIZE, 0.8, 0], [Op.INVERT, 0.1, 0]],
    [[Op.TRANSLATE_Y, 0.7, 9], [Op.AUTO_CONTRAST, 0.9, 0]],
]


def _strengths(bins: int, shear: float, shift: Range, degrees: float, factor: float, bits: int) -> Tensor:
    """Return the strength (operation, bin) of each operation, evenly spaced from none to the greatest.

    shear: slope; shift: pixels across and down; degrees: of a turn; factor: of a blend, less 1; bits: taken off.
    """
    import torch

    greatest = torch.zeros(len(Op))
    greatest[: Op.POSTERIZE] = torch.tensor([shear, shear, *shift, degrees, *[factor] * 4])
    table = torch.stack([torch.linspace(0.0, float(top), bins) for top in greatest])
    table[Op.TRANSLATE_X : Op.ROTATE].trunc_()
    table[Op.POSTERIZE] = (8 - torch.arange(bins) / ((bins - 1) / bits)).round()
    table[Op.SOLARIZE] = torch.linspace(1.0, 0.0, bins)
    return table


def _policy(
    name: str,
    draw: Callable[[Tensor, Generator], Iterator[tuple[Tensor, Tensor]]],
    strengths: Callable[[int, int], Tensor],
    fill: float,
) -> BatchTransform:
    """Return an augmentation that applies to each image the operations drawn for it, one after the other.

    draw: yields, for each step, every image's operation and the bin of its strength, both (B,).
    strengths: the table of strengths (operation, bin) for images of a height and width.
    """
    import torch

    @cache
    def table(height: int, width: int, device: torch.device) -> Tensor:
        return strengths(height, width).to(device, non_blocking=True)

    changes: list[Change] = [partial(_moved, fill=fill), _brightened, _contrasted, _colored, _sharpened, _posterized]
    changes += [_solarized, _stretched, _equalized, _kept, _inverted]

    @takes_uint8
    def apply(images: Tensor, generator: Generator) -> Tensor:
        _check_channels(name, images)
        known = table(*images.shape[2:], images.device)
        levels = (images * 255).round_().to(torch.uint8) if images.is_floating_point() else images
        for op, place in draw(images, generator):
            strength = known[op, place]
            backwards = torch.rand(len(op), generator=generator, device=op.device) < 0.5
            strength = torch.where((op < Op.POSTERIZE) & backwards, -strength, strength)
            levels = _each((op - Op.ROTATE).clamp(min=0), levels, changes, strength, op)
        return levels.to(images.dtype).div_(255) if images.is_floating_point() else levels

    return apply


def _each(kind: Tensor, images: Tensor, changes: Sequence[Change], *given: Tensor) -> Tensor:
    """Make the change of its kind (B,) to each image; changes get images and, of each `given`, their values."""
    import torch

    if images.device.type != "cpu":  # to look how many are of a kind would be to wait for the device
        made = images
        for index, change in enumerate(changes):
            made = torch.where((kind == index).view(-1, 1, 1, 1), change(images, *given), made)
        return made
    order, counts = kind.argsort(), kind.bincount(minlength=len(changes)).tolist()
    groups = zip(*(torch.split(one.index_select(0, order), counts) for one in (images, *given)), strict=True)
    parts = [change(*group) if len(group[0]) else group[0] for change, group in zip(changes, groups, strict=True)]
    return torch.cat(parts).index_select(0, order.argsort())


def _moved(images: Tensor, strength: Tensor, op: Tensor, fill: float) -> Tensor:
    """Shear and shift from the upper left corner, or turn about the centre, by copying whole pixels."""
    import torch
    from torch.nn.functional import pad

    _, channels, height, width = images.shape
    tilt, lean, right, down, turn = ((strength * (op == one)).view(-1, 1, 1) for one in list(Op)[: Op.BRIGHTNESS])
    cos, sin = turn.deg2rad().cos(), turn.deg2rad().sin()
    middle, centre = (width - 1) / 2, (height - 1) / 2
    x = torch.arange(width, device=images.device) - middle
    y = torch.arange(height, device=images.device)[:, None] - centre
    # Where each pixel comes from; a border of one pixel stands for all that is outside.
    across = (cos * x + (tilt * (height / 2) - right + middle)) + (tilt - sin) * y
    along = (lean + sin) * x + (cos * y + (lean * (width / 2) - down + centre))
    across, along = across.round_().clamp_(-1, width), along.round_().clamp_(-1, height)
    place = along.add_(1).mul_(width + 2).add_(across).add_(1).long().flatten(1)[:, None]
    bordered = pad(images, (1, 1, 1, 1), value=round(255 * fill))
    return bordered.flatten(2).gather(2, place.expand(-1, channels, -1)).view(images.shape)


def _brightened(images: Tensor, strength: Tensor, *_: Tensor) -> Tensor:
    """Blend away from black, towards it below 0."""
    return _blended(images, None, strength)


def _contrasted(images: Tensor, strength: Tensor, *_: Tensor) -> Tensor:
    """Blend away from the image's mean grey, towards it below 0."""
    return _blended(images, _gray(images).mean((2, 3), keepdim=True), strength)


def _colored(images: Tensor, strength: Tensor, *_: Tensor) -> Tensor:
    """Blend away from the image in grey, towards it below 0."""
    return _blended(images, _gray(images), strength) if images.shape[1] == 3 else images


def _blended(images: Tensor, other: Tensor | None, strength: Tensor) -> Tensor:
    """Add to images `strength` (B,) times what they differ from `other` by (from black where None), and cut off."""
    strength = strength.view(-1, 1, 1, 1)
    blend = images * (1 + strength)
    if other is not None:
        blend.sub_(other * strength)
    return blend.clamp_(0, 1 if images.is_floating_point() else 255).to(images.dtype)


def _sharpened(images: Tensor, strength: Tensor, *_: Tensor) -> Tensor:
    """Blend with, or away from, the image smoothed by a 3x3 kernel of ones round a five; the border stays."""
    height, width = images.shape[2:]
    if min(height, width) < 3:
        return images
    whole = images.float()
    across = whole[..., :-2] + whole[..., 1:-1] + whole[..., 2:]
    inner = whole[:, :, 1:-1, 1:-1]
    smooth = (across[:, :, :-2] + across[:, :, 1:-1] + across[:, :, 2:] + 4 * inner).div_(13).round_()
    inner.sub_(smooth.sub_(inner).mul_(strength.view(-1, 1, 1, 1)))
    return whole.clamp_(0, 255).to(images.dtype)


def _posterized(images: Tensor, bits: Tensor, *_: Tensor) -> Tensor:
    """Keep only the first bits of each level."""
    import torch

    return images & (256 - 2 ** (8 - bits)).to(torch.uint8).view(-1, 1, 1, 1)


def _solarized(images: Tensor, threshold: Tensor, *_: Tensor) -> Tensor:
    """Invert the levels from a threshold up, which is a share of 255."""
    import torch

    return torch.where(images >= 255 * threshold.view(-1, 1, 1, 1), ~images, images)


def _inverted(images: Tensor, *_: Tensor) -> Tensor:
    return ~images


def _kept(images: Tensor, *_: Tensor) -> Tensor:
    return images


def _stretched(images: Tensor, *_: Tensor) -> Tensor:
    """Stretch each channel over all levels, from its darkest to its brightest."""
    whole = images.float()
    darkest, brightest = whole.amin((2, 3), keepdim=True), whole.amax((2, 3), keepdim=True)
    flat = brightest == darkest
    step = (brightest - darkest).mul_(1 / 255).masked_fill_(flat, 1)
    return whole.sub_(darkest.masked_fill_(flat, 0)).div_(step).clamp_(0, 255).to(images.dtype)


def _equalized(images: Tensor, *_: Tensor) -> Tensor:
    """Spread the levels of each channel so that all are about equally frequent, as Pillow does."""
    import torch

    flat = images.flatten(2).long()
    total = flat.shape[2]
    # In float32, which divides faster and counts exactly up to 16 million pixels.
    counts = torch.zeros(*flat.shape[:2], 256, device=images.device)
    counts.scatter_add_(2, flat, torch.ones((), device=images.device).expand_as(flat))
    upto = counts.cumsum(2)
    # The last level that occurs is the first at which the running sum is everything.
    last = counts.gather(2, (upto == total).int().argmax(2, keepdim=True))
    step = (total - last).div_(255).floor_()
    table = (upto - counts).add_((step / 2).floor_()).div_(step.clamp(min=1)).floor_().clamp_(max=255)
    table = torch.where(step == 0, torch.arange(256, device=images.device), table)
    return table.to(torch.uint8).gather(2, flat).view(images.shape)


def _turned(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the colour wheel by `turn` (B,), 1 being all round, for float32 images."""
    import torch

    if images.shape[1] == 1:
        return images
    red, green, blue = images.unsqueeze(2).unbind(1)
    # The hue of a pixel, 0 to 1, from its channels in order of size; a choice between tensors (where) is slow here.
    more, less = torch.maximum(green, blue), torch.minimum(green, blue)
    value, second = torch.maximum(red, more), torch.minimum(red, more)
    chroma = value - torch.minimum(second, less)
    behind = (green < blue).float()
    base = (red < more).float().mul_(2 * behind - 1 / 3).sub_(behind)
    hue = (second - less).div_(6 * chroma + 1e-20).add_(base).abs_()
    # Back to channels with one formula: each falls from `value` by a trapezoid of the hue.
    place = torch.arange(11, 6, -2, device=images.device).view(1, 3, 1, 1) / 6 + (hue + turn.view(-1, 1, 1, 1))
    fall = place.frac_().mul_(6).sub_(2).abs_().neg_().add_(2).clamp_(0, 1)
    return value - fall.mul_(chroma)


def _gray(images: Tensor) -> Tensor:
    """Return the brightness of each pixel (B, 1, H, W) on the scale of the images: whole levels for uint8."""
    if images.shape[1] == 1:
        return images.float()
    red, green, blue = images.unsqueeze(2).unbind(1)
    gray = red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114)  # ITU-R BT.601
    return gray if images.is_floating_point() else gray.floor_()


def _ends(name: str, value: float | Range, around: float = 0.0) -> Range:
    """Return how far a setting goes below and above `around`: so much to either side for one number."""
    low, high = value if isinstance(value, tuple) else (around - value, around + value)
    if low > high:
        raise InputError(f"color-jitter: {name} = [{low:g}, {high:g}] has its greater number first")
    return (max(0.0, low) - 1, high - 1) if around else (low, high)


def _check_channels(owner: str, images: Tensor) -> None:
    if images.shape[1] not in (1, 3):
        raise InputError(f"{owner} takes images of 1 or 3 channels, these have {images.shape[1]}")
