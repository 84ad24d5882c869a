"""What stored runs were evaluated on: the names of their classes, and their images where the data is still here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..data.class_names import known_names
from ..data.kept_images import evaluated_images, kept_of
from ..paths import arrays_dir
from ..study.splits import Splits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..data.kept_images import Images
    from ..store.store import Store


def class_names(home: Store, keys: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the classes that runs tell apart; empty where they are not known, or not all the same."""
    found: dict[str, tuple[str, ...]] = {}
    for key in keys:
        dataset = _dataset(home, key)
        if dataset is None:  # a task says it of each run
            if result := home.run(key).result():
                names = result.get("classes")
                found[key] = tuple(map(str, names)) if isinstance(names, list) else ()
        elif str(dataset["fingerprint"]) not in found:
            found[str(dataset["fingerprint"])] = _names(dataset)
    return next(iter(found.values())) if len(set(found.values())) == 1 else ()


def pictures_of(home: Store, key: str, split: str, labels: Any) -> Images | None:
    """Return the images of a split that a run was evaluated on; None where its decoded data is not on this machine.

    labels: of these images (N,), which the data has to have.
    """
    dataset = _dataset(home, key)
    kept = kept_of(str(dataset["fingerprint"]), arrays_dir()) if dataset else None
    if not dataset or kept is None:
        return None
    sizes = dataset.get("splits")
    known = sizes if isinstance(sizes, dict) else {}
    splits = Splits(**{name: known.get(name) for name in ("train", "validation", "test", "folds", "turn")})
    return evaluated_images(kept, splits, split, labels)


def _dataset(home: Store, key: str) -> Mapping[str, Any] | None:
    """Return what a run's identity says of its dataset; None where it says nothing that can be used."""
    identity = (home.run(key).spec() or {}).get("identity")
    dataset = identity.get("dataset") if isinstance(identity, dict) else None
    return dataset if isinstance(dataset, dict) and "fingerprint" in dataset else None


def _names(dataset: Mapping[str, Any]) -> tuple[str, ...]:
    kept = kept_of(str(dataset["fingerprint"]), arrays_dir())
    if kept and kept[1].names:
        return kept[1].names
    classes = dataset.get("classes")
    return known_names(str(dataset.get("use")), classes) if isinstance(classes, int) else ()
