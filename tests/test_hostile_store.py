"""A store whose documents are JSON and of another shape than any that ablate writes: no command ends in a traceback."""

from __future__ import annotations

import copy
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ablate.commands.plan import show_plan
from ablate.commands.report import ReportOptions, write_report
from ablate.commands.status import show_status
from ablate.errors import AblateError
from ablate.launch.record import record
from ablate.launch.study import Options, open_study
from ablate.launch.tuned import best_settings
from ablate.store.clean import Cleaner
from ablate.store.documents import commit_document, read_document
from ablate.store.integrity import check_store
from ablate.store.run_frames import read_frames
from ablate.store.store import Store
from ablate.study.plan import key_of
from ablate.tune.records import TrialRecord, VariantTuning, load_tunings, save_tunings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLES = int(os.environ.get("ABLATE_EXAMPLES", "40"))
DEEP = json.loads("[" * 400 + "]" * 400)
WORDS = ("", "x", "nan", "\x1b[31m", "../../x", "9" * 5000)
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**400,
    2**63,
    1e308,
    float("inf"),
    *WORDS,
    [],
    {},
    [[]],
    {"a": 1},
    [1, "a", None],
    DEEP,
)
EPOCH = {
    "lr": 0.01,
    "train/loss": 0.6,
    "test/loss": 0.6,
    "test/accuracy": 0.5,
    "seconds": 1.2,
    "images_per_second": 5.0,
}
RESULT = {
    **EPOCH, "epochs": 1, "parameters": 12, "weights": "01", "seconds_per_image": 0.1, "dead_weights": 0,
    "evaluation_seconds_per_image": 0.1, "state_bytes": 100, "checkpoint_kept": False,
}  # fmt: skip


class Hostile:
    """A store with one run of each state, and its documents to change."""

    def __init__(self, study: Path) -> None:
        self.options = Options(study, Path("ablate-store").resolve(), Path("data").resolve())
        self.store = Store(self.options.store)
        self.store.make_writable()
        prepared = open_study(self.options)
        record(prepared)
        self.files = [self.store.studies_folder / "tiny.json", self.store.last_file, self.store.root / "store.json"]
        machine = {"device": "cpu", "device_name": "x", "threads": 1, "python": "3.11", "versions": {"torch": "2"}}
        for number, spec in enumerate(prepared.specs):
            run = self.store.writer(spec.key)
            with run.lock(), run.owned():
                run.begin({"key": spec.key, "variant": spec.variant, "identity": spec.identity, "environment": machine})
                run.commit_range_test(
                    {"lr": 0.1, "rule": "valley", "curve": {"lrs": [0.1], "losses": [1.0], "smooth": [1.0]}}
                )
                run.append_epoch({"epoch": 1, **EPOCH})
                if number < 2:
                    run.commit_result(RESULT)
                elif number == 2:
                    run.record_failure("failed", "broke")
            names = ("run.json", "lr_find.json", "history.jsonl", "result.json", "failure.json")
            self.files += [run.path / name for name in names if (run.path / name).exists()]
        trial = TrialRecord(0, "done", {"optimizer.lr": 0.1}, (0.5,), (0.5,), 1, 1.0, prepared.specs[0].key, "", True)
        digest = key_of(prepared.specs[0].identity)
        numbers = {"asked": 2, "seed": 0, "epochs": 1, "of_epochs": 1, "importances": {"optimizer.lr": 1.0}}
        about: dict[str, Any] = {"space": {}, "sampler": "tpe", "pruner": "none", "trials": (trial,), **numbers}
        tuning = VariantTuning("baseline", digest, ("validation/accuracy",), **about)
        save_tunings(self.store, "tiny", [tuning], ["baseline"])
        self.files.append(self.store.tuning_folder / "tiny.json")
        self.kept = {file: file.read_bytes() for file in self.files}

    def put(self, file: Path, document: Any) -> None:
        """Write a document in place of another, with a checksum that fits where it has one."""
        if (
            isinstance(document, dict)
            and document.keys() == {"checksum", "body"}
            and isinstance(document["body"], dict)
        ):
            file.unlink()
            with suppress(RecursionError, ValueError):
                commit_document(file, document["body"])
                return
        file.write_text(json.dumps(document) + "\n")

    def use(self) -> None:
        """Do all that reads a store."""
        store, found = self.options.store, self.store
        steps: list[Callable[[], Any]] = [
            lambda: show_status(store, None),
            lambda: show_status(store, "tiny"),
            lambda: show_status(store, "tiny", as_json=True),
            lambda: write_report(ReportOptions(None, store, ("csv", "tex"))),
            lambda: show_plan(self.options),
            lambda: check_store(found),
            lambda: Cleaner(found, ("unused", "leftovers", "failed", "checkpoints")).find(),
            lambda: load_tunings(found, "tiny"),
            lambda: best_settings(open_study(self.options)),
        ]
        for step in steps:
            with suppress(AblateError):  # an error that is meant for the user is in order
                step()

    def mend(self) -> None:
        for file, content in self.kept.items():
            file.write_bytes(content)


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of each value in a document, its own first."""
    yield path
    for key, value in (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    ):
        yield from places(value, (*path, key))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a document with another value at a place."""
    if not path:
        return value
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


@pytest.fixture
def hostile(study: Path) -> Hostile:
    return Hostile(study)


@pytest.mark.long
@given(st.data())
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_command_trips_over_a_value_that_no_run_wrote(hostile: Hostile, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(hostile.files))
    document = json.loads(hostile.kept[file])
    place = data.draw(st.sampled_from(list(places(document))))
    hostile.put(file, changed(document, place, data.draw(st.sampled_from(ODD))))
    try:
        hostile.use()
    finally:
        hostile.mend()


@pytest.mark.parametrize(("levels", "reads"), [(140, True), (400, False)])
def test_a_document_that_is_nested_too_deeply_does_not_read(hostile: Hostile, levels: int, reads: bool) -> None:
    document = {"a": json.loads("[" * levels + "]" * levels)}
    hostile.store.last_file.write_text(json.dumps(document))
    assert read_document(hostile.store.last_file) == (document if reads else None)


@pytest.mark.parametrize("key", ["../../elsewhere", "/tmp", "a/b", "..", "x" * 65])
def test_a_key_does_not_lead_out_of_the_store(hostile: Hostile, key: str) -> None:
    with pytest.raises(AblateError, match="cannot be the key of a run"):
        hostile.store.writer(key)
    file = hostile.store.tuning_folder / "tiny.json"
    assert len(load_tunings(hostile.store, "tiny")) == 1
    document = json.loads(file.read_text())
    document["variants"][0]["trials"][0]["key"] = key
    file.write_text(json.dumps(document))
    assert load_tunings(hostile.store, "tiny") == ()


def test_a_number_too_large_for_one_is_as_if_it_were_missing(hostile: Hostile) -> None:
    run = next(file for file in hostile.files if file.name == "result.json")
    body = json.loads(run.read_text())["body"]
    hostile.put(run, {"checksum": "", "body": {**body, "dead_weights": 10**400, "test/accuracy": "0.5"}})
    runs, _ = read_frames(hostile.store, {("baseline", 0): run.parent.name})
    assert runs["dead_weights"].isna().all()
    assert runs["test/accuracy"].isna().all()
    assert runs["state"].tolist() == ["stored"]
