"""Random search beside TPE, and TPE with pruning: what each finds in the same number of trials, and what it costs.

    python benchmarks/tuning.py --repetitions 10 --trials 20

One small network on real digits, tuned by the library's own driver; the trials run in this process, one at a time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import peers

from ablate.execute.inline import Inline
from ablate.execute.jobs import never
from ablate.host import cores
from ablate.launch.jobs import jobs_of
from ablate.launch.study import LoadedStudy, Options, open_study
from ablate.paths import data_dir
from ablate.store.store import Store
from ablate.study.spec import Choice
from ablate.tune.drive import Driver
from ablate.tune.open_runs import Goal
from ablate.tune.search import Search
from ablate.tune.space import Task, tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ablate.tune.records import TrialRecord, VariantTuning

STUDY = """
[study]
name = "tuning"
seeds = 1
[baseline]
epochs = 8
batch_size = 64
crop_kernels = false
dataset = { use = "digits", validation = 300 }
model = { use = "simple-cnn", width = 8, hidden = 16 }
optimizer = { use = "sgd", lr = 1e-3 }
[tune]
sampler = "random"
[tune.settings]
"optimizer.lr" = { low = 1e-4, high = 1.0, log = true }
"optimizer.momentum" = { low = 0.0, high = 0.99 }
"optimizer.weight_decay" = { low = 1e-6, high = 1e-1, log = true }
"model.dropout" = { low = 0.0, high = 0.8 }
"""

ONE_THREAD = cores()
"""As if there were a run for each core: more threads do not help a network this small, and suffer from others."""

CONTENDERS = {"random": ("random", "none"), "TPE": ("tpe", "none"), "TPE, median pruner": ("tpe", "median")}
SENTENCE = (
    "A repetition is another seed of the sampler. All of a contender share one store, so settings that were tried"
    " before, as the\nvariant's own in trial 0, are not trained again; data, weights and order are those of one seed."
)


@dataclass(frozen=True)
class Outcome:
    """What one repetition found: the best validation accuracy after each trial, the test accuracy of the best, epochs.

    of: the epochs that the trials would have taken without pruning.
    """

    best: Sequence[float]
    test: float
    epochs: int
    of: int


@dataclass(frozen=True)
class Bench:
    """One contender's study, its one variant, and the store of all its repetitions."""

    prepared: LoadedStudy
    task: Task
    sampler: str
    pruner: str
    trials: int

    def repeat(self, seed: int) -> Outcome:
        """Tune with one seed of the sampler, then look once at the test split."""
        tuning = replace(
            self.task.tuning,
            trials=self.trials,
            sampler=Choice(self.sampler, {"seed": seed}),
            pruner=Choice(self.pruner),
        )
        name = f"{self.sampler}, {self.pruner}, {seed}"
        task = replace(self.task, tuning=tuning)
        search = Search(optuna.storages.InMemoryStorage(), name, task, ("validation/accuracy",))
        goal = Goal(
            self.trials,
            self.prepared.home,
            name,
            [task.variant.name],
            lambda _, result: [result["validation/accuracy"]],
        )
        Driver([search], goal, lambda spec: jobs_of(self.prepared, [spec], ONE_THREAD)[0]).run(Inline(), never)
        return self.outcome(search.record(self.trials, {}))

    def outcome(self, tuning: VariantTuning) -> Outcome:
        """Sum up a repetition."""
        best: list[float] = []
        for trial in tuning.trials:
            value = trial.values[0] if trial.state == "done" else 0.0
            best.append(max(value, best[-1] if best else 0.0))
        epochs = sum(trial.epochs for trial in tuning.trials)
        picked = tuning.best
        assert picked is not None  # the first trial is never pruned
        return Outcome(best, self.tested(picked), epochs, tuning.epochs * len(tuning.trials))

    def tested(self, trial: TrialRecord) -> float:
        """Return the test accuracy of a trial's settings: the same run, with a test split to look at."""
        whole = replace(self.task, recipe=self.task.variant.recipe)
        spec = whole.spec({} if trial.default else trial.settings)
        folder = self.prepared.home.run(spec.key)
        if folder.result() is None:
            Inline().run(jobs_of(self.prepared, [spec], ONE_THREAD), lambda event: None)  # noqa: ARG005
        return float((folder.result() or {})["test/accuracy"])


def bench(folder: Path, sampler: str, pruner: str, trials: int) -> Bench:
    """Prepare a contender with a store of its own."""
    study = folder / "tuning.toml"
    study.write_text(STUDY)
    store = Store(folder / f"{sampler}-{pruner}")
    store.make_writable()
    prepared = open_study(Options(study, store.root, data_dir(None), device="cpu"))
    (task,) = tasks(prepared.reading, prepared.study, prepared.registry, ())
    return Bench(prepared, task, sampler, pruner, trials)


def spread(values: Sequence[float]) -> str:
    """Write the median with the quartiles of accuracies."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{100 * middle:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--trials", type=int, default=20)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"{peers.versions()}; optuna {optuna.__version__}; a thread a run")
    after = sorted({n for n in (1, 5, 10, 15, 20, 30, 50) if n < args.trials} | {args.trials})
    print(
        f"digits, 8 epochs a trial, 4 settings; median (quartiles) of {args.repetitions} repetitions, accuracies in %"
    )
    print("validation: best so far after so many trials; test: of the settings picked last")
    heads = [f"after {n}" for n in after]
    print(f"{'':<20}" + "".join(f"{head:>18}" for head in [*heads, "test"]) + f"{'mean epochs':>14}{'wall':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for name, (sampler, pruner) in CONTENDERS.items():
            began = time.perf_counter()
            one = bench(Path(folder), sampler, pruner, args.trials)
            found = [one.repeat(seed) for seed in range(args.repetitions)]
            cells = [spread([outcome.best[n - 1] for outcome in found]) for n in after]
            cells.append(spread([outcome.test for outcome in found]))
            saved = 1 - sum(o.epochs for o in found) / sum(o.of for o in found)
            epochs = f"{statistics.mean(o.epochs for o in found):.0f} (-{saved:.0%})"
            wall = time.perf_counter() - began
            print(f"{name:<20}" + "".join(f"{c:>18}" for c in cells) + f"{epochs:>14}{wall:>7.0f} s", flush=True)
    print(SENTENCE)


if __name__ == "__main__":
    main()
