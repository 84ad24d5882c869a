"""How sure a difference of two variants' means is: its standard error and degrees of freedom, by each method.

All work on arrays and broadcast over leading axes, so that `benchmarks/coverage.py` simulates the very functions that
reports call. `methods_shrinkage` has the default one.
Sources: Student 1908; Welch 1947, "The generalization of Student's problem when several different population
variances are involved"; Dunnett 1955, "A multiple comparison procedure for comparing several treatments with a
control"; Smyth 2004, "Linear models and empirical Bayes methods for assessing differential expression"; Nadeau and
Bengio 2003, "Inference for the Generalization Error"; Bouckaert and Frank 2004, "Evaluating the Replicability of
Significance Tests for Comparing Learning Algorithms".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.special import digamma, polygamma

Floats = np.ndarray[Any, np.dtype[np.float64]]
Places = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True, eq=False)
class Layout:
    """What is known before any result: the runs of each variant, and which are compared.

    runs: of each variant, two or more, shape (variants,). candidates, references: the places of the variants of each
    comparison, shape (comparisons,).
    """

    runs: Places
    candidates: Places
    references: Places

    @property
    def own(self) -> Floats:
        """Return the degrees of freedom of each variant's own variance."""
        return np.asarray(self.runs - 1, dtype=float)

    def sides(self, of_variants: Floats) -> tuple[Floats, Floats]:
        """Return the values of the candidates and of the references; their last axis is then that of comparisons."""
        return of_variants[..., self.candidates], of_variants[..., self.references]


class Sureness(NamedTuple):
    """Of each comparison: the standard error of the difference and its degrees of freedom."""

    standard_error: Floats
    df: Floats


def overlap(folds: int | None) -> float:
    """Return what the folds of cross-validation add to 1 / n in the variance of a mean of n of them; 0 without folds.

    Folds share training images, so that their results are alike, and their spread understates how much the mean would
    move with other images: not by 1 / n, but by 1 / n + tested / trained on (Nadeau and Bengio 2003), here of one fold
    and of all others. More repetitions of the same images make the first part smaller and never the second
    (Bouckaert and Frank 2004). Images that a fold leaves out of its training part leave this as it is: what makes
    folds alike is all images that there are.
    """
    return 0.0 if folds is None else 1 / (folds - 1)


def paired(differences: Floats, overlap: float = 0.0) -> Sureness:
    """Return it for differences of one comparison per seed, whose axis is the last one. overlap: of folds."""
    seeds = differences.shape[-1]
    error = differences.std(-1, ddof=1) * np.sqrt(1 / seeds + overlap)
    return Sureness(error, np.full_like(error, seeds - 1))


def welch(variances: Floats, layout: Layout) -> Sureness:
    """Return it with a spread of each side's own.

    variances: of each variant's runs (divided by n - 1), shape (..., variants).
    """
    return satterthwaite(variances, layout, layout.own)


def pooled(variances: Floats, layout: Layout) -> Sureness:
    """Return it with one spread for all variants, as an analysis of variance has it."""
    own = layout.own
    common = (variances * own).sum(-1, keepdims=True) / own.sum()
    ours, theirs = layout.sides(1 / layout.runs)
    error = np.sqrt(common * (ours + theirs))
    return Sureness(error, np.full_like(error, own.sum()))


def moderated(variances: Floats, layout: Layout, prior: tuple[float, float] | None = None) -> Sureness:
    """Return it with spreads that are drawn towards a common one, as far as all spreads resemble each other.

    prior: degrees of freedom and variance of the common spread; None to estimate them from these variances.
    """
    own = layout.own
    weight, common = moderation(variances, own) if prior is None else map(np.asarray, prior)
    unlimited = np.isinf(weight)
    part = np.where(unlimited, 1.0, weight / (np.where(unlimited, 1.0, weight) + own))
    drawn = part * common + (1 - part) * variances
    return satterthwaite(drawn, layout, np.minimum(own + weight, own.sum()))


def moderation(variances: Floats, own: Floats) -> tuple[Floats, Floats]:
    """Return degrees of freedom and value of the common variance (Smyth 2004, section 6.2), each of shape (..., 1).

    own: degrees of freedom of each variance. Those of the common one are infinite where the variances differ no more
    than by chance. A variance of 0 counts as a hundred thousandth of the median, as in limma.
    """
    variances = np.maximum(variances, 1e-5 * np.median(variances, -1, keepdims=True))
    logs = np.log(variances) - digamma(own / 2) + np.log(own / 2)
    center = logs.mean(-1, keepdims=True)
    excess = logs.var(-1, ddof=1, keepdims=True) - polygamma(1, own / 2).mean()
    differ = excess > 0
    half = trigamma_inverse(np.where(differ, excess, 1.0))
    common = np.exp(center + np.where(differ, digamma(half) - np.log(half), 0.0))
    return np.where(differ, 2 * half, np.inf), common


def trigamma_inverse(values: Floats) -> Floats:
    """Return where the trigamma function has these values, all above 0 (Newton's method; Smyth 2004, appendix)."""
    found = 0.5 + 1 / values
    for _ in range(50):
        now = polygamma(1, found)
        step = now * (1 - now / values) / polygamma(2, found)
        found = found + step
        if np.all(np.abs(step) < 1e-12 * found):
            break
    return found


def satterthwaite(variances: Floats, layout: Layout, df: Floats) -> Sureness:
    """Return the standard error of differences of means whose variants have spreads of their own.

    df: degrees of freedom of each variance, to broadcast with them. Those of a difference are Satterthwaite's.
    """
    ours, theirs = layout.sides(variances / layout.runs)
    df_ours, df_theirs = layout.sides(np.broadcast_to(df, variances.shape))
    total = ours + theirs
    share = np.divide(ours, total, out=np.full_like(total, 0.5), where=total > 0)  # alike where both are 0
    return Sureness(np.sqrt(total), 1 / (share**2 / df_ours + (1 - share) ** 2 / df_theirs))
