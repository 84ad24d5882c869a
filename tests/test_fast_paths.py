"""What makes a run fast changes nothing but rounding: each way off and on, against a plain loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from ablate import Mixed
from ablate.errors import RunError
from ablate.training.build import build, load, use_precision
from ablate.training.loop import autocast, begin_epoch, evaluate, train_epoch
from tests.support import first_run

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ablate.training.ingredients import Ingredients

MODELS = [
    'baseline.model={ use = "simple-cnn", width = 8 }',
    'baseline.model={ use = "enhanced-cnn", width = 8, dropout = 0.0 }',
    "baseline.model.use=timm:test_resnet",
    "baseline.model.use=torchvision:resnet18",
    "baseline.model.use=torchvision:shufflenet_v2_x0_5",
]
OPTIMIZER = 'baseline.optimizer={ use = "sgd", lr = 0.01, momentum = 0.9 }'


def built(study: Path, *settings: str) -> Ingredients:
    spec, registry = first_run(study, *settings)
    return build(spec, registry, load(spec, registry, Path("data"), torch.device("cpu")))


def double(run: Ingredients) -> Ingredients:
    """Have a run compute in float64, so that rounding is not what is compared."""
    run.model.double()
    return replace(run, data=replace(run.data, mean=run.data.mean.double(), std=run.data.std.double()))


def plain(run: Ingredients) -> tuple[float, list[Tensor]]:
    """Train the ingredients for an epoch the plain way: no fused step, default layout."""
    model: nn.Module = run.model.to(memory_format=torch.contiguous_format).train()
    for group in run.optimizer.param_groups:
        group["fused"] = group["foreach"] = False
    losses = []
    for batch in torch.randperm(len(run.data.train), generator=run.order).split(run.batch_size):  # type: ignore[no-untyped-call]
        images, labels = run.data.train.take(batch)
        loss = cross_entropy(model((images.float() / 255 - run.data.mean) / run.data.std), labels)
        run.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        run.optimizer.step()
        losses.append(loss.item() * len(batch))
    return sum(losses) / len(run.data.train), [p.detach() for p in model.parameters()]


@pytest.mark.parametrize("model", MODELS)
def test_the_fast_loop_gives_what_a_plain_one_gives(study: Path, model: str) -> None:
    wanted, weights = plain(double(built(study, model, OPTIMIZER, "baseline.crop_kernels=false")))
    for live in ("true", "false"):
        run = double(built(study, model, OPTIMIZER, f"baseline.crop_kernels={live}"))
        assert train_epoch(run, begin_epoch(run)) == pytest.approx(wanted, rel=1e-6)
        for found, other in zip(run.model.parameters(), weights, strict=True):
            torch.testing.assert_close(found.detach(), other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("model", MODELS)
def test_bf16_is_near_fp32(study: Path, model: str) -> None:
    full, half = (built(study, model, OPTIMIZER, f"baseline.precision={p}") for p in ("fp32", "bf16"))
    # Before the first step, and after one: later, deep networks on 64 small images amplify any rounding.
    before, after = (evaluate(run, run.data.test or run.data.train)[0] for run in (full, half))
    assert after == pytest.approx(before, rel=0.02)
    assert after != before
    losses = [
        train_epoch(replace(run, batch_size=48), begin_epoch(replace(run, batch_size=48))) for run in (full, half)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert all(p.dtype == torch.float32 for p in half.model.parameters())


def test_a_batch_in_parts_takes_the_step_of_the_whole_batch(study: Path) -> None:
    """With the same crops, and the same images mixed, although only the whole batch is drawn for."""
    drawn = 'baseline.augmentation=[{ use = "random-crop", padding = 2 }, { use = "flip" }, { use = "mixup" }]'
    settings = ('baseline.model={ use = "simple-cnn", width = 4 }', OPTIMIZER, drawn)
    whole, parts = built(study, *settings), built(study, *settings, "baseline.accumulate=3")
    assert train_epoch(parts, begin_epoch(parts)) == pytest.approx(train_epoch(whole, begin_epoch(whole)), rel=1e-5)
    for found, wanted in zip(parts.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_long_gradients_are_scaled_down(study: Path) -> None:
    settings = ("baseline.batch_size=48", 'baseline.optimizer={ use = "sgd", lr = 1.0, momentum = 0.0 }')
    run = built(study, *settings, "baseline.clip_norm=0.01")
    before = [p.detach().clone() for p in run.model.parameters()]
    train_epoch(run, begin_epoch(run))
    moved = torch.cat([(p - b).flatten() for p, b in zip(run.model.parameters(), before, strict=True)])
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-3)


def test_float32_is_float32_also_on_a_gpu_unless_tf32_is_asked_for(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cudnn: Any = torch.backends.cudnn
    parts: list[Any] = [torch.backends.cuda.matmul, cudnn.conv]

    def told() -> set[str]:
        return {part.fp32_precision for part in parts}

    parts[1].fp32_precision = "tf32"  # as torch has it
    built(study, "baseline.precision=fp32")
    assert told() == {"ieee"}
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    use_precision("tf32", torch.device("cuda"))
    assert told() == {"tf32"}
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    with pytest.raises(RunError, match="choose fp32 or bf16"):
        use_precision("tf32", torch.device("cuda"))
    use_precision("bf16", torch.device("cpu"))
    assert told() == {"ieee"}


def test_tf32_without_such_a_gpu_is_refused_before_anything_runs(study: Path) -> None:
    with pytest.raises(RunError, match="precision 'tf32' needs an NVIDIA GPU"):
        built(study, "baseline.precision=tf32")


def test_the_average_of_the_weights_is_what_is_evaluated(study: Path) -> None:
    run, same = built(study, "baseline.ema=0.5"), built(study)
    wanted: list[Tensor] = []

    def follow(_: Any) -> None:
        now = [p.detach().clone() for p in run.model.parameters()]
        wanted[:] = [torch.lerp(old, new, 0.5) for old, new in zip(wanted, now, strict=True)] if wanted else now

    train_epoch(run, begin_epoch(run), follow)
    train_epoch(same, begin_epoch(same))
    assert run.average is not None
    for found, other in zip(run.average.module.parameters(), wanted, strict=True):
        torch.testing.assert_close(found, other)
    for found, other in zip(run.model.parameters(), same.model.parameters(), strict=True):
        torch.testing.assert_close(found, other)
    assert evaluate(run, run.data.test or run.data.train) != evaluate(same, same.data.test or same.data.train)


def test_autocast_is_on_for_bf16_alone() -> None:
    for precision, wanted in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with autocast(precision, torch.device("cpu")):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == wanted


def test_labels_are_smoothed_as_torch_does(study: Path) -> None:
    run = built(study, "baseline.label_smoothing=0.2", "baseline.batch_size=48")
    images, labels = run.data.train.take(torch.arange(48))
    with torch.no_grad():
        logits = run.model.train()((images.float() / 255 - run.data.mean) / run.data.std)
    wanted = cross_entropy(logits, labels, label_smoothing=0.2).item()
    assert train_epoch(run, begin_epoch(run)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("mixing", ["mixup", "cutmix"])
def test_mixed_images_train_against_mixed_labels(study: Path, mixing: str) -> None:
    run = built(study, f'baseline.augmentation=[{{ use = "{mixing}" }}]', "baseline.batch_size=48")
    epoch = begin_epoch(run)
    images, labels = run.data.train.take(epoch.order)
    noise = torch.Generator()
    noise.set_state(run.noise[0].get_state())
    mixed = run.transforms[0](images.float() / 255, noise)
    assert isinstance(mixed, Mixed)
    with torch.no_grad():
        logits = run.model.train()((mixed.images - run.data.mean) / run.data.std)
    losses = [cross_entropy(logits, part, reduction="none") for part in (labels, labels[mixed.partner])]
    wanted = (mixed.share * losses[0] + (1 - mixed.share) * losses[1]).mean().item()
    assert train_epoch(run, epoch) == pytest.approx(wanted, rel=1e-5)
