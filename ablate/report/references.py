"""What to cite of what a study used, as BibTeX: datasets, libraries and statistical methods."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .escapes import Ready

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


BIBLIOGRAPHY = "references.bib"
"""What stands beside a report that cites."""


@dataclass(frozen=True)
class Reference:
    """A work to cite. key: of its BibTeX entry, bibtex: the whole entry. what: which part of the study it is for."""

    key: str
    what: str
    bibtex: str


@dataclass(frozen=True)
class Entry:
    """One work. kind: of BibTeX's; fields: those of BibTeX, in LaTeX."""

    kind: str
    key: str
    fields: Mapping[str, str]

    @property
    def bibtex(self) -> str:
        """Return the entry as BibTeX has it."""
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in self.fields.items())
        return f"@{self.kind}{{{self.key},\n{lines}\n}}"

    @property
    def latex(self) -> str:
        """Return the work as one item of a list of references in LaTeX."""
        told = self.fields
        place = next(
            (told[name] for name in ("journal", "booktitle", "institution", "school", "howpublished") if name in told),
            "",
        )
        where = [f"\\emph{{{place}}}" if "journal" in told or "booktitle" in told else place]
        if "volume" in told:
            where.append(told["volume"] + (f"({told['number']})" if "number" in told else ""))
        where += [f"pages {told['pages']}"] if "pages" in told else []
        where += [told["publisher"]] if "publisher" in told else []
        where += [f"arXiv:{told['eprint']}"] if "eprint" in told else []
        parts = [people(told["author"]), told["title"], ", ".join(one for one in (*where, told["year"]) if one)]
        return " ".join(part if part.endswith(".") else f"{part}." for part in parts)


def people(authors: str) -> str:
    """Write the authors of an entry as a list of references does: "Ross Wightman", "Sam Gross, Adam Paszke, et al."."""
    names = re.split(r" and (?![^{]*})", authors)  # what is in braces is one name
    each = [" ".join(reversed(name.split(", ", 1))) for name in names if name != "others"]
    if len(each) < len(names):
        return f"{', '.join(each)}, et al."
    return " and ".join(filter(None, [", ".join(each[:-1]), each[-1]]))


def _entry(kind: str, key: str, **fields: str) -> Entry:
    return Entry(kind, key, fields)


