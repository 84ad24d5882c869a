"""Metrics that ship, and metrics that a study names: read, computed from predictions, remembered, or absent."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ablate as library
from ablate.components.discover import discover
from ablate.errors import StudyError
from ablate.launch.study import open_study
from ablate.store.metric_cache import MetricCache
from ablate.store.store import Store
from ablate.study.toml import read_study
from tests.support import ablate, options, run_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.study.spec import Study

STORE = Path("ablate-store")


def named(study: Path, metrics: str, *more: str) -> Path:
    """Name metrics in a study, and whatever else its table is to hold."""
    head = "\n".join(['name = "tiny"', f"metrics = {metrics}", *more])
    study.write_text(study.read_text().replace('name = "tiny"', head))
    return study


def value(name: str, logits: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], **settings: Any) -> float:
    entry = discover().get("metric", name)
    return float(entry.build(logits.copy(), labels.copy(), settings=entry.check(settings).settings))


def made(images: int = 500, classes: int = 7, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return logits as they are kept, and labels: unequal classes, one of them without images, one never predicted."""
    draw = np.random.default_rng(seed)
    labels = draw.choice(classes - 1, images, p=np.arange(1, classes) / np.arange(1, classes).sum())
    logits = draw.normal(0, 1.5, (images, classes))
    logits[np.arange(images), labels] += 1
    logits[:, 0] -= 30
    return (logits - logits.max(1, keepdims=True)).astype(np.float32), labels.astype(np.int64)


def test_shipped_metrics_are_those_of_scikit_learn() -> None:
    from scipy.special import softmax
    from sklearn import metrics

    logits, labels = made()
    found, classes = logits.argmax(1), logits.shape[1]
    share = softmax(logits.astype(np.float64), axis=1)
    wanted = {
        "accuracy": metrics.accuracy_score(labels, found),
        "loss": metrics.log_loss(labels, share, labels=range(classes)),
        "balanced-accuracy": np.mean(metrics.recall_score(labels, found, labels=np.unique(labels), average=None)),
        "macro-f1": metrics.f1_score(labels, found, average="macro", zero_division=0.0),
        "brier": ((share - np.eye(classes)[labels]) ** 2).sum(1).mean(),
    }
    for name, number in wanted.items():
        assert value(name, logits, labels) == pytest.approx(number, abs=1e-9), name
    for k in (1, 3, 5, classes, 50):
        # scikit-learn takes no k above the number of classes; all are right then.
        number = metrics.top_k_accuracy_score(labels, logits, k=min(k, classes - 1), labels=range(classes))
        assert value("top-k", logits, labels, k=k) == pytest.approx(1.0 if k >= classes else number, abs=1e-9)


@pytest.mark.parametrize("bins", [1, 5, 15, 100])
def test_the_calibration_error_is_that_of_torchmetrics(bins: int) -> None:
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    logits, labels = made(2000)
    wanted = multiclass_calibration_error(
        torch.tensor(logits, dtype=torch.float64), torch.tensor(labels), logits.shape[1], n_bins=bins, norm="l1"
    )
    assert value("ece", logits, labels, bins=bins) == pytest.approx(float(wanted), abs=1e-6)


def test_a_metric_of_torchmetrics_has_its_value_direction_and_settings() -> None:
    from sklearn.metrics import cohen_kappa_score

    logits, labels = made()
    entry = discover().get("metric", "torchmetrics:MulticlassCohenKappa")
    wanted = cohen_kappa_score(labels, logits.argmax(1))
    assert entry.build(logits, labels, settings={}) == pytest.approx(wanted, abs=1e-6)
    assert entry.quantity is not None
    assert entry.quantity.higher_is_better
    assert [s.name for s in entry.settings] == ["weights"]
    error = discover().get("metric", "torchmetrics:MulticlassCalibrationError").quantity
    assert error is not None
    assert not error.higher_is_better


def test_a_metric_is_shown_with_its_direction_and_as_a_study_names_it() -> None:
    shown = ablate("components", "metric", "ece").stdout
    assert "lower is better" in shown
    assert 'in a study: metrics = [{ use = "ece" }]' in shown
    assert json.loads(ablate("components", "metric", "top-k", "--json").stdout)["higher_is_better"] is True


def test_without_torchmetrics_its_prefix_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(library.InputError, match=r"(?s)torchmetrics is not installed.*pip install torchmetrics"):
        discover().get("metric", "torchmetrics:MulticlassCohenKappa")


