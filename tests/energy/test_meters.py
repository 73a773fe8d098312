"""What each kind of meter finds on recorded hosts, and the reason where it finds nothing."""

import errno
import urllib.error

import pytest
from energy.trees import AMD, LAPTOP, TWO_PACKAGES, Denied, recorded, write_zones

from flopbench.energy import bmc, nvidia, perf_power, rapl, sensors
from flopbench.energy.meter import MeterLost
from flopbench.machine.model import Gpu


def seen(found):
    return {meter.name: (meter.cover, meter.read()) for meter in found.meters}


def test_two_packages_and_their_memory_are_counted_each_once(tmp_path):
    assert seen(rapl.find(write_zones(tmp_path, TWO_PACKAGES))) == {
        "RAPL package-0": ("package", 10.0),
        "RAPL package-0 dram": ("dram", 1.0),
        "RAPL package-1": ("package", 20.0),
        "RAPL package-1 dram": ("dram", 2.0),
    }


def test_core_uncore_psys_and_the_mmio_twin_are_left_out(tmp_path):
    assert seen(rapl.find(write_zones(tmp_path, LAPTOP))) == {"RAPL package-0": ("package", 30.0)}


def test_amd_packages_are_found_under_intel_rapl(tmp_path):
    assert seen(rapl.find(write_zones(tmp_path, AMD))) == {"RAPL package-0": ("package", 7.0)}


def test_the_counter_wraps_where_the_kernel_says(tmp_path):
    (meter,) = rapl.find(write_zones(tmp_path, AMD)).meters
    assert meter.wrap_j == pytest.approx(262_143.328850)


def test_denied_counters_name_the_command_that_opens_them(tmp_path):
    write_zones(tmp_path, TWO_PACKAGES)
    found = rapl.find(recorded(tmp_path, Denied))
    assert not found.meters
    assert "permission denied" in found.why_not
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj" in found.why_not


def test_one_denied_package_of_two_means_none_since_a_part_is_not_the_whole(tmp_path):
    write_zones(tmp_path, TWO_PACKAGES)

    class Half(Denied):
        def text(self, path):
            return super().text(path) if "intel-rapl:1" in path else recorded(tmp_path).text(path)

    assert not rapl.find(recorded(tmp_path, Half)).meters


def test_a_host_without_any_meter_says_why_for_every_kind(tmp_path):
    source = recorded(tmp_path)
    found = [
        rapl.find(source),
        perf_power.find(source),
        sensors.find_cray(source),
        sensors.find_hwmon(source),
        bmc.find_ipmi(source),
        bmc.find_redfish(source),
        nvidia.find([], "cuda"),
        nvidia.find([], "cpu"),
    ]
    for one in found:
        assert not one.meters
        assert one.why_not
        assert "\n" not in one.why_not


def perf_tree(root):
    folder = root / perf_power.FOLDER.lstrip("/")
    (folder / "events").mkdir(parents=True)
    for name, text in {
        "type": "32",
        "cpumask": "0,32",
        "events/energy-pkg": "event=0x02",
        "events/energy-pkg.scale": "2.3283064365386962890625e-10",
        "events/energy-psys": "event=0x05",
        "events/energy-psys.scale": "2.3283064365386962890625e-10",
    }.items():
        (folder / name).write_text(text + "\n")
    return recorded(root)


def test_perf_counts_each_package_on_one_of_its_cpus_and_no_psys(tmp_path):
    opened = []

    def opener(kind, config, cpu):
        opened.append((kind, config, cpu))
        return lambda: (cpu + 1) << 32

    found = perf_power.find(perf_tree(tmp_path), opener)
    assert opened == [(32, 2, 0), (32, 2, 32)]
    assert [meter.read() for meter in found.meters] == [1.0, 33.0]


def test_perf_that_is_denied_names_the_command(tmp_path):
    def opener(kind, config, cpu):
        raise PermissionError(errno.EACCES, "Permission denied")

    assert "sudo sysctl kernel.perf_event_paranoid=0" in perf_power.find(perf_tree(tmp_path), opener).why_not


def gpu(index=0, mig=False):
    return Gpu(index=index, name="NVIDIA H100", pci_bus_id=f"0000:{index + 1:02x}:00.0", mig=mig)


class Card:
    def __init__(self, energy=None, power=None):
        self.energy, self.power = energy, power

    def energy_j(self):
        return self.energy

    def power_w(self):
        return self.power


def test_a_gpu_with_an_energy_counter_is_read_by_it_and_an_older_one_by_its_power():
    cards = {"0000:01:00.0": Card(5000.0, 300.0), "0000:02:00.0": Card(None, 250.0)}
    found = nvidia.find([gpu(0), gpu(1)], "cuda", cards.get)
    assert [(meter.quantity, meter.cover, meter.read()) for meter in found.meters] == [
        ("energy", "gpu", 5000.0),
        ("power", "gpu", 250.0),
    ]


@pytest.mark.parametrize(
    ("card", "mig", "says"),
    [(Card(1.0), True, "MIG"), (Card(), False, "neither energy nor power"), (None, False, "not to be had")],
)
def test_a_gpu_that_cannot_be_measured_says_why(card, mig, says):
    found = nvidia.find([gpu(mig=mig)], "cuda", lambda bus: card)
    assert not found.meters
    assert says in found.why_not


def test_a_gpu_that_falls_off_the_bus_is_lost_and_not_zero():
    card = Card(5000.0)
    (meter,) = nvidia.find([gpu()], "cuda", lambda bus: card).meters
    card.energy = None
    with pytest.raises(MeterLost):
        meter.read()


