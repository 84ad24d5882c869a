"""A Ray cluster: joined, or started on this machine for one command; what its nodes have, and how many runs fit.

Ray has to be installed: `builtin.ray_executor` says how where it is not.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray

from ..errors import AblateError, InputError, counted, listing, one_line
from ..host import cores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STORE_BYTES = 80 * 2**20
"""Of Ray's object store on a machine where we start Ray: plugins and news go through it, never data."""
_CLIENT = "ray://"
_TOKENS = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@dataclass(frozen=True)
class Need:
    """What one run asks of a node."""

    cpus: int
    gpus: float
    others: Mapping[str, float] = field(default_factory=dict)

    @property
    def resources(self) -> dict[str, float]:
        """Return all of it by Ray's names, without what is not asked for."""
        asked = {"CPU": float(self.cpus), "GPU": self.gpus, **self.others}
        return {name: amount for name, amount in asked.items() if amount}

    def __str__(self) -> str:
        return listing(f"{amount:g} {name}" for name, amount in self.resources.items())

    def slots(self, has: Mapping[str, float]) -> int:
        """Return how many such runs a node has room for at a time."""
        return min(int(_exactly(has.get(name, 0.0) / amount)) for name, amount in self.resources.items())


def _exactly(share: float) -> float:
    """Return a quotient as it is meant: 0.3 goes into 0.9 three times."""
    return round(share) if abs(share - round(share)) < 1e-6 else share


class Cluster:
    """The cluster that a command uses. address: HOST:PORT, "" for Ray's own rule, "local" for one of our own."""

    def __init__(self, address: str = "") -> None:
        self.address = address
        self.started = False  # by us, so that it ends with us
        self._joined = False
        self._before: dict[str, str | None] = {}

    def join(self) -> None:
        """Join the cluster, unless this process has joined one already. Raises InputError where that cannot be."""
        if ray.is_initialized():
            return
        address = self.address or os.environ.get("RAY_ADDRESS", "") or "auto"
        if address == "auto":
            address = _made_by_ray_start() or "local"
        if address.startswith(_CLIENT):
            raise InputError(
                f"Ray at {address}: ablate does not go through Ray Client\n"
                "  run the command on a machine of the cluster, with HOST:PORT of its head, or send it there:\n"
                "  ray job submit --address http://HOST:8265 -- ablate run ..."
            )
        with _own_handlers():
            try:
                if address == "local":
                    self._start()
                else:
                    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
                    self._joined = True
            except Exception as error:
                self.leave()
                # A Ray that does not start in time raises a bare Exception.
                known = (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError)
                kind = InputError if isinstance(error, known) and address != "local" else AblateError
                raise kind(_refusal(address, error)) from error

    def _start(self) -> None:
        """Start Ray on this machine.

        It lets in only who has its token. Ray would write one to the user's home, where each `ray start` from then on
        finds it, and programs that join by an address do not: ours is in the environment, until Ray ends.
        """
        self._before = {name: os.environ.get(name) for name in _TOKENS}
        if not any(self._before.values()):
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        ray.init(
            address="local",
            num_cpus=cores(),
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        self._joined = self.started = True

    def leave(self) -> None:
        """Leave the cluster, and end it where it was started here."""
        if self._joined:
            ray.shutdown()
            self._joined = self.started = False
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
        self._before = {}

    def nodes(self) -> list[tuple[str, dict[str, float]]]:
        """Return the nodes that are alive, each with its name and what it has in all."""
        found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        return [(node["NodeManagerHostname"], node["Resources"]) for node in found if node["Alive"]]

    @property
    def name(self) -> str:
        """Return what the cluster is called in a sentence."""
        if self.started:
            return "Ray, started here"
        return f"Ray at {ray.get_runtime_context().gcs_address} ({counted(len(self.nodes()), 'node')})"

    def slots(self, need: Need) -> int:
        """Return how many runs fit at a time, on all nodes together, where nobody else uses them."""
        return sum(need.slots(has) for _, has in self.nodes())

    def refusal(self, need: Need) -> str:
        """Say that no node can ever have what a run needs, and what they have."""
        have = [f"  {name}: {_shown(has)}" for name, has in self.nodes()]
        return "\n".join(
            [
                f"--executor ray: a run needs {need}, and no node of the cluster has that; it would wait for ever",
                *have[:10],
                *([f"  and {counted(len(have) - 10, 'other node')}"] if len(have) > 10 else []),
                "  ask for less (--with cpus_per_run=N, --gpus-per-run X)",
                "  where the cluster adds nodes when they are needed: --with grows=true",
            ]
        )


def _shown(has: Mapping[str, float]) -> str:
    """Say what a node has, without Ray's own book-keeping."""
    own = {name: amount for name, amount in has.items() if ":" not in name and "memory" not in name}
    return ", ".join(f"{own.pop(name, 0):g} {name}" for name in ("CPU", "GPU")) + "".join(
        f", {amount:g} {name}" for name, amount in sorted(own.items())
    )


def _made_by_ray_start() -> str:
    """Return the address of the cluster that `ray start` made or joined on this machine, "" without one.

    Ray's "auto" takes any Ray on the machine, and so another command's own one, which lets in nobody else. There is no
    public way to what Ray does without an address.
    """
    from ray._private import services

    return services.find_bootstrap_address(None) or ""


def _refusal(address: str, error: Exception) -> str:
    """Say why a cluster cannot be joined."""
    where = "on this machine" if address == "local" else f"at {address}"
    text = one_line(str(error), 300)
    lines = [f"--executor ray: Ray {where} cannot be used: {text}"]
    if "timed out" in text:
        lines.append("  the machine may be busy: run the same command again")
    elif "version" in text.lower():
        lines.append("  Python and Ray have to be the same on all machines, to the last number of their versions")
    elif isinstance(error, ray.exceptions.AuthenticationError) or "uthenticat" in text:
        lines.append(
            "  the cluster lets in only who has its token: set RAY_AUTH_MODE=token here and on all machines, and "
            "RAY_AUTH_TOKEN_PATH, or ~/.ray/auth_token, to the token of its head"
        )
    else:
        lines.append(
            "  'ray status' on that machine says whether a cluster runs there; 'ablate doctor' what is set here"
        )
    return "\n".join(lines)


@contextlib.contextmanager
def _own_handlers() -> Iterator[None]:
    """Keep this process's handler of SIGTERM, which `ray.init` replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Quiet:
    """Takes what Ray prints of raylets to standard output, where our own output goes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, data: Mapping[str, Any], *_: object, **__: object) -> None:
        self.lines = [*self.lines, *map(str, data.get("lines", ()))][-100:]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Ray from printing to standard output; there is no public way, and without this one it prints."""
    module = ray._private.worker  # noqa: SLF001
    before = getattr(module, "print_to_stdstream", None)
    if before is not None:
        module.print_to_stdstream = _Quiet()
    try:
        yield
    finally:
        if before is not None:
            module.print_to_stdstream = before