def test_equal_classes_come_in_their_order_in_top_k() -> None:
    logits = np.zeros((3, 4), np.float32)
    assert value("top-k", logits, np.array([0, 1, 3]), k=2) == pytest.approx(2 / 3)


# Reading


def read(study: Path) -> Study:
    return read_study(study).done()


def test_metrics_are_named_by_what_they_are_or_by_a_name_of_their_own(study: Path) -> None:
    named(study, '["top-k", { use = "top-k", k = 3 }, { use = "ece", name = "calibration" }, "accuracy"]')
    found = read(study)
    assert [one.name for one in found.metrics] == ["top-k", "top-k(k=3)", "calibration"]
    assert list(found.measures)[-2:] == ["validation/calibration", "test/calibration"]
    resolved = open_study(options(study)).study
    labels = [resolved.measures[f"test/{one.name}"].label for one in resolved.metrics]
    assert labels == ["test top-5 accuracy", "test top-3 accuracy", "test calibration"]
    assert resolved.measures["test/top-k"].heading == "Test top-5 accuracy (%)"
    assert not resolved.measures["test/calibration"].higher_is_better


def test_naming_metrics_changes_no_key(study: Path) -> None:
    before = [spec.key for spec in open_study(options(study)).specs]
    named(study, '["top-k"]', 'metric = "test/top-k"')
    assert [spec.key for spec in open_study(options(study)).specs] == before


@pytest.mark.parametrize(
    ("metrics", "more", "text"),
    [
        ('["topk"]', "", "study: metrics[0].use  unknown metric 'topk'; did you mean 'top-k'?"),
        ('[{ use = "top-k", kk = 3 }]', "", "study: metrics[0].kk  top-k has no setting 'kk'; did you mean 'k'?"),
        ('[{ use = "top-k", k = 0 }]', "", "study: metrics[0].k  0 is not"),
        ('["top-k", "top-k"]', "", 'study: metrics[1]  the name "top-k" is taken'),
        ('[{ use = "top-k", name = "loss" }]', "", 'study: metrics[0]  the name "loss" is taken'),
        ('[{ use = "top-k", name = "a/b" }]', "", 'study: metrics[0]  "a/b" cannot name a metric'),
        ("[{ k = 3 }]", "", "study: metrics[0].use  'use' is missing"),
        ("3", "", "study: metrics  3 is not"),
        ("[]", 'metric = "test/top-k"', 'study: metric  "test/top-k" is no metric'),
        ('["top-k"]', 'metric = "test/topk"', "study: metric  \"test/topk\" is no metric; did you mean 'test/top-k'?"),
        (
            '["top-k"]',
            'metric = "test/top-k"',
            'study: metric  "test/top-k" is computed when runs are done, and cannot decide which seeds are added',
        ),
        ('["top-k"]', 'metric = "train/top-k"', 'study: metric  "train/top-k" is no metric'),
    ],
)
def test_what_is_wrong_with_a_metric_is_said_with_its_line(study: Path, metrics: str, more: str, text: str) -> None:
    named(study, metrics, more)
    if "which seeds" in text:
        study.write_text(study.read_text().replace("seeds = 2", "seeds = { min = 2, max = 4 }"))
    with pytest.raises(StudyError) as raised:
        open_study(options(study))
    assert text in " ".join(str(raised.value).replace("\n", "  ").split(" ")).replace("   ", "  ")


# Computing


def test_a_metric_that_is_named_after_training_is_computed_and_nothing_is_trained(study: Path) -> None:
    assert run_here(study) == 0
    before = {file: file.stat().st_mtime_ns for file in STORE.rglob("result.json")}
    named(study, '["balanced-accuracy", { use = "top-k", k = 2 }, "brier"]', 'metric = "test/brier"')
    results = library.results(str(study), store=STORE)
    runs = results.runs
    assert runs["test/top-k(k=2)"].tolist() == [1.0] * 4  # of two classes
    assert runs["validation/top-k(k=2)"].tolist() == [1.0] * 4
    folder = Store(STORE).run(str(runs["key"][0]))
    predicted = folder.predictions(folder.result() or {})["test"]
    logits, labels = predicted.logits.astype(np.float32), predicted.labels.astype(np.int64)
    assert runs["test/brier"][0] == value("brier", logits, labels)
    found = results.comparison("flipped", metric="test/balanced-accuracy")
    assert found.metric.quantity.margin == 0.005
    assert results.comparison("flipped").metric.name == "test/brier"
    assert "test/brier" in set(results.table["metric"])
    assert {file: file.stat().st_mtime_ns for file in STORE.rglob("result.json")} == before
    assert [finding.code for finding in results.findings if finding.code == "metric-absent"] == []


