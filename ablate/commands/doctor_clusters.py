"""What `ablate doctor` says of the clusters that runs can be made on: what is installed, and what is set here."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from ..execute import slurm_queue
from .doctor_install import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOKEN = Path(".ray") / "auth_token"
"""Where Ray looks for a token in the user's home."""


def cluster_checks(environment: Mapping[str, str], home: Path) -> Iterator[Check]:
    """Say what stands in the way of `--executor ray` and `--executor slurm`. home: the user's."""
    if version := _version("ray"):
        yield ray_check(version, environment, home)
    else:
        yield Check("ray", "ok", 'not installed; for --executor ray: pip install "ablate-studies[ray]"')
    yield slurm_check(_version("submitit"))


def _version(distribution: str) -> str:
    """Return the version of what is installed, "" for what is not."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def slurm_check(submitit: str) -> Check:
    """Tell whether Slurm's commands and submitit are here. It asks no controller: that could wait for long."""
    absent = [name for name in slurm_queue.COMMANDS if shutil.which(name) is None]
    installs = "" if submitit else '; for --executor slurm: pip install "ablate-studies[slurm]"'
    found = f"submitit {submitit}" if submitit else "no submitit"
    if len(absent) == len(slurm_queue.COMMANDS):
        return Check("slurm", "ok", f"no commands of Slurm, as on a login node of a cluster; {found}{installs}")
    if absent:
        remedy = "install Slurm's client commands, or use a login node of the cluster"
        return Check("slurm", "warning", f"some commands of Slurm are absent: {', '.join(absent)}; {found}", remedy)
    return Check("slurm", "ok", f"{slurm_queue.version() or 'version unknown'}, {found}{installs}")


def ray_check(version: str, environment: Mapping[str, str], home: Path) -> Check:
    """Tell whether what is set for Ray fits together. It asks no cluster: that could wait for long."""
    address, mode = environment.get("RAY_ADDRESS", ""), environment.get("RAY_AUTH_MODE", "").lower()
    file = Path(environment.get("RAY_AUTH_TOKEN_PATH") or home / TOKEN)
    token = bool(environment.get("RAY_AUTH_TOKEN")) or file.is_file()
    found = f"{version}, {f'RAY_ADDRESS={address}' if address else 'no RAY_ADDRESS'}"
    if address.startswith("ray://"):
        remedy = "name the head itself, as RAY_ADDRESS=HOST:6379, on a machine of the cluster; or ray job submit"
        return Check("ray", "warning", f"{found}: ablate does not go through Ray Client", remedy)
    if token and not mode:
        return Check(
            "ray",
            "warning",
            f"{found}; a token is set ({file if file.is_file() else 'RAY_AUTH_TOKEN'}), and RAY_AUTH_MODE is not: "
            "a 'ray start' asks for the token, and who joins by an address does not send it",
            "RAY_AUTH_MODE=token in the environment of every process on every machine, or =disabled in all of them",
        )
    if mode == "token" and not token:
        remedy = f"copy ~/{TOKEN} of the cluster's head to this machine, or name it: RAY_AUTH_TOKEN_PATH=FILE"
        return Check("ray", "warning", f"{found}; RAY_AUTH_MODE=token, and there is no token", remedy)
    return Check("ray", "ok", f"{found}{f', RAY_AUTH_MODE={mode}' if mode else ''}")
