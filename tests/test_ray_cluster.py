"""A Ray cluster of three nodes, simulated on this machine, trains a study; one node is killed in the middle."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ablate-studies[ray]'")

import ray
from ray.cluster_utils import Cluster

from ablate.commands.run import run_study
from ablate.execute.jobs import Finished, WorkerDied
from ablate.execute.local import LocalProcesses
from ablate.execute.ray_executor import RayExecutor, RayOptions
from ablate.launch.make import RunOptions
from tests.clusters import Listening, digits, maker, parents, weights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
NODES = 3


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Cluster, list[Any]]]:
    """A head without slots, and three nodes with one slot each."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    small: dict[str, Any] = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    try:
        yield cluster, [cluster.add_node(num_cpus=1, **small) for _ in range(NODES)]
    finally:
        ray.shutdown()
        cluster.shutdown()  # type: ignore[no-untyped-call]


def makes_runs(node: Any, store: Path) -> bool:
    """Tell whether a run that has trained an epoch is being made below a node's raylet."""
    raylet = node.all_processes["raylet"][0].process.pid
    makers = [process for run in store.glob("runs/*") if (process := maker(run)) is not None]
    return any(raylet in parents(process) for process in makers)


def test_a_study_loses_a_node_and_nothing_else(
    nodes: tuple[Cluster, list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    cluster, (first, *_) = nodes
    there, here = tmp_path / "there", tmp_path / "here"
    killed = threading.Event()

    def kill() -> None:
        until = time.monotonic() + 300
        while not makes_runs(first, there):
            if time.monotonic() > until:
                return
            time.sleep(0.1)
        cluster.remove_node(first, allow_graceful=False)  # which reaps its raylet: otherwise its workers live on
        killed.set()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    makes = Listening(RayExecutor(RayOptions(address=cluster.address)))
    assert run_study(digits(there), RunOptions(), makes) == 0
    killer.join()
    assert killed.is_set(), "no run began on the node that was to be killed"
    died = [event for event in makes.events if isinstance(event, WorkerDied)]
    assert died, "the node's run was not lost"
    finished = [event.spec.key for event in makes.events if isinstance(event, Finished)]
    assert len(finished) == len(set(finished)) == 10
    assert run_study(digits(here), RunOptions(jobs=os.cpu_count()), LocalProcesses()) == 0
    assert weights(there) == weights(here)
    epochs = {len((run / "history.jsonl").read_text().splitlines()) for run in there.glob("runs/*")}
    assert epochs == {12}
    capsys.readouterr()
    with capsys.disabled():
        print(f"\n{len(finished)} runs on {NODES} nodes, one killed: {[event.reason for event in died]}")