def test_a_report_has_a_second_table_for_the_named_metrics_that_it_is_not_compared_on(study: Path) -> None:
    named(study, '["top-k", "ece", "balanced-accuracy"]', 'metric = "test/balanced-accuracy"')
    assert run_here(study) == 0
    assert ablate("report", "--format", "md,csv,html,tex").exit_code == 0
    folder = Path("reports") / "tiny"
    text = (folder / "report.md").read_text()
    assert "Test top-5 accuracy (%)" in text
    assert "Test calibration error (%)" in text
    main, further = text.split("### Further metrics")
    assert "Test balanced accuracy" in main
    assert "Verdict" in main
    assert "Test top-5 accuracy" not in main
    assert "Test balanced accuracy" not in further.split("## Differences")[0]
    page, tex = (folder / "report.html").read_text(), (folder / "parts/table.tex").read_text()
    assert page.count("<h3>Further metrics</h3>") == tex.count("Test top-5 accuracy") == 1
    assert "-metrics}" in tex
    frame = library.results(study).table
    assert {"test/top-k", "test/ece"} <= set(frame["metric"])
    assert "test/ece" in (folder / "runs.csv").read_text().splitlines()[0]


def test_the_study_can_be_compared_on_a_named_metric_from_the_first_command(study: Path) -> None:
    named(study, '["balanced-accuracy"]', 'metric = "test/balanced-accuracy"')
    said = ablate("run", study, "--device", "cpu", "--jobs", "1", "--json")
    assert said.exit_code == 0
    runs = json.loads(said.stdout)["runs"]
    assert all(0 <= run["test/balanced-accuracy"] <= 1 for run in runs)
    status = ablate("status", "tiny")
    assert "test balanced accuracy %" in status.stdout
    assert f"{100 * runs[0]['test/balanced-accuracy']:.2f}" in status.stdout


OWN = """
from pathlib import Path
from ablate import metric

@metric("own", higher_is_better=False, bounds=(0.0, 10.0))
def own(logits, labels, *, plus: float = 0.0) -> float:
    \"\"\"Count its calls.\"\"\"
    with Path("calls").open("a") as file:
        file.write("x")
    return 3.0 + plus
"""


def calls() -> int:
    return len(Path("calls").read_text()) if Path("calls").exists() else 0


def test_a_metric_of_the_users_own_is_computed_once_for_each_run_and_again_when_it_is_edited(
    study: Path, write: Callable[[str, str], Path]
) -> None:
    plugin = write("plugins/own.py", OWN)
    named(study, '["own"]')
    assert run_here(study) == 0
    assert calls() == 8  # four runs on two splits
    for _ in range(2):
        assert library.results(study, store=STORE).runs["test/own"].tolist() == [3.0] * 4
    assert calls() == 8
    named(study, '["own", { use = "own", plus = 0.5 }]'.replace('"tiny"', ""))
    study.write_text(study.read_text().replace('metrics = ["own"]\n', ""))
    runs = library.results(study, store=STORE).runs
    assert runs["test/own(plus=0.5)"].tolist() == [3.5] * 4
    assert calls() == 16
    plugin.write_text(OWN.replace("3.0 + plus", "4.0 + plus"))
    assert library.results(study, store=STORE).runs["test/own"].tolist() == [4.0] * 4


def test_values_that_are_known_stay_when_predictions_are_removed_and_others_are_absent(study: Path) -> None:
    named(study, '["top-k"]')
    assert run_here(study) == 0
    before = library.results(study, store=STORE).runs["test/top-k"].tolist()
    assert ablate("store", "clean", "--predictions", "--yes").exit_code == 0
    study.write_text(study.read_text().replace('["top-k"]', '["top-k", "ece"]'))
    results = library.results(study, store=STORE)
    assert results.runs["test/top-k"].tolist() == before
    assert results.runs["test/ece"].isna().all()
    (found,) = [finding for finding in results.findings if finding.code == "metric-absent"]
    assert found.reason == "no ece: their predictions were removed"
    assert found.where.startswith("baseline, seed 0")
    assert "to make runs again that did not, use another store" in found.remedy


