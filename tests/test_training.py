from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from ablate.components.contracts import ImageShape
from ablate.components.datasets import Split
from ablate.data.images import Images, cut_data, cut_rows, wrong_data
from ablate.errors import DivergedError, InputError
from ablate.host import cores
from ablate.paths import shipped
from ablate.study.spec import Limits
from ablate.study.splits import Splits, steps_per_epoch
from ablate.training.loop import evaluate, evaluation_batch
from ablate.training.machine import Machine, default_jobs, pick_device
from ablate.training.rehearsal import rehearse
from ablate.training.run import train_run
from ablate.training.seeds import stream_seed
from tests.support import planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.data.predictions import Predictions
    from ablate.training.checkpoint import State
    from ablate.training.learning_rates import RangeTestResult

    Write = Callable[[str, str], Path]


class Notes:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.environment: dict[str, Any] = {}
        self.records: list[dict[str, Any]] = []
        self.range_test: RangeTestResult | None = None
        self.predictions: Predictions = {}

    def resume(self) -> State | None:
        return None

    def stopping(self) -> bool:
        return False

    def keep(self, state: State) -> None:
        pass

    def unusable(self, why: str) -> None:
        raise AssertionError(why)

    def kept_range_test(self) -> RangeTestResult | None:
        return self.range_test

    def keep_range_test(self, result: RangeTestResult) -> None:
        self.range_test = result

    def keep_predictions(self, predictions: Predictions) -> None:
        self.predictions = predictions

    def started(self, environment: Any, records: Any) -> None:
        self.environment = dict(environment)

    def under_way(self, epoch: int, share: float) -> None:
        assert 0 < share <= 1

    def epoch(self, record: Any) -> None:
        self.records.append(dict(record))


def trained(study: Path, *settings: str, index: int = 0) -> tuple[dict[str, Any], Notes]:
    specs, registry = planned(study, *settings)
    notes = Notes()
    return train_run(specs[index], registry, Machine(Path("data"), "cpu", 1), notes, Limits()), notes


def split(count: int, classes: int = 10) -> Split:
    labels = np.arange(count, dtype=np.int64) % classes
    return Split(np.arange(count, dtype=np.int64).astype(np.uint8)[:, None, None, None].repeat(4, 3), labels)


def cut_splits(loaded: dict[str, Split], splits: Splits) -> dict[str, Split]:
    """Return the images and labels of each split."""
    cut = cut_rows(loaded, splits)
    return {name: Split(loaded[of].images[rows], loaded[of].labels[rows]) for name, (of, rows) in cut.items()}


