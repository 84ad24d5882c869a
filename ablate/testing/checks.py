"""All checks of a kind of component, one after the other, with their outcomes."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..components.no_exit import no_exit
from ..errors import AblateError, error_text
from ..paths import shown
from ..training.contracts import named
from ..training.randomness import preserved_random
from . import augmentations, datasets, executors, figures, losses, metrics, models, optimizers, schedulers, tasks
from .subject import BrokenContractError, NotCheckedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..components.contracts import Kind
    from .subject import Subject

    Check = Callable[[Subject], None]

CHECKS: Mapping[Kind, tuple[Check, ...]] = {
    "dataset": datasets.CHECKS,
    "model": models.CHECKS,
    "augmentation": augmentations.CHECKS,
    "optimizer": optimizers.CHECKS,
    "scheduler": schedulers.CHECKS,
    "loss": losses.CHECKS,
    "task": tasks.CHECKS,
    "metric": metrics.CHECKS,
    "executor": executors.CHECKS,
    "figure": figures.CHECKS,
}


@dataclass(frozen=True)
class Checked:
    """The outcome of a check: the fact that it checks, and the reason where it did not pass."""

    fact: str
    outcome: Literal["passed", "failed", "skipped"]
    text: str = ""


def all_checks(subject: Subject) -> Iterator[Checked]:
    """Make all checks of a component's kind."""
    for check in CHECKS[subject.entry.kind]:
        yield outcome_of(check, subject)


def outcome_of(check: Check, subject: Subject) -> Checked:
    """Make one check, whatever the component raises."""
    fact = check.__name__.replace("_", " ")
    try:
        make(check, subject)
    except NotCheckedError as reason:
        return Checked(fact, "skipped", str(reason))
    except BrokenContractError as error:
        return Checked(fact, "failed", str(error))
    except AblateError as error:
        return Checked(fact, "failed", str(error).removeprefix(named(subject.entry)).strip())
    except Exception as error:  # noqa: BLE001  # whatever a plugin raises
        return Checked(fact, "failed", f"raises {error_text(error)}{_where(error, subject)}")
    return Checked(fact, "passed")


def make(check: Check, subject: Subject) -> None:
    """Make one check, and leave the random states of the process as they were."""
    with no_exit(), preserved_random():
        check(subject)


def _where(error: Exception, subject: Subject) -> str:
    """Return the line of the component's own file that raised, where there is one."""
    file = str(subject.entry.file)
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    return f" ({shown(file)}:{lines[-1]})" if lines else ""
