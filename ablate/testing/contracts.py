"""Contract tests for plugin writers: a class for each kind, to inherit from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..components.contracts import ImageShape
from ..components.discover import discover
from ..errors import AblateError
from ..paths import data_dir
from ..training.contracts import named
from .checks import CHECKS, make
from .subject import SHAPE, BrokenContractError, NotCheckedError, Subject, subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..components.contracts import Kind
    from .checks import Check


class ComponentContract:
    """What the contracts of all kinds share; each gets a test method for every check of its kind.

    component: the name that a study uses. settings: what a study would set. plugin: the file or folder that registers
    it; without one it is looked for as a study would, in the `plugins` folder of the working folder and in installed
    packages. shape: channels, height and width of the images. A check that does not apply to a component is switched
    off by setting its method to None, as in `test_it_draws_for_each_image = None`.
    """

    component: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    plugin: ClassVar[Path | None] = None
    shape: ClassVar[tuple[int, int, int]] = SHAPE
    _kind: ClassVar[Kind]
    _subject: ClassVar[Subject]

    def __init_subclass__(cls, kind: Kind | None = None) -> None:
        if kind is not None:
            cls._kind = kind
            for check in CHECKS[kind]:
                setattr(cls, f"test_{check.__name__}", _test(check))

    @classmethod
    def subject(cls) -> Subject:
        """Return the component with its settings. Raises InputError for an unknown component or wrong settings."""
        if "_subject" not in vars(cls):
            registry = discover(named=[cls.plugin] if cls.plugin else [])
            entry = registry.get(cls._kind, cls.component)
            cls._subject = subject_of(entry, cls.settings, data_dir(), ImageShape(*cls.shape))
        return cls._subject


def _test(check: Check) -> Callable[[ComponentContract], None]:
    """Return a check as a test method; pytest is needed for nothing else here."""

    def test(self: ComponentContract) -> None:
        import pytest

        subject, wrong = self.subject(), ""
        try:
            make(check, subject)
        except NotCheckedError as reason:
            pytest.skip(str(reason))
        except BrokenContractError as error:
            wrong = f"{named(subject.entry)} {error}"
        except AblateError as error:
            wrong = str(error)
        if wrong:  # apart from the error, which pytest would show as well
            pytest.fail(wrong, pytrace=False)

    test.__name__, test.__doc__ = f"test_{check.__name__}", check.__doc__
    return test


class DatasetContract(ComponentContract, kind="dataset"):
    """Checks of a dataset: facts, types, the same each time, and a fingerprint that changes with the data alone."""


class ModelContract(ComponentContract, kind="model"):
    """Checks of a model: logits, gradients, evaluation apart from training, and a state that resumes by bits."""


class AugmentationContract(ComponentContract, kind="augmentation"):
    """Checks of an augmentation: shapes, types and memory layouts, its draws, and a state that resumes by bits."""


class OptimizerContract(ComponentContract, kind="optimizer"):
    """Checks of an optimizer: its parameters, a quadratic, its learning rate, and a state that resumes by bits."""


class SchedulerContract(ComponentContract, kind="scheduler"):
    """Checks of a scheduler: rates over runs of several lengths, and a state that resumes by bits."""


class LossContract(ComponentContract, kind="loss"):
    """Checks of a loss: a finite number for each image, its gradient, mixed labels, and nothing but its input."""


class TaskContract(ComponentContract, kind="task"):
    """Checks of a task: finite numbers, the same for a seed, an end when asked, and a state that resumes by bits."""


class MetricContract(ComponentContract, kind="metric"):
    """Checks of a metric: a finite number within its bounds, its direction, and nothing but the predictions."""


class FigureContract(ComponentContract, kind="figure"):
    """Checks of a figure: texts, every width and kind of file, the same bytes again, no results, odd names."""
