"""What runs predicted: halved, kept with their results, and read back."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from ablate.data.predictions import Predicted
from ablate.errors import StoreError
from ablate.execute.inline import Inline
from ablate.launch.costs import expected_bytes, predictions_bytes
from ablate.launch.study import open_study
from ablate.store.predictions import packed, unpacked
from ablate.store.run_folder import NoPredictionsError, RunFolder
from ablate.store.store import Store
from ablate.study.spec import Limits
from ablate.training.predictions import halved, predicted
from tests.support import ablate, jobs, options, run, run_here

if TYPE_CHECKING:
    from ablate.data.predictions import Predictions
    from ablate.execute.jobs import Job


def some(images: int = 4, classes: int = 3, seed: int = 0) -> Predicted:
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, classes, generator=draw)
    return predicted([halved(logits)], torch.arange(images) % classes, classes)


def made(job: Job) -> tuple[RunFolder, dict[str, object]]:
    folder = Store(job.store).run(job.spec.key)
    return folder, dict(folder.result() or {})


@pytest.mark.parametrize("scale", [1e-6, 1e-2, 1.0, 30.0, 1e4, 1e7, 1e30])
def test_halved_logits_predict_what_the_logits_predict(scale: float) -> None:
    logits = torch.randn(2000, 100, generator=torch.Generator().manual_seed(1)) * scale
    kept = halved(logits)
    assert kept.dtype == torch.float16
    assert kept.isfinite().all()
    assert torch.equal(kept.argmax(1), logits.argmax(1))


def test_logits_that_differ_in_the_last_bit_do_not_become_equal() -> None:
    top = torch.tensor(1000.0)
    row = torch.stack([torch.nextafter(top, torch.tensor(0.0)), top, top - 5])[None]
    assert halved(row).argmax(1).item() == 1
    assert halved(torch.tensor([[2.0, 2.0, 1.0]])).tolist() == [[0.0, 0.0, -1.0]]
    tiny = torch.tensor([[1e-9, 2e-9, 0.0]])
    assert halved(tiny).argmax(1).item() == 1


def test_halved_logits_give_the_probabilities_to_three_digits() -> None:
    draw = torch.Generator().manual_seed(2)
    logits, labels = torch.randn(5000, 100, generator=draw) * 5 + 300, torch.randint(100, (5000,), generator=draw)
    kept = halved(logits).float()
    assert kept.softmax(1).sub(logits.softmax(1)).abs().max() < 5e-4
    assert abs(cross_entropy(kept, labels) - cross_entropy(logits, labels)) < 1e-3


def test_infinite_logits_become_numbers_where_that_is_possible_and_nan_where_not() -> None:
    inf, nan = float("inf"), float("nan")
    rows = torch.tensor([[0.0, -inf, 1.0], [0.0, inf, 1.0], [nan, 0.0, 1.0]])
    kept = halved(rows)
    assert kept[0].tolist() == [-1.0, -65504.0, 0.0]
    assert kept[1].isnan().any()
    assert kept[2].isnan().all()
    assert not Predicted(kept.numpy(), np.zeros(3, np.uint8)).finite


def test_what_is_packed_is_read_back_and_is_always_the_same_bytes() -> None:
    found: Predictions = {"validation": some(5), "test": some(7)}
    content = packed(found)
    assert content == packed(found)
    again = unpacked(content)
    assert list(again) == ["validation", "test"]
    for split in found:
        assert np.array_equal(again[split].logits, found[split].logits)
        assert np.array_equal(again[split].labels, found[split].labels)
    assert again["test"].labels.dtype == np.uint8


def _npz(compressed: bool = False, **arrays: object) -> bytes:
    written = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(written, **arrays)  # type: ignore[arg-type]
    return written.getvalue()


HALF, LABELS = np.zeros((2, 3), np.float16), np.zeros(2, np.uint8)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        _npz(test_logits=HALF),
        _npz(test_logits=HALF.astype(np.float64), test_labels=LABELS),
        _npz(test_logits=HALF, test_labels=LABELS[:1]),
        _npz(test_logits=HALF, test_labels=LABELS + 3),
        _npz(test_logits=HALF[0], test_labels=LABELS[0]),
        _npz(test_logits=HALF, test_labels=LABELS.astype(float)),
        _npz(test_logits=np.array([{}], object), test_labels=LABELS),
        _npz(compressed=True, test_logits=HALF, test_labels=LABELS),
    ],
)
def test_a_file_that_holds_no_predictions_is_refused_and_runs_no_code(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the text is NumPy's or zipfile's
        unpacked(content)


def test_a_finished_run_keeps_what_it_predicted_and_its_accuracy_is_that_of_the_result(study: Path) -> None:
    todo = jobs(study, "baseline.ema=0.5", "baseline.dataset.images=200")
    run(Inline(), todo)
    for job in todo:
        folder, result = made(job)
        found = folder.predictions(result)
        assert list(found) == ["validation", "test"]
        for split, of in found.items():
            right = of.logits.astype(np.float32).argmax(1) == of.labels
            assert right.mean() == result[f"{split}/accuracy"]
            logits, labels = torch.tensor(of.logits, dtype=torch.float64), torch.tensor(of.labels, dtype=torch.int64)
            loss = cross_entropy(logits, labels).item()
            assert loss == pytest.approx(result[f"{split}/loss"], abs=1e-4)
    orders = [made(job)[0].predictions(made(job)[1])["test"].labels.tolist() for job in todo]
    assert all(one == orders[0] for one in orders)  # one order of the images for all runs


def test_labels_are_those_of_the_split_in_the_order_that_results_give_its_data(study: Path) -> None:
    import ablate as library

    assert run_here(study) == 0
    results = library.results("tiny", store="ablate-store")
    key = results.runs["key"].iloc[0]
    folder = Store(Path("ablate-store")).run(key)
    found = folder.predictions(folder.result() or {})
    for split, of in found.items():
        assert of.labels.tolist() == [int(label) for _, label in _all(results.data("baseline", split, "data"))]


def _all(images: object) -> list[tuple[object, int]]:
    return [images[place] for place in range(len(images))]  # type: ignore[index,arg-type]


def test_a_study_may_keep_none_and_its_runs_are_the_same_ones(study: Path) -> None:
    keys = [spec.key for spec in open_study(options(study)).specs]
    study.write_text(study.read_text().replace('name = "tiny"', 'name = "tiny"\nkeep_predictions = false'))
    prepared = open_study(options(study))
    assert prepared.written.limits.keep_predictions is False
    assert [spec.key for spec in prepared.specs] == keys
    (job, *_) = jobs(study)
    run(Inline(), [replace(job, limits=prepared.written.limits)])
    folder, result = made(job)
    assert not (folder.path / "predictions.npz").exists()
    assert "predictions" not in result
    with pytest.raises(NoPredictionsError, match="were not kept"):
        folder.predictions(result)


def test_trials_of_a_tuning_keep_none(study: Path) -> None:
    study.write_text(study.read_text() + "[tune]\ntrials = 2\nsampler = { use = 'random' }\n")
    assert ablate("tune", study, "--device", "cpu").exit_code == 0
    assert list(Path("ablate-store").rglob("result.json"))
    assert not list(Path("ablate-store").rglob("predictions.npz"))


def test_a_run_that_was_killed_before_its_result_stood_predicts_again(study: Path) -> None:
    limits = Limits(keep_checkpoints=True)
    job = replace(jobs(study)[0], limits=limits)
    run(Inline(), [job])
    folder, result = made(job)
    before = (folder.path / "predictions.npz").read_bytes()
    (folder.path / "result.json").unlink()  # killed after the last checkpoint
    (folder.path / "predictions.npz").write_bytes(b"of another try")
    run(Inline(), [job])
    assert (folder.path / "predictions.npz").read_bytes() == before
    assert made(job)[1]["predictions"] == result["predictions"]


def test_a_full_disk_refuses_predictions_and_leaves_nothing_half_written(small_disk: Path) -> None:
    store = Store(small_disk / "store")
    store.make_writable()
    writer = store.writer("key")
    writer.begin({"key": "key"})
    with pytest.raises(StoreError, match="free some space"):
        writer.write_predictions({"test": some(shutil.disk_usage(small_disk).free // 4, 2)})
    assert not [file.name for file in writer.path.iterdir() if "predictions" in file.name]


@pytest.mark.parametrize(
    ("harm", "why"),
    [("cut", "are damaged"), ("gone", "were removed"), ("folder", "cannot be read"), ("other", "are damaged")],
)
def test_predictions_that_cannot_be_read_say_why(study: Path, harm: str, why: str) -> None:
    job, other = jobs(study)[:2]
    run(Inline(), [job, other])
    folder, result = made(job)
    file = folder.path / "predictions.npz"
    content = file.read_bytes()
    file.unlink()
    match harm:
        case "cut":
            file.write_bytes(content[:-1])
        case "folder":
            file.mkdir()
        case "other":
            file.write_bytes((made(other)[0].path / "predictions.npz").read_bytes())
    with pytest.raises(NoPredictionsError, match=why):
        folder.predictions(result)


def test_a_plan_counts_the_room_of_predictions_and_of_nothing_that_is_not_kept(study: Path) -> None:
    (job, *_) = jobs(study)
    # 16 images of each split: two logits and a label.
    assert predictions_bytes(job.spec) == 32 * (2 * 2 + 4)
    run(Inline(), [job])
    kept, without = (
        expected_bytes([job.spec], {"baseline": 1000}, 1, Limits(keep_predictions=keep)) for keep in (True, False)
    )
    assert kept == (without or 0) + 32 * (2 * 2 + 4)
    size = (made(job)[0].path / "predictions.npz").stat().st_size
    assert size - 1500 < predictions_bytes(job.spec)  # the rest is the archive's own
    hidden = replace(job.spec, recipe=replace(job.spec.recipe, splits=replace(job.spec.recipe.splits, test=-16)))
    assert predictions_bytes(hidden) == 16 * (2 * 2 + 4)


def test_cleaning_removes_predictions_only_when_asked_and_says_how_large_they_are(study: Path) -> None:
    assert run_here(study) == 0
    store = Path("ablate-store")
    assert ablate("store", "clean", "--yes").exit_code == 0
    assert len(list(store.rglob("predictions.npz"))) == 4
    said = ablate("store", "clean", "--predictions", "--dry-run", "--json")
    size = sum(file.stat().st_size for file in store.rglob("predictions.npz"))
    assert json.loads(said.stdout)["found"] == {"predictions": {"runs": 4, "files": 4, "bytes": size}}
    assert ablate("store", "clean", "--predictions", "--yes").exit_code == 0
    assert not list(store.rglob("predictions.npz"))
    assert ablate("store", "check").exit_code == 0
    assert run_here(study) == 0  # they are stored, and nothing is made again
    assert not list(store.rglob("predictions.npz"))
