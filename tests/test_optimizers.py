"""The shipped optimizers, and those of PyTorch and timm, against the libraries' own steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from ablate.components.discover import discover
from ablate.errors import InputError

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from ablate.components.registry import Registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))


def train(model: nn.Module, optimizer: Optimizer, steps: int = 3) -> list[float]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(16, 3, 8, 8, generator=generator)
    labels = torch.randint(5, (16,), generator=generator)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def build(registry: Registry, name: str, model: nn.Module, **given: Any) -> Optimizer:
    entry = registry.get("optimizer", name)
    checked = entry.check(given)
    assert not checked.problems
    made: Optimizer = entry.build(model.parameters(), settings=checked.settings)
    return made


def problems(registry: Registry, name: str, **given: Any) -> dict[str, str]:
    return dict(registry.get("optimizer", name).check(given).problems)


@pytest.mark.parametrize(
    ("name", "given", "reference"),
    [
        ("sgd", {"lr": 0.1}, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        (
            "sgd",
            {"lr": 0.1, "momentum": 0.8, "weight_decay": 1e-2, "nesterov": True},
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, weight_decay=1e-2, nesterov=True),
        ),
        ("adam", {"lr": 0.01}, lambda p: torch.optim.Adam(p, lr=0.01)),
        ("adamw", {"lr": 0.01}, lambda p: torch.optim.AdamW(p, lr=0.01)),
        (
            "adamw",
            {"lr": 0.01, "betas": [0.8, 0.9], "weight_decay": 0.1, "eps": 1e-6},
            lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.8, 0.9), weight_decay=0.1, eps=1e-6),
        ),
        ("torch:RMSprop", {"lr": 0.01, "centered": True}, lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True)),
        ("torch:Adam", {}, torch.optim.Adam),
    ],
)
def test_steps_are_those_of_torch(registry: Registry, name: str, given: dict[str, Any], reference: Any) -> None:
    ours, theirs = network(), network()
    assert train(ours, build(registry, name, ours, **given)) == train(theirs, reference(theirs.parameters()))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_defaults_registered_by_timm_are_kept(registry: Registry) -> None:
    optimizer = build(registry, "timm:sgd", network(), lr=0.1)
    assert optimizer.defaults["nesterov"] is True
    assert optimizer.defaults["momentum"] == 0.9


def test_a_default_registered_by_timm_is_shown_and_can_be_changed(registry: Registry) -> None:
    assert "nesterov: bool = true" in registry.get("optimizer", "timm:sgd").signature
    assert build(registry, "timm:sgd", network(), lr=0.1, nesterov=False).defaults["nesterov"] is False


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "timm:sgdp"])
def test_the_learning_rate_has_to_be_given(registry: Registry, name: str) -> None:
    assert "needs a value" in problems(registry, name)["lr"]


def test_a_wrong_type_is_a_problem_for_a_library_too(registry: Registry) -> None:
    assert problems(registry, "torch:AdamW", lr="high") == {"lr": '"high" is not a number'}


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("sgd", {"lr": 0.0}),
        ("sgd", {"lr": 0.1, "momentum": 1.2}),
        ("adam", {"lr": 0.1, "betas": [0.9, 1.0]}),
        ("adam", {"lr": 0.1, "betas": [0.9]}),
        ("adamw", {"lr": 0.1, "weight_decay": -0.1}),
    ],
)
def test_a_setting_out_of_range_is_a_problem(registry: Registry, name: str, given: dict[str, Any]) -> None:
    assert list(problems(registry, name, **given)) == [list(given)[-1]]


def test_nesterov_without_momentum_is_an_error(registry: Registry) -> None:
    with pytest.raises(InputError, match="needs a momentum above 0"):
        build(registry, "sgd", network(), lr=0.1, momentum=0.0, nesterov=True)


@pytest.mark.parametrize("name", ["LBFGS", "SparseAdam", "Muon", "Optimizer", "lr_scheduler", "Adma"])
def test_what_cannot_train_a_classifier_is_not_offered(registry: Registry, name: str) -> None:
    with pytest.raises(InputError, match=f"torch has no optimizer '{name}'"):
        registry.get("optimizer", f"torch:{name}")


def test_the_nearest_name_is_offered(registry: Registry) -> None:
    with pytest.raises(InputError, match="did you mean 'lion'"):
        registry.get("optimizer", "timm:lionn")


def test_names_of_packages_that_are_not_installed_are_left_out(registry: Registry) -> None:
    found = registry.library("optimizer", "timm:")
    assert found is not None
    names = found.library.names()
    assert "lamb" in names
    assert "adahessian" not in names
    assert not [n for n in names if n.startswith("fused")]


@pytest.mark.parametrize("name", ["Adafactor", "Rprop", "NAdam", "ASGD"])
def test_every_setting_of_a_torch_optimizer_has_a_type(registry: Registry, name: str) -> None:
    settings = registry.get("optimizer", f"torch:{name}").settings
    assert all(s.adapter is not None for s in settings)
    assert not {"params", "foreach", "fused", "capturable"} & {s.name for s in settings}
