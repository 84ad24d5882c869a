"""Losses: what those that ship compute, what training makes of them, and what is refused beside them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.nn import functional

from ablate.checks.study import findings
from ablate.components.discover import discover
from ablate.errors import RunError, StudyError
from ablate.study.plan import cost_key, explain, run_specs
from ablate.study.resolve import resolve_study
from ablate.study.toml import read_study
from ablate.training.augment import one_hot
from ablate.training.build import build, load
from ablate.training.loop import begin_epoch, evaluate, train_epoch
from ablate.training.losses import mean_loss
from ablate.training.machine import Machine
from ablate.training.rehearsal import rehearse
from tests.support import first_run, planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ablate.training.ingredients import Ingredients
    from tests.conftest import Write

CLASSES = 5
LABELS = torch.arange(8) % CLASSES
LOGITS = torch.randn(8, CLASSES, generator=torch.Generator().manual_seed(1)) * 3
MIXED = 0.7 * one_hot(LABELS, CLASSES) + 0.3 * one_hot(LABELS.flip(0), CLASSES)
FOCAL = 'baseline.loss={ use = "focal", gamma = 1.5 }'
MIXUP = 'baseline.augmentation=[{ use = "mixup" }]'
HINGE = 'baseline.loss={ use = "torch:MultiMarginLoss" }'
MIXES = """\
import torch
from ablate import Mixed, augmentation

@augmentation("blend")
def blend():
    return lambda images, generator: Mixed(
        images, torch.zeros(len(images), dtype=torch.int64), torch.ones(len(images))
    )
"""
NO_LOSS = """\
from ablate import loss

@loss("mine", shares=False)
def mine(logits, targets):
    return logits.sum()
