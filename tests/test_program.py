"""A program as a run: what it is given, what it prints, and how each of its ends is told."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ablate.components.tasks import Covered
from ablate.errors import InputError, RunError, StoppedError
from ablate.store.store import Store
from ablate.training.program import LONGEST, run_program
from ablate.training.program_settings import check_program
from tests.support import ablate, planned

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="programs run in process groups")
PROGRAM = Path(__file__).parent / "program"


@dataclass
class FakeRun:
    """A run that writes down what a program tells it. stops_at: the line after which it wants to stop."""

    folder: Path
    study_dir: Path
    data_dir: Path = Path("data")
    seed: int = 7
    device: str = "cpu"
    threads: int = 2
    pilot: bool = False
    steps: int | None = None
    folds: int | None = None
    fold: int | None = None
    repetition: int = 0
    stops_at: int = 1000
    state: Any = None
    lines: list[dict[str, Any]] = field(default_factory=list)
    saved: list[Any] = field(default_factory=list)

    def log(self, *, step: int, metrics: Any) -> None:
        self.lines.append({"step": step, **metrics})

    def save(self, state: Any) -> None:
        self.saved.append(state)

    def restored(self) -> Any:
        return self.state

    @property
    def stop_wanted(self) -> bool:
        return len(self.lines) >= self.stops_at


@pytest.fixture
def run(tmp_path: Path) -> FakeRun:
    (tmp_path / "files").mkdir()
    return FakeRun(tmp_path / "files", tmp_path)


def sh(run: FakeRun, script: str, **more: Any) -> dict[str, float]:
    return run_program(run, ["/bin/sh", "-c", script], {}, **more)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and waits to be told so does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def waited_for(what: Any, seconds: float = 20) -> Any:
    until = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def test_lines_with_a_step_are_logged_and_the_one_without_is_the_result(run: FakeRun) -> None:
    found = sh(run, """echo '{"step": 1, "validation/f1": 0.5}'; echo; echo '{"test/f1": 0.9, "test/auroc": 1}'""")
    assert found == {"test/f1": 0.9, "test/auroc": 1}
    assert run.lines == [{"step": 1, "validation/f1": 0.5}]


def test_a_program_may_say_how_many_steps_there_will_be(run: FakeRun) -> None:
    sh(run, """echo '{"steps": 30}'; echo '{"step": 1, "validation/f1": 0.5}'; echo '{"test/f1": 0.9}'""")
    assert (run.steps, len(run.lines)) == (30, 1)


def test_a_result_that_is_told_twice_is_no_result(run: FakeRun) -> None:
    twice = r"gave test/f1 twice as its result: 0.8, then 0.9\n  print it once, at the end; a line on the way has a"
    with pytest.raises(RunError, match=twice):
        sh(run, """echo '{"test/f1": 0.8}'; echo '{"test/f1": 0.9}'""")
    (run.study_dir / "written").write_text('[{"test/f1": 0.8}, {"test/f1": 0.9}]')
    with pytest.raises(RunError, match=twice):
        sh(run, "cp written {folder}/m.json", metrics_file="m.json")
    in_parts = """echo '{"test/f1": 0.8}'; echo '{"test/f1": 0.8, "test/auroc": 0.9}'"""  # as every rank may print it
    assert sh(run, in_parts) == {"test/f1": 0.8, "test/auroc": 0.9}


def test_a_program_is_looked_up_on_the_path_that_its_env_gives(run: FakeRun) -> None:
    (run.study_dir / "bin").mkdir()
    trainer = run.study_dir / "bin" / "own-trainer"
    trainer.write_text("#!/bin/sh\necho '{\"test/x\": 1}'\n")
    trainer.chmod(0o755)
    for path in ("{study_dir}/bin:/usr/bin:/bin", "bin:/usr/bin:/bin"):
        env = {"PATH": path}
        found = check_program(run.study_dir, ["own-trainer"], {}, env=env)
        assert "own-trainer, and what own-trainer loads" in found.uncovered[0]
        assert run_program(run, ["own-trainer"], {}, env=env) == {"test/x": 1}
    with pytest.raises(InputError, match=r"no program 'sh' on the PATH that env gives"):
        check_program(run.study_dir, ["sh"], {}, env={"PATH": "{study_dir}/bin"})
    check_program(run.study_dir, ["sh"], {}, env={"PATH": "{folder}/bin"})  # which only a run knows


def test_settings_and_what_the_run_gives_go_into_arguments_and_environment(run: FakeRun) -> None:
    settings = {"lr": 0.001, "name": "a b", "deep": True, "sizes": [1, 2]}
    command = ["/bin/sh", "-c", 'printf "%s\\n" "$@" "$WHERE" "$OMP_NUM_THREADS" > got; echo "{\\"test/x\\": 1}"', "-"]
    command += ["{lr}", "{name}", "--{deep}", "{sizes}", "{seed}", "{threads} {device} {pilot}"]
    run_program(run, command, settings, env={"WHERE": "{folder}"})
    got = (run.study_dir / "got").read_text().splitlines()  # it begins in the folder of the study
    assert got == ["0.001", "a b", "--true", "[1, 2]", "7", "2 cpu false", str(run.folder), "2"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo no such file >&2; exit 3", r"ended with exit code 3; its last words: no such file"),
        ("kill -SEGV $$", r"was ended by SIGSEGV"),
        ("true", r"printed nothing on standard output; it prints one as in"),
        ("""echo '{"step": 1, "test/f1": 0.5}'""", r"ended without a result: no line of it is without a step"),
        ("echo Epoch 1", r"a line that is no JSON object: 'Epoch 1'\n  print other text to standard error"),
        ("echo '[1]'", r"no JSON object"),
        ("echo '{\"test/f1\"'", r"no JSON object"),
        ("printf '\\377\\033[31m'", r"no JSON object: '.*\\u001b\[31m'"),
        ("head -c 2000000 /dev/zero | tr '\\0' x", f"a line of more than {LONGEST:,} bytes"),
    ],
    ids=["exit code", "signal", "silence", "no result", "garbage", "a list", "cut off", "bytes", "no line end"],
)
def test_each_bad_end_has_a_reason(run: FakeRun, script: str, reason: str) -> None:
    with pytest.raises(RunError, match=reason):
        sh(run, script)


def test_a_program_that_cannot_be_started_is_told(run: FakeRun) -> None:
    with pytest.raises(RunError, match=r"could not be started: /no/such: No such file or directory"):
        run_program(run, ["/no/such"], {})


def test_output_without_end_can_be_stopped(run: FakeRun) -> None:
    run.stops_at = 50
    script = """i=0; while true; do i=$((i + 1)); echo "{\\"step\\": $i, \\"validation/x\\": 1}"; done"""
    assert sh(run, script) == {}
    assert 50 <= len(run.lines) < 60


def test_a_program_may_end_by_itself_when_it_is_to_stop(run: FakeRun) -> None:
    run.stops_at = 1
    script = (
        "trap 'touch ended; exit 0' TERM; echo '{\"step\": 1, \"validation/x\": 1}'; while true; do sleep 0.05; done"
    )
    assert sh(run, script) == {}
    assert (run.study_dir / "ended").exists()


def test_what_a_program_leaves_running_is_killed_with_it(run: FakeRun) -> None:
    found = sh(run, """sleep 300 & echo $! > child; echo '{"test/x": 1}'""")
    assert found == {"test/x": 1}
    child = int((run.study_dir / "child").read_text())
    assert waited_for(lambda: not is_alive(child))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a process adopt what its children leave")
def test_what_a_program_starts_in_a_session_of_its_own_is_killed_with_it(run: FakeRun) -> None:
    started = "(setsid sleep 300 & echo $! > child.part; mv child.part child) &"
    found = sh(run, f"""{started} while [ ! -f child ]; do sleep 0.02; done; echo '{{"test/x": 1}}'""")
    assert found == {"test/x": 1}
    assert not is_alive(int((run.study_dir / "child").read_text()))


def test_a_program_that_kills_its_whole_group_is_told(run: FakeRun) -> None:
    with pytest.raises(RunError, match=r"was killed with its whole process group; its last words: bye"):
        sh(run, "echo bye >&2; sleep 0.2; kill -KILL 0; sleep 300")


def test_standard_error_without_end_is_not_passed_on_without_end(
    run: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    lots = 'head -c 21000000 /dev/zero | tr "\\0" x | fold -w 100000 >&2;'
    assert sh(run, lots + """echo '{"test/x": 1}'""") == {"test/x": 1}
    said = capsys.readouterr().err
    assert len(said) < 11_000_000
    assert said.endswith("further on standard error is left out\n")


def test_a_program_that_closes_its_output_is_waited_for(run: FakeRun) -> None:
    with pytest.raises(RunError, match=r"exit code 4"):
        sh(run, """echo '{"test/x": 1}'; exec >&-; sleep 0.3; exit 4""")


def test_a_program_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from tests.test_program import FakeRun, sh\n"
        "run = FakeRun(Path('.'), Path('.'))\n"
        "sh(run, 'echo $$ > pid.part; mv pid.part pid; sleep 300 & wait')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    starter = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment)
    try:
        assert waited_for((tmp_path / "pid").exists, 60)
        program = int((tmp_path / "pid").read_text())
        assert is_alive(program)
        starter.send_signal(signal.SIGKILL)
        starter.wait()
        assert waited_for(lambda: not is_alive(program))
    finally:
        starter.kill()


@pytest.mark.parametrize(
    "written",
    [
        '{"test/x": 2}',
        '[{"step": 1, "validation/x": 1}, {"test/x": 2}]',
        '{"step": 1, "validation/x": 1}\n\n{"test/x": 2}\n',
    ],
    ids=["an object", "a list", "lines"],
)
def test_metrics_may_come_from_a_file(run: FakeRun, written: str) -> None:
    (run.study_dir / "written").write_text(written)
    found = sh(run, "echo free text; cp written {folder}/m.json", metrics_file="m.json")
    assert found == {"test/x": 2}


def test_a_metrics_file_of_an_earlier_try_does_not_count(run: FakeRun) -> None:
    (run.folder / "m.json").write_text('{"test/x": 2}')
    with pytest.raises(RunError, match=r"m.json: the program wrote no metrics file that can be read: No such file"):
        sh(run, "true", metrics_file="m.json")


def test_a_resumed_program_may_repeat_its_last_steps(run: FakeRun) -> None:
    lines = "".join(f"""echo '{{"step": {step}, "validation/x": 1}}';""" for step in (1, 2, 3))
    sh(run, lines + """echo '{"test/x": 1}'""", resume=True)
    assert [line["step"] for line in run.lines] == [1, 2, 3]
    assert (run.saved[0], run.saved[-1]) == ({"step": -1}, {"step": 3})  # what it leaves is kept from the beginning
    again = FakeRun(run.folder, run.study_dir, state={"step": 2})
    sh(again, lines + """echo '{"test/x": 1}'""", resume=True)
    assert [line["step"] for line in again.lines] == [3]


def test_what_the_run_raises_ends_the_program(run: FakeRun, tmp_path: Path) -> None:
    class Stops(FakeRun):
        def log(self, *, step: int, metrics: Any) -> None:
            raise StoppedError(str(step))

    with pytest.raises(StoppedError):
        sh(Stops(run.folder, tmp_path), 'echo $$ > pid; echo \'{"step": 1, "test/x": 1}\'; sleep 300')
    assert not is_alive(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize(
    ("command", "settings", "text"),
    [
        ([], {}, r"command is empty"),
        (
            ["sh", "{rate}"],
            {"ratee": 1},
            r"placeholder \{rate\} names no setting; did you mean 'ratee'\?\naccepts ratee, s",
        ),
        (["sh", "{lr"], {"lr": 1}, r"setting 'lr' is in no placeholder"),
        (
            ["awk", "{print}"],
            {},
            r"placeholder \{print\} names no setting.*\naccepts .*; write \{\{print\}\} where its braces",
        ),
        (["sh"], {"lr": 1}, r"setting 'lr' is in no placeholder, and would change nothing\nwrite \{lr\} where"),
        (["sh", "{seed}"], {"seed": 1}, r"'seed' is what each run gives"),
        (["./gone"], {}, r"gone: there is no such program; it is looked for beside the study"),
        (["{python}", "trian.py"], {}, r"trian.py: no such file; .*beside the study; did you mean 'train.py'\?"),
        (["{python}", "{a}.py"], {"a": "gone"}, r"gone.py: no such file; it is looked for beside the study$"),
        (["./data.txt"], {}, r"data.txt: is not executable\nchmod \+x"),
        (["data.txt"], {}, r"no program 'data.txt' on the PATH\nthe file beside the study is written './data.txt'"),
        (["no-such-program"], {}, r"no program 'no-such-program' on the PATH$"),
        (["sh", "a\0b"], {}, r"no argument or environment variable of a program can have a null character"),
        (["sh", "{a}"], {"a": "\0"}, r"can have a null character"),
    ],
)
def test_what_cannot_work_is_told_before_anything_runs(
    tmp_path: Path, command: list[str], settings: dict[str, Any], text: str
) -> None:
    (tmp_path / "data.txt").write_text("")
    (tmp_path / "train.py").write_text("")
    with pytest.raises(InputError, match=text):
        check_program(tmp_path, command, settings)


def test_an_environment_variable_that_cannot_be_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'env: "A=B" cannot name an environment variable'):
        check_program(tmp_path, ["sh"], {}, env={"A=B": "x"})


def test_a_key_covers_files_that_placeholders_name(tmp_path: Path) -> None:
    for name in ("small.toml", "main.py"):
        (tmp_path / name).write_text("")
    command = ["{python}", "{study_dir}/main.py", "{size}.toml", "{seed}.toml", "x" * 5000]
    found = check_program(tmp_path, command, {"size": "small"})
    assert found.files == [tmp_path / "main.py", Path("small.toml")]


def test_a_key_covers_the_files_that_the_command_names_and_its_sources(tmp_path: Path) -> None:
    for name in ("train.py", "more.py", "program"):
        (tmp_path / name).write_text("")
    (tmp_path / "program").chmod(0o755)
    found = check_program(tmp_path, ["{python}", "train.py", "{seed}"], {}, sources=["more.py"])
    assert isinstance(found, Covered)
    assert found.files == [Path("train.py"), Path("more.py")]
    (uncovered,) = found.uncovered
    assert "loads, calls or reads beside train.py, more.py" in uncovered
    own = check_program(tmp_path, ["./program"], {})
    assert list(own.uncovered) == [
        "what program loads, calls or reads beside program (name files and folders in sources = [...])"
    ]


# A study


@pytest.fixture
def shell_study(folder: Path) -> Path:
    """The study of a shell script, in a folder of its own."""
    shutil.copytree(PROGRAM, folder / "program")
    return folder / "program" / "study.toml"


def test_a_study_of_a_script_runs_and_an_edit_of_the_script_makes_its_runs_new(shell_study: Path) -> None:
    made = ablate("run", shell_study, "--executor", "inline", "--no-report")
    assert made.exit_code == 0, made.output
    assert "larger steps against baseline" in made.output
    assert "helped" in made.output
    (run, *_), _ = planned(shell_study)
    stored = Store(Path("ablate-store")).run(run.key)
    assert [line["step"] for line in stored.history()] == [1, 2, 3, 4, 5]
    assert run.identity["task"]["files"].keys() == {"train.sh"}
    plan = ablate("plan", shell_study)
    assert "not covered by the runs' keys: what train.sh loads" in plan.output
    assert "6 of 6" not in plan.output
    script = shell_study.parent / "train.sh"
    script.write_text(script.read_text() + "# edited\n")
    assert "train.sh changed" in ablate("plan", shell_study).output


def test_what_env_holds_counts_for_the_key_and_is_shown_nowhere(shell_study: Path) -> None:
    text = shell_study.read_text().replace("[study]\n", "[study]\nfigures = []\n")
    text = text.replace("lr = 0.05 }", 'env = { TOKEN = "s3cret-one", QUIET = "1" }, lr = 0.05 }')
    shell_study.write_text(text + '[[variant]]\nname = "other"\nset = { "task.env.TOKEN" = "s3cret-two" }\n')
    keys = {spec.variant: spec.key for spec in planned(shell_study)[0] if spec.seed == 0}
    assert len(set(keys.values())) == 3
    changed = ("--set", 'larger steps.task.env={TOKEN="s3cret-three"}')
    assert ablate("run", shell_study, *changed, "--executor", "inline", "--no-report", "--seeds", "2").exit_code == 0
    told = [ablate("report", "program", "--out", "told", "--format", "html,md,tex,json,csv").output]
    told += [path.read_text() for path in Path("told").rglob("*") if path.suffix in (".html", ".md", ".tex", ".json")]
    shell_study.write_text(shell_study.read_text().replace("s3cret-two", "s3cret-four"))
    told += [ablate(*of[:1], shell_study, *of[1:]).output for of in (("check",), ("plan", "--json"), ("plan",))]
    told += [ablate(*of, "program", "--json").output for of in (("status",), ("verdict",))]
    wrong = ablate("plan", shell_study, "--set", 'larger steps.task.env={TOKEN="s3cret", N=3}')
    assert "is not a table of strings" in wrong.output
    assert not [text for text in [*told, wrong.output] if "s3cret" in text]
    page = Path("told/report.md").read_text()
    assert "command \\[./train.sh, {lr}, {seed}\\], env \\[TOKEN, QUIET\\], resume false)" in page  # none that is empty
    assert re.search(r"- task: env = TOKEN hidden \([0-9a-f]{3}\)\n\+ task: env = TOKEN hidden \([0-9a-f]{3}\)", page)
    assert re.search(r"task.env.TOKEN hidden \([0-9a-f]{3}\) → hidden", " ".join(told[-3].split()))


def test_a_setting_that_no_placeholder_names_is_a_problem_of_the_study(shell_study: Path) -> None:
    shell_study.write_text(shell_study.read_text().replace('"{lr}"', '"{lrr}"'))
    told = ablate("plan", shell_study)
    assert told.exit_code == 2
    assert "baseline: task  placeholder {lrr} names no setting; did you mean 'lr'?" in told.output
