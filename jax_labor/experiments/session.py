"""A segmenter's training in its work directory: phase after phase, with or without a target."""

import functools
import logging
from collections.abc import Callable, Sequence

import jax

from jax_labor.data.augment import check_crops
from jax_labor.data.generated.layout import NAME as GENERATED
from jax_labor.data.pipeline import train_iterator
from jax_labor.data.records import CachedRecords, named_sizes
from jax_labor.data.views import TrainView
from jax_labor.engine.checkpoint import Checkpoints
from jax_labor.engine.processes import together
from jax_labor.errors import UserError
from jax_labor.experiments import folds
from jax_labor.experiments.assembly import (
    Data,
    build_network,
    initial_state,
    load_data,
    state_shape,
)
from jax_labor.experiments.checks import check_training, train_view
from jax_labor.experiments.evaluation import Evaluation, Evaluator
from jax_labor.experiments.phases import ANSWERS, FULL, Phase, uses_target
from jax_labor.experiments.restored import write_table
from jax_labor.experiments.run_session import FREE as SHARED_FREE
from jax_labor.experiments.run_session import RunSession
from jax_labor.experiments.same_data import check_data, write_data
from jax_labor.models.factory import COPIED
from jax_labor.steps import losses, parallel
from jax_labor.steps.adapt import make_train_step
from jax_labor.steps.select import make_choice, make_proposal
from jax_labor.steps.state import copy_backbone

_LOG = logging.getLogger(__name__)
_IDS = "launch/prepare.py --check_only counts pixels by class; 255 is no class's id but void."


def free_settings(config) -> tuple[str, ...]:
    """Settings that may change between a start and its resume."""
    # Folds choose among the steps that are evaluated.
    evaluated = () if config.eval.folds else ("train.eval_every",)
    # A written data set lies in a workdir, its own or of its study, which may have moved.
    moved = ("data.source.root",) if config.data.source.name == GENERATED else ()
    # So may the oracle's; how much of each class must be labelled shows only when it was.
    own = ("oracle.run", "ensemble.smallest") if config.experiment == "datasetgan" else ()
    # Once it has begun, a run needs the warm-up no more that it began with.
    return (*SHARED_FREE, "annotator_wait", "start_from", *evaluated, *moved, *own)