"""


def timms(name: str, **settings: Any) -> Any:
    return getattr(import_module("timm.loss"), name)(**settings)  # it takes seconds to import


def mean(use: str, label_smoothing: float = 0.0, **settings: Any) -> Callable[[Tensor, Tensor], Tensor]:
    return mean_loss(discover().get("loss", use), settings, CLASSES, label_smoothing)


def built(study: Path, *settings: str) -> Ingredients:
    spec, registry = first_run(study, *settings)
    return build(spec, registry, load(spec, registry, Path("data"), torch.device("cpu")))


@pytest.mark.parametrize("targets", [LABELS, MIXED], ids=["labels", "shares"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_usual_loss_is_pytorchs_bit_for_bit(targets: Tensor, smoothing: float) -> None:
    wanted = functional.cross_entropy(LOGITS, targets, label_smoothing=smoothing)
    assert torch.equal(mean("cross-entropy", smoothing)(LOGITS, targets), wanted)


@pytest.mark.parametrize("targets", [LABELS, MIXED], ids=["labels", "shares"])
def test_focal_with_gamma_0_is_cross_entropy_with_smoothed_labels_too(targets: Tensor) -> None:
    wanted = functional.cross_entropy(LOGITS, targets, label_smoothing=0.2)
    torch.testing.assert_close(mean("focal", 0.2, gamma=0.0)(LOGITS, targets), wanted)


def test_focal_counts_an_image_by_what_is_missing_to_certainty() -> None:
    p = LOGITS.softmax(1)[range(8), LABELS]
    torch.testing.assert_close(mean("focal", gamma=1.5)(LOGITS, LABELS), (-((1 - p) ** 1.5) * p.log()).mean())


@pytest.mark.parametrize("targets", [LABELS, MIXED], ids=["labels", "shares"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"threshold": 0.2}, {"target_threshold": 0.2}),
        ({"threshold": 0.5}, {"target_threshold": 0.5}),
        ({"total": True}, {"sum_classes": True}),
    ],
)
def test_bce_is_timms(targets: Tensor, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    wanted = timms("BinaryCrossEntropy", smoothing=0.0, **theirs)(LOGITS, targets)
    torch.testing.assert_close(mean("bce", **ours)(LOGITS, targets), wanted)


def test_labels_are_smoothed_for_bce_as_timm_smooths_them() -> None:
    torch.testing.assert_close(
        mean("bce", 0.1)(LOGITS, LABELS), timms("BinaryCrossEntropy", smoothing=0.1)(LOGITS, LABELS)
    )


def test_a_librarys_loss_is_its_own() -> None:
    torch.testing.assert_close(
        mean("torch:MultiMarginLoss")(LOGITS, LABELS), functional.multi_margin_loss(LOGITS, LABELS)
    )
    torch.testing.assert_close(mean("timm:PolyCrossEntropy")(LOGITS, MIXED), timms("PolyCrossEntropy")(LOGITS, MIXED))
    wanted = timms("AsymmetricLossMultiLabel", gamma_neg=2)(LOGITS, MIXED)
    torch.testing.assert_close(mean("timm:AsymmetricLossMultiLabel", gamma_neg=2)(LOGITS, MIXED), wanted)


@pytest.mark.parametrize("name", ["BinaryCrossEntropy", "PolyCrossEntropy"])
def test_a_smoothing_of_timms_that_would_have_no_effect_is_no_setting(study: Path, name: str) -> None:
    with pytest.raises(StudyError, match="has no setting 'smoothing'"):
        planned(study, f'baseline.loss={{ use = "timm:{name}", smoothing = 0.2 }}')


def test_a_run_trains_with_its_loss_and_is_measured_by_cross_entropy(study: Path) -> None:
    run = built(study, FOCAL, "baseline.batch_size=48")
    images, labels = run.data.train.take(torch.arange(48))
    with torch.no_grad():
        logits = run.model.train()((images.float() / 255 - run.data.mean) / run.data.std)
    focal = mean_loss(discover().get("loss", "focal"), {"gamma": 1.5}, run.classes, 0.0)
    assert train_epoch(run, begin_epoch(run)) == pytest.approx(focal(logits, labels).item(), rel=1e-5)
    with torch.no_grad():
        logits = run.model.eval()((images.float() / 255 - run.data.mean) / run.data.std)
    assert evaluate(run, run.data.train)[0] == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-5)


def test_the_usual_loss_is_in_no_key_and_another_one_is(study: Path) -> None:
    usual, _ = first_run(study)
    written, _ = first_run(study, 'baseline.loss={ use = "cross-entropy" }')
    other, _ = first_run(study, FOCAL)
    assert usual.key == written.key
    assert "loss" not in usual.identity
    assert other.identity["loss"]["settings"] == {"gamma": 1.5}
    assert cost_key(other) != cost_key(usual)
    assert explain(other, usual.identity) == "loss cross-entropy → focal"
    steeper, _ = first_run(study, FOCAL, "baseline.loss.gamma=3")
    assert explain(steeper, other.identity) == "loss.gamma 1.5 → 3.0"


@pytest.mark.parametrize(("setting", "maker"), [(MIXUP, "mixup"), ("baseline.label_smoothing=0.1", "label_smoothing")])
def test_shares_for_a_loss_that_takes_labels_are_refused_before_anything_runs(
    study: Path, setting: str, maker: str
) -> None:
    with pytest.raises(
        StudyError, match=rf"torch:MultiMarginLoss takes labels, and shares .* come from {maker}\n"
    ) as told:
        planned(study, HINGE, setting)
    assert "take a loss that takes shares, such as cross-entropy, focal or bce" in str(told.value)
    planned(study, FOCAL, setting)


def test_an_augmentation_that_does_not_say_that_it_mixes_is_found_in_a_rehearsal(study: Path, write: Write) -> None:
    write(
        "plugins/mixes.py",
        MIXES,
    )
    spec, registry = first_run(study, HINGE, 'baseline.augmentation=[{ use = "blend" }]')
    with pytest.raises(RunError, match=r"'torch:MultiMarginLoss' .* takes labels, and an augmentation mixes them"):
        rehearse(spec, registry, Machine(Path("data"), "cpu", 1))


def test_a_loss_that_is_no_loss_of_each_image_is_refused_before_training(study: Path, write: Write) -> None:
    write(
        "plugins/mine.py",
        NO_LOSS,
    )
    with pytest.raises(RunError, match=r"loss 'mine' \(.*mine.py:3\) gives float32 \(\) on cpu, not the loss of each"):
        built(study, 'baseline.loss={ use = "mine" }')


def test_a_report_of_another_loss_is_told_what_its_losses_are(study: Path) -> None:
    study.write_text(study.read_text() + '[[variant]]\nname = "focal"\nset = { loss = { use = "focal" } }\n')
    reading = read_study(study)
    resolved = resolve_study(reading, discover(study), Path("data"), {})
    (told,) = (one for one in findings(resolved) if one.code == "own-loss")
    assert told.reason == "its training loss is focal; validation and test loss are cross entropy, as of every variant"
    assert run_specs(resolved, (0,))[-1].recipe.loss.settings == {"gamma": 2.0}
