"""The models that ship, and all of timm's and torchvision's classifiers behind `timm:` and `torchvision:`.

No weights are ever downloaded: every model starts from its library's own random initialisation.
"""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from ablate import Borrowed, Count, Share, library, model, settings_of_library
from ablate.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from torch import nn

    from ablate import ImageShape
    from ablate.components.schema import Setting

# What the dataset decides, where tensors live, what would change the kind of output, and a plan of blocks in
# timm's own terms, which a model uses up while it is built.
_OURS = frozenset(
    {"num_classes", "in_chans", "device", "dtype", "pretrained", "weights", "progress"}
    | {"aux_logits", "init_weights", "block_args"}
)
# The size of the images, under the names that models of both libraries give it.
_SIZES = frozenset({"img_size", "image_size", "input_size"})
# Python's own words for an argument that a function passes itself or does not take.
_REFUSED = re.compile(r"(?:multiple values for|unexpected) (?:keyword )?argument '(\w+)'")


@model("simple-cnn")
def simple_cnn(
    shape: ImageShape, classes: int, *, width: Count = 32, hidden: Count = 256, dropout: Share = 0.0
) -> nn.Module:
    """Three 3x3 convolutions, each with ReLU and 2x2 max pooling, then two fully connected layers.

    width: channels of the first convolution; the next two have twice and four times as many.
    hidden: features between the two fully connected layers.
    dropout: share of those features dropped in training.
    A map of one pixel in height or width is not pooled further, so images may be of any size.
    """
    return _cnn(shape, classes, (width, 2 * width, 4 * width), hidden, dropout)


@model("enhanced-cnn")
def enhanced_cnn(
    shape: ImageShape, classes: int, *, width: Count = 32, hidden: Count = 256, dropout: Share = 0.5
) -> nn.Module:
    """Build simple-cnn with batch normalisation after each convolution and dropout before the last layer.

    width, hidden, dropout: as for simple-cnn.
    Source: Ioffe & Szegedy 2015, "Batch Normalization"; Srivastava et al. 2014, "Dropout".
    """
    return _cnn(shape, classes, (width, 2 * width, 4 * width), hidden, dropout, batch_norm=True)


