"""A `jax.profiler` trace of a few steps (`--config.train.profile=10:15`; view with `xprof`)."""

import jax
from etils import epath

from jax_labor.errors import UserError


def parse_range(spec: str) -> tuple[int, int]:
    """Read `start:stop`, two step numbers with 0 <= start < stop; `UserError` otherwise."""
    start, colon, stop = spec.partition(":")
    if not (colon and start.isdecimal() and stop.isdecimal() and int(start) < int(stop)):
        raise UserError(
            f"config.train.profile={spec!r}: expected start:stop with start < stop, "
            "for example 10:15"
        )
    return int(start), int(stop)


class Profiler:
    """Traces the steps `start <= step < stop` of this process into `logdir`.

    An empty `spec` traces nothing. A range that a resumed run enters half-way is traced from there.
    """

    def __init__(self, spec: str, logdir: epath.PathLike):
        self._range = parse_range(spec) if spec else (0, 0)
        self._logdir = str(logdir)
        self._tracing = False

    def before(self, step: int) -> None:
        """Call before step number `step`: starts or ends the trace where the range does."""
        start, stop = self._range
        if start <= step < stop and not self._tracing:
            jax.profiler.start_trace(self._logdir)
            self._tracing = True
        elif step >= stop:
            self.close()

    def annotate(self, step: int) -> jax.profiler.StepTraceAnnotation:
        """Return the context that marks `step` in the trace; next to free without one."""
        return jax.profiler.StepTraceAnnotation("train", step_num=step)

    def close(self) -> None:
        """End a trace that is still running."""
        if self._tracing:
            jax.profiler.stop_trace()
            self._tracing = False