def test_runs_that_kept_no_predictions_are_named_with_the_reason(study: Path) -> None:
    study.write_text(study.read_text().replace('name = "tiny"', 'name = "tiny"\nkeep_predictions = false'))
    assert run_here(study) == 0
    named(study, '["top-k"]')
    results = library.results(study, store=STORE)
    (found,) = [finding for finding in results.findings if finding.code == "metric-absent"]
    assert found.reason == "no top-k: their predictions were not kept"
    assert math.isnan(results.comparison("flipped", metric="test/top-k").mean)
    assert ablate("report", "--format", "md").exit_code == 0
    assert "their predictions were not kept" in (Path("reports") / "tiny" / "report.md").read_text()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("raise KeyError('x')", "metric 'own' (plugins/own.py:5) raises KeyError: 'x'"),
        ("return logits", "raises TypeError"),
        ("raise SystemExit(3)", "metric 'own' (plugins/own.py:5) raises"),
    ],
)
def test_a_metric_that_fails_is_absent_and_the_report_is_made(
    study: Path, write: Callable[[str, str], Path], code: str, text: str
) -> None:
    assert run_here(study) == 0
    write("plugins/own.py", OWN.replace("return 3.0 + plus", code))
    named(study, '["own", "top-k"]')
    results = library.results(study, store=STORE)
    (found,) = [finding for finding in results.findings if finding.code == "metric-absent"]
    assert text in found.reason
    assert results.runs["test/own"].isna().all()
    assert results.runs["test/top-k"].notna().all()


def test_a_plugin_that_does_not_import_costs_a_report_its_metrics_alone(
    study: Path, write: Callable[[str, str], Path]
) -> None:
    assert run_here(study) == 0
    write("plugins/own.py", "import nowhere_to_be_found")
    assert ablate("report", "--format", "md").exit_code == 0  # it names no metric, and loads no plugin
    named(study, '["top-k"]')
    results = library.results(study, store=STORE)
    (found,) = [finding for finding in results.findings if finding.code == "metric-absent"]
    assert "nowhere_to_be_found" in found.reason


def test_a_study_named_from_elsewhere_runs_none_of_its_code(
    study: Path,
    write: Callable[[str, str], Path],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("plugins/own.py", OWN)
    file, store = named(study, '["own", "top-k"]').resolve(), STORE.resolve()
    assert run_here(study) == 0
    done, home = calls(), Path.cwd()
    (store / "metrics.json").unlink()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    results = library.results("tiny", store=store)
    assert results.runs["test/top-k"].notna().all()
    assert results.runs["test/own"].isna().all()
    assert any("unknown metric 'own'" in finding.reason for finding in results.findings)
    assert library.results(file, store=store).runs["test/own"].tolist() == [3.0] * 4
    assert len((Path.cwd() / "calls").read_text()) == done
    assert len((home / "calls").read_text()) == done


# Remembering


def test_a_value_is_remembered_by_predictions_and_by_how_it_is_computed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    cache = MetricCache(store)
    assert cache.get("run", "how") is None
    for how, known in (("how", 0.1 + 0.2), ("nan", math.nan)):
        cache.put("run", how, known)
    cache.save()
    again = MetricCache(store)
    assert again.get("run", "how") == 0.1 + 0.2
    assert math.isnan(again.get("run", "nan") or 0.0)
    assert again.get("run", "other") is None
    assert again.get("other", "how") is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"run": 3}', '{"run": {"how": "x"}}', '{"run": {"how": true}}'])
def test_a_damaged_cache_is_computed_again_or_gives_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "metrics.json").write_text(text)
    cache = MetricCache(Store(tmp_path))
    found = cache.get("run", "how")
    assert found is None or math.isnan(found)
    cache.put("run", "how", 0.5)
    cache.save()
    assert MetricCache(Store(tmp_path)).get("run", "how") == 0.5


def test_a_store_that_cannot_be_written_costs_only_time(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named(study, '["top-k"]')
    assert run_here(study) == 0
    (STORE / "metrics.json").unlink()
    (STORE / "metrics.json").mkdir()
    assert library.results(study, store=STORE).runs["test/top-k"].notna().all()


def test_a_report_that_names_metrics_loads_no_torch(study: Path) -> None:
    named(study, '["top-k", "ece"]')
    assert run_here(study) == 0
    code = "import sys, ablate; ablate.results('tiny'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