def _cnn(
    shape: ImageShape, classes: int, widths: tuple[int, ...], hidden: int, dropout: float, *, batch_norm: bool = False
) -> nn.Module:
    from torch import nn

    channels, height, width = shape
    layers: list[nn.Module] = []
    for out in widths:
        # Kept although batch norm makes the bias idle: both networks then draw the same first weights for one seed.
        layers.append(nn.Conv2d(channels, out, 3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(out))
        layers.append(nn.ReLU())
        if min(height, width) > 1:
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        channels = out
    layers += [nn.Flatten(), nn.Linear(channels * height * width, hidden), nn.ReLU()]
    layers += [nn.Dropout(dropout), nn.Linear(hidden, classes)]
    return nn.Sequential(*layers)


@library("model", "timm")
class TimmModels:
    """Any model of timm by its name there, such as timm:resnet18, with random weights.

    Settings are those of the model's class that timm's function of this name lets one set. A model that has
    to know the size of its images is told the dataset's. ResNets have one setting more: stem = "cifar"
    begins with a 3x3 convolution of stride 1 and no max pooling, for small images (He et al. 2016, section 4.2).
    """

    def names(self) -> list[str]:
        """Return the names that timm lists."""
        import timm

        return list(timm.list_models())

    def component(self, name: str) -> Borrowed:
        """Return timm's model of this name, or raise KeyError."""
        import timm
        from timm.models.resnet import ResNet

        # Only listed names: timm would look others up at the Hugging Face hub.
        if name not in timm.list_models():
            raise KeyError(name)
        cls, settings = _timm_facts(name)

        def build(shape: ImageShape, classes: int, **chosen: Any) -> nn.Module:
            stem = chosen.pop("stem", "imagenet")
            made: nn.Module = timm.create_model(
                name,
                pretrained=False,
                num_classes=classes,
                in_chans=shape.channels,
                **_with_size(settings, shape, chosen),
            )
            return _with_cifar_stem(made, shape.channels) if stem == "cifar" else made

        return Borrowed(build, settings + _stem_setting(cls, ResNet), f"{cls.__name__} of timm")


@library("model", "torchvision")
class TorchvisionModels:
    """Any classifier of torchvision by its name there, such as torchvision:resnet18, with random weights.

    Settings are those of the model's class that torchvision's function of this name lets one set; image
    size and stem are as for timm. For images without 3 channels the first convolution is replaced.
    """

    def names(self) -> list[str]:
        """Return the names of torchvision's classifiers."""
        import torchvision

        return list(torchvision.models.list_models(module=torchvision.models))

    def component(self, name: str) -> Borrowed:
        """Return torchvision's classifier of this name, or raise KeyError."""
        from torchvision.models import ResNet, get_model

        if name not in self.names():
            raise KeyError(name)
        cls, settings = _torchvision_facts(name)

        def build(shape: ImageShape, classes: int, **chosen: Any) -> nn.Module:
            stem = chosen.pop("stem", "imagenet")
            made: nn.Module = get_model(
                name, num_classes=classes, **_torchvision_ours(cls), **_with_size(settings, shape, chosen)
            )
            if stem == "cifar":
                return _with_cifar_stem(made, shape.channels)
            return made if shape.channels == 3 else _with_channels(made, shape.channels, name)

        return Borrowed(build, settings + _stem_setting(cls, ResNet), f"{cls.__name__} of torchvision")


@cache
def _timm_facts(name: str) -> tuple[type, tuple[Setting, ...]]:
    from timm import create_model

    return _facts(lambda **chosen: create_model(name, pretrained=False, **chosen))


@cache
def _torchvision_facts(name: str) -> tuple[type, tuple[Setting, ...]]:
    from torchvision.models import get_model

    # GoogLeNet and Inception warn unless told how to initialise; nothing is initialised on the meta device.
    quiet = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return _facts(lambda **chosen: get_model(name, **quiet, **chosen))


def _facts(make: Callable[..., nn.Module]) -> tuple[type, tuple[Setting, ...]]:
    """Return a library model's class and settings, by building it once or twice.

    Both libraries pass `**kwargs` from a function per name to a class, so neither signature alone tells
    what can be set. A setting is a parameter of the class (or of the base its `**kwargs` go to) that the
    function takes; its default is the value that the function passes.
    """
    import torch

    try:
        with torch.device("meta"):  # no memory, no initial values: milliseconds
            return _facts_on_this_device(make)
    except NotImplementedError:
        # torchvision's RegNets compute their widths with tensors, which has to happen for real.
        with torch.random.fork_rng(devices=[]):
            return _facts_on_this_device(make)


def _facts_on_this_device(make: Callable[..., nn.Module]) -> tuple[type, tuple[Setting, ...]]:
    cls, passed = _watched(make)
    found: dict[str, Setting] = {}
    for owner in cls.__mro__:
        own = vars(owner).get("__init__")
        if own is None:
            continue
        found |= {s.name: s for s in settings_of_library(owner, _OURS | found.keys(), passed)}
        if all(p.kind is not p.VAR_KEYWORD for p in inspect.signature(own).parameters.values()):
            break
    while (refused := _refused(make, {name: passed[name] for name in found if name in passed})) in found:
        del found[refused]
    return cls, tuple(replace(s, default=None) if s.name in _SIZES else s for s in found.values())


def _watched(make: Callable[..., nn.Module]) -> tuple[type, dict[str, Any]]:
    """Build a model, and return its class with the arguments that its `__init__` methods were called with."""
    calls: list[tuple[Any, dict[str, Any]]] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_name == "__init__" and "self" in frame.f_locals:
            calls.append((frame.f_locals["self"], dict(frame.f_locals)))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        made = make()
    finally:
        sys.setprofile(before)
    passed: dict[str, Any] = {}
    for owner, arguments in calls:
        if owner is made:
            passed = {**arguments, **passed}  # the outermost call comes first, and has the last word
    return type(made), passed


def _refused(make: Callable[..., nn.Module], arguments: dict[str, Any]) -> str:
    """Return the name of an argument that `make` does not take, or an empty string."""
    try:
        make(**arguments)
    except TypeError as error:
        refused = _REFUSED.search(str(error))
        return refused[1] if refused else ""
    except Exception:  # noqa: BLE001  # whatever it is, no argument was refused; the real build will tell
        return ""
    return ""


def _with_size(settings: tuple[Setting, ...], shape: ImageShape, chosen: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with the size of the images, for a model that has to know it and was not told."""
    _, height, width = shape
    size = next((s for s in settings if s.name in _SIZES), None)
    if size is None or chosen.get(size.name) is not None:
        return chosen
    # Some take one number, some a pair, some either: the setting's own check tells.
    takes_number = not size.check(height)[1]
    return {**chosen, size.name: height if height == width and takes_number else (height, width)}


def _torchvision_ours(cls: type) -> dict[str, Any]:
    """Return what GoogLeNet and Inception need to give plain logits and to initialise without a warning."""
    if "aux_logits" in inspect.signature(cls).parameters:
        return {"aux_logits": False, "init_weights": True}
    return {}


def _stem_setting(cls: type, resnet: type) -> tuple[Setting, ...]:
    def with_stem(*, stem: Literal["imagenet", "cifar"] = "imagenet") -> None: ...

    return settings_of_library(with_stem) if issubclass(cls, resnet) else ()


def _with_cifar_stem(resnet: nn.Module, channels: int) -> nn.Module:
    """Let a ResNet of either library begin at full size: no stride and no pooling before its first stage."""
    from torch import nn

    stem = [m for m in resnet.get_submodule("conv1").modules() if isinstance(m, nn.Conv2d)]
    resnet.conv1 = _first_conv(nn.Conv2d(channels, stem[-1].out_channels, 3, padding=1, bias=False))
    resnet.maxpool = nn.Identity()
    return resnet


def _with_channels(made: nn.Module, channels: int, name: str) -> nn.Module:
    """Replace a model's first convolution by one that takes this number of channels."""
    from torch import nn

    path, old = next(((p, m) for p, m in made.named_modules() if isinstance(m, nn.Conv2d)), ("", None))
    if old is None or old.in_channels != 3 or old.groups != 1:
        raise InputError(
            f"torchvision:{name} takes images of 3 channels, these have {channels}, and it does not begin with a "
            "convolution that could be replaced\n  use a model of timm, or convert the images to 3 channels"
        )
    new = nn.Conv2d(
        channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]  # of any length to the type checker, of two in fact
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    parent, _, last = path.rpartition(".")
    setattr(made.get_submodule(parent), last, _first_conv(new))
    return made


def _first_conv(conv: nn.Conv2d) -> nn.Conv2d:
    """Initialise a convolution as both libraries initialise their ResNets' (He et al. 2015, fan out)."""
    from torch import nn

    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
