"""From meters to the record: once a node, never a part for the whole, never a component for the wall."""

import threading

import pytest
from energy.trees import TWO_PACKAGES, recorded, write_zones

from flopbench.comm import SelfComm
from flopbench.energy import rapl
from flopbench.energy.measure import NodeUse, combine, open_meters


def meter(host="n1", name="RAPL package-0", cover="package", joules=1000.0, idle=20.0, reason=None):
    return {"host": host, "name": name, "cover": cover, "joules": joules, "idle_power_w": idle, "reason": reason}


def node(host, *meters):
    return NodeUse(host, list(meters))


def test_packages_and_memory_add_up_and_are_no_wall_reading():
    both = node("n1", meter(), meter(name="RAPL package-0 dram", cover="dram", joules=250.0, idle=5.0))
    energy, reason = combine([both], "", flops=2.5e12, seconds=10.0)
    assert reason is None
    assert (energy.joules, energy.mean_power_w, energy.idle_power_w) == (1250.0, 125.0, 25.0)
    assert energy.flops_per_watt == pytest.approx(2e9)
    assert energy.cover == ["dram", "package"]
    assert energy.level == "none: component energy"
    assert energy.missing


def test_a_node_s_own_sensor_is_taken_alone_and_never_added_to_its_components():
    energy, _ = combine([node("n1", meter(), meter(name="IPMI", cover="node", joules=3000.0))], "", 1e12, 10.0)
    assert (energy.joules, energy.cover) == (3000.0, ["node"])
    assert [one["counted"] for one in energy.meters] == [False, True]
    assert energy.level.startswith("none")


def test_a_node_sensor_that_saw_nothing_leaves_the_components():
    blind = meter(name="IPMI", cover="node", joules=None, reason="IPMI: 1 readings")
    energy, _ = combine([node("n1", meter(), blind)], "", 1e12, 10.0)
    assert (energy.joules, energy.cover) == (1000.0, ["package"])


def test_a_lost_component_means_no_energy_since_the_rest_is_a_part():
    lost = meter(name="RAPL package-1", joules=None, reason="energy_uj: No such file or directory")
    assert combine([node("n1", meter(), lost)], "", 1e12, 10.0) == (None, "energy_uj: No such file or directory")


def test_the_energy_of_processors_is_not_passed_off_as_that_of_a_run_on_gpus():
    lacking = "the run is on GPUs, and their energy is not metered: GPU 0 is divided (MIG)"
    assert combine([NodeUse("n1", [meter()], lacking)], "", 1e12, 10.0) == (None, lacking)
    energy, _ = combine([NodeUse("n1", [meter(), meter(name="IPMI", cover="node")], lacking)], "", 1e12, 10.0)
    assert energy.cover == ["node"]


@pytest.mark.parametrize(
    ("device", "told"),
    [("cuda", "on GPUs, and their energy is not metered: no GPU was found"), ("cpu", "saw no energy")],
)
def test_a_node_says_when_its_gpus_compute_and_have_no_meter(tmp_path, device, told):
    write_zones(tmp_path, TWO_PACKAGES)
    meters = open_meters(SelfComm(), Host("n1"), device, recorded(tmp_path))
    with meters.running(), meters.region():
        pass
    energy, reason = meters.over_ranks(1e12, 1.0)
    assert energy is None
    assert told in reason


def test_nodes_whose_meters_see_different_parts_do_not_add_up():
    other = node("n2", meter("n2", "IPMI", "node"))
    energy, reason = combine([node("n1", meter()), other], "", 1e12, 10.0)
    assert energy is None
    assert "different parts" in reason


def test_no_meter_at_all_is_one_line_with_every_reason():
    energy, reason = combine([node("n1")], "RAPL: no counters; IPMI: no reading", 1e12, 10.0)
    assert energy is None
    assert reason == "no meter: RAPL: no counters; IPMI: no reading"


def test_failed_runs_have_energy_and_no_efficiency():
    energy, _ = combine([node("n1", meter())], "", None, 10.0)
    assert energy.flops_per_watt is None
    assert energy.joules == 1000.0


class Ranks:
    """Two ranks as threads: gather and bcast as a communicator has them."""

    def __init__(self, size):
        self.size, self.values, self.barrier = size, [None] * size, threading.Barrier(size, timeout=10)

    def of(self, rank):
        ranks = self

        class Comm:
            size = ranks.size

            def gather(self, value):
                ranks.values[rank] = value
                ranks.barrier.wait()
                told = list(ranks.values) if rank == 0 else None
                ranks.barrier.wait()
                return told

            def bcast(self, value):
                if rank == 0:
                    ranks.values[0] = value
                ranks.barrier.wait()
                told = ranks.values[0]
                ranks.barrier.wait()
                return told

        comm = Comm()
        comm.rank = rank
        return comm


class Host:
    gpus = ()

    def __init__(self, hostname):
        self.hostname = hostname


@pytest.mark.parametrize(("hosts", "readers"), [(("n1", "n1"), [4, 0]), (("n1", "n2"), [4, 4])])
def test_two_ranks_on_a_node_read_its_meters_once(tmp_path, hosts, readers):
    write_zones(tmp_path, TWO_PACKAGES)
    ranks, opened = Ranks(2), {}

    def work(rank):
        opened[rank] = open_meters(ranks.of(rank), Host(hosts[rank]), "cpu", recorded(tmp_path))

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(opened[rank].meters) for rank in range(2)] == readers
    assert {one.name for one in opened[0].meters} == {one.name for one in rapl.find(recorded(tmp_path)).meters}
