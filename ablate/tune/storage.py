"""Where Optuna keeps trials: a journal in the store, or any storage by its URL. Only the driver opens it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import optuna
from filelock import FileLock
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from ..errors import InputError, StoreError
from ..paths import shown
from ..store.files import store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..store.store import Store

CONNECT_SECONDS = 10
OPEN_TRIES, OPEN_SECONDS = 4, 0.5

optuna.logging.set_verbosity(optuna.logging.ERROR)  # what there is to say, ablate says


def open_storage(store: Store, url: str = "") -> BaseStorage:
    """Open the store's own journal or the storage at a URL. Raises InputError where it cannot be reached."""
    if url:
        return _database(url)
    file = journal(store)
    with store_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            return JournalStorage(JournalFileBackend(str(file), lock_obj=_Lock(file)))  # type: ignore[arg-type]
        except (ValueError, KeyError, AttributeError) as error:  # what a damaged line makes of it
            raise StoreError(
                f"{shown(file)}: does not read as Optuna's journal ({error})\n"
                "  move it aside: trained runs stay stored, and tuning makes its trials again from them"
            ) from error


def journal(store: Store) -> Path:
    """Return the file of the store's own trials."""
    return store.tuning_folder / "journal.log"


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
    """Turn what a database says when it goes away into one StoreError."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except (optuna.exceptions.StorageInternalError, DBAPIError) as error:
        raise StoreError(
            f"the storage of trials gave way: {_reason(error.__cause__ or error)}\n"
            "  runs that are finished are stored; once it can be reached, the same command goes on"
        ) from error


class _Lock:
    """A lock that the system drops with its owner; Optuna's own outlives a killed one for half a minute.

    A last line that a killed writer left half written is cut off, or the next one would be appended to it.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, FileLock(file.with_suffix(".lock"))

    def acquire(self) -> bool:
        """Hold the journal."""
        self._lock.acquire()
        with self._file.open("r+b") as found:
            content_end = found.seek(0, 2)
            at = content_end
            while at > 0:
                found.seek(at - 1)
                if found.read(1) == b"\n":
                    break
                at -= 1
            if at < content_end:
                found.truncate(at)
        return True

    def release(self) -> None:
        """Let go of the journal."""
        self._lock.release()


def _database(url: str) -> BaseStorage:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    try:
        place = make_url(url)
    except ArgumentError:
        raise InputError(
            f"--storage {url.partition('@')[2] or url}: is not a storage's URL\n"
            "  as in postgresql://USER@HOST/DATABASE or sqlite:///trials.db"
        ) from None
    named = place.render_as_string(hide_password=True)
    if place.drivername in ("postgresql", "postgres"):
        place = place.set(drivername="postgresql+psycopg")
    try:
        return _connect(place.render_as_string(hide_password=False))
    except (ImportError, SQLAlchemyError, RuntimeError, ValueError) as error:
        reason = _reason(error)
        missing = isinstance(error, ImportError) or isinstance(error.__cause__, ImportError)
        hint = "is it up, and its name right?"
        if missing and "postgres" in named:
            hint = "pip install 'ablate-studies[postgres]'"
        raise InputError(f"--storage {named}: cannot be used: {reason}\n  {hint}") from None


def _connect(url: str) -> RDBStorage:
    """Open a database; one that is empty may be getting its tables from another driver at this moment."""
    from sqlalchemy.exc import DBAPIError, OperationalError
    from sqlalchemy.pool import NullPool

    # A host that does not answer would keep the command waiting for minutes.
    patience = {"connect_timeout": CONNECT_SECONDS} if url.startswith("postgresql") else {}
    for left in reversed(range(OPEN_TRIES)):
        try:
            RDBStorage(
                url, engine_kwargs={"poolclass": NullPool, "connect_args": patience}
            )  # one that fails leaves no connection open
            break
        except DBAPIError as error:
            unreachable = isinstance(error, OperationalError) and "already exists" not in str(error)
            if unreachable or not left:
                raise
        time.sleep(OPEN_SECONDS)
    return RDBStorage(url, engine_kwargs={"pool_pre_ping": True, "pool_size": 5, "connect_args": patience})


def _reason(error: BaseException) -> str:
    """Return the first line of what a database's driver said."""
    return (str(getattr(error, "orig", None) or error).strip() or type(error).__name__).splitlines()[0]