def test_a_run_gives_the_same_numbers_as_a_plain_loop(study: Path) -> None:
    result, notes = trained(study)
    (spec, *_), registry = planned(study)
    source = registry.get("dataset", "tiny").build(Path("data"), settings={"images": 64})
    cut = cut_splits(dict(source.load()), spec.recipe.splits)
    images, labels = torch.from_numpy(cut["train"].images), torch.from_numpy(cut["train"].labels)
    mean = float(cut["train"].images.mean(dtype=np.float64)) / 255
    std = float(cut["train"].images.std(dtype=np.float64)) / 255
    torch.manual_seed(stream_seed(0, "weights"))
    model = registry.get("model", "simple-cnn").factory(ImageShape(1, 8, 8), 2, width=4, hidden=8)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    order = torch.Generator().manual_seed(stream_seed(0, "order"))
    for epoch in range(2):
        total = 0.0
        model.train()
        for batch in torch.randperm(48, generator=order).split(16):  # type: ignore[no-untyped-call]
            loss = cross_entropy(model((images[batch].float() / 255 - mean) / std), labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(batch)
        assert notes.records[epoch]["train/loss"] == pytest.approx(total / 48, rel=1e-6)
    model.eval()
    test = torch.from_numpy(cut["test"].images).float() / 255
    with torch.inference_mode():
        logits = model((test - mean) / std)
    assert result["test/loss"] == pytest.approx(
        cross_entropy(logits, torch.from_numpy(cut["test"].labels)).item(), rel=1e-5
    )
    assert result["test/accuracy"] == (logits.argmax(1) == torch.from_numpy(cut["test"].labels)).float().mean().item()


def test_the_same_run_twice_gives_the_same_numbers(study: Path) -> None:
    first, second = trained(study)[0], trained(study)[0]
    same = [name for name in first if "/" in name or name == "weights"]  # a hash of every bit of them
    assert {name: first[name] for name in same} == {name: second[name] for name in same}


def test_another_seed_gives_other_numbers(study: Path) -> None:
    first, other = trained(study, index=0)[0], trained(study, index=2)[0]
    assert first["train/loss"] != other["train/loss"]
    assert first["weights"] != other["weights"]


def test_streams_of_one_seed_are_different_and_fixed() -> None:
    seeds = [stream_seed(0, stream) for stream in ("weights", "order", "augmentation", "dropout")]
    assert len(set(seeds)) == 4
    # A change of this number changes every result: RESULTS_VERSION would have to move with it.
    assert stream_seed(0, "weights") == 6_574_047_295_172_133_996
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_all_variants_of_a_seed_see_the_images_in_the_same_order(study: Path) -> None:
    specs, registry = planned(study, "baseline.dataset.validation=0")
    from ablate.training.build import build, load

    orders = []
    for spec in specs[:2]:
        run = build(spec, registry, load(spec, registry, Path("data"), torch.device("cpu")))
        orders.append(torch.randperm(64, generator=run.order).tolist())
    assert orders[0] == orders[1]


def test_a_record_holds_every_metric_and_the_rate(study: Path) -> None:
    result, notes = trained(study)
    assert [record["epoch"] for record in notes.records] == [1, 2]
    for name in ("train/loss", "validation/loss", "validation/accuracy", "test/loss", "test/accuracy"):
        assert result[name] == notes.records[-1][name]
    assert notes.records[0]["lr"] == 1e-2
    assert notes.records[0]["images_per_second"] > 0
    assert notes.environment["threads"] == 1


def test_a_scheduler_by_epoch_steps_once_an_epoch(study: Path) -> None:
    _, notes = trained(study, "baseline.scheduler.use=cosine", "baseline.epochs=4")
    assert [record["lr"] for record in notes.records] == pytest.approx(
        [1e-2 * f for f in (1, 0.8535534, 0.5, 0.1464466)]
    )


def test_a_scheduler_by_batch_steps_every_batch(study: Path) -> None:
    _, notes = trained(study, "baseline.scheduler.use=one-cycle", "baseline.epochs=4")
    assert notes.records[-1]["lr"] < 1e-3 < max(record["lr"] for record in notes.records)


def test_plateau_watches_validation_and_never_test(study: Path) -> None:
    plateau = '{ use = "torch:ReduceLROnPlateau", patience = 0, threshold = 1e9, threshold_mode = "abs" }'
    _, notes = trained(study, f"baseline.scheduler={plateau}", "baseline.epochs=3")
    assert notes.records[-1]["lr"] == pytest.approx(1e-3)


def test_a_loss_that_is_not_finite_ends_the_run(study: Path) -> None:
    with pytest.raises(
        DivergedError, match=r"training loss is nan in epoch \d, from step \d \(learning rate 1e\+30 at its end\)"
    ):
        trained(study, "baseline.optimizer.use=sgd", "baseline.optimizer.lr=1e30", "baseline.epochs=5")


ABSENT = """
from ablate import DataFacts, ImageShape, Source, dataset


def load():
    raise RuntimeError("no pixels are here")


@dataset("absent")
def absent(folder):
    return Source(facts=lambda: DataFacts("made up", ImageShape(1, 8, 8), classes=2, train=48, test=16), load=load)
"""


def test_a_rehearsal_takes_a_step_without_the_data(study: Path, write: Write) -> None:
    write("plugins/absent.py", ABSENT)
    specs, registry = planned(study, 'baseline.dataset={ use = "absent" }')
    assert rehearse(specs[0], registry, Machine(Path("data"), "cpu")).state_bytes > 0
    with pytest.raises(RuntimeError, match="no pixels are here"):
        train_run(specs[0], registry, Machine(Path("data"), "cpu"), Notes(), Limits())


def test_a_lone_last_image_is_left_out() -> None:
    assert [steps_per_epoch(n, 16) for n in (16, 17, 18, 32, 1, 5)] == [1, 1, 2, 2, 1, 1]
    assert steps_per_epoch(3, 1) == 3


def test_evaluation_is_the_mean_over_images_not_over_batches(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    specs, registry = planned(study)
    from ablate.training.build import build, load

    run = build(specs[0], registry, load(specs[0], registry, Path("data"), torch.device("cpu")))
    whole = evaluate(run, run.data.test or run.data.train)
    monkeypatch.setattr("ablate.training.loop.MOST_EVALUATED", 5)
    assert evaluate(run, run.data.test or run.data.train) == pytest.approx(whole)


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "side", "images"),
    [
        (8, 1, 224, 8),  # what a training step takes at once
        (64, 4, 224, 16),
        (65, 4, 224, 17),
        (8, 8, 224, 2),
        (1, 1, 224, 2),  # so few pixels are taken in any case
        (1, 1, 1000, 1),
        (8, 1, 32, 128),
        (256, 1, 32, 256),
        (1024, 1, 32, 500),
        (8, 1, 8, 500),
    ],
)
def test_evaluation_takes_no_more_images_at_once_than_a_training_step(
    batch_size: int, accumulate: int, side: int, images: int
) -> None:
    assert evaluation_batch(batch_size, accumulate, side * side) == images


