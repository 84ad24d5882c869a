"""How often intervals hold the difference of two variants when test images, or seeds too, are drawn anew.

python benchmarks/image_noise.py

Images differ in how hard they are and in what the change does for them, each seed's network in how good it is, and
what training draws for an image anew is a coin toss. Fixed networks: the truth is what these networks would differ by
on all images, and the interval is 1.96 of `ImageComparison.image_error`. Both anew: the truth is what the recipe gains,
and the interval is 1.96 standard errors of both noises together, or Student's t of the seeds alone.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit, stdtrit

from ablate.stats.images import compare_images

STUDIES = 300
GAIN, VARIED, SPREAD = 0.15, 1.5, 0.05
"""Of the candidate: its mean, how it varies between images, and between seeds; in the log odds of recognising one."""

WITHOUT = np.random.default_rng(1).normal(1, 2, 200_000)
WITH = WITHOUT + np.random.default_rng(2).normal(GAIN, VARIED, WITHOUT.size)
"""The log odds of many images, which stand for all of them."""


def main() -> None:
    """Print the table."""
    print("images  seeds  fixed networks  both noises  seeds alone  image error  seed error   (points)")
    for images in (300, 1000, 10_000):
        for seeds in (3, 5):
            draw = np.random.default_rng(0)
            rows = np.array([study(draw, images, seeds) for _ in range(STUDIES)])
            held, errors = rows[:, :3].mean(0), 100 * rows[:, 3:].mean(0)
            print(
                f"{images:6,}  {seeds:5}  {held[0]:14.1%}  {held[1]:11.1%}  {held[2]:11.1%}"
                f"  {errors[0]:11.2f}  {errors[1]:10.2f}"
            )


def study(draw: np.random.Generator, images: int, seeds: int) -> tuple[float, ...]:
    """Return whether each interval holds its truth, and both errors."""
    hard, gains = draw.normal(1, 2, images), draw.normal(GAIN, VARIED, images)
    sides, fixed, recipe = [], [], []
    for odds, of_all in ((hard + gains, WITH), (hard, WITHOUT)):
        own = draw.normal(0, SPREAD, seeds)
        sides.append({seed: draw.random(images) < expit(odds + own[seed]) for seed in range(seeds)})
        fixed.append(np.mean([expit(of_all + one).mean() for one in own]))
        recipe.append(expit(of_all).mean())
    found = compare_images(("candidate", sides[0]), ("reference", sides[1]))
    assert found is not None
    assert found.seed_error is not None
    both = math.hypot(found.image_error, found.seed_error)
    gained = recipe[0] - recipe[1]
    return (
        abs(found.difference - (fixed[0] - fixed[1])) < 1.96 * found.image_error,
        abs(found.difference - gained) < 1.96 * both,
        abs(found.difference - gained) < stdtrit(seeds - 1, 0.975) * found.seed_error,
        found.image_error,
        found.seed_error,
    )


if __name__ == "__main__":
    main()
