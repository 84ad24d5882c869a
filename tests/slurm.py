"""A Slurm of the tests' own: munged, slurmctld and one slurmd, in a network namespace that nobody else sees.

The namespace's loopback has an address outside of 127.0.0.0/8, which Slurm would treat as a special case.
Commands reach the cluster through scripts that enter the namespace; whatever is left in it at the end is killed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "unshare", "nsenter", "ip")
COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "scontrol", "srun")
ADDRESS = "10.77.0.1"
START_SECONDS = 60.0
CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}({address})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
KillWait=10
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
NodeName=node NodeHostname={host} NodeAddr={address} CPUs=4 RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=node Default=YES MaxTime=60 State=UP PriorityTier=1
PartitionName=urgent Nodes=node MaxTime=60 State=UP PriorityTier=10 PreemptMode=OFF
"""


@dataclass(frozen=True)
class Slurm:
    """A running cluster. bin: the folder of its commands. folder: of its files."""

    folder: Path

    @property
    def bin(self) -> Path:
        """Return the folder of the commands that reach it."""
        return self.folder / "bin"

    def ask(self, command: str, *arguments: str) -> str:
        """Return what one of its commands prints."""
        told = subprocess.run([self.bin / command, *arguments], check=True, capture_output=True, text=True, timeout=60)
        return told.stdout.strip()

    def jobs(self, *states: str) -> list[str]:
        """Return the ids of jobs in these states."""
        return self.ask("squeue", "--array", "--noheader", f"--states={','.join(states)}", "--format=%i").split()


@contextlib.contextmanager
def slurm() -> Iterator[Slurm]:
    """Run a cluster while this lasts. Skips the test, with the reason, where none can run."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        install = "apt-get install slurmctld slurmd slurm-client munge iproute2"
        pytest.skip(f"Slurm is not here ({', '.join(absent)}): {install}")
    if os.geteuid() != 0:
        pytest.skip("a Slurm of the tests' own takes root, for a network namespace")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # a short path: one of a socket may have 107 bytes
    with contextlib.ExitStack() as held:
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        held.callback(_end, holder)
        if not _in_its_own(holder):
            pytest.skip("no network namespace can be made here")
        held.callback(_clear, Path(f"/proc/{holder.pid}/ns/net").readlink())
        cluster = _configured(folder, holder)
        why = _started(cluster, holder, held)
        if why:
            pytest.skip(f"Slurm does not start here: {why}")
        yield cluster


def _in_its_own(holder: subprocess.Popen[bytes]) -> bool:
    """Wait until a process is in a namespace of its own, and set up its loopback."""
    ours = Path("/proc/self/ns/net").readlink()
    until = time.monotonic() + 10
    while holder.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{holder.pid}/ns/net").readlink() != ours:
                enter = ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "ip"]
                orders = (["link", "set", "lo", "up"], ["addr", "add", f"{ADDRESS}/32", "dev", "lo"])
                return all(subprocess.run([*enter, *order]).returncode == 0 for order in orders)
        time.sleep(0.05)
    return False


def _configured(folder: Path, holder: subprocess.Popen[bytes]) -> Slurm:
    """Write the configuration, the key of munge, and the commands."""
    host = socket.gethostname().partition(".")[0]
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    (folder / "slurm.conf").write_text(CONFIGURATION.format(host=host, address=ADDRESS, folder=folder))
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    for name in COMMANDS:
        script = folder / "bin" / name
        enter = f"exec nsenter --net=/proc/{holder.pid}/ns/net {shutil.which(name)}"
        script.write_text(f'#!/bin/sh\nexport SLURM_CONF={folder}/slurm.conf\n{enter} "$@"\n')
        script.chmod(0o755)
    return Slurm(folder)


def _started(cluster: Slurm, holder: subprocess.Popen[bytes], held: contextlib.ExitStack) -> str:
    """Start the daemons; return why they do not work, "" if they do."""
    folder = cluster.folder
    munged = ["munged", "--foreground", "--force"]
    for name, file in (("key-file", "key"), ("socket", "socket"), ("pid-file", "pid"), ("seed-file", "seed")):
        munged.append(f"--{name}={folder}/munge.{file}")
    munged.append(f"--log-file={folder}/munge.log")
    enter = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
    environment = {**os.environ, "SLURM_CONF": f"{folder}/slurm.conf"}
    null = subprocess.DEVNULL
    for command in (munged, ["slurmctld", "-D", "-c"], ["slurmd", "-D", "-N", "node"]):
        said = held.enter_context((folder / f"{command[0]}.said").open("wb"))
        daemon = subprocess.Popen([*enter, *command], env=environment, stdin=null, stdout=said, stderr=said)
        held.callback(_end, daemon)
        while command is munged and not (folder / "munge.socket").exists():
            if daemon.poll() is not None:
                return (folder / "munged.said").read_text()[-300:]
            time.sleep(0.05)
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(subprocess.SubprocessError):
            if cluster.ask("sinfo", "--noheader", "--format=%T", "--partition=main") == "idle":
                return ""
        time.sleep(0.2)
    logs = [(folder / f"{name}.log") for name in ("slurmctld", "slurmd")]
    return " | ".join(log.read_text(errors="replace")[-300:] for log in logs if log.exists()) or "it does not say why"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def inhabitants(namespace: Path) -> list[int]:
    """Return the processes in a network namespace."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                if (process / "ns" / "net").readlink() == namespace:
                    found.append(int(process.name))
    return found


def _clear(namespace: Path) -> None:
    """Kill what is left in a network namespace: what keeps a job, and jobs."""
    until = time.monotonic() + 10
    while (left := inhabitants(namespace)) and time.monotonic() < until:
        for process in left:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.1)
