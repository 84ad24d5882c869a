"""The executors that ship keep to the contract of executors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablate.execute.inline import Inline
from ablate.execute.local import LocalProcesses
from ablate.testing.executor import ExecutorContract, ProcessExecutorContract

if TYPE_CHECKING:
    from ablate.execute.jobs import Executor


class TestInline(ExecutorContract):
    def executor(self) -> Executor:
        return Inline()


class TestOneProcess(ProcessExecutorContract):
    def executor(self) -> Executor:
        return LocalProcesses(1)


class TestTwoProcesses(ProcessExecutorContract):
    at_a_time = 2

    def executor(self) -> Executor:
        return LocalProcesses(2)