class Session(RunSession):
    """What a segmenter's training needs while it lasts; a context manager.

    Attributes:
        data: source, target and evaluation data.
        network: the network and its optimisers.
        state: the present TrainState.
        folds: parts of the evaluation data that choose checkpoints for each other, 0 for none.
        evaluator: of the evaluation data.
    """

    def __init__(
        self,
        config,
        workdir: str,
        phases: Sequence[Phase],
        force: bool = False,
        check: Callable[[Data], None] | None = None,
    ):
        """Opens the run where it stopped.

        Args:
            config: a card.
            workdir: its work directory.
            phases: the plan of its training.
            force: go on although settings or data are others than at the start.
            check: may refuse the data, by a UserError, before anything is written down; called in
                all processes, and must not wait for the others.
        """
        check_training(config)
        super().__init__(config, workdir, free_settings(config), force)
        self._phases = phases
        self.data = together(lambda: self._checked_data(workdir, force, check))
        self.network = build_network(config, self.data.table.num_classes)
        self.folds = folds.count(config, self.data.eval)
        self.evaluator = Evaluator(config, self.network.model, self.data.eval, self.folds)
        self._train_steps, self._cached = {}, {}
        self._open(config.train.steps)
        if self.is_main:
            write_table(self.workdir, self.data.table)
            write_data(self.workdir, vars(self.data))
        if self._took_warmup:  # the other run may be gone when people have answered
            self.checkpoints.save(self.step, self.state, self._beside())

    @property
    def variables(self) -> dict:
        """What the network is applied with, on the host."""
        return jax.device_get({"params": self.state.params, "batch_stats": self.state.batch_stats})

    @functools.cached_property
    def choose(self) -> Callable:
        """What chooses a batch's pixels to ask about; compiled once for all rounds."""
        rounds = self.config.rounds
        return parallel.local_choice(
            make_proposal(self.network.model, rounds.strategy),
            make_choice(rounds, self.config.align_corners),
        )

    def train_all(self) -> None:
        """Trains all phases that are left, of a run without queries."""
        for phase in self._phases:
            if self.step < phase.end:
                self.train(phase)

    def train(self, phase: Phase, overlay=None) -> None:
        """Trains to the end of `phase`, and saves there.

        Args:
            phase: where to stop and which target labels to use.
            overlay: target record index -> answered labels, for a phase that uses answers.

        Raises as `RunSession._advance`.
        """
        begins = phase.trains_selector and self.step == phase.start
        if begins and self.config.model.selector == COPIED:
            self.state = copy_backbone(self.state)
        iterators = self._iterators(phase, overlay)
        train_step = self._mapped_step(phase.trains_selector, phase.self_trains)

        def iterate(_):
            batch = {role: _arrays(role, next(it)) for role, it in iterators.items()}
            self.state, metrics = train_step(self.state, parallel.split(batch))
            return metrics

        images = sum(self.config.data[f"{role}_batch"] for role in iterators)
        try:
            self._advance(
                phase.end, images, iterate, lambda step: self._save(step, phase, iterators)
            )
        finally:
            for iterator in iterators.values():
                iterator.close()

    def evaluate(self) -> Evaluation:
        """Evaluates the present state; with folds, what each counted is kept for the end."""
        with self.clock.pause():
            evaluation = self.evaluator.run(self.variables)
        if self.folds and self.is_main:
            folds.keep(self.workdir, self.step, evaluation.by_fold)
        return evaluation

    def _between(self, step: int) -> None:
        every = self.config.train.eval_every
        if every and step % every == 0 and step < self.steps and self.data.eval.has_labels:
            miou = self.evaluate().miou
            self._reporter.write(step, {"miou": miou})
            _LOG.info("step %d: mIoU %.2f %%", step, 100 * miou)

    def _line(self, step: int, metrics: dict) -> tuple[dict, dict]:
        return metrics, {"loss": metrics["loss"]}

    def _save(self, step: int, phase: Phase, iterators) -> None:
        self._positions |= {role: it.get_state() for role, it in iterators.items()}
        if phase.is_warmup and step == phase.end:
            self._save_warmup(step)
        self.checkpoints.save(step, self.state, self._beside())

    def _save_warmup(self, step: int) -> None:
        """Keeps the end of the warm-up for good, for other runs to start from."""
        warmup = Checkpoints(self.workdir / "warmup", keep=1)
        warmup.save(step, self.state, self._beside())
        warmup.close()

    def _beside(self) -> dict:
        return {"positions": self._positions, **self._meta()}

    def _first_state(self):
        """The newest checkpoint's state, else the warm-up's to start from, else a fresh one."""
        parts = self.config, self.network, self.data.table.num_classes
        shape = state_shape(*parts)
        found = self._resumed(shape)
        # A warm-up of no steps is nothing to take, and nothing that was kept.
        self._took_warmup = bool(not found and self.config.start_from and self.config.rounds.warmup)
        if self._took_warmup:
            found = self._from_warmup(shape)
        if not found:
            _warn_without_weights(self.config)
        state, meta = found or (together(lambda: initial_state(*parts)), {"positions": {}})
        self._positions = meta["positions"]
        return state

    def _from_warmup(self, shape):
        place = self.config.start_from
        with Checkpoints(place, read_only=True) as warmup:
            found = warmup.restore(shape)
        if found is None or found[0] != self.config.rounds.warmup:
            raise UserError(
                f"config.start_from={place} holds no warm-up of {self.config.rounds.warmup} steps:"
                " name the folder WORKDIR/warmup of a run with the same config.rounds.warmup."
            )
        step, state, meta = found
        _LOG.info("warm-up of %d steps taken from %s", step, place)
        return state, meta

    def _mapped_step(self, trains_selector: bool, self_trains: bool):
        kind = trains_selector, self_trains and bool(self.config.loss.pseudo)
        if kind not in self._train_steps:
            step = make_train_step(self.network, self.config, *kind, self._class_weights())
            self._train_steps[kind] = parallel.parallel_step(step)
        return self._train_steps[kind]

    def _class_weights(self):
        balance = self.config.loss.balance
        return losses.class_balance(self.data.source.class_pixels, balance) if balance else None

    def _iterators(self, phase: Phase, overlay):
        roles = ("source", "target") if phase.uses_target else ("source",)
        labels = {"source": {}, "target": _target_labels(phase, overlay)}
        iterators = {role: self._iterator(role, **labels[role]) for role in roles}
        for role, iterator in iterators.items():
            if role in self._positions:
                iterator.set_state(self._positions[role])
        return iterators

    def _iterator(self, role: str, **labels):
        data = self.config.data
        view = train_view(self.config, role)
        return train_iterator(
            self._records(role, view),
            view,
            data[f"{role}_batch"],
            # Source and target are shuffled apart even where they are one data set.
            (2 * self.config.seed + (role == "target")) % 2**32,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
            threads=data.threads,
            workers=data.workers,
            name=f"config.data.{role}",
            **labels,
        )

    def _records(self, role: str, view: TrainView):
        records = getattr(self.data, role)
        if not self.config.data.cache:
            return records
        if role not in self._cached:
            size = view.size if view.resize == "fixed" else None
            self._cached[role] = CachedRecords(records, size)
        return self._cached[role]

    def _checked_data(self, workdir, force: bool, check) -> Data:
        """This process's data; a UserError where it is not there, or not what the run needs."""
        data = load_data(self.config)
        _check_labels(data)
        for role in ("source", "target") if uses_target(self._phases) else ("source",):
            check_crops(named_sizes(getattr(data, role)), train_view(self.config, role))
        if check:
            check(data)
        check_data(workdir, vars(data), force)
        return data


