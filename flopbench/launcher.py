"""What the launcher of an MPI job tells its processes by their environment, before any MPI is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping

#: Environment variables by which launchers tell a process how many ranks there are.
_SIZE_VARIABLES = (
    "OMPI_COMM_WORLD_SIZE",  # Open MPI
    "PMI_SIZE",  # MPICH, Intel MPI, srun --mpi=pmi2
    "PMIX_SIZE",
    "MV2_COMM_WORLD_SIZE",  # MVAPICH2
    "MPI_LOCALNRANKS",  # MPICH's hydra
)
_RANK_VARIABLES = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID")


def launched_ranks(environ: Mapping[str, str] | None = None) -> int:
    """How many ranks the launcher says there are; 1 if no launcher is seen."""
    env = os.environ if environ is None else environ
    sizes = [int(env[name]) for name in _SIZE_VARIABLES if env.get(name, "").isdigit()]
    if launched_by_srun(env):
        sizes.append(int(env["SLURM_STEP_NUM_TASKS"]))
    return max(sizes, default=1)


def launched_by_srun(environ: Mapping[str, str]) -> bool:
    """Whether Slurm's srun started this process as a task of a step. The shell of a batch script is none."""
    return all(environ.get(name, "").isdigit() for name in ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"))


def launched_rank(environ: Mapping[str, str] | None = None) -> int:
    """Which rank the launcher says this process is; 0 if no launcher is seen. For what must be said once before MPI works."""
    env = os.environ if environ is None else environ
    for name in _RANK_VARIABLES:
        if env.get(name, "").isdigit():
            return int(env[name])
    return 0
