"""What both trainings share, on one that only counts: what follows a step, in which order."""

import json
import os
import signal

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from jax_labor.engine.finite import NonFiniteLoss
from jax_labor.experiments.run_session import FREE, RunSession, Stopped

TRAIN = dict(steps=7, log_every=2, checkpoint_every=3, keep=2, pictures=0)
TRAIN |= dict(tensorboard=False, profile="")


@flax.struct.dataclass
class State:
    """The steps done and their sum."""

    step: jax.Array
    total: jax.Array


class Counting(RunSession):
    """Adds up its steps; `disturb(step)` is called within each, and gives its loss."""

    def __init__(self, workdir, disturb=float):
        config = ConfigDict({"train": TRAIN, "data": {"threads": 0, "workers": 0}, "seed": 0})
        super().__init__(config, str(workdir), FREE, False)
        self.disturb, self.events = disturb, []
        self._open(config.train.steps)

    def run(self):
        with self:
            self._advance(self.steps, 1, self._iterate, self._save)
        return self

    def _iterate(self, before):
        step = before + 1
        self.state = State(self.state.step + 1, self.state.total + step)
        return {"loss": np.float32(self.disturb(step))}

    def _save(self, step):
        self.events.append((step, "save"))
        self.checkpoints.save(step, self.state, {**self._meta(), "sum": step})

    def _between(self, step):
        self.events.append((step, "between"))

    def _line(self, step, metrics):
        self.events.append((step, "line"))
        return metrics, metrics

    def _first_state(self):
        fresh = State(jnp.int32(0), jnp.int32(0))
        state, self.meta = self._resumed(fresh) or (fresh, None)
        return state


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_what_follows_a_step_has_one_order(tmp_path):
    session = Counting(tmp_path).run()
    assert session.meta is None
    every = [
        (step, event)
        for step in range(1, 8)
        for event, due in (
            ("line", step in (2, 4, 6, 7)),
            ("between", True),
            ("save", step in (3, 6, 7)),
        )
        if due
    ]
    assert session.events == every
    assert lines(tmp_path) == [{"step": step, "loss": step} for step in (2, 4, 6, 7)]


@pytest.mark.parametrize("when", [1, 5, 6])
def test_a_signal_saves_and_the_next_start_goes_on(when, tmp_path):
    def stop(step):
        if step == when:
            os.kill(os.getpid(), signal.SIGTERM)
        return step

    session = Counting(tmp_path, stop)
    with pytest.raises(Stopped, match=f"step {when} by a signal"):
        session.run()
    # What is between two steps may take longer than there is left: the next start begins with it.
    assert session.events[-1] == (when, "save") and (when, "between") not in session.events
    session = Counting(tmp_path)
    assert (session.step, session.meta["sum"]) == (when, when)
    session.run()
    assert session.events[0] == (when, "between")
    assert session.events.count((when, "between")) == 1
    assert (session.step, int(session.state.total)) == (7, 28)
    assert lines(tmp_path) == [{"step": step, "loss": step} for step in (2, 4, 6, 7)]


def test_a_signal_before_the_first_step_leaves_it_undone(tmp_path):
    session = Counting(tmp_path)
    with pytest.raises(Stopped, match="step 0"), session:
        os.kill(os.getpid(), signal.SIGTERM)
        session._advance(session.steps, 1, session._iterate, session._save)
    assert session.events == []


def test_a_signal_in_the_last_step_is_none(tmp_path):
    def stop(step):
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return step

    assert Counting(tmp_path, stop).run().step == 7


def test_a_bad_loss_between_two_looks_is_found_and_not_saved(tmp_path):
    with pytest.raises(NonFiniteLoss, match="step 5"):
        Counting(tmp_path, lambda step: np.nan if step == 5 else step).run()
    session = Counting(tmp_path)
    assert session.step == 3
    with session:
        pass
