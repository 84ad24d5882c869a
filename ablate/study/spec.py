"""The records of a study: frozen, plain, and free of files and components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from ..components.contracts import Space

Place = tuple[str | int, ...]
"""Where something stands in a study file: keys and list indices from the top; empty for the command line."""


@dataclass(frozen=True)
class Choice:
    """A component as a study names it: `use` and its settings (plain TOML values)."""

    use: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    place: Place = field(default=(), compare=False)


@dataclass(frozen=True)
class Splits:
    """How a dataset is cut; a whole number counts images, a fraction is a share.

    train: images to train on, of those that validation (and test) leave; None for all.
    validation: images taken from the training images; None for the source's own or none, 0 for none.
    test: images of the test set; where the source has no test set they are taken from the training images. While
    a study is tuned 0, or where they come out of the training images their number with a minus: set apart, not shown.
    """

    train: int | float | None = None
    validation: int | float | None = None
    test: int | float | None = None


NUMBERS = (
    "epochs", "batch_size", "label_smoothing", "clip_norm", "accumulate", "ema", "precision", "live_taps",
)  # fmt: skip
"""The parts of a recipe that are plain values."""


@dataclass(frozen=True)
class Recipe:
    """All that decides how a variant trains, whatever it is called.

    batch_size: images in an optimizer step, taken in `accumulate` parts. label_smoothing: share of each label that
    is spread over all classes. clip_norm: the longest gradient, 0 for any. ema: decay of the average of the weights
    that is evaluated in their place, 0 for none. precision: fp32, tf32, bf16, or auto for bf16 where it is fast.
    live_taps: convolve with the part of a kernel that reaches the image.
    """

    epochs: int
    batch_size: int
    dataset: Choice
    model: Choice
    optimizer: Choice
    scheduler: Choice = Choice("constant")
    augmentation: tuple[Choice, ...] = ()
    splits: Splits = Splits()
    label_smoothing: float = 0.0
    clip_norm: float = 0.0
    accumulate: int = 1
    ema: float = 0.0
    precision: str = "auto"
    live_taps: bool = True


@dataclass(frozen=True)
class Finder:
    """The range test that `lr = { find = true }` stands for, which each run begins with.

    rule: what reads the curve, "valley" or "steepest". low, high: the range of learning rates. steps: of training, at
    most; an optimizer step each.
    """

    rule: str = "valley"
    low: float = 1e-6
    high: float = 10.0
    steps: int = 100

    @classmethod
    def of(cls, recipe: Recipe) -> Finder | None:
        """Return the range test that a recipe asks for, or None where its learning rate is a number."""
        return cls.read(recipe.optimizer.settings.get("lr"))

    @classmethod
    def read(cls, setting: object) -> Finder | None:
        """Return the range test that an optimizer's `lr` asks for, or None; it may not be checked yet."""
        if not isinstance(setting, Mapping) or setting.get("find") is not True:
            return None
        given = {name: value for name, value in setting.items() if name != "find"}
        kinds = {f.name: str if f.name == "rule" else (int, float) for f in fields(cls)}
        good = all(isinstance(value, kinds.get(name, ())) for name, value in given.items())
        return cls(**given) if good else None

    def __str__(self) -> str:
        usual = Finder()
        span = f"{self.low:g} to {self.high:g}" if (self.low, self.high) != (usual.low, usual.high) else ""
        steps = f"{self.steps} steps" if self.steps != usual.steps else ""
        return f"found ({', '.join(part for part in (self.rule, span, steps) if part)})"


def with_lr(recipe: Recipe, lr: float) -> Recipe:
    """Return a recipe whose optimizer has this learning rate."""
    settings = {**recipe.optimizer.settings, "lr": lr}
    return replace(recipe, optimizer=replace(recipe.optimizer, settings=settings))


@dataclass(frozen=True)
class Variant:
    """The baseline (`parent` is None) or a named difference from another variant.

    enhancements: the author's words for what is new, for the table; empty to have them derived.
    reported: a paper's own numbers by metric (`accuracy` as a fraction, `loss`).
    note: why, in the author's words. tuned: for a variant that is another one (its parent) with the best settings
    that tuning found, those settings; empty for all that a study file lists.
    """

    name: str
    recipe: Recipe
    parent: str | None = None
    model_label: str = ""
    enhancements: tuple[str, ...] = ()
    reported: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    place: Place = field(default=(), compare=False)
    tuned: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """How runs are looked after; none of it is part of a run's key.

    run_timeout: seconds after which a run is ended, or None. checkpoint_seconds: between checkpoints inside an
    epoch. go_on: train on where the loss is no longer finite. keep_checkpoints: finished runs keep their last
    state, the trained weights with it. cuda_graphs: whose steps are recorded once and replayed on an
    NVIDIA GPU, where that is measured to pay: "auto" for models and optimizers that ship or are a library's, "all" for
    any, "none".
    """

    run_timeout: float | None = None
    checkpoint_seconds: float = 120.0
    go_on: bool = False
    keep_checkpoints: bool = False
    cuda_graphs: str = "auto"


