"""One variant's trials in Optuna's storage: ask for settings, report epochs, tell how a trial ended.

Trial 0 has the variant's own settings. What is told of a trial is told once; a trial whose driver died is adopted
by the next driver, which goes on with its run.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from ..components.contracts import Values
from ..components.schema import check_settings, settings_of_library, value_text
from ..errors import InputError
from ..study.plan import key_of
from ..study.spec import Choice
from .records import TrialRecord, VariantTuning, maximised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from optuna.pruners import BasePruner
    from optuna.storages import BaseStorage

    from ..components.contracts import Range, Space
    from ..study.spec import RunSpec, Tuning
    from .space import Task

OWNER, BY, ENDED, REASON, KEY, SECONDS = "owner", "by", "ended", "reason", "key", "seconds"
FEW = 4
"""Trials below which importances say nothing."""
_OURS = frozenset({"gamma", "weights", "constraints_func", "independent_sampler", "source_trials"})


@dataclass(frozen=True)
class Asked:
    """A trial that is to be made: its number and its settings, none for trial 0."""

    number: int
    settings: Mapping[str, Any]


class Search:
    """The trials of one variant. Raises InputError where the storage or a setting of Optuna's cannot be used."""

    def __init__(
        self, storage: BaseStorage, name: str, task: Task, tuning: Tuning, objectives: Sequence[str], default: RunSpec
    ) -> None:
        self.task, self.tuning, self.objectives = task, tuning, tuple(objectives)
        self.digest = key_of(default.identity)
        self._open: dict[int, Trial] = {}
        document = [self.digest, {n: _plain(w) for n, w in task.space.items()}, self.objectives]
        title = f"{name} / {task.variant.name} / {hashlib.sha256(json.dumps(document).encode()).hexdigest()[:12]}"
        directions = [StudyDirection.MAXIMIZE if maximised(o) else StudyDirection.MINIMIZE for o in objectives]
        self._distributions = {name: distribution(where) for name, where in task.space.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is experimental in Optuna is its users' choice
            self._study = optuna.create_study(
                storage=storage, study_name=title, directions=directions, load_if_exists=True,
                pruner=make_pruner(tuning.pruner, task.recipe.epochs),
            )  # fmt: skip
            own = {name: value for name, value in task.default.items() if self._contains(name, value)}
            self._study.sampler = Numbered(make_sampler(tuning.sampler, self._distributions, title), own, task.space)

    @property
    def about(self) -> tuple[str, tuple[str, ...], Space]:
        """Return what these trials are of, as their record has it."""
        return self.digest, self.objectives, dict(self.task.space)

    @property
    def trials(self) -> list[FrozenTrial]:
        """Return all trials, in order, but those that wait to be asked for."""
        return [t for t in self._study.get_trials(deepcopy=False) if t.state != TrialState.WAITING]

    @property
    def told(self) -> int:
        """Return how many trials have ended."""
        return sum(trial.state.is_finished() for trial in self.trials)

    def ask(self, total: int, owner: Mapping[str, Any]) -> Asked | None:
        """Return the next trial and make it this owner's; None where there are as many as there are to be."""
        if len(self.trials) >= total:
            return None
        trial = self._study.ask()
        self._open[trial.number] = trial
        if trial.number >= total:  # another driver has asked for the last one in the meantime
            self.give_back(trial.number)
            return None
        return self.own(trial.number, owner)

    def give_back(self, number: int) -> None:
        """Leave a trial, which is one too many, to whoever wants more trials."""
        with contextlib.suppress(UpdateFinishedTrialError):
            storage(self._study).set_trial_state_values(trial_id(self._trial(number)), TrialState.WAITING)
        self._open.pop(number, None)

    def left(self) -> dict[int, Mapping[str, Any]]:
        """Return the trials that have not ended, by number, each with its owner."""
        return {t.number: t.user_attrs.get(OWNER, {}) for t in self.trials if t.state == TrialState.RUNNING}

    def own(self, number: int, owner: Mapping[str, Any]) -> Asked | None:
        """Make a trial this owner's, also one of an owner that is dead, and return it with its settings.

        None where another driver, which took it over before this one, has told how it ended in the meantime.
        """
        trial = self._trial(number)
        try:
            trial.set_user_attr(OWNER, dict(owner))
            trial.set_user_attr(BY, [self.tuning.sampler.use, self._pruner])
        except UpdateFinishedTrialError:
            self._open.pop(number, None)
            return None
        settings = {
            name: _suggest(trial, name, where)
            for name, where in self._distributions.items()
            if number > 0 or self._contains(name, self.task.default[name])
        }
        return Asked(number, settings if number else {})

    def beat(self, owner: Mapping[str, Any]) -> None:
        """Show that the owner of our open trials lives."""
        for number, other in self.left().items():
            if number in self._open and {**other, "beat": owner["beat"]} == owner:
                with contextlib.suppress(UpdateFinishedTrialError):
                    self._trial(number).set_user_attr(OWNER, dict(owner))

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Report a trial's value after an epoch; tell whether it is to be pruned."""
        trial = self._trial(number)
        if len(self.objectives) > 1 or not math.isfinite(value):
            return False
        if epoch not in storage(self._study).get_trial(trial_id(trial)).intermediate_values:
            with contextlib.suppress(UpdateFinishedTrialError):  # another driver took it over, and has told it
                trial.report(value, epoch)
        return number > 0 and trial.should_prune()  # what is tuned is measured against trial 0

    def note(self, number: int, **facts: Any) -> None:
        """Keep facts of a trial beside its values: its run's key, seconds, why it ended."""
        trial = self._trial(number)
        if not self._study.get_trials(deepcopy=False)[number].state.is_finished():
            with contextlib.suppress(UpdateFinishedTrialError):
                for name, value in facts.items():
                    trial.set_user_attr(name, value)

    def tell(self, number: int, values: Sequence[float]) -> None:
        """Tell how a trial ended: its value for each objective."""
        if all(math.isfinite(value) for value in values):
            self._tell(number, list(values), TrialState.COMPLETE)
        else:
            self.note(number, **{ENDED: "diverged", REASON: f"{self.objectives[0]} is not finite"})
            self._tell(number, None, TrialState.PRUNED)

    def tell_pruned(self, number: int) -> None:
        """Tell that a trial was pruned."""
        self._tell(number, None, TrialState.PRUNED)

    def tell_diverged(self, number: int, reason: str) -> None:
        """Tell that a trial diverged: to Optuna pruned, so that samplers learn to stay away from there."""
        self.note(number, **{ENDED: "diverged", REASON: reason})
        self._tell(number, None, TrialState.PRUNED)

    def tell_failed(self, number: int, reason: str) -> None:
        """Tell that a trial's run failed."""
        self.note(number, **{ENDED: "failed", REASON: reason})
        self._tell(number, None, TrialState.FAIL)

    def record(self, asked: int, importances: Mapping[str, float]) -> VariantTuning:
        """Return all that is known, as it is kept in the store."""
        return VariantTuning(
            variant=self.task.variant.name,
            digest=self.digest,
            objectives=self.objectives,
            space=self.task.space,
            asked=asked,
            seed=self.tuning.seed,
            epochs=self.task.recipe.epochs,
            of_epochs=self.task.variant.recipe.epochs,
            sampler=self._by(0, self.tuning.sampler.use),
            pruner=self._by(1, self._pruner),
            trials=tuple(self._record(trial) for trial in self.trials),
            importances=importances,
        )

    def trial(self, number: int) -> TrialRecord:
        """Return all that is known of one trial."""
        return self._record(self._study.get_trials(deepcopy=False)[number])

    def importances(self) -> dict[str, float]:
        """Return how much of the first objective's spread each setting explains; empty while trials are few."""
        whole = [
            optuna.trial.create_trial(
                state=TrialState.COMPLETE, params=trial.params, distributions=trial.distributions,
                value=trial.values[0],
            )
            for trial in self.trials
            if trial.state == TrialState.COMPLETE and set(trial.params) == set(self._distributions)
        ]  # fmt: skip
        if len(whole) < FEW or len({trial.values[0] for trial in whole}) < 2 or len(self._distributions) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(direction=self._study.directions[0])
            study.add_trials(whole)
            return {name: float(share) for name, share in optuna.importance.get_param_importances(study).items()}

    @property
    def _pruner(self) -> str:
        return self.tuning.pruner.use if len(self.objectives) == 1 else "none"  # Optuna has none for several

    def _by(self, which: int, now: str) -> str:
        """Return the samplers or pruners that the trials were made with, in their order."""
        names = [trial.user_attrs[BY][which] for trial in self.trials if BY in trial.user_attrs]
        return ", then ".join(dict.fromkeys(names)) or now

    def _record(self, trial: FrozenTrial) -> TrialRecord:
        facts = trial.user_attrs
        curve = tuple(value for _, value in sorted(trial.intermediate_values.items()))
        state = {TrialState.COMPLETE: "done", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}.get(
            trial.state, "running"
        )
        return TrialRecord(
            number=trial.number,
            state=facts.get(ENDED, state) if trial.state.is_finished() else "running",
            settings=dict(trial.params) if trial.number else dict(self.task.default),
            values=tuple(trial.values or ()),
            curve=curve,
            epochs=int(facts.get("epochs", len(curve))),
            seconds=float(facts.get(SECONDS, 0.0)),
            key=str(facts.get(KEY, "")),
            reason=str(facts.get(REASON, "")),
            default=trial.number == 0,
        )

    def _tell(self, number: int, values: list[float] | None, state: TrialState) -> None:
        # Another driver that took the trial over may have told it already.
        with warnings.catch_warnings(), contextlib.suppress(UpdateFinishedTrialError):
            warnings.simplefilter("ignore")
            self._study.tell(number, values, state=state, skip_if_finished=True)
        self._open.pop(number, None)

    def _trial(self, number: int) -> Trial:
        """Return a trial that has not ended. Making its object again would draw anew what is drawn for all at once."""
        if number not in self._open:
            found = self._study.get_trials(deepcopy=False)[number]
            self._open[number] = Trial(self._study, found._trial_id)  # noqa: SLF001  # there is no public way
        return self._open[number]

    def _contains(self, name: str, value: Any) -> bool:
        where = self._distributions[name]
        try:
            return where._contains(where.to_internal_repr(value))  # noqa: SLF001
        except (TypeError, ValueError):
            return False


def distribution(where: Range | Values) -> BaseDistribution:
    """Return Optuna's form of where to look."""
    if isinstance(where, Values):
        return CategoricalDistribution(where.values)
    whole = all(isinstance(v, int) for v in (where.low, where.high, 1 if where.step is None else where.step))
    if whole:
        return IntDistribution(int(where.low), int(where.high), log=where.log, step=int(where.step or 1))
    return FloatDistribution(float(where.low), float(where.high), log=where.log, step=where.step)


def make_sampler(choice: Choice, space: Mapping[str, BaseDistribution], title: str) -> Callable[[int], BaseSampler]:
    """Return what builds a sampler for a trial's number, by name with Optuna's own settings.

    title: of the trials, which decides what is drawn unless the choice gives a seed. Raises InputError for a setting
    that Optuna's sampler does not have.
    """
    samplers = optuna.samplers
    kinds = {"tpe": samplers.TPESampler, "cma-es": samplers.CmaEsSampler, "gp": samplers.GPSampler}
    settings = dict(choice.settings)
    seed = settings.pop("seed", None)
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise InputError(f"tune: sampler: seed = {value_text(seed)} is not a whole number of 0 or more")
    rest = Choice(choice.use, settings)
    if choice.use == "grid":
        _checked("grid", choice, lambda: None, ())
        return lambda number: Grid(space)  # noqa: ARG005  # the same for all

    def make(number: int) -> BaseSampler:
        drawn = _seed(title if seed is None else str(seed), number)
        sampler: BaseSampler = _checked(
            "sampler", rest, kinds.get(choice.use, samplers.RandomSampler), _OURS | {"seed"}, seed=drawn
        )
        return sampler

    make(0)  # what is wrong with its settings is told before any trial
    return make


def make_pruner(choice: Choice, epochs: int) -> BasePruner:
    """Build a pruner by name with Optuna's own settings, fitted to the epochs of a trial where they say nothing."""
    pruners = optuna.pruners
    made = {
        "none": (pruners.NopPruner, {}),
        "median": (pruners.MedianPruner, {"n_warmup_steps": max(1, epochs // 3)}),
        "hyperband": (pruners.HyperbandPruner, {"max_resource": epochs}),
        "successive-halving": (pruners.SuccessiveHalvingPruner, {}),
    }
    maker, ours = made[choice.use]
    fitted = {name: value for name, value in ours.items() if name not in choice.settings}
    pruner: BasePruner = _checked("pruner", choice, maker, (), **fitted)
    return pruner


def _checked(what: str, choice: Choice, maker: Any, skip: Any, **ours: Any) -> Any:
    known = settings_of_library(maker, skip)
    checked = check_settings(f"{what} '{choice.use}'", known, choice.settings, fill=False)
    if checked.problems:
        accepts = ", ".join(map(str, known)) or "no setting"
        raise InputError(f"tune: {what}: {checked.problems[0][1]}\n  accepts {accepts}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return maker(**ours, **choice.settings)
    except (ImportError, TypeError, ValueError) as error:
        raise InputError(f"tune: {what} '{choice.use}': {error}") from None


class Numbered(BaseSampler):
    """A sampler made anew for each trial, seeded by its number; trial 0 has the variant's own settings.

    So a driver that goes on after another one, or works beside it, draws nothing that the other has drawn, and a
    trial that changes drivers keeps its settings.
    """

    def __init__(self, make: Callable[[int], BaseSampler], own: Mapping[str, Any], names: Iterable[str]) -> None:
        self._make, self._own, self._names = make, own, frozenset(names)
        self._sampler = make(0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Make the trial's sampler."""
        self._sampler = self._make(trial.number)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return which settings are drawn all at once."""
        return self._sampler.infer_relative_search_space(self._whole(study), trial) if trial.number else {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw settings all at once."""
        return self._sampler.sample_relative(self._whole(study), trial, search_space) if trial.number else {}

    def _whole(self, study: optuna.Study) -> Any:
        return _WholeTrials(study, self._names)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one setting."""
        if trial.number == 0:
            return self._own[param_name]
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Let the sampler learn from how a trial ended."""
        self._sampler.after_trial(study, trial, state, values)


class _WholeTrials:
    """A study without the trials that lack a setting, as trial 0 may: what is drawn all at once is what all have."""

    def __init__(self, study: optuna.Study, names: frozenset[str]) -> None:
        self._inner, self._names = study, names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def get_trials(self, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        return self._get_trials(deepcopy, states)

    def _get_trials(self, deepcopy: bool = True, states: Any = None, use_cache: bool = False) -> list[FrozenTrial]:
        found = self._inner._get_trials(deepcopy=deepcopy, states=states, use_cache=use_cache)  # noqa: SLF001  # samplers call it
        return [trial for trial in found if not trial.state.is_finished() or set(trial.params) >= self._names]


class Grid(BaseSampler):
    """All combinations in order, the last setting fastest; a trial's number says which one it is.

    Optuna's own grid wants to end the study itself, which ask and tell do not let it.
    """

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        points = {name: list(_points(name, where)) for name, where in space.items()}
        self._grid = [dict(zip(points, values, strict=True)) for values in itertools.product(*points.values())]

    def __len__(self) -> int:
        return len(self._grid)

    def infer_relative_search_space(self, study: object, trial: object) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """Return nothing: each setting is looked up on its own."""
        return {}

    def sample_relative(self, study: object, trial: object, search_space: object) -> dict[str, Any]:  # noqa: ARG002
        """Return nothing: each setting is looked up on its own."""
        return {}

    def sample_independent(self, study: object, trial: FrozenTrial, param_name: str, param_distribution: object) -> Any:  # noqa: ARG002
        """Return the setting's value at the trial's place; trial 0 is none of the grid's."""
        return self._grid[max(0, trial.number - 1) % len(self._grid)][param_name]


def grid_size(task: Task) -> int:
    """Return how many trials a grid has, the variant's own settings included."""
    return 1 + len(Grid({name: distribution(where) for name, where in task.space.items()}))


def _points(name: str, where: BaseDistribution) -> Sequence[CategoricalChoiceType]:
    if isinstance(where, CategoricalDistribution):
        return where.choices
    assert isinstance(where, (FloatDistribution, IntDistribution))
    if where.step is None or where.log:
        raise InputError(f"tune: settings.{name}: a grid needs to know which values\n  give values = [...], or a step")
    return [where.low + i * where.step for i in range(round((where.high - where.low) / where.step) + 1)]


def _suggest(trial: Trial, name: str, where: BaseDistribution) -> Any:
    if isinstance(where, CategoricalDistribution):
        return trial.suggest_categorical(name, where.choices)
    if isinstance(where, IntDistribution):
        return trial.suggest_int(name, where.low, where.high, step=where.step, log=where.log)
    assert isinstance(where, FloatDistribution)
    return trial.suggest_float(name, where.low, where.high, step=where.step, log=where.log)


def storage(study: optuna.Study) -> BaseStorage:
    """Return a study's storage."""
    return study._storage  # noqa: SLF001  # there is no public way


def trial_id(trial: Trial) -> int:
    """Return what a storage knows a trial by."""
    return trial._trial_id  # noqa: SLF001  # there is no public way


def _seed(text: str, number: int) -> int:
    """Return the seed of one trial's draws."""
    return int.from_bytes(hashlib.sha256(f"{text} {number}".encode()).digest()[:4], "big") % 2**31


def _plain(where: Range | Values) -> dict[str, Any]:
    return {**vars(where)}