def _check_labels(data: Data) -> None:
    """`UserError` where no pixel has a class; warns of classes without a pixel, and of no figures.

    Of a source chosen by names its splits are looked at for classes: reading all labels takes long.
    """
    source = f"config.data.source ({data.source.description})"
    evaluated = f"config.data.eval ({data.eval.description})"
    if not data.source.has_labels:
        raise UserError(
            f"{source} has no labels to learn from: choose a labelled split or data set."
        )
    for where, records in ((source, data.source), (evaluated, data.eval)):
        if records.has_labels and records.all_void:
            raise UserError(f"{where}: no pixel has a class, all labels are void. {_IDS}")
    if absent := data.source.table.absent(data.source.split_pixels):
        _LOG.warning("%s: no pixel is labelled %s. %s", source, ", ".join(absent), _IDS)
    if not data.eval.has_labels:
        _LOG.warning("%s has no labels: there will be pictures, and no IoU", evaluated)


def _warn_without_weights(config) -> None:
    model = config.model
    if model.backbone.startswith("resnet") and model.bn != "train" and not config.weights:
        _LOG.warning(
            "config.weights is empty: this training begins at random, but config.model.bn=%s is for"
            " a %s that was trained on ImageNet. Give --config.weights=FILE, or set"
            " --config.model.bn=train",
            model.bn,
            model.backbone,
        )


def _target_labels(phase: Phase, overlay) -> dict:
    if phase.labels == ANSWERS:
        return {"overlay": overlay}
    return {"use_labels": phase.labels == FULL}


def _arrays(role: str, batch) -> dict:
    """What the step reads of a batch: of masks, the target's alone."""
    names = ("image", "label", "mask") if role == "target" else ("image", "label")
    return {name: batch[name] for name in names if name in batch}
