"""What a study runs: the command line of every method and seed, in an order that can be run.

LabOR's methods of one card share a warm-up; DatasetGAN's build on each other: a segmenter trained
on real labels labels the factory's samples, and the other methods learn from those same samples.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

from jax_labor.engine.config import check_same
from jax_labor.errors import UserError, unknown
from jax_labor.experiments import run_session
from jax_labor.files import read_object, write_json

SHARE = {name: ("spl", name) for name in ("spl", "random", "entropy", "margin", "ripu")}
POINTS = {f"{name}-points": ("ppl", name) for name in ("random", "entropy", "margin")}
QUERIES = SHARE | {"ppl": ("ppl", "ppl")} | POINTS
BASELINES = ("source", "adversarial", "supervised")
LABOR = (*BASELINES, *QUERIES)
# In an order in which each finds what it needs.
DATASETGAN = ("supervised", "factory", "transfer", "semi")
# Presets of the cards whose source is real images with labels.
FACTORY_DOMAINS = ("ccp", "figures")
# Those whose oracle segmenter, by the card, is the fully supervised one; another trains its own.
SHARED_ORACLE = ("ccp",)
NEEDS = {
    "factory": ("supervised", "segmenter labels its samples"),
    "transfer": ("factory", "labelled samples it learns from"),
    "semi": ("factory", "labelled samples it learns from"),
}
# Given to every run, they would make the runs of two methods or seeds the same one.
_OWN = {"--config", "--workdir", "--config.seed", "--config.rounds.strategy", "--config.start_from"}
_ASKED, _KIND, _OF_DATASETGAN = "asked.json", "--methods", "DatasetGAN's"
# Flags that may change between two starts: they do not change what a run computes, or are to.
FREE = ("--compilation_cache", "--force", *(f"--config.{name}" for name in run_session.FREE))


@dataclasses.dataclass(frozen=True)
class Study:
    """Which runs, and where.

    Attributes:
        domain: preset of the cards, "" for the paper's.
        methods: what to compare.
        seeds: of the runs, as text.
        workdir: folder of the study.
        extra: flags of every run.
        factory: flags of the factory's runs alone.
    """

    domain: str
    methods: Sequence[str]
    seeds: Sequence[str]
    workdir: Path
    extra: Sequence[str] = ()
    factory: Sequence[str] = ()

    @functools.cached_property
    def is_datasetgan(self) -> bool:
        """Whether any method needs a generator, of those asked for or finished, or did at first."""
        known = any(method in NEEDS for method in (*self.methods, *self.finished()))
        return known or self._kept().get(_KIND) == _OF_DATASETGAN

    def finished(self) -> dict[str, list[str]]:
        """Method -> the seeds of its finished runs, whatever is asked for by now.

        In the order of `methods`, then in that of the tables above; by rising seed.
        """
        runs, found = [path.parent.name for path in self.workdir.glob("*/results.json")], {}
        for method in dict.fromkeys((*self.methods, *LABOR, *DATASETGAN)):
            prefix = f"{method}-"
            seeds = (run.removeprefix(prefix) for run in runs if run.startswith(prefix))
            if seeds := sorted(filter(str.isdecimal, seeds), key=int):
                found[method] = seeds
        return found

    def _kept(self) -> dict[str, str]:
        """What `hold` wrote down, once a run has begun with it."""
        path = self.workdir / _ASKED
        return read_object(path) if path.exists() and _begun(self.workdir, "*") else {}

    def folder(self, method: str, seed: str) -> Path:
        """The work directory of one run."""
        return self.workdir / f"{method}-{seed}"

    def runs(self) -> list[tuple[str, str]]:
        """(method, seed) of every run, in order.

        Raises:
            UserError: unknown methods, some that do not go together, one that is missing, or a
                domain without real labels for a factory; seeds that are none; flags of every run
                that are the study's own.
        """
        _check(self.methods, self.finished(), self.is_datasetgan)
        _check_seeds(self.seeds)
        for where, words in (("after --", self.extra), ("in --factory", self.factory)):
            if taken := sorted(_OWN & _by_name(words).keys()):
                what = "the study sets it itself, for each run its own."
                raise UserError(f"{taken[0]} {where}: {what}")
        if self.factory and "factory" not in self.methods:
            raise UserError("--factory: there is no factory among the --methods to pass it to.")
        methods = self.methods
        if self.is_datasetgan:
            if self.domain not in FACTORY_DOMAINS:
                raise UserError(
                    f"--domain={self.domain}: a study of a factory needs real images with labels as"
                    f" its source: use {' or '.join(FACTORY_DOMAINS)}."
                )
            methods = sorted(methods, key=DATASETGAN.index)
        return [(method, seed) for seed in self.seeds for method in methods]

    def needs(self, method: str, seed: str) -> list[str]:
        """The methods whose runs of `seed` must be done before that of `method`."""
        if method == "factory" and self.domain not in SHARED_ORACLE:
            return []
        if self.is_datasetgan:
            return [NEEDS[method][0]] if method in NEEDS else []
        first = self._warms_up(method, seed) if method in QUERIES else method
        return [first] if first != method else []

    def _warms_up(self, method: str, seed: str) -> str:
        """The method of the same card whose warm-up the others of that card share.

        One that has it already, whatever is asked for by now; else the first that is asked for.
        """
        card, _ = QUERIES[method]
        alike = [name for name in QUERIES if QUERIES[name][0] == card]
        kept = [name for name in alike if _has_warmup(self.folder(name, seed))]
        return next(iter(kept), next(name for name in self.methods if name in alike))

    def hold(self) -> None:
        """Writes down what is asked of the runs, so that one table never mixes two settings.

        Methods and seeds are left out: a study may grow. What no run has begun with may still be
        corrected, the factory's flags as long as no factory has begun.

        Raises:
            UserError: runs of the work directory began with something else.
        """
        kind = _OF_DATASETGAN if self.is_datasetgan else "LabOR's"
        asked = {_KIND: kind, "--domain": self.domain, **_by_name(self.extra)}
        # Earlier versions did not write the kind.
        _hold(self.workdir / _ASKED, asked, "*", () if _KIND in self._kept() else (_KIND,))
        if "factory" in self.methods:
            _hold(self.workdir / "asked_factory.json", _by_name(self.factory), "factory-*")

    def run(self, method: str, seed: str) -> tuple[str, list[str]]:
        """One run's card, as a file below the folder configs, and its flags."""
        card, flags = (self._datasetgan if self.is_datasetgan else self._labor)(method, seed)
        own = [f"--workdir={self.folder(method, seed)}", f"--config.seed={seed}", *flags]
        return card, [*own, *self.extra, *(self.factory if method == "factory" else ())]

    def _labor(self, method: str, seed: str) -> tuple[str, list[str]]:
        if method in BASELINES:
            return self._segmentation(method), []
        name, strategy = QUERIES[method]
        flags = [f"--config.rounds.strategy={strategy}"]
        if first := self.needs(method, seed):
            flags.append(f"--config.start_from={self.folder(first[0], seed) / 'warmup'}")
        return ":".join(filter(None, (f"{name}.py", self.domain))), flags

    def _datasetgan(self, method: str, seed: str) -> tuple[str, list[str]]:
        if method == "supervised":
            # The source of FACTORY_DOMAINS is what the upper bound is trained on.
            return self._segmentation("source"), []
        if method == "factory":
            flags = ["--config.annotator=segmenter"]
            if self.domain in SHARED_ORACLE:
                oracle = self.folder("supervised", seed).resolve()
                flags.append(f"--config.oracle.run={oracle}")
            return f"datasetgan.py:{self.domain}", flags
        dataset = self.folder("factory", seed).resolve() / "dataset"
        return self._segmentation(method), [f"--config.data.source.root={dataset}"]

    def _segmentation(self, method: str) -> str:
        return "segmentation.py:" + ",".join(filter(None, (method, self.domain)))


