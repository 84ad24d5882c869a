"""The executors that ship keep to the contract of executors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablate.execute.inline import Inline
from ablate.execute.local import LocalProcesses
from ablate.execute.placement import Resources
from ablate.testing.executor import ExecutorContract, ProcessExecutorContract

if TYPE_CHECKING:
    from ablate.execute.jobs import Executor


class TestInline(ExecutorContract):
    def executor(self) -> Executor:
        return Inline()


class TestOneProcess(ProcessExecutorContract):
    options = ("--executor", "local", "--jobs", "1")

    def impossible(self) -> tuple[Executor, Resources]:
        return LocalProcesses(devices=(99,)), Resources(4, "cuda")

    def executor(self) -> Executor:
        return LocalProcesses(1)


class TestTwoProcesses(ProcessExecutorContract):
    at_a_time = 2

    def executor(self) -> Executor:
        return LocalProcesses(2)
