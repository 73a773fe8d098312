"""flopbench on the ranks of a real MPI, with a meter tree on disk whose counters move on by 10 J at each reading.

Usage: mpi_worker.py ROOT FLOPBENCH'S ARGUMENTS; ROOT holds the tree, and gets a file `readers` with the rank of every reading.
"""

import sys
from pathlib import Path

from energy.trees import recorded, step_energy

from flopbench import run
from flopbench.cli import main
from flopbench.energy.measure import open_meters
from flopbench.energy.meter import EnergyFile
from flopbench.energy.sampling import Sampler
from flopbench.launcher import launched_rank

ROOT = Path(sys.argv.pop(1))
STEP_J = 10.0


def meters_of_the_tree(comm, machine, device):
    meters = open_meters(comm, machine, device, recorded(ROOT))
    meters.make = lambda found, now: Sampler(found, now, sleep=lambda seconds: None)  # idle power without the wait
    return meters


def read_and_step(self):
    joules = read(self)
    step_energy(ROOT, Path(self._path).parent.name, STEP_J)
    with (ROOT / "readers").open("a") as readers:
        readers.write(f"{launched_rank()}\n")
    return joules


read = EnergyFile.read
EnergyFile.read = read_and_step
EnergyFile.period_s = 60.0  # nothing but the ends of the timed regions
run.open_meters = meters_of_the_tree
main()
