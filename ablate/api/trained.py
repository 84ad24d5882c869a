"""A stored run's trained network, rebuilt, and the images that it was evaluated on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..components.contracts import ImageShape
from ..components.discover import discover
from ..components.no_exit import no_exit
from ..errors import InputError, StoreError
from ..launch.last import is_at_work
from ..paths import shown
from ..store.recipes import recipe_of
from ..study.spec import RunSpec
from ..study.toml import read_study
from ..training.checkpoint import NoCheckpointError, read_checkpoint
from ..training.trained import EvaluationImages, evaluation_images, trained_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from ..components.registry import Registry
    from ..store.documents import Document
    from ..store.run_folder import RunFolder
    from ..store.store import Store
    from ..store.studies import StudyRecord
    from ..study.spec import Study


@dataclass(frozen=True)
class StoredRun:
    """A run that is stored: its folder, its result, what it was, and the components that its study can name."""

    folder: RunFolder
    result: Document
    spec: RunSpec
    registry: Registry

    def model(self) -> nn.Module:
        """Return the network that it trained. Raises InputError that says why where it cannot be rebuilt."""
        spec, run = self.spec, f"{self.spec.variant}, seed {self.spec.seed}"
        entry = self.registry.get("model", spec.recipe.model.use)
        if entry.source != spec.identity["model"]["source"]:
            raise InputError(
                f"{run}: the source of model '{entry.name}' has changed since the run was made ({entry.place})\n"
                "  its weights belong to the network as it was; 'ablate run' would train the new one"
            )
        try:
            state = read_checkpoint(self.folder.checkpoint, spec.key)
            if state is not None:
                with no_exit():
                    return trained_model(spec, self.registry, state, str(self.result.get("weights")))
        except NoCheckpointError as error:
            raise InputError(f"{run}: {shown(self.folder.checkpoint)}: {error}") from error
        raise InputError(
            f"{run}: its weights were not kept\n"
            "  'keep_checkpoints = true' under [study] keeps those of runs that are trained from then on; "
            "to train a stored run again, use another store"
        )

    def images(self, split: str, data_dir: Path) -> EvaluationImages:
        """Return a split of its data as it evaluates it."""
        environment = (self.folder.spec() or {}).get("environment") or {}
        with no_exit():
            return evaluation_images(self.spec, self.registry, data_dir, split, environment.get("usual_layout", ""))


def stored_run(folder: RunFolder, study: Study, variant: str, record: StudyRecord, registry: Registry) -> StoredRun:
    """Return a run of a study that is stored. Raises StoreError where its files are not what was written."""
    result, identity = folder.result(), (folder.spec() or {}).get("identity")
    if result is None or identity is None:
        raise StoreError(f"{shown(folder.path)}: damaged; 'ablate store check' says more")
    recipe = recipe_of({**identity, "splits": identity["dataset"]["splits"]})
    # What a run records of its data says what they are, and the study where they are.
    dataset = study.variant(variant).recipe.dataset
    place = record.path.parent if record.has_file else record.path
    paths = {s.name for s in registry.get("dataset", dataset.use).settings if s.annotation is Path}
    settings = {
        name: str(place / Path(value).expanduser()) if name in paths and value is not None else value
        for name, value in dataset.settings.items()
    }
    shape, classes = ImageShape(*identity["dataset"]["shape"]), identity["dataset"]["classes"]
    key, recipe = folder.path.name, replace(recipe, dataset=replace(dataset, settings=settings))
    return StoredRun(
        folder, result, RunSpec(variant, identity["seed"], key, recipe, shape, classes, identity), registry
    )


def registry_of(store: Store, record: StudyRecord, plugins: Sequence[Path], by_name: bool) -> Registry:
    """Load the components that a recorded study can name, those of its own plugins among them.

    by_name: the user named the study, and gave neither its file nor the study itself. A store may be somebody else's,
    and code runs only from where the user works or from what the user named. Raises InputError where it would come
    from elsewhere.
    """
    file = record.path if record.has_file else None
    if file is None and not by_name:
        return discover(None, plugins)
    named = read_study(file).study.plugins if file and file.exists() else ()
    files = [*([file] if by_name and file else []), *(plugin for plugin in plugins if plugin not in named)]
    elsewhere = [file for file in files if not is_at_work(store, file)]
    if elsewhere:
        raise InputError(
            f"{shown(elsewhere[0])}: is not in the working folder, and a model is built by the code of its study's "
            "components\n  a store may be somebody else's: if you mean it, give the study instead of its name: "
            f"ablate.results({repr(str(file)) if file else 'study'})"
        )
    return discover(file, plugins)