_CIFAR = _entry(
    "techreport", "krizhevsky2009learning", title="Learning Multiple Layers of Features from Tiny Images",
    author="Krizhevsky, Alex", institution="University of Toronto", year="2009",
)  # fmt: skip
ENTRIES: Mapping[str, tuple[str, Entry]] = {
    "cifar10": ("CIFAR-10", _CIFAR),
    "cifar100": ("CIFAR-100", _CIFAR),
    "mnist": ("MNIST", _entry(
        "article", "lecun1998gradient", title="Gradient-Based Learning Applied to Document Recognition",
        author="LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick",
        journal="Proceedings of the IEEE", volume="86", number="11", pages="2278--2324", year="1998",
    )),
    "fashion-mnist": ("Fashion-MNIST", _entry(
        "misc", "xiao2017fashion",
        title="{Fashion-MNIST}: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
        author="Xiao, Han and Rasul, Kashif and Vollgraf, Roland", year="2017", eprint="1708.07747",
        archiveprefix="arXiv",
    )),
    "svhn": ("SVHN", _entry(
        "inproceedings", "netzer2011reading",
        title="Reading Digits in Natural Images with Unsupervised Feature Learning",
        author="Netzer, Yuval and Wang, Tao and Coates, Adam and Bissacco, Alessandro and Wu, Bo and Ng, Andrew Y.",
        booktitle="NIPS Workshop on Deep Learning and Unsupervised Feature Learning", year="2011",
    )),
    "digits": ("the digits, as scikit-learn has them", _entry(
        "article", "pedregosa2011scikit", title="Scikit-learn: Machine Learning in {Python}",
        author='Pedregosa, Fabian and Varoquaux, Ga{\\"e}l and Gramfort, Alexandre and others',
        journal="Journal of Machine Learning Research", volume="12", pages="2825--2830", year="2011",
    )),
    "torch": ("PyTorch", _entry(
        "inproceedings", "paszke2019pytorch",
        title="{PyTorch}: An Imperative Style, High-Performance Deep Learning Library",
        author="Paszke, Adam and Gross, Sam and Massa, Francisco and others",
        booktitle="Advances in Neural Information Processing Systems", volume="32", year="2019",
    )),
    "torchvision": ("torchvision", _entry(
        "misc", "torchvision2016", title="{TorchVision}: {PyTorch}'s Computer Vision Library",
        author="{TorchVision maintainers and contributors}", year="2016", howpublished="github.com/pytorch/vision",
    )),
    "timm": ("timm", _entry(
        "misc", "wightman2019timm", title="{PyTorch} Image Models", author="Wightman, Ross", year="2019",
        howpublished="github.com/huggingface/pytorch-image-models",
    )),
    "optuna": ("Optuna", _entry(
        "inproceedings", "akiba2019optuna", title="Optuna: A Next-generation Hyperparameter Optimization Framework",
        author="Akiba, Takuya and Sano, Shotaro and Yanase, Toshihiko and Ohta, Takeru and Koyama, Masanori",
        booktitle="Proceedings of the 25th ACM SIGKDD International Conference on Knowledge Discovery and Data Mining",
        year="2019",
    )),
    "t": ("the t interval", _entry(
        "article", "student1908probable", title="The Probable Error of a Mean", author="Student",
        journal="Biometrika", volume="6", number="1", pages="1--25", year="1908",
    )),
    "welch": ("Welch's t interval", _entry(
        "article", "welch1947generalization", author="Welch, B. L.",
        title="The Generalization of `{Student's}' Problem When Several Different Population Variances Are Involved",
        journal="Biometrika", volume="34", number="1--2", pages="28--35", year="1947",
    )),
    "folds": ("the corrected t interval of cross-validation", _entry(
        "article", "nadeau2003inference", title="Inference for the Generalization Error",
        author="Nadeau, Claude and Bengio, Yoshua", journal="Machine Learning", volume="52", number="3",
        pages="239--281", year="2003",
    )),
    "repeated-folds": ("repeated cross-validation", _entry(
        "inproceedings", "bouckaert2004evaluating", author="Bouckaert, Remco R. and Frank, Eibe",
        title="Evaluating the Replicability of Significance Tests for Comparing Learning Algorithms",
        booktitle="Advances in Knowledge Discovery and Data Mining (PAKDD)", pages="3--12", year="2004",
    )),
    "satterthwaite": ("Satterthwaite's degrees of freedom", _entry(
        "article", "satterthwaite1946approximate", author="Satterthwaite, F. E.",
        title="An Approximate Distribution of Estimates of Variance Components", journal="Biometrics Bulletin",
        volume="2", number="6", pages="110--114", year="1946",
    )),
    "moderated": ("moderated t intervals", _entry(
        "article", "smyth2004linear", author="Smyth, Gordon K.",
        title="Linear Models and Empirical {Bayes} Methods for Assessing Differential Expression in Microarray "
        "Experiments",
        journal="Statistical Applications in Genetics and Molecular Biology", volume="3", number="1", year="2004",
    )),
    "holm": ("Holm's adjustment of p", _entry(
        "article", "holm1979simple", title="A Simple Sequentially Rejective Multiple Test Procedure",
        author="Holm, Sture", journal="Scandinavian Journal of Statistics", volume="6", number="2", pages="65--70",
        year="1979",
    )),
    "dunnett": ("Dunnett's adjustment of p", _entry(
        "article", "dunnett1955multiple", author="Dunnett, Charles W.",
        title="A Multiple Comparison Procedure for Comparing Several Treatments with a Control",
        journal="Journal of the American Statistical Association", volume="50", number="272", pages="1096--1121",
        year="1955",
    )),
    "mcnemar": ("McNemar's test", _entry(
        "article", "mcnemar1947note", author="McNemar, Quinn",
        title="Note on the Sampling Error of the Difference Between Correlated Proportions or Percentages",
        journal="Psychometrika", volume="12", number="2", pages="153--157", year="1947",
    )),
    "spending": ("spending of false alarms over looks", _entry(
        "article", "lan1983discrete", title="Discrete Sequential Boundaries for Clinical Trials",
        author="Lan, K. K. Gordon and DeMets, David L.", journal="Biometrika", volume="70", number="3",
        pages="659--663", year="1983",
    )),
    "demsar": ("comparisons over datasets", _entry(
        "article", "demsar2006statistical", title="Statistical Comparisons of Classifiers over Multiple Data Sets",
        author="Dem{\\v{s}}ar, Janez", journal="Journal of Machine Learning Research", volume="7", pages="1--30",
        year="2006",
    )),
    "wilcoxon": ("the signed-rank test", _entry(
        "article", "wilcoxon1945individual", title="Individual Comparisons by Ranking Methods",
        author="Wilcoxon, Frank", journal="Biometrics Bulletin", volume="1", number="6", pages="80--83", year="1945",
    )),
    "friedman": ("Friedman's test in the form of Iman and Davenport", _entry(
        "article", "iman1980approximations", title="Approximations of the Critical Region of the {Friedman} Statistic",
        author="Iman, Ronald L. and Davenport, James M.",
        journal="Communications in Statistics -- Theory and Methods", volume="9", number="6", pages="571--595",
        year="1980",
    )),
    "nemenyi": ("Nemenyi's critical difference", _entry(
        "phdthesis", "nemenyi1963distribution", title="Distribution-free Multiple Comparisons", author="Nemenyi, Peter",
        school="Princeton University", year="1963",
    )),
    "iqm": ("interquartile means", _entry(
        "inproceedings", "agarwal2021deep",
        title="Deep Reinforcement Learning at the Edge of the Statistical Precipice",
        author="Agarwal, Rishabh and Schwarzer, Max and Castro, Pablo Samuel and Courville, Aaron C. and "
        "Bellemare, Marc G.",
        booktitle="Advances in Neural Information Processing Systems", volume="34", year="2021",
    )),
    "rao-wu": ("a bootstrap within strata", _entry(
        "article", "rao1988resampling", title="Resampling Inference with Complex Survey Data",
        author="Rao, J. N. K. and Wu, C. F. J.", journal="Journal of the American Statistical Association",
        volume="83", number="401", pages="231--241", year="1988",
    )),
    "shapley": ("Shapley shares", _entry(
        "incollection", "shapley1953value", title="A Value for n-Person Games", author="Shapley, Lloyd S.",
        booktitle="Contributions to the Theory of Games II", publisher="Princeton University Press",
        pages="307--317", year="1953",
    )),
}  # fmt: skip
"""By what a study may use: names of datasets, of libraries, and of statistical methods."""


def references(used: list[str]) -> tuple[Reference, ...]:
    """Return what to cite of what was used; what has no entry is left out, and an entry stands once."""
    found: dict[str, Reference] = {}
    for name in used:
        if name in ENTRIES:
            what, entry = ENTRIES[name]
            known = found.get(entry.key)
            whole = f"{known.what}, {what}" if known and what != known.what else what
            found[entry.key] = Reference(entry.key, whole, entry.bibtex)
    return tuple(found.values())


def bibtex_file(found: Iterable[Reference]) -> str:
    """Return the works that references are to as a file for BibTeX."""
    return "\n\n".join(entry.bibtex for entry in cited(found)) + "\n"


def bibitems(found: Iterable[Reference]) -> list[Ready]:
    """Write the works to cite as items of LaTeX's `thebibliography`."""
    return [Ready(f"\\bibitem{{{entry.key}}} {entry.latex}") for entry in cited(found)]


def cited(found: Iterable[Reference]) -> list[Entry]:
    """Return the works that references are to, each once.

    By their keys alone, so that a report that was read from a file adds no LaTeX of its own to a bibliography.
    """
    known = {entry.key: entry for _, entry in ENTRIES.values()}
    return list({one.key: known[one.key] for one in found if one.key in known}.values())
