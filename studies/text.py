"""The task of studies/text.toml: a small text classifier in torch, on text that Python brings along."""

from __future__ import annotations

import ast
import platform
import re
import sysconfig
import zlib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from ablate import Count, Covered, InputError, Metric, Range, Run, Share, task

PACKAGES = ("asyncio", "email", "importlib", "logging", "multiprocessing", "unittest", "xml")
METRICS = [Metric("test/accuracy", direction="maximize", unit="percent", margin=0.01)]
PYTHON = platform.python_version()
BUCKETS, LONGEST, BATCH = 8192, 40, 64
Split = Literal["train", "validation", "test"]
Splits = dict[Split, tuple[Tensor, Tensor]]


def sources(package: str) -> list[Path]:
    """Return the files of a package of the standard library."""
    return sorted((Path(sysconfig.get_path("stdlib")) / package).rglob("*.py"))


@cache
def docstrings() -> dict[str, int]:
    """Return docstrings of the standard library, each once, with the number of their package in PACKAGES."""
    found: dict[str, int] = {}
    for label, package in enumerate(PACKAGES):
        for file in sources(package):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                    text = ast.get_docstring(node) or ""
                    if len(words(text)) >= 4:
                        found.setdefault(text, label)
    return found


def words(text: str) -> list[str]:
    """Return the words of a text, without those that name a package."""
    return [word for word in re.findall("[a-z]+", text.lower()) if word not in PACKAGES]


def numbered(text: str, ngrams: int) -> list[int]:
    """Return a number of 1 or more for each word, and for each run of up to `ngrams` words, by hashing."""
    said = words(text)[:LONGEST]
    parts = (" ".join(said[at : at + n]) for n in range(1, ngrams + 1) for at in range(len(said) - n + 1))
    return [1 + zlib.crc32(part.encode()) % (BUCKETS - 1) for part in parts]


@cache
def splits(ngrams: int) -> Splits:
    """Return numbers (N, longest), 0 after the last, and labels (N,) of each split: 60, 15 and 25 % of the texts.

    A text's own hash decides its split, whatever else there is and whichever Python brings it.
    """
    found: dict[Split, list[tuple[list[int], int]]] = {"train": [], "validation": [], "test": []}
    for text, label in docstrings().items():
        share = zlib.crc32(b"split" + text.encode()) % 100
        split: Split = "train" if share < 60 else "validation" if share < 75 else "test"
        found[split].append((numbered(text, ngrams), label))
    return {split: _padded(rows) for split, rows in found.items()}


def _padded(rows: list[tuple[list[int], int]]) -> tuple[Tensor, Tensor]:
    longest = max(len(numbers) for numbers, _ in rows)
    texts = torch.tensor([numbers + [0] * (longest - len(numbers)) for numbers, _ in rows])
    return texts, torch.tensor([label for _, label in rows])


class Bag(nn.Module):
    """The mean of what the words of a text stand for, whatever their order."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(BUCKETS, width, padding_idx=0)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, len(PACKAGES)))

    def forward(self, texts: Tensor) -> Tensor:
        """Return logits (N, packages) of texts (N, longest)."""
        logits: Tensor = self.head(self.words(texts))
        return logits


class Gru(nn.Module):
    """A recurrent network, which reads a text word by word."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.words = nn.Embedding(BUCKETS, width, padding_idx=0)
        self.reader = nn.GRU(width, width, batch_first=True)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, len(PACKAGES)))

    def forward(self, texts: Tensor) -> Tensor:
        """Return logits (N, packages) of texts (N, longest): the mean of what it knows after each word."""
        there = texts.ne(0).unsqueeze(2)
        read, _ = self.reader(self.words(texts))
        logits: Tensor = self.head((read * there).sum(1) / there.sum(1))
        return logits


MODELS = {"bag": Bag, "gru": Gru}


def check(folder: Path, /, *, model: str, ngrams: int, python: str, **_: Any) -> Covered:
    """Refuse settings that cannot work together, before anything runs."""
    del folder
    if model == "gru" and ngrams > 1:
        raise InputError("ngrams: the GRU reads word after word, and takes ngrams = 1")
    if python != PYTHON:
        raise InputError(f"python: this is Python {PYTHON}, which has docstrings of its own; leave the setting out")
    if absent := [package for package in PACKAGES if not sources(package)]:
        raise InputError(f"this Python comes without the source of its packages {', '.join(absent)}, which is read")
    return Covered()


@task("text-classifier", metrics=METRICS, rehearse=True, check=check)
def text_classifier(  # noqa: PLR0913  # its settings
    run: Run,
    *,
    model: Literal["bag", "gru"] = "bag",
    ngrams: Annotated[int, Range(1, 3)] = 1,
    width: Annotated[int, Range(8, 128, log=True)] = 64,
    dropout: Share = 0.3,
    lr: Annotated[float, Range(1e-4, 0.1, log=True)] = 0.01,
    epochs: Count = 10,
    python: str = PYTHON,  # whose docstrings they are: part of a run's key
) -> dict[str, Any]:
    """Tell which package of Python's standard library a docstring comes from, its name left out."""
    del python
    data = {split: (texts.to(run.device), labels.to(run.device)) for split, (texts, labels) in splits(ngrams).items()}
    net = MODELS[model](width, dropout).to(run.device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr)
    done = 0
    if kept := run.restored():  # last, since it also puts the random generators back
        net.load_state_dict(kept["net"])
        optimizer.load_state_dict(kept["optimizer"])
        done = kept["epoch"]
    run.steps = last = 2 if run.pilot else epochs
    for epoch in range(done + 1, last + 1):
        loss = trained(run, net, optimizer, *data["train"])
        if loss is None:
            return {}  # what it has trained since the last state is dropped
        measured, _ = evaluated(net, *data["validation"])
        named = {f"validation/{name}": value for name, value in measured.items()}
        run.log(step=epoch, metrics={"train/loss": loss, **named})
        run.save({"epoch": epoch, "net": net.state_dict(), "optimizer": optimizer.state_dict()})
    measured, logits = evaluated(net, *data["test"])
    named = {f"test/{name}": value for name, value in measured.items()}
    return {**named, "predictions": logits.cpu(), "labels": data["test"][1].cpu(), "classes": PACKAGES}


def trained(run: Run, net: nn.Module, optimizer: torch.optim.Optimizer, texts: Tensor, labels: Tensor) -> float | None:
    """Train an epoch; return the mean loss, or None where the run is to stop before its end."""
    net.train()
    total = 0.0
    for rows in torch.randperm(len(labels)).split(BATCH):
        if run.stop_wanted:
            return None
        loss = nn.functional.cross_entropy(net(texts[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += loss.item() * len(rows)
    return total / len(labels)


@torch.no_grad()
def evaluated(net: nn.Module, texts: Tensor, labels: Tensor) -> tuple[dict[str, float], Tensor]:
    """Return loss and accuracy on a split, and the logits (N, packages)."""
    net.eval()
    logits = net(texts)
    loss = nn.functional.cross_entropy(logits, labels).item()
    return {"accuracy": (logits.argmax(1) == labels).float().mean().item(), "loss": loss}, logits
