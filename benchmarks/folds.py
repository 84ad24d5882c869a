"""Cross-validation of two learners that are equally good: how often each test calls one better. Prints a table.

    python benchmarks/folds.py                  # about two minutes of one core
    python benchmarks/folds.py --studies 300    # the table of docs/statistics.md

Each study draws 200 examples of two classes, with two blocks of features that tell the classes equally well, and
cross-validates a learner on the one block and the same learner on the other: whichever comes out better does so by
chance. Folds are those of ablate, and so are the standard errors.

    paired       an ordinary t test of the differences of all folds, as if they were independent
    corrected    what ablate reports: the variance of Nadeau and Bengio, k r - 1 degrees of freedom
    found        studies in which the corrected test finds a block that tells the classes better
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtr
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from ablate.stats.methods import overlap, paired
from ablate.study.folds import fold_of_each

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES, FEATURES, ALPHA = 200, 4, 0.05
APART, BETTER = 0.5, 0.8
"""How far the classes' means are apart in each feature, and in those of a block that tells them better."""
LEARNERS: dict[str, Callable[[], Any]] = {
    "naive Bayes": GaussianNB,
    "decision tree": lambda: DecisionTreeClassifier(random_state=0),
}
CASES = ((5, 1), (5, 2), (5, 5), (10, 1), (2, 5))
"""Folds and repetitions."""
Floats = np.ndarray[Any, np.dtype[np.float64]]


def differences(learner: Callable[[], Any], draw: np.random.Generator, apart: float) -> dict[tuple[int, int], Floats]:
    """Return, for each case, the difference in accuracy of each fold of one study. apart: of the second block."""
    labels = draw.integers(0, 2, EXAMPLES)
    blocks = [draw.normal(size=(EXAMPLES, FEATURES)) + shift * labels[:, None] for shift in (APART, apart)]
    most, every = dict(sorted(CASES)), {}
    for folds, repetitions in most.items():
        each = []
        for turn in range(folds * repetitions):
            tested = fold_of_each(labels, folds, turn // folds) == turn % folds
            scores = [learner().fit(x[~tested], labels[~tested]).score(x[tested], labels[tested]) for x in blocks]
            each.append(scores[1] - scores[0])
        every[folds] = np.array(each)
    return {(folds, repetitions): every[folds][: folds * repetitions] for folds, repetitions in CASES}


def called(each: Floats, shared: float) -> bool:
    """Tell whether a test calls a difference. shared: as of `methods.overlap`."""
    error, df = paired(each, shared)
    return bool(error > 0 and 2 * stdtr(df, -abs(each.mean()) / error) < ALPHA)


def main() -> None:
    """Simulate, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=100, help="simulated studies of each row")
    studies = parser.parse_args().studies
    print("| learner | folds | repetitions | paired | corrected | found |\n|---|---|---|---|---|---|")
    for name, learner in LEARNERS.items():
        draw = np.random.default_rng(0)
        alike = [differences(learner, draw, APART) for _ in range(studies)]
        apart = [differences(learner, draw, BETTER) for _ in range(studies)]
        for case in CASES:
            shared = overlap(case[0])
            alarms = [np.mean([called(one[case], how) for one in alike]) for how in (0.0, shared)]
            found = np.mean([called(one[case], shared) for one in apart])
            cells = [name, *map(str, case), *(f"{100 * share:.1f}" for share in (*alarms, found))]
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