DCMI = "\n    Instantaneous power reading:                   {} Watts\n    Minimum during sampling period:   64 Watts\n"


def test_ipmi_gives_the_instantaneous_power_of_the_node(tmp_path):
    answers = {"ipmitool dcmi power reading": DCMI.format("  412")}
    assert seen(bmc.find_ipmi(recorded(tmp_path, answers=answers))) == {"IPMI": ("node", 412.0)}


def test_a_bmc_that_says_0_watts_has_no_meter(tmp_path):
    assert not bmc.find_ipmi(recorded(tmp_path, answers={"ipmitool dcmi power reading": DCMI.format(0)})).meters


REDFISH = {
    "/redfish/v1/Chassis": {"Members": [{"@odata.id": "/redfish/v1/Chassis/1"}]},
    "/redfish/v1/Chassis/1": {"Id": "1"},
    "/redfish/v1/Chassis/1/Power": {"PowerControl": [{"PowerConsumedWatts": 344}]},
}


def fetcher(resources):
    def fetch(path):
        if path not in resources:
            raise urllib.error.HTTPError(path, 404, "Not Found", None, None)
        return resources[path]

    return fetch


def redfish(tmp_path, resources):
    source = recorded(tmp_path, FLOPBENCH_REDFISH="https://root:secret@bmc17")
    return bmc.find_redfish(source, fetcher(resources))


def test_redfish_reads_the_chassis_by_the_old_resource_and_by_the_new_one(tmp_path):
    assert seen(redfish(tmp_path, REDFISH)) == {"Redfish": ("node", 344.0)}
    new = {name: what for name, what in REDFISH.items() if not name.endswith("Power")}
    new["/redfish/v1/Chassis/1/EnvironmentMetrics"] = {"PowerWatts": {"Reading": 350.5}}
    assert seen(redfish(tmp_path, new)) == {"Redfish": ("node", 350.5)}


@pytest.mark.parametrize(
    "resources",
    [{}, {"/redfish/v1/Chassis": []}, {"/redfish/v1/Chassis": {"Members": [{}]}}, {"/redfish/v1/Chassis": None}],
)
def test_a_bmc_that_does_not_speak_redfish_is_told_without_its_password(tmp_path, resources):
    found = redfish(tmp_path, resources)
    assert not found.meters
    assert "bmc17" in found.why_not
    assert "secret" not in found.why_not


def test_a_chassis_inside_another_is_not_counted_twice(tmp_path):
    resources = {
        **REDFISH,
        "/redfish/v1/Chassis": {"Members": [{"@odata.id": f"/redfish/v1/Chassis/{name}"} for name in ("1", "2")]},
        "/redfish/v1/Chassis/2": {"Links": {"ContainedBy": {"@odata.id": "/redfish/v1/Chassis/1"}}},
        "/redfish/v1/Chassis/2/Power": {"PowerControl": [{"PowerConsumedWatts": 120}]},
    }
    assert seen(redfish(tmp_path, resources)) == {"Redfish": ("node", 344.0)}
    resources["/redfish/v1/Chassis/2"] = {"Links": {}}
    assert seen(redfish(tmp_path, resources)) == {"Redfish": ("node", 464.0)}


def test_an_address_with_a_port_that_is_no_number_is_told_and_not_a_traceback(tmp_path):
    found = bmc.find_redfish(recorded(tmp_path, FLOPBENCH_REDFISH="https://root:secret@bmc17:abc"))
    assert "secret" not in found.why_not


def test_a_bmc_that_is_not_to_be_asked_is_named_without_its_password_and_not_called(tmp_path):
    def fetch(path):
        raise AssertionError("asked")

    source = recorded(tmp_path, FLOPBENCH_REDFISH="https://root:secret@bmc17")
    found = bmc.find_redfish(source, fetch, ask=False)
    assert not found.meters
    assert "https://bmc17 was not asked" in found.why_not
    assert "secret" not in found.why_not


def test_a_metric_that_is_null_is_no_power(tmp_path):
    resources = {name: what for name, what in REDFISH.items() if not name.endswith("Power")}
    resources["/redfish/v1/Chassis/1/EnvironmentMetrics"] = {"PowerWatts": None}
    assert "tells its power" in redfish(tmp_path, resources).why_not


def hwmon(root, **devices):
    for device, name in devices.items():
        folder = root / "sys/class/hwmon" / device
        folder.mkdir(parents=True)
        (folder / "name").write_text(name + "\n")
        (folder / "power1_average").write_text("215000000\n")
    return recorded(root)


def test_hwmon_takes_the_node_s_meter_and_no_card_s(tmp_path):
    assert seen(sensors.find_hwmon(hwmon(tmp_path, hwmon0="power_meter", hwmon1="amdgpu"))) == {
        "hwmon power_meter": ("node", 215.0)
    }


def test_hwmon_with_only_cards_says_what_it_saw(tmp_path):
    assert "amdgpu" in sensors.find_hwmon(hwmon(tmp_path, hwmon1="amdgpu")).why_not


def test_a_denied_hwmon_names_the_command(tmp_path):
    hwmon(tmp_path, hwmon0="power_meter")
    assert "sudo chmod a+r" in sensors.find_hwmon(recorded(tmp_path, Denied)).why_not


def test_cray_s_counter_is_in_joules_with_its_unit_behind(tmp_path):
    path = tmp_path / sensors.CRAY_FILE.lstrip("/")
    path.parent.mkdir(parents=True)
    path.write_text("123456 J 1699999999 us\n")
    assert seen(sensors.find_cray(recorded(tmp_path))) == {"Cray pm_counters": ("node", 123456.0)}
