"""`ablate dashboard` hands the right storage to optuna-dashboard, and says what is missing."""

from __future__ import annotations

import errno
import sys
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import optuna
import pytest
from typer.testing import CliRunner

from ablate.cli import app
from ablate.commands import dashboard
from ablate.store.store import Store
from ablate.tune.storage import open_storage

if TYPE_CHECKING:
    from pathlib import Path

    from optuna.storages import BaseStorage


@dataclass
class Served:
    """What the stand-in for the package was asked to serve."""

    calls: list[tuple[Any, str, int]] = field(default_factory=list)
    error: OSError | None = None

    def run_server(self, storage: Any, host: str, port: int) -> None:
        self.calls.append((storage, host, port))
        if self.error:
            raise self.error

    @property
    def studies(self) -> list[str]:
        ((storage, _, _),) = self.calls
        return [study.study_name for study in storage.get_all_studies()]


def opened(folder: Path) -> BaseStorage:
    """The trials of a store, which is made first, as a command does."""
    store = Store(folder)
    store.make_writable()
    return open_storage(store)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    """A stand-in for optuna-dashboard, by its own name among the modules."""
    found, module = Served(), ModuleType("optuna_dashboard")
    module.__spec__ = ModuleSpec("optuna_dashboard", None)
    module.__dict__["run_server"] = found.run_server
    monkeypatch.setitem(sys.modules, "optuna_dashboard", module)
    return found


def ablate(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["dashboard", *arguments])
    return done.exit_code, done.stderr


def a_trial(storage: Any, name: str) -> None:
    study = optuna.create_study(storage=storage, study_name=name)
    study.tell(study.ask(), 1.0)


def test_without_the_package_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "PACKAGE", "no_dashboard_of_this_name")
    code, said = ablate()
    assert code == 2
    assert "pip install optuna-dashboard" in said


def test_a_store_without_trials_is_said_with_the_next_step_and_not_made(folder: Path, served: Served) -> None:
    code, said = ablate("--store", "nothing")
    assert code == 2
    assert "error: nothing: has no trials to show\n  ablate tune STUDY makes some" in said
    assert not (folder / "nothing").exists()
    assert served.calls == []


def test_a_database_without_trials_is_said_with_the_next_step(folder: Path, served: Served) -> None:
    code, said = ablate("--storage", "sqlite:///trials.db")
    assert code == 2
    assert "the storage: has no trials to show" in said
    assert served.calls == []


def test_it_serves_the_stores_trials_on_this_machine_only(folder: Path, served: Served) -> None:
    a_trial(opened(folder / "kept"), "mine")
    code, said = ablate("--store", "kept")
    assert (code, served.studies, served.calls[0][1:]) == (0, ["mine"], ("127.0.0.1", 8080))
    assert "http://127.0.0.1:8080/" in said
    a_trial(served.calls[0][0], "another")  # the journal's lock is let go of
    assert served.studies == ["mine", "another"]


def test_it_serves_a_database_where_it_is_asked_to(folder: Path, served: Served) -> None:
    a_trial(opened(folder / "kept"), "mine")
    a_trial("sqlite:///trials.db", "in the database")
    code, said = ablate("--store", "kept", "--storage", "sqlite:///trials.db", "--port", "9", "--host", "::1")
    assert (code, served.studies, served.calls[0][1:]) == (0, ["in the database"], ("::1", 9))
    assert "http://[::1]:9/" in said


def test_a_port_that_is_taken_is_a_short_error(folder: Path, served: Served) -> None:
    a_trial(opened(folder / "kept"), "mine")
    served.error = OSError(errno.EADDRINUSE, "Address already in use")
    code, said = ablate("--store", "kept")
    assert code == 1
    assert "error: 127.0.0.1:8080 cannot be served: Address already in use\n  another one: --port N" in said
