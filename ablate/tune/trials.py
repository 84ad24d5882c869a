"""Optuna's trials, which several drivers may share: once one has told how a trial ended, no other changes that."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from .records import TrialRecord
from .samplers import suggest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.study import StudyDirection

# What is kept with a trial beside Optuna's own.
OWNER, BY, ENDED, REASON, KEY, SECONDS, EPOCHS = "owner", "by", "ended", "reason", "key", "seconds", "epochs"
FEWEST_TRIALS = 4
"""Trials below which importances say nothing."""


class Trials:
    """The trials of one Optuna study, by number."""

    def __init__(self, study: optuna.Study) -> None:
        self.study = study
        self._held: dict[int, Trial] = {}

    @property
    def all(self) -> list[FrozenTrial]:
        """Return all trials, in order, but those that wait to be asked for."""
        return [t for t in self.study.get_trials(deepcopy=False) if t.state != TrialState.WAITING]

    def __getitem__(self, number: int) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]

    def holds(self, number: int) -> bool:
        """Tell whether this driver has asked for a trial, or taken it over, and not ended it."""
        return number in self._held

    def new(self) -> int:
        """Ask Optuna for a trial and return its number."""
        trial = self.study.ask()
        self._held[trial.number] = trial
        return trial.number

    def give_back(self, number: int) -> None:
        """Leave a trial that is one too many to whoever wants more trials."""
        with contextlib.suppress(UpdateFinishedTrialError):
            self._storage.set_trial_state_values(self._id(number), TrialState.WAITING)
        self._held.pop(number, None)

    def note(self, number: int, **facts: Any) -> bool:
        """Keep facts of a trial beside its values; False if another driver has ended it."""
        try:
            for name, value in facts.items():
                self._trial(number).set_user_attr(name, value)
        except UpdateFinishedTrialError:
            return False
        return True

    def drawn(self, number: int, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
        """Return a trial's settings, drawn where it has none yet."""
        trial = self._trial(number)
        return {name: suggest(trial, name, where) for name, where in space.items()}

    def report(self, number: int, epoch: int, value: float) -> None:
        """Report a trial's value after an epoch, once."""
        trial = self._trial(number)
        if epoch not in self._storage.get_trial(self._id(number)).intermediate_values:
            with contextlib.suppress(UpdateFinishedTrialError):  # another driver took it over and has ended it
                trial.report(value, epoch)

    def should_prune(self, number: int) -> bool:
        """Tell whether to prune a trial, by its reports so far."""
        return self._trial(number).should_prune()

    def tell(self, number: int, values: Sequence[float] | None, state: TrialState) -> None:
        """Tell Optuna how a trial ended, unless another driver took it over and has done so."""
        with warnings.catch_warnings(), contextlib.suppress(UpdateFinishedTrialError):
            warnings.simplefilter("ignore")
            self.study.tell(number, values, state=state, skip_if_finished=True)
        self.let_go(number)

    def let_go(self, number: int) -> None:
        """Leave a trial to the driver that has taken it over."""
        self._held.pop(number, None)

    def _trial(self, number: int) -> Trial:
        """Return a trial that has not ended. Another object for it would draw again what is drawn together."""
        if number not in self._held:
            found = self.study.get_trials(deepcopy=False)[number]
            self._held[number] = Trial(self.study, found._trial_id)  # noqa: SLF001  # there is no public way
        return self._held[number]

    @property
    def _storage(self) -> BaseStorage:
        return self.study._storage  # noqa: SLF001  # there is no public way

    def _id(self, number: int) -> int:
        """Return what the storage knows a trial by."""
        return self._trial(number)._trial_id  # noqa: SLF001  # there is no public way


def trial_record(trial: FrozenTrial, own: Mapping[str, Any]) -> TrialRecord:
    """Return a trial as it is kept in the store; own: the variant's settings, which trial 0 has."""
    facts = trial.user_attrs
    curve = tuple(value for _, value in sorted(trial.intermediate_values.items()))
    state = {TrialState.COMPLETE: "done", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}.get(
        trial.state, "running"
    )
    return TrialRecord(
        number=trial.number,
        state=facts.get(ENDED, state) if trial.state.is_finished() else "running",
        settings=dict(trial.params) if trial.number else dict(own),
        values=tuple(trial.values or ()),
        curve=curve,
        epochs=int(facts.get(EPOCHS, len(curve))),
        seconds=float(facts.get(SECONDS, 0.0)),
        key=str(facts.get(KEY, "")),
        reason=str(facts.get(REASON, "")),
        default=trial.number == 0,
    )


def importances(
    trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution], direction: StudyDirection
) -> dict[str, float]:
    """Return how much of the first objective's spread each setting explains; empty while trials are few."""
    whole = [
        optuna.trial.create_trial(
            state=TrialState.COMPLETE, params=trial.params, distributions=trial.distributions, value=trial.values[0]
        )
        for trial in trials
        if trial.state == TrialState.COMPLETE and set(trial.params) == set(space)
    ]
    if len(whole) < FEWEST_TRIALS or len({trial.values[0] for trial in whole}) < 2 or len(space) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(direction=direction)
        study.add_trials(whole)
        return {name: float(share) for name, share in optuna.importance.get_param_importances(study).items()}
