"""The shipped models, and those of timm and torchvision: shapes, sizes, and what can be set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from ablate import ImageShape
from ablate.components.discover import discover
from ablate.errors import InputError

if TYPE_CHECKING:
    from ablate.components.registry import Entry, Registry

CIFAR = ImageShape(3, 32, 32)
DIGITS = ImageShape(1, 8, 8)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def build(registry: Registry, name: str, shape: ImageShape = CIFAR, classes: int = 10, **given: Any) -> nn.Module:
    entry = registry.get("model", name)
    checked = entry.check(given)
    assert not checked.problems
    torch.manual_seed(0)
    made: nn.Module = entry.build(shape, classes, settings=checked.settings)
    return made


def logits(model: nn.Module, shape: ImageShape = CIFAR) -> torch.Tensor:
    out: torch.Tensor = model(torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)))
    return out


def weights(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def patches(transformer: nn.Module) -> int:
    return int(transformer.get_submodule("patch_embed").num_patches)  # type: ignore[arg-type]  # no tensor


def setting(entry: Entry, name: str) -> str:
    return next(str(s) for s in entry.settings if s.name == name)


def test_simple_cnn_has_the_weights_of_three_convolutions_and_two_layers(registry: Registry) -> None:
    convolutions = (3 * 9 + 1) * 32 + (32 * 9 + 1) * 64 + (64 * 9 + 1) * 128
    assert weights(build(registry, "simple-cnn", classes=100)) == convolutions + (2048 + 1) * 256 + (256 + 1) * 100


def test_enhanced_cnn_adds_batch_norm_alone(registry: Registry) -> None:
    added = weights(build(registry, "enhanced-cnn")) - weights(build(registry, "simple-cnn"))
    assert added == 2 * (32 + 64 + 128)


def test_both_networks_begin_with_the_same_weights_for_one_seed(registry: Registry) -> None:
    simple, enhanced = (
        [p for m in build(registry, name).modules() if isinstance(m, (nn.Conv2d, nn.Linear)) for p in m.parameters()]
        for name in ("simple-cnn", "enhanced-cnn")
    )
    assert all(torch.equal(a, b) for a, b in zip(simple, enhanced, strict=True))


@pytest.mark.parametrize(("name", "rate"), [("simple-cnn", 0.0), ("enhanced-cnn", 0.5)])
def test_dropout_stands_before_the_last_layer(registry: Registry, name: str, rate: float) -> None:
    dropout = list(build(registry, name).children())[-2]
    assert isinstance(dropout, nn.Dropout)
    assert dropout.p == rate


def test_a_width_of_zero_is_a_problem(registry: Registry) -> None:
    assert [name for name, _ in registry.get("model", "simple-cnn").check({"width": 0}).problems] == ["width"]


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("timm:resnet18", lambda: timm.create_model("resnet18", num_classes=10)),
        ("torchvision:resnet18", lambda: torchvision.models.resnet18(num_classes=10)),
    ],
)
def test_a_borrowed_resnet_is_the_librarys_own(registry: Registry, name: str, reference: Any) -> None:
    ours = build(registry, name).eval()
    torch.manual_seed(0)
    theirs = reference().eval()
    assert weights(ours) == 11_181_642
    with torch.no_grad():
        assert torch.equal(logits(ours), logits(theirs))


@pytest.mark.parametrize("name", ["timm:resnet18", "torchvision:resnet18", "timm:resnet18d"])
def test_the_cifar_stem_keeps_the_first_map_at_full_size(registry: Registry, name: str) -> None:
    sizes = []
    for stem in ("imagenet", "cifar"):
        model = build(registry, name, stem=stem).eval()
        model.get_submodule("layer1").register_forward_hook(lambda _m, _i, out: sizes.append(tuple(out.shape[1:])))
        with torch.no_grad():
            assert logits(model).shape == (2, 10)
    assert sizes == [(64, 8, 8), (64, 32, 32)]


def test_the_cifar_stem_is_a_bare_3x3_convolution(registry: Registry) -> None:
    conv = build(registry, "timm:resnet18", stem="cifar").conv1
    assert isinstance(conv, nn.Conv2d)
    assert (conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride) == (3, 64, (3, 3), (1, 1))
    assert conv.bias is None
    assert float(conv.weight.detach().std()) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)


def test_only_resnets_have_a_stem(registry: Registry) -> None:
    names = ["timm:resnet18", "torchvision:resnet50", "timm:vit_tiny_patch16_224", "torchvision:vgg11"]
    assert [any(s.name == "stem" for s in registry.get("model", n).settings) for n in names] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "name",
    [
        "timm:mobilenetv3_small_050",
        "timm:efficientnet_b0",
        "timm:convnext_atto",
        "timm:vit_tiny_patch16_224",
        "timm:mixer_s32_224",
        "timm:regnetx_002",
        "torchvision:squeezenet1_1",
        "torchvision:shufflenet_v2_x0_5",
        "torchvision:googlenet",
        "torchvision:vit_b_32",
        "torchvision:regnet_x_400mf",
    ],
)
def test_families_of_both_libraries_take_small_images(registry: Registry, name: str) -> None:
    out = logits(build(registry, name, classes=7))
    assert out.shape == (2, 7)
    assert out.requires_grad


def test_inception_gives_plain_logits(registry: Registry) -> None:
    model = build(registry, "torchvision:googlenet")
    assert not [name for name, _ in model.named_parameters() if name.startswith("aux")]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("timm:resnet18", {}),
        ("timm:resnet18", {"stem": "cifar"}),
        ("torchvision:resnet18", {}),
        ("torchvision:resnet18", {"stem": "cifar"}),
        ("torchvision:squeezenet1_1", {}),
    ],
)
def test_images_may_have_one_channel(registry: Registry, name: str, given: dict[str, Any]) -> None:
    shape = ImageShape(1, 32, 32)
    assert logits(build(registry, name, shape, **given), shape).shape == (2, 10)


def test_a_transformer_is_told_the_size_of_the_images(registry: Registry) -> None:
    assert patches(build(registry, "timm:vit_tiny_patch16_224", patch_size=8)) == 16


def test_a_size_that_the_study_gives_is_kept(registry: Registry) -> None:
    assert patches(build(registry, "timm:vit_tiny_patch16_224", img_size=64)) == 16


def test_images_need_not_be_square(registry: Registry) -> None:
    shape = ImageShape(3, 32, 64)
    assert logits(build(registry, "timm:vit_tiny_patch16_224", shape), shape).shape == (2, 10)


def test_a_default_is_what_the_librarys_function_passes(registry: Registry) -> None:
    # The class itself has stem_width = 64 and stem_type = "".
    entry = registry.get("model", "timm:resnet50d")
    assert setting(entry, "stem_width") == "stem_width: int = 32"
    assert setting(entry, "stem_type") == 'stem_type: str = "deep"'


def test_a_setting_reaches_the_model(registry: Registry) -> None:
    model = build(registry, "timm:resnet18", drop_rate=0.25, act_layer="gelu")
    assert model.drop_rate == 0.25
    assert "GELU" in {type(m).__name__ for m in model.modules()}


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("timm:resnet18", {"block", "num_classes", "in_chans", "device"}),
        ("timm:efficientnet_b0", {"block_args", "num_features", "num_classes"}),
        ("torchvision:resnet18", {"block", "layers", "num_classes", "norm_layer"}),
        ("torchvision:vit_b_16", {"patch_size", "num_layers", "num_classes"}),
        ("torchvision:googlenet", {"aux_logits", "init_weights", "blocks"}),
    ],
)
def test_what_cannot_be_set_is_no_setting(registry: Registry, name: str, absent: set[str]) -> None:
    assert not absent & {s.name for s in registry.get("model", name).settings}


@pytest.mark.parametrize(
    "name", ["timm:resnet50d", "timm:efficientnet_b0", "torchvision:densenet121", "torchvision:vit_b_16"]
)
def test_every_default_of_a_library_can_be_written_out(registry: Registry, name: str) -> None:
    entry = registry.get("model", name)
    given = {s.name: s.default for s in entry.settings if s.default is not None}
    with torch.device("meta"):
        assert weights(build(registry, name, **given)) == weights(build(registry, name))


@pytest.mark.parametrize("name", ["timm:resnet18", "torchvision:vit_b_16"])
def test_an_unknown_setting_is_a_problem_with_the_nearest_name(registry: Registry, name: str) -> None:
    near = {"timm:resnet18": "drop_rate", "torchvision:vit_b_16": "dropout"}[name]
    wrong = near[:-1] + "x"
    (problem,) = registry.get("model", name).check({wrong: 0.1}).problems
    assert problem == (wrong, f"{name} has no setting '{wrong}'; did you mean '{near}'?")


def test_a_wrong_type_is_a_problem(registry: Registry) -> None:
    checked = registry.get("model", "timm:resnet18").check({"drop_rate": "much", "stem": "cifar10"})
    assert [name for name, _ in checked.problems] == ["drop_rate", "stem"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("timm:resnet_18", "resnet18"),
        ("torchvision:resnet19", "resnet18"),
        ("timm:hf-hub:timm/resnet18.a1_in1k", ""),
        ("torchvision:fasterrcnn_resnet50_fpn", ""),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest(registry: Registry, name: str, near: str) -> None:
    with pytest.raises(InputError, match=f"has no model '.*'.*{near}"):
        registry.get("model", name)


def test_a_model_that_cannot_take_one_channel_says_so(registry: Registry) -> None:
    # None of torchvision's is such a model today, so the function is asked itself.
    replace_first = registry.get("model", "simple-cnn").factory.__globals__["_with_channels"]
    with pytest.raises(InputError, match="does not begin with a convolution that could be replaced"):
        replace_first(nn.Linear(2, 2), 1, "linear")


@pytest.mark.parametrize("name", ["timm:resnet26", "torchvision:regnet_y_400mf"])
def test_looking_a_model_up_draws_no_random_numbers(registry: Registry, name: str) -> None:
    state = torch.get_rng_state()
    registry.get("model", name)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["timm:resnet10t", "torchvision:wide_resnet50_2"])
def test_settings_are_read_without_making_weights(registry: Registry, name: str) -> None:
    made: set[str] = set()

    def note(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        made.add(parameter.device.type)

    hook = register_module_parameter_registration_hook(note)
    try:
        registry.get("model", name)
    finally:
        hook.remove()
    assert made == {"meta"}


def test_no_weights_are_fetched(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr("socket.socket.connect", refuse)
    for name in ("timm:resnet18", "torchvision:resnet18", "timm:vit_tiny_patch16_224"):
        build(registry, name)
