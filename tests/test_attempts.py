"""What becomes of runs, whatever their workers do: on a scripted sender and a clock of its own, without processes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ablate.errors import StoreError
from ablate.execute.attempts import GOES_ON, STOP_SECONDS, TRIES, Attempts, News, Placed, WorkerExited
from ablate.execute.jobs import (
    BUSY_SECONDS,
    Aborted,
    Busy,
    EpochDone,
    Event,
    Failed,
    Finished,
    Job,
    JobsReduced,
    MemoryContention,
    Started,
    Stopped,
    WorkerDied,
    never,
)
from ablate.execute.packing import Packing
from ablate.store.store import Store
from ablate.study.spec import Limits
from ablate.training.machine import Machine
from tests.support import first_run

WAITS = "says nothing"
QUEUED = "waits in a queue"
DIES = WorkerExited("the node is gone")


@dataclass
class Scripted:
    """A sender whose workers say what is written for them: by run, attempt after attempt, a piece of news each poll.

    A script that is over says nothing, until the attempt is killed. saves: a worker that is asked to stop does so.
    places: of runs, by key; all others share one.
    """

    scripts: dict[str, list[list[Any]]]
    saves: bool = True
    now: float = 0.0
    log: list[str] = field(default_factory=list)
    running: dict[str, list[Any]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    most: int = 0
    placed: set[str] = field(default_factory=set)
    places: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.log.append(f"left on {kind.__name__}" if kind else "left")
        assert kind or not self.running

    def clock(self) -> float:
        return self.now

    def start(self, job: Job) -> str:
        name = job.spec.key
        handle = f"{name} {sum(entry.startswith(f'start {name} ') for entry in self.log) + 1}"
        attempts = self.scripts.get(name, [])
        self.running[handle], self.jobs[handle] = list(attempts.pop(0) if attempts else ["done"]), job
        self.log.append(f"start {handle}")
        self.most = max(self.most, len(self.running))
        return handle

    def poll(self, seconds: float, hear: Callable[[str, News], None]) -> None:
        self.now += seconds
        assert self.now < 10_000, "it goes on for ever"
        for handle in [handle for handle in self.running if handle not in self.placed]:
            if self.running[handle][:1] == [QUEUED]:
                self.running[handle].pop(0)
                continue
            self.placed.add(handle)
            hear(handle, Placed(self.places.get(handle.partition(" ")[0], "")))
        for handle in [handle for handle in self.running if handle in self.placed]:
            script = self.running[handle]
            said = script.pop(0) if script else WAITS
            if said == WAITS:
                continue
            news = _news(self.jobs[handle], said)
            if not isinstance(news, GOES_ON):
                del self.running[handle]
            hear(handle, news)

    def ask_to_stop(self, handle: str) -> None:
        self.log.append(f"stop {handle}")
        if handle not in self.placed:
            self.placed.add(handle)
            self.running[handle] = [WorkerExited("was taken out of the queue")]
        elif self.saves:
            self.running[handle] = ["stopped"]

    def kill(self, handle: str) -> None:
        self.log.append(f"kill {handle}")
        self.running[handle] = [WorkerExited("killed")]


def _news(job: Job, said: Any) -> News:
    """Return what a word of a script stands for; a failure is recorded, as a worker does."""
    spec = job.spec
    words: dict[str, News] = {
        "started": Started(spec),
        "epoch": EpochDone(spec, {"epoch": 1}),
        "done": Finished(spec, {}),
        "busy": Busy(spec, "somebody"),
        "stopped": Stopped(spec),
        "disk": Aborted(spec, "the disk is full"),
        "breaks": Failed(spec, "ValueError"),
        "memory": Failed(spec, "out of memory", out_of_memory=True),
    }
    if said in ("breaks", "memory"):
        Store(job.store).writer(spec.key).record_failure("failed", said)
    return words[said] if isinstance(said, str) else said


Jobs = Callable[..., list[Job]]


@pytest.fixture
def jobs(study: Path) -> Jobs:
    """Return what makes jobs of these names, each the key and the variant of its run."""
    spec, _ = first_run(study)
    store = Store(Path("store").resolve())
    store.make_writable()

    def made(*names: str, limits: Limits = Limits()) -> list[Job]:  # noqa: B008  # it is frozen
        specs = [replace(spec, key=name, variant=name.partition("-")[0]) for name in names]
        return [Job(one, store.root, Machine(Path("data"), "cpu", 1), limits=limits) for one in specs]

    return made


def attempt(
    sender: Scripted, todo: Iterable[Job], at_a_time: int = 1, stopping: Callable[[], bool] = never
) -> list[Event]:
    events: list[Event] = []
    Attempts(sender, Packing(at_a_time), events.append, sender.clock).run(todo, stopping)
    return events


def told(events: list[Event]) -> list[str]:
    return [f"{type(event).__name__} {event.spec.key}" for event in events]


def starts(sender: Scripted) -> list[str]:
    return [entry.removeprefix("start ") for entry in sender.log if entry.startswith("start")]


def kind(job: Job) -> str | None:
    failure = Store(job.store).run(job.spec.key).failure()
    return str(failure["kind"]) if failure else None


def test_runs_start_as_there_is_room_and_jobs_are_taken_no_sooner(jobs: Jobs) -> None:
    sender, taken = Scripted({"a": [["started", "epoch", "done"]]}), []

    def one_by_one() -> Iterator[Job]:
        for job in jobs("a", "b", "c", "d"):
            taken.append(len(starts(sender)))
            yield job

    events = attempt(sender, one_by_one(), at_a_time=2)
    assert {event.spec.key for event in events if isinstance(event, Finished)} == set("abcd")
    assert sender.most == 2
    assert taken == [0, 1, 2, 3]
    assert sender.log[-1] == "left"


def test_a_run_whose_worker_dies_is_tried_again_and_each_try_is_reported(jobs: Jobs) -> None:
    sender = Scripted({"a": [["started", DIES], [DIES]]})
    events = attempt(sender, jobs("a"))
    assert [e.tries_left for e in events if isinstance(e, WorkerDied)] == [2, 1]
    assert isinstance(events[-1], Finished)
    assert starts(sender) == ["a 1", "a 2", "a 3"]


def test_a_run_whose_worker_dies_each_time_has_failed(jobs: Jobs) -> None:
    (job,) = jobs("a")
    events = attempt(Scripted({"a": [[DIES]] * TRIES}), [job])
    assert isinstance(events[-1], Failed)
    assert events[-1].reason == "the node is gone, each of 3 times"
    assert kind(job) == "lost"


def test_a_run_that_takes_too_long_is_killed_and_has_failed_at_once(jobs: Jobs) -> None:
    (job,) = jobs("a", limits=Limits(run_timeout=5.0))
    sender = Scripted({"a": [["started"]]})
    events = attempt(sender, [job])
    assert isinstance(events[-1], Failed)
    assert events[-1].reason == "timed out after 5 s (run_timeout)"
    assert (kind(job), starts(sender)) == ("timed out", ["a 1"])
    assert 5.0 < sender.now < 7.0


def test_the_time_that_a_run_may_take_begins_anew_with_each_try(jobs: Jobs) -> None:
    waits = [WAITS] * 15  # nearly 4 s
    sender = Scripted({"a": [["started", *waits, DIES], ["started", *waits, "done"]]})
    events = attempt(sender, jobs("a", limits=Limits(run_timeout=5.0)))
    assert isinstance(events[-1], Finished)
    assert sender.now > 5.0


def test_the_time_that_a_run_waits_in_a_queue_is_not_its_own(jobs: Jobs) -> None:
    sender = Scripted({"a": [[QUEUED] * 100 + ["started", "done"]]})
    events = attempt(sender, jobs("a", limits=Limits(run_timeout=5.0)))
    assert isinstance(events[-1], Finished)
    assert sender.now > 20.0


def test_a_run_that_waits_in_a_queue_when_all_are_to_stop_is_taken_out_of_it(jobs: Jobs) -> None:
    sender = Scripted({"a": [[QUEUED] * 100]})
    (stopped,) = attempt(sender, jobs("a"), 1, lambda: sender.now > 1.0)
    assert stopped == Stopped(stopped.spec, saved=False)
    assert sender.now < 3.0


def test_runs_in_places_of_their_own_leave_each_other_all_memory(jobs: Jobs) -> None:
    scripts = {"a": [["started", "memory"]], "b": [["started", "epoch", "done"]]}
    events = attempt(Scripted(scripts, places={"a": "gpu 0", "b": "gpu 1"}), jobs("a", "b"), at_a_time=2)
    assert [event.spec.key for event in events if isinstance(event, Failed)] == ["a"]
    assert not any(isinstance(event, MemoryContention) for event in events)


def test_a_machine_that_is_taken_away_costs_no_try_as_long_as_the_run_gets_further(jobs: Jobs) -> None:
    gone = WorkerExited("preempted", taken=True)
    sender = Scripted({"a": [["started", "epoch", gone]] * 5 + [["started", gone]] * 2})
    events = attempt(sender, jobs("a"))
    assert [event.tries_left for event in events if isinstance(event, WorkerDied)] == [3] * 5 + [2, 1]
    assert isinstance(events[-1], Finished)


def test_a_run_that_is_over_its_time_has_failed_also_where_it_was_asked_to_stop(jobs: Jobs) -> None:
    (job,) = jobs("a", limits=Limits(run_timeout=5.0))
    sender = Scripted({"a": [["started"]]}, saves=False)
    events = attempt(sender, [job], 1, lambda: sender.now > 1.0)
    assert isinstance(events[-1], Failed)
    assert kind(job) == "timed out"


def test_when_all_are_to_stop_each_is_asked_once_and_none_begins(jobs: Jobs) -> None:
    sender = Scripted({"a": [["started"]], "b": [["started"]]})
    events = attempt(sender, jobs("a", "b", "c"), 2, lambda: sender.now > 1.0)
    assert told(events)[-2:] == ["Stopped a", "Stopped b"]
    assert all(event.saved for event in events if isinstance(event, Stopped))
    assert [entry for entry in sender.log if "stop" in entry] == ["stop a 1", "stop b 1"]
    assert "start c 1" not in sender.log


def test_a_run_that_does_not_stop_is_killed_and_has_not_failed(jobs: Jobs) -> None:
    (job,) = jobs("a")
    sender = Scripted({"a": [["started"]]}, saves=False)
    events = attempt(sender, [job], 1, lambda: sender.now > 1.0)
    assert events[-1] == Stopped(job.spec, saved=False)
    assert kind(job) is None
    assert STOP_SECONDS < sender.now < STOP_SECONDS + 3


def test_true_in_answer_to_an_event_stops_that_run_alone(jobs: Jobs) -> None:
    sender, events = Scripted({"a": [["started", "epoch"]], "b": [["started", "epoch", "done"]]}), list[Event]()

    def on_event(event: Event) -> bool:
        events.append(event)
        return event.spec.key == "a" and isinstance(event, EpochDone)

    Attempts(sender, Packing(2), on_event, sender.clock).run(jobs("a", "b"))
    assert {text for text in told(events) if text.startswith(("Stopped", "Finished"))} == {"Stopped a", "Finished b"}


def test_a_run_that_was_asked_to_stop_is_not_tried_again_when_its_worker_dies(jobs: Jobs) -> None:
    (job,) = jobs("a")
    sender = Scripted({"a": [["started", "epoch", DIES]]}, saves=False)
    events: list[Event] = []

    def on_event(event: Event) -> bool:
        events.append(event)
        return isinstance(event, EpochDone)

    Attempts(sender, Packing(1), on_event, sender.clock).run([job])
    assert events[-1] == Stopped(job.spec, saved=False)
    assert starts(sender) == ["a 1"]


def test_a_run_that_was_out_of_memory_beside_others_is_tried_alone_and_if_that_goes_well_fewer_run(jobs: Jobs) -> None:
    first, *others = jobs("a", "b", "c", "d")
    sender = Scripted({"a": [["started", "memory"]], "b": [["started", "epoch", "done"]]})
    events = attempt(sender, [first, *others], at_a_time=2)
    assert told(events).index("MemoryContention a") < told(events).index("Finished a")
    assert [e.jobs for e in events if isinstance(e, JobsReduced)] == [1]
    assert starts(sender) == ["a 1", "b 1", "a 2", "c 1", "d 1"]
    assert kind(first) is None


def test_of_runs_that_were_out_of_memory_together_one_is_tried_alone(jobs: Jobs) -> None:
    sender = Scripted({name: [["started", "memory"]] for name in "abc"})
    events = attempt(sender, jobs("a", "b", "c"), at_a_time=3)
    assert sum(isinstance(e, MemoryContention) for e in events) == 3
    assert [e.jobs for e in events if isinstance(e, JobsReduced)] == [2]
    assert starts(sender)[3:] == ["a 2", "b 2", "c 2"]


def test_a_variant_that_is_out_of_memory_alone_fails_and_its_other_runs_fail_beside_others(jobs: Jobs) -> None:
    sender = Scripted({f"a-{seed}": [["memory"]] * 2 for seed in range(3)})
    events = attempt(sender, jobs("a-0", "a-1", "a-2"), at_a_time=2)
    assert [e.spec.key for e in events if isinstance(e, Failed)] == ["a-0", "a-1", "a-2"]
    assert [e.spec.key for e in events if isinstance(e, MemoryContention)] == ["a-0", "a-1"]
    assert not any(isinstance(e, JobsReduced) for e in events)


def test_a_run_that_waits_to_be_tried_alone_has_not_failed_when_all_are_to_stop(jobs: Jobs) -> None:
    first, second = jobs("a", "b")
    sender, events = Scripted({"a": [["started", "memory"]], "b": [["started"]]}), list[Event]()
    stopping = lambda: any(isinstance(event, MemoryContention) for event in events)  # noqa: E731
    Attempts(sender, Packing(2), events.append, sender.clock).run([first, second], stopping)
    assert told(events) == ["Started a", "Started b", "MemoryContention a", "Stopped b"]
    assert kind(first) is None


def test_a_run_to_be_tried_alone_that_another_process_trains_keeps_nobody_waiting(jobs: Jobs) -> None:
    sender = Scripted({"a": [["started", "memory"], ["busy"], ["done"]], "b": [["started", "epoch", "done"]]})
    attempt(sender, jobs("a", "b", "c"), at_a_time=2)
    assert starts(sender) == ["a 1", "b 1", "a 2", "c 1", "a 3"]


def test_a_run_that_was_out_of_memory_with_nobody_beside_it_has_failed(jobs: Jobs) -> None:
    (job,) = jobs("a")
    events = attempt(Scripted({"a": [["memory"]]}), [job], at_a_time=2)
    assert told(events) == ["Failed a"]
    assert kind(job) == "failed"


def test_a_run_that_another_process_trains_is_looked_at_again_last_and_reported_once(jobs: Jobs) -> None:
    sender = Scripted({"a": [["busy"], ["busy"], ["done"]], "b": [["started", "done"]]})
    events = attempt(sender, jobs("a", "b"))
    assert told(events) == ["Busy a", "Started b", "Finished b", "Finished a"]
    assert starts(sender) == ["a 1", "b 1", "a 2", "a 3"]
    assert sender.now > 2 * BUSY_SECONDS


def test_runs_that_nobody_trains_come_before_one_that_another_process_trained_a_while_ago(jobs: Jobs) -> None:
    sender = Scripted({"a": [["busy"], ["done"]], "b": [["started", *[WAITS] * 12, "done"]]})  # 3 s
    attempt(sender, jobs("a", "b", "c"))
    assert starts(sender) == ["a 1", "b 1", "c 1", "a 2"]


def test_a_run_that_takes_a_while_to_end_is_killed_once(jobs: Jobs) -> None:
    class Slow(Scripted):
        def kill(self, handle: str) -> None:
            assert f"kill {handle}" not in self.log
            super().kill(handle)
            self.running[handle] = [WAITS, WAITS, *self.running[handle]]

    events = attempt(Slow({"a": [["started"]]}), jobs("a", limits=Limits(run_timeout=1.0)))
    assert told(events) == ["Started a", "Failed a"]


def test_of_two_failures_of_the_store_the_first_is_raised(jobs: Jobs) -> None:
    first, second = jobs("a", "b")
    later = Aborted(second.spec, "the store is gone")
    sender = Scripted({"a": [["started", "disk"]], "b": [["started", WAITS, later]]}, saves=False)
    with pytest.raises(StoreError, match="the disk is full"):
        attempt(sender, [first, second], at_a_time=2)


def test_a_failing_store_stops_all_runs_and_is_raised_at_the_end(jobs: Jobs) -> None:
    sender, events = Scripted({"a": [["started", "disk"]], "b": [["started", "epoch"]]}), list[Event]()
    with pytest.raises(StoreError, match="the disk is full"):
        Attempts(sender, Packing(2), events.append, sender.clock).run(jobs("a", "b", "c"))
    assert "Aborted a" in told(events)
    assert told(events)[-1] == "Stopped b"
    assert "start c 1" not in sender.log


def test_an_exception_of_the_one_who_listens_reaches_the_sender(jobs: Jobs) -> None:
    def on_event(event: Event) -> None:
        raise KeyboardInterrupt

    sender = Scripted({"a": [["started"]]})
    with pytest.raises(KeyboardInterrupt):
        Attempts(sender, Packing(1), on_event, sender.clock).run(jobs("a"))
    assert sender.log[-1] == "left on KeyboardInterrupt"


def test_every_run_ends_once_whatever_workers_do(jobs: Jobs) -> None:
    ends = ["done", "breaks", "memory", "busy", DIES]
    for seed in range(100):
        draw = random.Random(seed)
        todo = jobs(*(f"{variant}-{seed}-{number}" for variant in "ab" for number in range(3)))
        scripts = {
            job.spec.key: [
                [*draw.choices(["started", "epoch", WAITS], k=draw.randrange(3)), draw.choice(ends)] for _ in range(4)
            ]
            for job in todo
        }
        sender = Scripted(scripts)
        events = attempt(sender, todo, at_a_time=draw.randrange(1, 4))
        ended = sorted(e.spec.key for e in events if isinstance(e, (Finished, Failed)))
        assert ended == sorted(job.spec.key for job in todo)