SIZES = """
from pathlib import Path

import torch

from ablate import model


class Sizes(torch.nn.Module):
    def __init__(self, classes, file):
        super().__init__()
        self.file, self.head = Path(file), torch.nn.LazyLinear(classes)

    def forward(self, images):
        with self.file.open("a") as file:
            file.write(f"{'trains on' if self.training else 'evaluates'} {len(images)}\\n")
        return self.head(images.flatten(1))


@model("sizes")
def sizes(shape, classes, *, file: str):
    return Sizes(classes, file)
"""


def seen(study: Path, write: Write, *settings: str, rehearsal: bool = False) -> list[str]:
    """Return the batches that a model sees in a run of one epoch, or in its rehearsal, each kind once."""
    write("plugins/sizes.py", SIZES)
    file = study.parent / "sizes"
    file.unlink(missing_ok=True)
    use = f'baseline.model={{ use = "sizes", file = "{file}" }}'
    specs, registry = planned(
        study, use, "baseline.epochs=1", 'baseline.optimizer={ use = "sgd", lr = 0.1 }', *settings
    )
    machine = Machine(Path("data"), "cpu", 1)
    if rehearsal:
        rehearse(specs[0], registry, machine)
    else:
        train_run(specs[0], registry, machine, Notes(), Limits())
    return list(dict.fromkeys(file.read_text().splitlines()))


def test_a_run_evaluates_no_more_images_at_once_than_it_trains_on(
    study: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablate.training.loop.FEW_PIXELS", 1)
    batches = seen(study, write, "baseline.batch_size=6")
    assert batches == ["evaluates 2", "evaluates 1", "trains on 6", "evaluates 6", "evaluates 4"]  # 16 = 6 + 6 + 4


def test_a_rehearsal_evaluates_as_many_images_at_once_as_a_run(study: Path, write: Write) -> None:
    found = seen(study, write, rehearsal=True)
    # The layout is proven on 16, a step taken on 4, and dead weights are looked for with 1.
    assert found == ["evaluates 2", "trains on 16", "trains on 4", "evaluates 4", "evaluates 16", "evaluates 1"]


@pytest.mark.parametrize(
    ("accumulate", "batches"),
    [
        (4, ["trains on 4"]),
        (5, ["trains on 4", "trains on 3"]),
        (8, ["trains on 2"]),
        (16, ["trains on 2"]),
    ],
)
def test_no_part_of_a_batch_is_a_single_image(study: Path, write: Write, accumulate: int, batches: list[str]) -> None:
    found = seen(study, write, f"baseline.accumulate={accumulate}")
    assert [one for one in found if "trains" in one] == batches


def test_no_part_of_a_last_batch_is_a_single_image(study: Path, write: Write) -> None:
    found = seen(study, write, "baseline.accumulate=2", "baseline.dataset.train=35")  # 16 + 16 + 3
    assert [one for one in found if "trains" in one] == ["trains on 8", "trains on 3"]


def test_a_rehearsal_takes_parts_that_training_has(study: Path, write: Write) -> None:
    found = seen(study, write, "baseline.accumulate=4", rehearsal=True)
    assert [one for one in found if "trains" in one] == ["trains on 4", "trains on 2"]  # of 16, and of its own 4


def test_a_rehearsal_of_single_images_trains_on_single_images(study: Path, write: Write) -> None:
    found = seen(study, write, "baseline.batch_size=1", rehearsal=True)
    assert [one for one in found if "trains" in one] == ["trains on 1"]


def test_splits_share_no_image_and_lose_none() -> None:
    cut = cut_splits({"train": split(100), "test": split(20)}, Splits(train=None, validation=30, test=20))
    train, validation = cut["train"].images[:, 0, 0, 0].tolist(), cut["validation"].images[:, 0, 0, 0].tolist()
    assert sorted(train + validation) == list(range(100))


@pytest.mark.parametrize("count", [7, 10, 33, 90])
def test_a_cut_keeps_the_classes_in_proportion(count: int) -> None:
    cut = cut_splits({"train": split(100), "test": split(20)}, Splits(train=None, validation=count, test=20))
    sizes = np.bincount(cut["validation"].labels, minlength=10)
    assert len(cut["validation"].labels) == count
    assert sizes.max() - sizes.min() <= 1


def test_a_smaller_subset_lies_inside_a_larger_one() -> None:
    loaded = {"train": split(100), "test": split(20)}
    small, large = (set(cut_splits(loaded, Splits(n, None, 20))["train"].images[:, 0, 0, 0].tolist()) for n in (20, 50))
    assert small < large


def test_a_missing_test_set_is_taken_from_the_training_images() -> None:
    cut = cut_splits({"train": split(100)}, Splits(None, None, 20))
    assert (len(cut["train"].labels), len(cut["test"].labels)) == (80, 20)


def test_channel_statistics_come_from_the_training_images_alone() -> None:
    train = np.full((4, 1, 2, 2), 51, np.uint8)
    train[0] = 255
    none = np.zeros(4, np.int64)
    pixels = {"train": Split(train, none), "test": Split(np.zeros((4, 1, 2, 2), np.uint8), none)}
    made = cut_data(pixels, Splits(None, None, 4), torch.device("cpu"))
    assert made.mean.item() == pytest.approx(0.4)
    assert made.std.item() == pytest.approx(np.std([1, 0.2, 0.2, 0.2]))


@pytest.mark.parametrize(
    ("images", "labels", "text"),
    [
        (np.zeros((2, 1, 4, 4), np.float32), np.zeros(2, np.int64), "images are float32"),
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int64), r"not uint8 \(N, C, H, W\)"),
        (np.zeros((2, 1, 4, 4), np.uint8), np.zeros(2, np.int32), "labels are int32"),
        (
            np.zeros((2, 1, 4, 4), np.uint8),
            np.array([0, 9], np.int64),
            "labels run from 0 to 9, and there are 2 classes",
        ),
    ],
)
def test_what_breaks_a_datasets_promise_is_named(images: Any, labels: Any, text: str) -> None:
    loaded = {"train": Split(images, labels), "test": Split(images, labels)}
    assert re.search(text, wrong_data(loaded, ImageShape(1, 4, 4), 2))


