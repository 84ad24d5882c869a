"""Tasks of studies/forest.toml: scikit-learn's trees on its own data, no image and no network in sight."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import train_test_split

from ablate import Count, Metric, Range, Run, task

METRICS = [
    Metric("test/f1", direction="maximize", unit="percent", margin=0.005),
    Metric("test/auroc", direction="maximize", unit="percent", label="AUROC"),
]
STEPS = 5


def _splits(seed: int) -> tuple[np.ndarray, ...]:
    """Return rows and labels to train on, to validate with and to test with, 60, 20 and 20 % of them."""
    rows, labels = load_breast_cancer(return_X_y=True)
    rows, test_rows, labels, test_labels = train_test_split(rows, labels, test_size=0.2, random_state=0)
    train_rows, validation_rows, train_labels, validation_labels = train_test_split(
        rows, labels, test_size=0.25, random_state=seed
    )
    return train_rows, train_labels, validation_rows, validation_labels, test_rows, test_labels


def _grown(run: Run, model: RandomForestClassifier | GradientBoostingClassifier, trees: int) -> dict[str, float]:
    """Grow an ensemble a fifth at a time, logging each, and return what it is worth on the test rows."""
    rows, labels, validation, validation_labels, test, test_labels = _splits(run.seed)
    for step in range(1, 2 if run.pilot else STEPS + 1):
        model.set_params(n_estimators=max(1, trees * step // STEPS))
        model.fit(rows, labels)  # with warm_start it goes on from the trees that there are
        measured = {"validation/f1": f1_score(validation_labels, model.predict(validation))}
        run.log(step=model.n_estimators, metrics=measured)
    shares = model.predict_proba(test)
    return {
        "test/f1": f1_score(test_labels, shares.argmax(1)),
        "test/auroc": roc_auc_score(test_labels, shares[:, 1]),
        "predictions": np.log(shares.clip(1e-9)),
        "labels": test_labels,
    }


@task("random-forest", metrics=METRICS, rehearse=True)
def random_forest(
    run: Run,
    *,
    trees: Annotated[int, Range(10, 200, log=True)] = 50,
    features: Literal["sqrt", "log2", "all"] = "sqrt",
    depth: Count | None = None,
) -> dict[str, float]:
    """Random forest on the breast-cancer data that scikit-learn embeds."""
    model = RandomForestClassifier(
        max_features=None if features == "all" else features,
        max_depth=depth,
        random_state=run.seed,
        n_jobs=run.threads,
        warm_start=True,
    )
    return _grown(run, model, trees)


@task("boosting", metrics=METRICS, rehearse=True)
def boosting(
    run: Run, *, trees: Count = 50, depth: Count = 3, rate: Annotated[float, Range(0.01, 1.0, log=True)] = 0.1
) -> dict[str, float]:
    """Gradient boosting on the same rows."""
    model = GradientBoostingClassifier(
        learning_rate=rate, max_depth=depth, subsample=0.5, random_state=run.seed, warm_start=True
    )
    return _grown(run, model, trees)
