"""The job of this process: its rank, and the name by which all processes of the job find the same run.

Ranks of torchrun, SLURM and MPI share one run automatically. A job that was preempted and queued again keeps its name
under SLURM, and so continues its run; elsewhere `TRACEML_AGENT_RUN_ID` says what belongs together.
"""

from __future__ import annotations

import os

from traceml_agent.host import endings
from traceml_agent.messages import warn

#: Set for the children of a tracked process: they are measured with it, and start no second run.
TRACKED = "TRACEML_AGENT_TRACKED"
RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK")
SIZES = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
LOCAL_SIZES = ("LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE")
#: torchrun's id for a job without a name.
UNNAMED = ("", "none")
#: What a framework that launched its ranks by itself knows of this one: `rank`, `size`, `local_rank`, `local_size`.
_known: dict[str, int] = {}


def know(rank: int, size: int, local_rank: int, local_size: int, are_children: bool = False) -> None:
    """Take a rank from the framework that launched it, since the environment doesn't say it.

    `are_children`: the other ranks of a host are children of its first one, which measures them.
    """
    if are_children and local_rank == 0:
        rank, size, local_size = rank // local_size, size // local_size, 1
    _known.update(rank=rank, size=size, local_rank=local_rank, local_size=local_size)


def rank() -> int:
    """This process's rank in its job, 0 if it is alone. Lightning's own launcher sets the local rank only."""
    if _known:
        return _known["rank"]
    given = _number(RANKS)
    return (local_rank() if size() > 1 else 0) if given is None else given


def size() -> int:
    """How many processes the job has, 1 if this one is alone."""
    return _known["size"] if _known else max(_number(SIZES) or 1, 1)


def _number(names: tuple[str, ...]) -> int | None:
    for name in names:
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return None


def local_size() -> int:
    """How many ranks of the job this host has, 1 if this process is alone."""
    if _known:
        return _known["local_size"]
    count = _number(LOCAL_SIZES) or _number_before(os.environ.get("SLURM_STEP_TASKS_PER_NODE", ""))
    return max(count or 1, 1) if size() > 1 else 1


def local_rank() -> int:
    """This process's rank on its host, from torchrun, SLURM, Open MPI or Intel MPI."""
    if _known:
        return _known["local_rank"]
    names = ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID")
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdigit()), 0)


def _number_before(text: str) -> int | None:
    """SLURM writes `4(x2)` for two hosts of four tasks each."""
    digits = text.partition("(")[0].partition(",")[0]
    return int(digits) if digits.isdigit() else None


def name() -> str:
    """A text that all ranks of a job share and no other job has; empty for a single process."""
    if size() == 1 or _number(RANKS) is None:
        return ""
    return _slurm() or _torchrun() or _mpi() or _launcher()


def _slurm() -> str:
    job, step = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_STEP_ID")
    # A batch script's own environment has a job, but its ranks come from another launcher.
    if not job or "SLURM_PROCID" not in os.environ or "LOCAL_RANK" in os.environ:
        return ""
    return f"slurm/{os.environ.get('SLURM_CLUSTER_NAME', '')}/{job}/{step}"


def _torchrun() -> str:
    given = os.environ.get("TORCHELASTIC_RUN_ID", "")
    if given.lower() in UNNAMED:
        return ""
    return f"torchrun/{given}/{os.environ.get('MASTER_ADDR', '')}"


def _mpi() -> str:
    space = os.environ.get("PMIX_NAMESPACE") or os.environ.get("OMPI_MCA_ess_base_jobid")  # noqa: SIM112 (Open MPI's own spelling)
    return f"mpi/{space}" if space else ""


def _launcher() -> str:
    """The process that launched the ranks of this host, identified by its pid and start."""
    from traceml_agent.host import identity

    if local_size() < size():
        warn("each host records a run of its own. For one run, set the same TRACEML_AGENT_RUN_ID on all hosts.")
    parent = os.getppid()
    return f"launcher/{identity.host_name()}/{parent}/{endings.began_at(parent)}"


def by_rank(exception: str, rank: int) -> str:
    """An exception with its rank, if there are several."""
    return f"{exception} (rank {rank})" if exception and size() > 1 else exception


def tell_children(run) -> None:
    """Mark the environment for processes started from now on: they are measured with `run`, or with none."""
    if run is None:
        os.environ.pop(TRACKED, None)
    else:
        os.environ[TRACKED] = f"{os.getpid()}:{endings.own_beginning()}:{run.spool_folder}"


def mark() -> str:
    """The mark in this environment, for processes that started before it; empty if there is none."""
    return os.environ.get(TRACKED, "")


def take_mark(text: str) -> None:
    """Mark this environment as that of the tracked process would be, had it started this one now."""
    os.environ[TRACKED] = text


def marked() -> tuple[int, str, str]:
    """The tracked process that marked this environment: its pid, when it began, and its spool folder."""
    pid, _, rest = os.environ.get(TRACKED, "").partition(":")
    began, _, place = rest.partition(":")
    return (int(pid) if pid.isdigit() else 0), began, place
