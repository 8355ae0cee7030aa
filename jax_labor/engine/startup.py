"""The start of a process: one of many or alone, its log, its devices."""

import importlib.util
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path

import jax

from jax_labor.errors import UserError
from jax_labor.log import show_log

_LOG = logging.getLogger(__name__)


def initialise_distributed(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> str | None:
    """Join the other processes of this run, if there are any. Before any use of a device.

    In this order: the arguments; `JAX_COORDINATOR_ADDRESS`, `JAX_NUM_PROCESSES`, `JAX_PROCESS_ID`;
    a cluster that JAX can ask (Slurm, Open MPI, Kubernetes, TPU).

    Returns:
      How the others were found, None for a process alone.

    Raises:
      UserError: only a part of the three settings is given, or they make no sense.
    """
    settings = explicit_settings(coordinator_address, num_processes, process_id, os.environ)
    if settings:
        if settings["num_processes"] == 1:
            return None
        jax.distributed.initialize(**settings)
        return "settings"
    cluster = detect_cluster(os.environ)
    if cluster:
        jax.distributed.initialize()
    return cluster


def explicit_settings(
    coordinator_address: str | None,
    num_processes: int | None,
    process_id: int | None,
    environ: Mapping[str, str],
) -> dict[str, str | int] | None:
    """Return the three settings from arguments or environment, None if none is given."""
    given = {
        "coordinator_address": coordinator_address or environ.get("JAX_COORDINATOR_ADDRESS"),
        "num_processes": _number("JAX_NUM_PROCESSES", num_processes, environ),
        "process_id": _number("JAX_PROCESS_ID", process_id, environ),
    }
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        return None
    if missing:
        raise UserError(
            f"{', '.join(missing)} not set, but {', '.join(set(given) - set(missing))} is. Set all "
            "of coordinator_address (host:port), num_processes and process_id, or none"
        )
    if not 0 <= given["process_id"] < given["num_processes"]:
        raise UserError(
            f"process_id={given['process_id']} must be from 0 to num_processes - 1 = "
            f"{given['num_processes'] - 1}"
        )
    if ":" not in given["coordinator_address"]:
        raise UserError(
            f"coordinator_address={given['coordinator_address']} has no port: write host:port"
        )
    return given


def _number(name: str, value: int | None, environ: Mapping[str, str]) -> int | None:
    if value is not None or name not in environ:
        return value
    try:
        return int(environ[name])
    except ValueError:
        raise UserError(f"{name}={environ[name]!r} is not a whole number") from None


def detect_cluster(environ: Mapping[str, str], devices: Path = Path("/dev")) -> str | None:
    """Return the kind of cluster that started this process, None for a process alone.

    JAX's own detection fails on a single host that is not a TPU, hence this look before it.
    """
    # SLURM_STEP_NODELIST is set by srun only: an sbatch script that runs python itself is alone.
    if "SLURM_STEP_NODELIST" in environ and int(environ.get("SLURM_NTASKS", 1)) > 1:
        return "slurm"
    if int(environ.get("OMPI_COMM_WORLD_SIZE", 1)) > 1:
        return "openmpi"
    if "KUBERNETES_SERVICE_HOST" in environ and "JOB_COMPLETION_INDEX" in environ:
        if importlib.util.find_spec("kubernetes"):
            return "kubernetes"
        _LOG.warning("an indexed Kubernetes job, but no jax[k8s]: this process works alone")
    if "TPU_WORKER_HOSTNAMES" in environ or _has_tpu(devices):
        return "tpu" if environ.get("JAX_PLATFORMS", "tpu").startswith("tpu") else None
    return None


def _has_tpu(devices: Path) -> bool:
    if not importlib.util.find_spec("libtpu"):
        return False
    return any(devices.glob("accel[0-9]*")) or any(devices.glob("vfio/[0-9]*"))


def share_cores(*sizes: int) -> None:
    """Let the CPU of a lone process count as several devices, one a core where `sizes` allow it.

    XLA spreads single operations of a small network badly over cores; a device a core does not.
    Changes nothing where there is an accelerator, or where the environment says how many devices a
    CPU is. Before any use of a device.

    Args:
      sizes: of batches and of parts of them; the number of devices divides each.
    """
    said = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not said and "JAX_NUM_CPU_DEVICES" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        jax.config.update("jax_num_cpu_devices", math.gcd(cores, *sizes))


def compile_faster() -> None:
    """Have the CPU's compiler of JAX 0.10 write loops the older way. Before any use of a device.

    A training step then compiles in 0.4 of the time and runs as fast, but its rounding depends on
    how processes share the work. Later releases know only the newer way, and end the process at a
    flag that they do not know. A choice of the environment stands.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if jax.__version_info__[:2] == (0, 10) and "xla_cpu_use_fusion_emitters" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_use_fusion_emitters=false".strip()


def setup_log() -> None:
    """Show our log, and start JAX: all of it in process 0, warnings only in the others.

    Raises:
      UserError: JAX_PLATFORMS names what is not here.
    """
    show_log()
    _start_jax()
    if jax.process_index():
        logging.getLogger("jax_labor").setLevel(logging.WARNING)


def _start_jax() -> None:
    try:
        jax.devices()
    except (AssertionError, RuntimeError) as error:  # without CUDA's plugin an assertion, no text
        asked = os.environ.get("JAX_PLATFORMS")
        if not asked or not (str(error) == "" or "nitialize backend" in str(error)):
            raise
        reason = str(error).partition(" (set JAX_PLATFORMS")[0] or "it is not installed"
        raise UserError(
            f"JAX_PLATFORMS={asked} cannot be used here ({reason}): install what it needs, name"
            " another, such as cpu, or unset it"
        ) from error


def setup_jax(cache_dir: str | None = None) -> str:
    """Keep compiled programs in `cache_dir` (None: nowhere) and log what there is to run on.

    Returns:
      The line that is logged, such as `8 x TPU v3, 2 processes`.
    """
    if cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(Path(cache_dir).expanduser()))
        # Small programs too: a run has dozens of them, some seconds in all at every start.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    processes = jax.process_count()
    line = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
    line += f", {processes} process{'es' if processes > 1 else ''}"
    _LOG.info("%s", line)
    return line


def check_batch(batch: int, devices: int, setting: str = "config.data.batch_size") -> int:
    """Return the images per device; `UserError` when `devices` do not divide `batch`."""
    if batch < 1 or batch % devices:
        lower, upper = batch // devices * devices, -(-batch // devices) * devices
        near = " or ".join(str(n) for n in dict.fromkeys((lower, upper)) if n > 0) or str(devices)
        raise UserError(
            f"{setting}={batch} cannot be shared equally by {devices} devices. Set it to {near}"
        )
    return batch // devices
