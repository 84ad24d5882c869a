"""What reaches the terminal of texts that come from files, which may be anybody's."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from ablate.cli import app
from ablate.console import progress, text, tuning
from ablate.data.progress import Progress
from ablate.data.progress import say as tell
from ablate.errors import for_terminal
from ablate.execute.jobs import Failed, Started
from ablate.launch.record import record
from ablate.launch.study import Options, open_study
from ablate.store.store import Store

EVIL = "a\x1b]0;b\x07\x9b31m\x7f\u202egnp\u2066\rc\udcff[/red][link=x]\u2028d"
"""A window's title, a colour, an order to write backwards, a line over this one, half a character, rich's markup."""


def is_safe(written: str) -> bool:
    return written.replace("\n", "").replace("\xa0", " ").isprintable()


def test_every_character_is_there_and_none_is_obeyed(attack: str) -> None:
    told = for_terminal(attack)
    assert is_safe(told.replace("\t", ""))
    assert told == attack or not is_safe(attack)


def test_lines_and_tables_are_safe(capsys: pytest.CaptureFixture[str]) -> None:
    text.say(EVIL)
    text.note(EVIL)
    tell(EVIL)
    text.say(text.table(["a", EVIL], [["b\nc", EVIL]]))
    out, err = capsys.readouterr()
    assert is_safe(out)
    assert is_safe(err)
    assert "[/red]" in err
    assert len(out.splitlines()) == 4  # a cell makes no line of its own


def test_json_is_safe_and_holds_what_it_was_given(capsys: pytest.CaptureFixture[str], attacks: dict[str, str]) -> None:
    text.say_json({**attacks, "evil": EVIL, "tag": "\U000e0001"})
    out = capsys.readouterr().out
    assert is_safe(out)
    assert json.loads(out) == {**attacks, "evil": EVIL, "tag": "\U000e0001"}


@pytest.mark.parametrize("kind", [progress.RunTable, tuning.TuningTable])
def test_live_tables_are_safe(kind: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    spec: Any = SimpleNamespace(variant=EVIL, seed=0, key="k", recipe=SimpleNamespace(epochs=2, images=True))
    monkeypatch.setenv("NO_COLOR", "1")
    live: Any = kind([spec], lambda _: None) if kind is progress.RunTable else kind([])
    with live as shown:
        event = shown if kind is progress.RunTable else live.event
        event(Started(spec, 0))
        live.live.console.print(live.live.table())
        event(Failed(spec, EVIL))
        if kind is tuning.TuningTable:
            live.write(EVIL)
    assert is_safe(capsys.readouterr().err)


def test_a_bar_is_safe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.data.progress._QUIET_SECONDS", -1)
    with Progress(EVIL, 10, str) as bar:
        bar.to(1)
        bar.note(EVIL)
    assert is_safe(capsys.readouterr().err)


def test_nothing_that_a_store_holds_is_obeyed_by_the_terminal(study: Path) -> None:
    options = Options(study, Path("ablate-store").resolve(), Path("data").resolve())
    store = Store(options.store)
    store.make_writable()
    prepared = open_study(options)
    record(prepared)
    run = store.writer(prepared.specs[0].key)
    with run.lock():
        spec = prepared.specs[0]
        run.begin(
            {"key": spec.key, "identity": spec.identity, "environment": {"device": EVIL, "versions": {EVIL: EVIL}}}
        )
    (run.path / "failure.json").write_text(json.dumps({"kind": EVIL[:-30], "reason": EVIL.replace("\udcff", "")}))
    (run.path / "\x1b[31m").write_text("a name of a file")
    file = store.studies_folder / "tiny.json"
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "time": "2\x1b[2J\u202e", "path": "../\x1b[31m.toml"}))
    (store.studies_folder / "\x1b[32m.json").write_text("{")
    for command in (["status"], ["status", "tiny"], ["store", "check"], ["store", "clean", "--dry-run"], ["report"],
                    ["report", "tiny"], ["status", "\x1b[31m"], ["tune"], ["run", "\x1b[31m.toml"]):  # fmt: skip
        done = CliRunner().invoke(app, command, prog_name="ablate", catch_exceptions=False)
        assert is_safe(done.stdout), command
        assert is_safe(done.stderr), command
