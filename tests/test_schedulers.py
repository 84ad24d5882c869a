"""The shipped schedulers, and PyTorch's, over whole runs; no training, only the learning rates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.optim import lr_scheduler

from ablate import Horizon
from ablate.components.discover import discover
from ablate.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.optim import Optimizer

    from ablate.components.registry import Registry

LR = 0.5
ALL_OURS = ["constant", "cosine", "step", "one-cycle", "warmup-cosine"]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def sgd(momentum: float = 0.9, lr: float = LR) -> Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=lr, momentum=momentum)


def build(registry: Registry, name: str, optimizer: Optimizer, horizon: Horizon, **given: Any) -> Any:
    entry = registry.get("scheduler", name)
    checked = entry.check(given)
    assert not checked.problems
    return entry.build(optimizer, horizon, settings=checked.settings)


def rates(optimizer: Optimizer, scheduler: Any, steps: int) -> list[float]:
    """Return the rate of each step, as a training loop would use it, and the one after the last."""
    found = [float(optimizer.param_groups[0]["lr"])]
    for _ in range(steps):
        optimizer.step()
        plateau = isinstance(scheduler, lr_scheduler.ReduceLROnPlateau)
        scheduler.step(1.0) if plateau else scheduler.step()
        found.append(float(optimizer.param_groups[0]["lr"]))
    return found


def ours(registry: Registry, name: str, steps: int, horizon: Horizon, **given: Any) -> list[float]:
    optimizer = sgd()
    return rates(optimizer, build(registry, name, optimizer, horizon, **given), steps)


def theirs(make: Callable[[Optimizer], Any], steps: int) -> list[float]:
    optimizer = sgd()
    return rates(optimizer, make(optimizer), steps)


def test_constant_keeps_the_rate(registry: Registry) -> None:
    assert set(ours(registry, "constant", 5, Horizon(5, 10))) == {LR}


def test_cosine_past_its_period_is_torchs(registry: Registry) -> None:
    found = ours(registry, "cosine", 30, Horizon(30, 7), t_max=10)
    assert found == theirs(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=10), 30)


def test_cosine_past_its_period_climbs_back_and_falls_again(registry: Registry) -> None:
    found = ours(registry, "cosine", 30, Horizon(30, 7), t_max=10)
    assert found[10] == pytest.approx(0, abs=1e-9)
    assert found[20] == pytest.approx(LR)
    assert found[30] == pytest.approx(0, abs=1e-9)


def test_cosine_takes_the_whole_run_when_nothing_is_said(registry: Registry) -> None:
    found = ours(registry, "cosine", 8, Horizon(8, 3), eta_min=0.1)
    assert found == pytest.approx([0.1 + (LR - 0.1) * (1 + math.cos(math.pi * e / 8)) / 2 for e in range(9)])


def test_step_divides_at_each_boundary(registry: Registry) -> None:
    found = ours(registry, "step", 5, Horizon(5, 3), step_size=2, gamma=0.5)
    assert found == pytest.approx([LR, LR, LR / 2, LR / 2, LR / 4, LR / 4])


def test_one_cycle_is_torchs_with_the_optimizers_rate_as_its_peak(registry: Registry) -> None:
    found = ours(registry, "one-cycle", 20, Horizon(4, 5), pct_start=0.25, div_factor=10.0, final_div_factor=100.0)
    assert found == theirs(
        lambda o: lr_scheduler.OneCycleLR(
            o, max_lr=LR, total_steps=20, pct_start=0.25, div_factor=10.0, final_div_factor=100.0
        ),
        20,
    )
    assert found[0] == pytest.approx(LR / 10)
    assert max(found) == pytest.approx(LR)
    assert found[19] == pytest.approx(LR / 1000)


@pytest.mark.parametrize("horizon", [Horizon(1, 1), Horizon(1, 2), Horizon(2, 5)])
def test_one_cycle_bears_runs_of_a_few_steps(registry: Registry, horizon: Horizon) -> None:
    for pct_start in (0.1, 0.5):
        found = ours(registry, "one-cycle", horizon.steps, horizon, pct_start=pct_start)
        assert all(0 < rate <= LR for rate in found)


def test_one_cycle_moves_momentum_against_the_rate(registry: Registry) -> None:
    optimizer = sgd()
    scheduler = build(registry, "one-cycle", optimizer, Horizon(1, 10), pct_start=0.5)
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.95)
    rates(optimizer, scheduler, 4)
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.85)


@pytest.mark.parametrize("name", ["one-cycle", "torch:OneCycleLR", "torch:CyclicLR"])
@pytest.mark.parametrize("kind", ["Adam", "SGD without momentum", "Adagrad"])
def test_cycling_suits_optimizers_with_and_without_momentum(registry: Registry, name: str, kind: str) -> None:
    weights = [torch.nn.Parameter(torch.zeros(2))]
    optimizers: dict[str, Optimizer] = {
        "Adam": torch.optim.Adam(weights, lr=LR),
        "SGD without momentum": torch.optim.SGD(weights, lr=LR),
        "Adagrad": torch.optim.Adagrad(weights, lr=LR),
    }
    optimizer = optimizers[kind]
    given = {"torch:OneCycleLR": {"max_lr": LR}, "torch:CyclicLR": {"base_lr": 0.1, "max_lr": LR}}.get(name, {})
    rates(optimizer, build(registry, name, optimizer, Horizon(2, 5), **given), 10)
    assert optimizer.param_groups[0].get("momentum", 0) == 0


def test_warmup_cosine_rises_in_a_line_and_ends_at_its_lowest(registry: Registry) -> None:
    found = ours(registry, "warmup-cosine", 19, Horizon(5, 4), warmup=0.75, eta_min=0.05)
    assert found[:4] == pytest.approx([LR / 4, LR / 2, LR * 3 / 4, LR])
    assert found[4:] == sorted(found[4:], reverse=True)
    assert found[11] == pytest.approx((LR + 0.05) / 2)  # halfway between steps 3 and 19
    assert found[19] == pytest.approx(0.05)


def test_warmup_cosine_stays_at_its_lowest_after_the_run(registry: Registry) -> None:
    assert ours(registry, "warmup-cosine", 12, Horizon(2, 4), eta_min=0.1)[-1] == pytest.approx(0.1)


@pytest.mark.parametrize("horizon", [Horizon(1, 1), Horizon(1, 4), Horizon(3, 1)])
def test_warmup_cosine_bears_runs_shorter_than_its_warmup(registry: Registry, horizon: Horizon) -> None:
    found = ours(registry, "warmup-cosine", horizon.steps, horizon, warmup=5.0)
    assert found == sorted(found)
    assert found[0] > 0
    assert found[-1] <= LR


def test_each_group_keeps_its_own_rate(registry: Registry) -> None:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 1.0)]
    for name in ALL_OURS:
        optimizer = torch.optim.SGD(groups)
        build(registry, name, optimizer, Horizon(3, 4))
        low, high = (group["lr"] for group in optimizer.param_groups)
        assert high == pytest.approx(10 * low)


def test_schedulers_say_when_they_step(registry: Registry) -> None:
    names = [*ALL_OURS, "torch:OneCycleLR", "torch:CyclicLR", "torch:LinearLR", "torch:ReduceLROnPlateau"]
    by_batch = {name for name in names if registry.get("scheduler", name).steps == "batch"}
    assert by_batch == {"one-cycle", "warmup-cosine", "torch:OneCycleLR", "torch:CyclicLR"}


def test_plateau_lowers_the_rate_when_the_loss_stands_still(registry: Registry) -> None:
    found = ours(registry, "torch:ReduceLROnPlateau", 5, Horizon(5, 2), patience=2, factor=0.1)
    assert found == pytest.approx([LR, LR, LR, LR, LR / 10, LR / 10])


@pytest.mark.parametrize("name", ["LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler", "LRScheduler"])
def test_what_no_study_file_can_describe_is_not_offered(registry: Registry, name: str) -> None:
    with pytest.raises(InputError, match="torch has no scheduler"):
        registry.get("scheduler", f"torch:{name}")


def test_a_missing_required_setting_of_a_library_is_a_problem(registry: Registry) -> None:
    checked = registry.get("scheduler", "torch:StepLR").check({})
    assert dict(checked.problems)["step_size"] == "torch:StepLR needs a value for 'step_size' (int)"


@pytest.mark.parametrize(
    ("name", "given"), [("cosine", {"t_max": 0}), ("step", {"gamma": 0.0}), ("one-cycle", {"pct_start": 1.0})]
)
def test_a_setting_out_of_range_is_a_problem(registry: Registry, name: str, given: dict[str, Any]) -> None:
    assert [setting for setting, _ in registry.get("scheduler", name).check(given).problems] == list(given)
