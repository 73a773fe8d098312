"""`hpl --energy` on the ranks of a real MPI: a node's meters are read by one rank and counted once."""

import json
from pathlib import Path

import pytest
from energy.trees import TWO_PACKAGES, write_zones
from lu.test_real_mpi import finish, start

pytestmark = [pytest.mark.mpi]
WORKER = Path(__file__).with_name("mpi_worker.py")
COMMAND = ["hpl", "--n", "300", "--nb", "32", "--repeat", "2", "--energy", "--json"]
STEP_J = 10.0  # as in the worker: from one end of a timed repeat to the other


@pytest.mark.parametrize("mpi", ["mpich", "openmpi"])
def test_two_ranks_of_a_node_count_its_energy_once(mpi, tmp_path):
    write_zones(tmp_path, TWO_PACKAGES)
    process = start(mpi, 2, str(WORKER), str(tmp_path), *COMMAND, "--output", str(tmp_path / "records"), cwd=tmp_path)
    code, out, err = finish(process)
    assert code == 0, err
    (record,) = json.loads(out)["results"]
    energy = record["energy"]
    assert (record["ranks"], len(record["times_s"])) == (2, 2)
    assert [meter["name"] for meter in energy["meters"]] == [
        "RAPL package-0",
        "RAPL package-0 dram",
        "RAPL package-1",
        "RAPL package-1 dram",
    ]
    once = len(TWO_PACKAGES) * len(record["times_s"]) * STEP_J
    # the reading thread's first reading of each counter may fall inside a repeat
    assert once <= energy["joules"] <= once + len(TWO_PACKAGES) * STEP_J
    assert energy["mean_power_w"] == pytest.approx(energy["joules"] / sum(record["times_s"]))
    assert set((tmp_path / "readers").read_text().split()) == {"0"}
