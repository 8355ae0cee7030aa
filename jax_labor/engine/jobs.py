"""Commands beside each other, each on CPU cores of its own, that stop together and cleanly."""

import asyncio
import contextlib
import dataclasses
import os
import re
import signal
import sys
from collections.abc import Sequence

from jax_labor.engine.signals import EXIT_STOPPED

_LONGEST = 2**16  # bytes of a line; a longer one is printed as several


@dataclasses.dataclass(frozen=True)
class Job:
    """One command.

    Attributes:
        name: unique; with several at once it stands before each line that the job prints.
        command: program and arguments.
        after: names of jobs that must be done before it begins, whatever their place.
    """

    name: str
    command: Sequence[str]
    after: Sequence[str] = ()


def run_all(jobs: Sequence[Job], at_once: int = 1) -> int:
    """Runs every job, `at_once` of them at a time, in their order as far as `after` lets them.

    XLA uses two cores for one small network badly: two runs on a core each finish sooner than one
    after the other on both. So each of several jobs has an equal share of the cores.

    When one fails, or on SIGTERM or Ctrl-C, the running ones get SIGTERM, at which a run of
    launch/main.py saves, and no other begins.

    Returns:
        The status of the first that failed, `EXIT_STOPPED` after a signal, or 0.
    """
    return asyncio.run(_Jobs(jobs, at_once).run())


class _Jobs:
    def __init__(self, jobs: Sequence[Job], at_once: int):
        self._waiting, self._running, self._done, self._status = list(jobs), {}, set(), 0
        cores = _usable_cores()
        self._at_once = max(1, min(at_once, len(cores), len(jobs)))
        self._free = [cores[first :: self._at_once] for first in range(self._at_once)]

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, EXIT_STOPPED)
        tasks = set()
        try:
            while True:
                while self._free and (job := self._next()):
                    tasks.add(loop.create_task(self._run(job, self._free.pop())))
                if not tasks:
                    return self._status
                ended, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.gather(*ended)  # raises what stopped one
        finally:
            if tasks:  # something escapes: the other jobs save first
                self._stop(1)
                await asyncio.gather(*tasks, return_exceptions=True)

    def _next(self) -> Job | None:
        """Takes the first job that may begin out of those that wait."""
        ready = (job for job in self._waiting if self._done.issuperset(job.after))
        job = None if self._status else next(ready, None)
        if job:
            self._waiting.remove(job)
        return job

    async def _run(self, job: Job, cores: Sequence[int]) -> None:
        print(f"== {job.name}", file=sys.stderr, flush=True)
        if status := await self._watch(job, cores):
            self._stop(status)
        self._done.add(job.name)
        self._free.append(cores)

    async def _watch(self, job: Job, cores: Sequence[int]) -> int:
        """Runs one job and passes on what it prints; returns its status."""
        if self._at_once == 1:
            process = await asyncio.create_subprocess_exec(*job.command)
        else:
            pipe, stdout = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
            process = await asyncio.create_subprocess_exec(*job.command, stdout=pipe, stderr=stdout)
            # Before its interpreter has started a thread: those inherit it.
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(process.pid, cores)
        self._running[job.name] = process
        if self._status:  # the stop came while the process was being made
            _terminate(process)
        try:
            if process.stdout:
                await _pass_on(job.name, process.stdout)
            return await process.wait()
        except BaseException:
            _terminate(process)
            await process.communicate()
            raise
        finally:
            del self._running[job.name]

    def _stop(self, status: int) -> None:
        self._status = self._status or status
        for process in self._running.values():
            _terminate(process)


async def _pass_on(name: str, stream: asyncio.StreamReader) -> None:
    """Prints what `stream` brings behind `name`; of progress bars each state is a line."""
    rest = b""
    while chunk := await stream.read(_LONGEST):
        *lines, rest = re.split(rb"[\r\n]+", rest + chunk)
        if len(rest) > _LONGEST:
            lines, rest = [*lines, rest], b""
        _print(name, lines)
    _print(name, [rest])


def _print(name: str, lines: Sequence[bytes]) -> None:
    for line in filter(None, lines):
        print(f"{name} | {line.decode(errors='replace')}", file=sys.stderr, flush=True)


def _terminate(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        process.send_signal(signal.SIGTERM)


def _usable_cores() -> list[int]:
    """The CPU cores of this process; one where the system does not let a process choose."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
