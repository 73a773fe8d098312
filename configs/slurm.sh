#!/bin/bash
# HPL's problem on whole nodes, one rank a socket: sbatch configs/slurm.sh. Adapt nodes, tasks and cores to your machine.
#SBATCH --job-name=flopbench
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=32
#SBATCH --time=02:00:00
#SBATCH --signal=TERM@120
# TERM comes two minutes before the end: finished runs of a sweep are kept.

set -eu
# Which interface the ranks find each other by, if srun's default (MpiDefault) is not your MPI's: pmix for Open MPI, pmi2 for MPICH and
# Intel MPI; `srun --mpi=list` shows what there is. Or from outside: SLURM_MPI_TYPE=pmi2 sbatch configs/slurm.sh
# export SLURM_MPI_TYPE=pmix
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
srun --cpu-bind=cores --cpus-per-task="$SLURM_CPUS_PER_TASK" flopbench hpl --screen
srun --cpu-bind=cores --cpus-per-task="$SLURM_CPUS_PER_TASK" flopbench hpl --memory 0.8 --grid auto --detail --repeat 1