@dataclass(frozen=True)
class Tuning:
    """How a study is tuned; none of it is part of a final run's key.

    trials: in total for each variant; None for all of a grid, and 50 otherwise. metric: what is made best, on the
    validation split unless the study says
    `steers_by_test`. space: by setting, such as `optimizer.lr`; None for the components' own ranges of learning
    rate and weight decay. epochs: share of a variant's epochs that a trial trains. sampler, pruner: by name, with
    Optuna's settings. seed: of every trial, and of no final run.
    """

    trials: int | None = None
    metric: str = "validation/accuracy"
    space: Space | None = None
    epochs: float = 1.0
    sampler: Choice = Choice("tpe")
    pruner: Choice = Choice("median")
    seed: int = 1000
    steers_by_test: bool = False


@dataclass(frozen=True)
class Study:
    """One study file, read and resolved.

    label: what the table calls a variant, such as "Phase".
    metric: what is compared, one of METRICS.
    ladder: each variant builds on the one before it unless its `from` says otherwise.
    pilot: a short trial run of everything, whose numbers mean nothing.
    """

    name: str
    title: str
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    label: str = "Variant"
    metric: str = "test/accuracy"
    ladder: bool = False
    note: str = ""
    plugins: tuple[Path, ...] = ()
    pilot: bool = False
    limits: Limits = Limits()
    tuning: Tuning = Tuning()

    def variant(self, name: str) -> Variant:
        """Return the variant of this name; KeyError where there is none."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise KeyError(name)


@dataclass(frozen=True)
class RunSpec:
    """One run: a variant's recipe with one seed.

    `identity` is the plain document of all that decides the result, and `key` its hash.
    """

    variant: str
    seed: int
    key: str
    recipe: Recipe
    identity: Mapping[str, Any]


def differences(old: Recipe, new: Recipe) -> list[tuple[str, str, str]]:
    """List what changed from one recipe to another as (factor, before, after), in reading order.

    Factors are those in NUMBERS, `dataset`, `model`, `augmentation`, `optimizer` and `scheduler`;
    a component that only changes a setting is named with that setting, as in `optimizer.lr`.
    """
    found: list[tuple[str, str, str]] = []
    for factor in ("dataset", "model", "optimizer", "scheduler"):
        found += _choice_differences(factor, getattr(old, factor), getattr(new, factor))
    before, after = _numbered(old.augmentation), _numbered(new.augmentation)
    for use in [*before, *(u for u in after if u not in before)]:
        if use not in after:
            found.append((f"augmentation.{use}", text_of(before[use]), "none"))
        elif use not in before:
            found.append((f"augmentation.{use}", "none", text_of(after[use])))
        else:
            found += _choice_differences(f"augmentation.{use}", before[use], after[use])
    if list(before) != list(after) and set(before) == set(after):
        found.append(("augmentation", ", ".join(before), ", ".join(after)))
    for part in ("train", "validation", "test"):
        a, b = getattr(old.splits, part), getattr(new.splits, part)
        if a != b:
            found.append((f"dataset.{part}", _value(a), _value(b)))
    for number in NUMBERS:
        a, b = getattr(old, number), getattr(new, number)
        if a != b:
            found.append((number, _value(a), _value(b)))
    return found


def text_of(choice: Choice) -> str:
    """Write a choice on one line, as in `sgd (lr 0.1, momentum 0.9)`."""
    inside = ", ".join(f"{name} {_value(value)}" for name, value in choice.settings.items() if value is not None)
    return f"{choice.use} ({inside})" if inside else choice.use


def _numbered(choices: tuple[Choice, ...]) -> dict[str, Choice]:
    """Name each augmentation; the second of a kind is `cutout#2`."""
    named: dict[str, Choice] = {}
    for choice in choices:
        again = sum(other.use == choice.use for other in named.values())
        named[f"{choice.use}#{again + 1}" if again else choice.use] = choice
    return named


def _choice_differences(factor: str, old: Choice, new: Choice) -> list[tuple[str, str, str]]:
    if old.use != new.use:
        return [(factor, text_of(old), text_of(new))]
    names = [*old.settings, *(n for n in new.settings if n not in old.settings)]
    return [
        (f"{factor}.{name}", _value(old.settings.get(name)), _value(new.settings.get(name)))
        for name in names
        if old.settings.get(name) != new.settings.get(name)
    ]


def _value(value: Any) -> str:
    match value:
        case {"find": True} if finder := Finder.read(value):
            return str(finder)
        case None:
            return "default"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case list() | tuple():
            return "[" + ", ".join(_value(v) for v in value) + "]"
        case _:
            return str(value)
