"""Convolutions with live taps only give what whole convolutions give, at every layer and for whole models."""

from __future__ import annotations

import copy
import io
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad
from torch.nn.functional import conv2d, cross_entropy, pad, unfold

from ablate.training.kernel_crop import crop_axis, crop_kernels, dead_weights, restore_kernels

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Work this small is done before a second thread has woken up."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


Sides = tuple[int, int] | Literal["same", "valid"]


def geometries() -> list[tuple[int, int, int, Sides, int]]:
    """Return all small (size, kernel, stride, padding, dilation) that have at least one output."""
    sides: list[Sides] = ["same", "valid", *product(range(4), range(4))]
    every = product(range(1, 6), range(1, 6), range(1, 4), sides, range(1, 3))
    return [g for g in every if crop_axis(*g).outputs]


def padded(pixels: Tensor, stride: int, reach: int, padding: Sides) -> Tensor:
    """Pad a column of pixels as a convolution would."""
    if padding == "same":
        size = pixels.shape[2]
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
        padding = (total // 2, total - total // 2)
    return pixels if padding == "valid" else pad(pixels, (0, 0, *padding))


def small_net() -> nn.Sequential:
    """Return a net whose maps of 8x8 images go down to 1x1, with a convolution of each way to compute it."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 6, 3, stride=2, padding=1),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.Dropout(0.1),
        nn.Conv2d(8, 4, 3, stride=2, padding=1, bias=False),
        nn.Conv2d(4, 4, 5, padding="same", groups=4),
        nn.Conv2d(4, 5, 3, padding=1),
        nn.Flatten(),
    )


def images(count: int = 4, size: int = 8, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(count, 3, size, size, dtype=dtype, generator=torch.Generator().manual_seed(1))


def learn(model: nn.Module, batch: Tensor) -> dict[str, Tensor | None]:
    """Return a batch's logits, the gradients and the statistics after it."""
    torch.manual_seed(2)
    inputs = batch.clone().requires_grad_()
    logits = model(inputs)
    model.zero_grad()
    cross_entropy(logits, torch.arange(len(batch)) % logits.shape[1]).backward()  # type: ignore[no-untyped-call]
    gradients = {f"gradient of {name}": p.grad for name, p in model.named_parameters()}
    return {
        "logits": logits,
        "gradient of images": inputs.grad,
        **gradients,
        **{n: b.clone() for n, b in model.named_buffers()},
    }


def close(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-12, atol=1e-12)


def assert_same(one: dict[str, Tensor | None], other: dict[str, Tensor | None], tolerance: float) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        # Sums round as their largest terms do: a small gradient beside large ones is not known any better.
        least = tolerance * max(1.0, float(value.detach().abs().max())) if value is not None else tolerance
        torch.testing.assert_close(other[name], value, rtol=tolerance, atol=least, msg=partial("{}: {}".format, name))


def test_live_taps_are_those_that_meet_a_pixel() -> None:
    wrong = []
    for geometry in geometries():
        size, kernel, stride, padding, dilation = geometry
        ones = padded(torch.ones(1, 1, size, 1), stride, dilation * (kernel - 1) + 1, padding)
        met = unfold(ones, (kernel, 1), dilation=(dilation, 1), stride=(stride, 1))[0].sum(1)
        if crop_axis(*geometry).live != tuple(met.nonzero().flatten().tolist()):
            wrong.append(geometry)
    assert wrong == []


def test_the_range_of_live_taps_with_its_padding_gives_what_the_whole_kernel_gives() -> None:
    draw, wrong = torch.Generator().manual_seed(0), []
    for geometry in geometries():
        size, kernel, stride, padding, dilation = geometry
        pixels = torch.randn(1, 1, size, 1, dtype=torch.float64, generator=draw)
        weight = torch.randn(1, 1, kernel, 1, dtype=torch.float64, generator=draw)
        column = padded(pixels, stride, dilation * (kernel - 1) + 1, padding)
        whole = conv2d(column, weight, stride=(stride, 1), dilation=(dilation, 1))
        axis = crop_axis(*geometry)
        column, weight = pad(pixels, (0, 0, axis.before, axis.after)), weight[:, :, axis.start : axis.stop]
        part = conv2d(column, weight, stride=(stride, 1), dilation=(dilation, 1))
        if part.shape[2] != axis.outputs or not close(part, whole):
            wrong.append(geometry)
    assert wrong == []


def test_a_tap_between_live_ones_may_be_dead_and_is_kept() -> None:
    axis = crop_axis(1, 3, stride=2, padding=2, dilation=1)
    assert (axis.live, axis.start, axis.stop) == ((0, 2), 0, 3)


def test_a_kernel_that_meets_padding_alone_is_kept_whole() -> None:
    axis = crop_axis(2, 1, stride=3, padding=1, dilation=1)
    assert (axis.live, axis.start, axis.stop, axis.outputs) == ((), 0, 1, 2)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_layer_gives_the_same_outputs_and_gradients(memory: torch.memory_format, groups: int) -> None:
    draw, wrong = torch.Generator().manual_seed(0), []
    kernels = [(1, 3), (1, 7), (2, 2), (2, 3), (2, 5), (3, 3), (4, 7), (5, 1)]
    for (size, kernel), stride, padding, dilation in product(kernels, (1, 2), (0, 1, 3), (1, 2)):
        if not crop_axis(size, kernel, stride, padding, dilation).outputs:
            continue
        conv = nn.Conv2d(2, 4, (kernel, 3), (stride, 1), (padding, 1), (dilation, 1), groups).double()
        conv.to(memory_format=memory)
        for columns in (1, 2, 3):
            pixels = torch.randn(2, 2, size, columns, dtype=torch.float64, generator=draw).to(memory_format=memory)
            results = []
            for prepare in (restore_kernels, crop_kernels):
                prepare(conv)
                inputs = pixels.clone().requires_grad_()
                outputs = conv(inputs)
                results.append((outputs, *grad(outputs.square().sum(), [inputs, *conv.parameters()])))
            if not all(close(*pair) for pair in zip(*results, strict=True)):
                wrong.append((size, columns, kernel, stride, padding, dilation))
    assert wrong == []


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_products_lie_in_memory_as_convolutions_do(memory: torch.memory_format) -> None:
    whole = nn.Sequential(*(m for m in small_net().eval() if getattr(m, "groups", 1) == 1))
    whole.to(memory_format=memory)
    live = copy.deepcopy(whole)
    crop_kernels(live)
    batch = images().to(memory_format=memory)
    for depth in range(1, len(whole)):
        assert live[:depth](batch).stride() == whole[:depth](batch).stride()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_batches_of_any_size_and_images_without_one_pass(count: int) -> None:
    whole = nn.Sequential(*(m for m in small_net() if isinstance(m, nn.Conv2d)))
    live = copy.deepcopy(whole)
    crop_kernels(live)
    torch.testing.assert_close(live(images(count)), whole(images(count)))
    torch.testing.assert_close(live(images(1)[0]), whole(images(1)[0]))


def test_the_size_of_images_may_change_from_call_to_call() -> None:
    whole = small_net()[:-1].eval()
    live = copy.deepcopy(whole)
    crop_kernels(live)
    for size in (8, 16, 5, 8):
        torch.testing.assert_close(live(images(size=size)), whole(images(size=size)))


def test_training_goes_on_after_a_first_look_in_inference_mode() -> None:
    model = small_net()
    crop_kernels(model)
    with torch.inference_mode():
        model(images())
    assert learn(model, images())["gradient of images"] is not None


def test_dead_weights_have_a_gradient_of_zero_and_decay() -> None:
    conv = nn.Conv2d(2, 2, 3, padding=1)
    crop_kernels(conv)
    before = conv.weight.detach().clone()
    conv(torch.randn(4, 2, 1, 1)).sum().backward()
    torch.optim.SGD(conv.parameters(), lr=0.1, weight_decay=0.5).step()
    dead = torch.ones(3, 3, dtype=torch.bool)
    dead[1, 1] = False
    assert conv.weight.grad is not None
    assert not conv.weight.grad[:, :, dead].any()
    torch.testing.assert_close(conv.weight[:, :, dead], before[:, :, dead] * 0.95)


def test_bfloat16_autocast_gives_bfloat16_and_nearly_the_same() -> None:
    whole = small_net().eval()
    live = copy.deepcopy(whole)
    crop_kernels(live)
    with torch.autocast("cpu", torch.bfloat16):
        one, other = whole(images()), live(images())
    assert other.dtype == one.dtype == torch.bfloat16
    torch.testing.assert_close(other, one, rtol=0.05, atol=0.05)


def test_a_prepared_model_looks_as_before_and_its_copies_are_prepared_too() -> None:
    plain = small_net()
    model = copy.deepcopy(plain)
    crop_kernels(model)
    assert repr(model) == repr(plain)
    assert [type(m) for m in model.modules()] == [type(m) for m in plain.modules()]
    assert list(model.state_dict()) == list(plain.state_dict())
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    copies = [copy.deepcopy(model), torch.load(file, weights_only=False)]
    expected = learn(model, images())
    for again in copies:
        assert "_conv_forward" in vars(again[0])
        assert_same(learn(again, images()), expected, 0)


def test_hooks_see_the_layer_as_before() -> None:
    model = small_net()
    crop_kernels(model)
    seen: list[Any] = []
    model[-2].register_forward_hook(lambda *of_call: seen.append(of_call))
    logits = model(images())
    assert seen[0][0] is model[-2]
    assert seen[0][2].data_ptr() == logits.data_ptr()


def test_using_all_taps_leaves_no_trace() -> None:
    plain, model = small_net(), small_net()
    crop_kernels(model)
    restore_kernels(model)
    assert [vars(m).keys() for m in model.modules()] == [vars(m).keys() for m in plain.modules()]


def test_convolutions_of_their_own_kind_are_left_alone() -> None:
    class Doubled(nn.Conv2d):
        def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002
            doubled: Tensor = 2 * super()._conv_forward(input, weight, bias)
            return doubled

    model = nn.Sequential(Doubled(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"))
    crop_kernels(model)
    assert not any("_conv_forward" in vars(m) for m in model.modules())


def test_of_resnet18_for_32x32_images_62_percent_of_the_weights_never_meet_a_pixel() -> None:
    import torchvision

    with torch.device("meta"):
        model = torchvision.models.resnet18(num_classes=100)
    dead, total = dead_weights(model, (3, 32, 32))
    assert (dead, total) == (6_946_816, 11_227_812)
    assert f"{dead / total:.0%}" == "62%"
    assert dead_weights(model, (3, 224, 224)) == (0, total)


def test_dead_weights_are_those_whose_gradient_is_zero() -> None:
    from timm.layers.conv2d_same import Conv2dSame
    from timm.layers.std_conv import StdConv2d

    models = [small_net(), nn.Sequential(Conv2dSame(3, 4, 3, stride=2), Conv2dSame(4, 4, 7, stride=2), nn.Flatten())]
    models.append(nn.Sequential(StdConv2d(3, 4, 3, stride=8, padding=1), StdConv2d(4, 4, 3, padding=1), nn.Flatten()))
    for model in models:
        learn(model.double(), images(dtype=torch.float64))
        weights = [m.weight.grad for m in model if isinstance(m, nn.Conv2d)]
        zeros = sum(int((w == 0).sum()) for w in weights if w is not None)
        assert dead_weights(model, (3, 8, 8)) == (zeros, sum(q.numel() for q in model.parameters()))


def test_a_weight_that_meets_pixels_in_one_call_of_two_is_alive() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)

        def forward(self, batch: Tensor) -> list[Tensor]:
            one: Tensor = self.conv(batch[:, :, :1, :1])
            row: Tensor = self.conv(batch[:, :, :1])
            return [one, row]

    assert dead_weights(Twice(), (3, 4, 4)) == (6 * 9, 81)


def test_counting_dead_weights_leaves_the_model_and_the_random_state() -> None:
    model = small_net().train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    crop_kernels(model)
    dead_weights(model, (3, 8, 8))
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in model] == [index != 1 for index in range(len(model))]
    assert not any(m._forward_pre_hooks for m in model.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


QUICK = [
    "torchvision:resnet18",
    "torchvision:mobilenet_v3_small",
    "torchvision:shufflenet_v2_x0_5",
    "torchvision:squeezenet1_1",
    "timm:regnetx_002",
    "timm:test_byobnet",
    "timm:test_convnext",
    "timm:test_efficientnet",
    "timm:test_nfnet",
    "timm:test_resnet",
    "timm:tf_mobilenetv3_small_minimal_100",
]
SLOW = [
    "torchvision:densenet121",
    "torchvision:efficientnet_b0",
    "torchvision:googlenet",
    "torchvision:mnasnet0_5",
    "torchvision:regnet_y_400mf",
    "torchvision:resnet34",
    "torchvision:resnext50_32x4d",
    "timm:convnext_atto",
    "timm:cspresnet50",
    "timm:dla34",
    "timm:ghostnet_050",
    "timm:hardcorenas_a",
    "timm:nf_resnet26",
    "timm:nfnet_l0",
    "timm:repvgg_a0",
    "timm:res2net50_14w_8s",
    "timm:resnest14d",
    "timm:resnetv2_50",
    "timm:resnetv2_50x1_bit",
    "timm:skresnet18",
    "timm:tf_efficientnet_b0",
    "timm:xception41",
]


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.long) for name in SLOW)])
def test_a_model_learns_the_same_with_live_taps(name: str) -> None:
    import timm
    import torchvision

    library, _, short = name.partition(":")
    torch.manual_seed(0)
    settings: dict[str, Any] = {"aux_logits": False, "init_weights": False} if short == "googlenet" else {}
    create = timm.create_model if library == "timm" else torchvision.models.get_model
    whole = create(short, num_classes=10, **settings).double().train()
    live = copy.deepcopy(whole)
    crop_kernels(live)
    batch = images(size=32, dtype=torch.float64)
    assert_same(learn(whole, batch), learn(live, batch), 1e-8)
