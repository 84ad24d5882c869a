"""Seeds that are added where they decide: the looks at a growing study, as its stored results have them.

Every variant begins with the first seeds. Then comes a look: comparisons that it decides are done and keep their
verdict, the variants of the others get the seeds of the next look. Which run ended when plays no part: the same results
give the same looks, whoever asks, and what is stored beyond them changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .comparison import ALPHA
from .family import compare_all
from .spending import levels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ..study.comparisons import ComparisonKind
    from .comparison import Comparison
    from .family import How
    from .tested import Pair, Samples


@dataclass(frozen=True)
class Look:
    """One look at a study: at which runs, how sure it has to be, and what it decided.

    number: from 1. size: how many seeds its comparisons have of each variant. seeds: how many of the first seeds each
    variant is asked for by then. level, confidence: as of `How`. open: comparisons that were not decided before it.
    waiting: runs that it needs and that have not ended yet: until then, it is still to come. failed: runs that ended
    without a result, and that it does without. decided: by it.
    """

    number: int
    size: int
    seeds: Mapping[str, int]
    level: float
    confidence: float
    open: tuple[Pair, ...]
    waiting: tuple[tuple[str, int], ...] = ()
    failed: tuple[tuple[str, int], ...] = ()
    decided: tuple[Comparison, ...] = ()

    @property
    def made(self) -> bool:
        """Tell whether all its runs have ended."""
        return not self.waiting

    @property
    def undecided(self) -> tuple[Pair, ...]:
        """Return the comparisons that are not decided after it."""
        done = {(one.candidate, one.reference) for one in self.decided}
        return tuple(pair for pair in self.open if pair not in done)

    def of(self, samples: Samples) -> dict[str, dict[int, float]]:
        """Return the values that this look is at."""
        return {name: {s: v for s, v in of.items() if s < self.seeds[name]} for name, of in samples.items()}

    def how(self, how: How) -> How:
        """Return how it compares."""
        return replace(how, level=self.level, confidence=self.confidence, look=self.size)


def looks_at(
    sizes: Sequence[int], pairs: Sequence[Pair], samples: Samples, ended: Mapping[str, Collection[int]], how: How
) -> list[Look]:
    """Return the looks at a study that there have been, and the one to come, if there is one.

    sizes: how many seeds there are at each look (`Study.looks`). samples: of all variants, by seed, on the metric that
    the study is compared on. ended: the seeds of each variant whose runs have a result or have failed.
    """
    family, alone = (levels(tuple(sizes), ALPHA, max(1, many)) for many in (len(pairs), 1))
    seeds = dict.fromkeys(samples, sizes[0])
    found: list[Look] = []
    still = tuple(pairs)
    for place, size in enumerate(sizes):
        seeds |= {name: size for pair in still for name in pair}
        needed = [(name, seed) for seed in range(size) for name, count in seeds.items() if seed < count]
        look = Look(
            number=place + 1,
            size=size,
            seeds=dict(seeds),
            level=family[place],
            confidence=1 - alone[place],
            open=still,
            waiting=tuple((name, seed) for name, seed in needed if seed not in ended[name]),
            failed=tuple((name, s) for name, s in needed if s in ended[name] and s not in samples[name]),
        )
        if look.made:
            made = compare_all(look.of(samples), pairs, look.how(how))
            open_ = [one for one in made if (one.candidate, one.reference) in still]
            look = replace(look, decided=tuple(one for one in open_ if one.verdict != "not decided"))
            still = look.undecided
        found.append(look)
        if not look.made or not still:
            break
    return found


def compared_at(
    looks: Sequence[Look],
    samples: Samples,
    pairs: Sequence[Pair],
    how: How,
    kinds: Mapping[Pair, ComparisonKind] | None = None,
) -> dict[Pair, Comparison]:
    """Return each pair's comparison at its latest look: that which decided it, else the last one made.

    Before any was made it is the first, at what there is so far, which decides nothing yet.
    looks: empty where all seeds were planned, and `compare_all` says it all.
    """
    if not looks:
        return dict(zip(pairs, compare_all(samples, pairs, how, kinds), strict=True))
    found: dict[Pair, Comparison] = {}
    for look in _at_results(looks):
        made = compare_all(look.of(samples), pairs, look.how(how), kinds)
        made = made if look.made else [replace(one, verdict="not decided", further_seeds=None) for one in made]
        found |= {pair: one for pair, one in zip(pairs, made, strict=True) if pair in look.open}
    return found


def aside(looks: Sequence[Look], pair: Pair) -> list[Look]:
    """Return the look that a comparison is of which the study does not plan, and which is adjusted alone."""
    return [replace(look, open=(pair,), level=1 - look.confidence) for look in _at_results(looks)[-1:]]


def look_at_all(looks: Sequence[Look], names: Iterable[str]) -> Look:
    """Return the last look that had as many seeds of each of these variants: what they say together is of it."""
    every, made = list(names), _at_results(looks)
    return next((look for look in reversed(made) if all(look.seeds[name] >= look.size for name in every)), made[0])


def _at_results(looks: Sequence[Look]) -> list[Look]:
    return [look for look in looks if look.made] or list(looks[:1])
