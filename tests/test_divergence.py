"""A network that gives no numbers has no accuracy: the largest of nan is class 0, which is right for some images."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from ablate.cli import app
from ablate.execute.inline import Inline
from ablate.execute.jobs import EpochDone, Event, Failed, Finished, Job
from ablate.store.run_frames import read_frames
from ablate.store.store import Store
from ablate.study.spec import Limits
from ablate.training.divergence import finite_tensors
from tests.support import jobs

Write = Callable[[str, str], Path]

BREAKS = '''
import torch

from ablate import model


class Breaks(torch.nn.Module):
    def __init__(self, classes, how, after):
        super().__init__()
        self.how, self.left, self.head = how, after, torch.nn.Linear(64, classes)
        self.norm = torch.nn.BatchNorm1d(64)
        self.register_buffer("mask", torch.full((classes,), -torch.inf))  # finite it never was

    def forward(self, images):
        self.left -= self.training
        if self.left < 0 and self.training and self.how == "statistics":
            self.norm.running_var.fill_(torch.inf)
        scores = self.head(self.norm(images.flatten(1)))
        if self.left >= 0:
            return scores
        if self.how == "scores" and not self.training:
            return scores * torch.nan
        if self.how == "one score" and not self.training:
            return scores.index_fill(0, torch.tensor([0]), torch.nan)
        return scores


@model("breaks")
def breaks(shape, classes, *, how: str, after: int = 0):
    """Give no numbers after some steps."""
    return Breaks(classes, how, after)
'''
SETTINGS = ('baseline.optimizer={ use = "sgd", lr = 0.1 }',)
HOW = {
    "scores": "the validation loss is nan in epoch 2",
    "one score": "the validation loss is nan in epoch 2",
    "statistics": "the model's norm.running_var is not finite after epoch 2",
}


def broken(study: Path, write: Write, how: str, *settings: str) -> list[Job]:
    """Return the jobs of a study whose networks give no numbers from their second epoch of three steps on."""
    write("plugins/breaks.py", BREAKS)
    use = f'baseline.model={{ use = "breaks", how = "{how}", after = 3 }}'
    return jobs(study, use, *SETTINGS, *settings)


# An average with what is infinite is nan.
@pytest.mark.parametrize(
    ("how", "ema", "reason"),
    [*((how, "0.0", reason) for how, reason in HOW.items()), ("statistics", "0.5", HOW["scores"])],
)
def test_what_is_not_finite_is_a_divergence(study: Path, write: Write, how: str, ema: str, reason: str) -> None:
    events: list[Event] = []
    Inline().run(broken(study, write, how, f"baseline.ema={ema}")[:1], events.append)
    (failed,) = [e for e in events if isinstance(e, Failed)]
    assert failed.reason == f"diverged: {reason} (learning rate 0.1 at its end)"
    assert (Store(Path("store")).run(failed.spec.key).failure() or {})["kind"] == "diverged"
    first, second = (e.record for e in events if isinstance(e, EpochDone))
    assert 0 <= first["test/accuracy"] <= 1
    assert math.isnan(second["test/accuracy"])


@pytest.mark.parametrize(("how", "reason"), HOW.items())
def test_a_run_that_goes_on_without_numbers_has_no_accuracy(study: Path, write: Write, how: str, reason: str) -> None:
    events: list[Event] = []
    todo = [replace(job, limits=Limits(go_on=True)) for job in broken(study, write, how)[:1]]
    Inline().run(todo, events.append)
    spec = todo[0].spec
    folder = Store(Path("store")).run(spec.key)
    result = folder.result() or {}
    assert isinstance(events[-1], Finished)
    assert result["diverged"] == reason
    for record in (result, folder.history()[-1]):
        assert record["test/accuracy"] is None
        assert record["validation/accuracy"] is None
    assert folder.history()[0]["test/accuracy"] is not None
    runs, epochs = read_frames(Store(Path("store")), {(spec.variant, spec.seed): spec.key})
    assert math.isnan(runs["test/accuracy"].item())
    assert runs["reason"].item() == f"it diverged and trained on: {reason}"
    assert epochs["test/accuracy"].isna().tolist() == [False, True]


def test_a_finite_run_says_nothing_of_it(study: Path) -> None:
    events: list[Event] = []
    Inline().run(jobs(study)[:1], events.append)
    (finished,) = [e for e in events if isinstance(e, Finished)]
    assert "diverged" not in finished.result


def command(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return str(done.output)


def test_an_absent_accuracy_is_reported_in_every_table(study: Path, write: Write) -> None:
    write("plugins/breaks.py", BREAKS)
    text = study.read_text().replace("seeds = 2", 'seeds = 2\ndiverged = "continue"')
    text += '[[variant]]\nname = "broken"\nset = { model = { use = "breaks", how = "scores" } }\n'
    study.write_text(text)
    why = "it diverged and trained on: the validation loss is nan in epoch 2"
    ran = command("run", str(study), "--jobs", "1", "--device", "cpu")
    assert f"broken, seed 0: {why}" in ran
    row = next(line for line in ran.splitlines() if line.startswith("broken  "))
    assert row.split()[:4] == ["broken", "2", "–", "–"]
    assert f"{why}" in command("status", "tiny")
    command("report", "tiny", "--format", "md,html,csv,tex")
    report = Path("reports/tiny/report.md").read_text()
    assert f"| broken | 0, 1 | no finite value | {why} |" in report
    runs = json.loads(CliRunner().invoke(app, ["run", str(study), "--json"]).stdout)["runs"]
    assert [run["test/accuracy"] is None for run in runs] == [run["variant"] == "broken" for run in runs]


def test_weights_that_take_their_shape_from_the_images_are_looked_at() -> None:
    """They are made in inference mode, where a model is first tried."""
    model = torch.nn.LazyLinear(3)
    with torch.inference_mode():
        model(torch.ones(2, 4))
    assert finite_tensors(model) == {"weight", "bias"}
