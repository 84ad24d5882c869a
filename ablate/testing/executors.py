"""What is checked of an executor without a study: that it is one. `executor.ExecutorContract` has the tests on runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..execute.builtin import PARTS, lacking
from .subject import fail

if TYPE_CHECKING:
    from .subject import Subject


def it_has_the_methods_of_an_executor(subject: Subject) -> None:
    """Check that it has what commands call."""
    absent = lacking(subject.build())
    if absent:
        fail(f"has no {', '.join(absent)}", f"an executor has {', '.join(PARTS)}: see ablate.Executor")


CHECKS = (it_has_the_methods_of_an_executor,)