def test_an_unknown_device_is_bad_input() -> None:
    with pytest.raises(InputError, match="leave it out for the best device"):
        pick_device("gpu")


def test_jobs_never_exceed_the_cores_or_the_runs() -> None:
    assert default_jobs("cpu", 100) <= cores()
    assert default_jobs("cpu", 1) == 1
    assert default_jobs("cuda", 100) == 1


# Golden numbers: a change here is a change of every result, and RESULTS_VERSION has to move with it.


def test_a_cut_takes_these_images() -> None:
    labels = np.arange(12, dtype=np.int64) % 3
    loaded = {"train": Split(np.arange(12, dtype=np.uint8)[:, None, None, None], labels)}
    loaded["test"] = loaded["train"]
    cut = cut_splits(loaded, Splits(5, 3, 4))
    images = {name: part.images[:, 0, 0, 0].tolist() for name, part in cut.items()}
    assert images == {"test": [3, 5, 6, 7], "validation": [3, 5, 7], "train": [2, 4, 6, 8, 9]}


def test_two_epochs_on_real_digits_give_these_losses() -> None:
    # The variant with batch norm and shifts: weights, order, augmentation and statistics all have a part in it.
    _, notes = trained(shipped("studies") / "digits.toml", "baseline.epochs=2", index=4)
    losses = [(r["train/loss"], r["validation/loss"], r["test/loss"]) for r in notes.records]
    assert losses[0] == pytest.approx((2.12152, 2.00676, 2.01019), abs=2e-3)
    assert losses[1] == pytest.approx((1.57566, 1.12388, 1.13539), abs=1e-2)


def test_a_split_that_does_not_fit_on_the_device_is_copied_batch_by_batch() -> None:
    pixels = torch.randint(0, 256, (10, 3, 4, 4), dtype=torch.uint8)
    rows = torch.tensor([9, 3, 5, 1])
    away = Images(pixels, torch.arange(4), rows, torch.device("meta"))
    images, labels = away.take(torch.tensor([2, 0]))
    assert (images.device.type, labels.device.type, away.place.type) == ("meta", "meta", "cpu")
    assert (images.shape, labels.shape) == ((2, 3, 4, 4), (2,))
    back, labels = Images(pixels, torch.arange(4), rows, torch.device("cpu")).take(torch.tensor([2, 0]))
    assert torch.equal(back, pixels[[5, 9]])
    assert labels.tolist() == [2, 0]