def _has_warmup(run: Path) -> bool:
    # By its files: a study starts no JAX, whose accelerator its runs need.
    return any(path.name.isdigit() for path in (run / "warmup" / "checkpoints").glob("*"))


def _by_name(words: Sequence[str]) -> dict[str, str]:
    """Flag -> its value, the last where it is repeated, as a run takes it."""
    return dict(word.partition("=")[::2] for word in words)


def _hold(path: Path, asked: dict[str, str], runs: str, free: Sequence[str] = ()) -> None:
    if path.exists() and _begun(path.parent, runs):
        what = "runs of this study were started with other settings"
        remedy = "Choose another --workdir, or go back to the old settings"
        check_same(path, asked, what, remedy, (*FREE, *free))
    write_json(path, asked)


def _begun(workdir: Path, runs: str) -> bool:
    # A run writes its config.json once nothing refuses its settings any more.
    return any(workdir.glob(f"{runs}/config.json"))


def _check_list(flag: str, words: Sequence[str], values: Iterable) -> None:
    if not words or len(set(values)) < len(words):
        raise UserError(f"{flag}={','.join(words)}: name one or more, none of them twice.")


def _check_seeds(seeds: Sequence[str]) -> None:
    if wrong := [s for s in seeds if not s.isdecimal() or s != str(int(s))]:
        raise UserError(f"--seeds: {wrong[0]!r} is no seed: give whole numbers from 0, as 0,1,2.")
    _check_list("--seeds", seeds, map(int, seeds))


def _check(methods: Sequence[str], finished: Iterable[str], is_datasetgan: bool) -> None:
    _check_list("--methods", methods, methods)
    known = DATASETGAN if is_datasetgan else LABOR
    everything = dict.fromkeys((*LABOR, *DATASETGAN))
    for method in methods:
        if method not in everything:
            raise unknown("method", method, everything)
    together = dict.fromkeys((*methods, *finished))
    if strange := [m for m in together if m not in known]:
        raise UserError(
            f"--methods: {', '.join(strange)} cannot be compared in one study with"
            f" {', '.join(m for m in together if m in NEEDS)}: have two studies, each with a"
            " --workdir of its own."
        )
    for method in methods:
        need, why = NEEDS.get(method, (None, ""))
        if need and need not in methods:
            raise UserError(f"--methods: {method} needs {need}, whose {why}: add {need}.")
