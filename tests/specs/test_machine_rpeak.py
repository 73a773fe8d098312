"""Rpeak of a detected machine: what counts, what never counts, and when it is unknown."""

from __future__ import annotations

import pytest

from flopbench.errors import BadInput, UnknownName
from flopbench.machine.model import Gpu
from flopbench.results import Rpeak
from flopbench.specs.rpeak import machine_rpeak

from .machines import AVX512, machine

GOLD_6148 = "Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz"


def known(result: Rpeak | str) -> Rpeak:
    assert isinstance(result, Rpeak), result
    return result


def test_two_sockets_are_counted_once_each_and_hardware_threads_never():
    single = known(machine_rpeak(machine(GOLD_6148, sockets=1, cores=20), "fp64"))
    double = known(machine_rpeak(machine(GOLD_6148, sockets=2, cores=40), "fp64"))
    threads = known(machine_rpeak(machine(GOLD_6148, sockets=2, cores=40, threads_per_core=2), "fp64"))
    assert single.flops == pytest.approx(20 * 32 * 2.4e9)
    assert double.flops == threads.flops == pytest.approx(2 * 20 * 32 * 2.4e9)
    assert double.formula == "2 sockets x 20 cores x 32 FLOP/cycle x 2.4 GHz = 3.072 TFLOPS"


def test_the_convention_names_clock_unit_and_cores():
    convention = known(machine_rpeak(machine(GOLD_6148), "fp64")).convention
    assert "base clock (TOP500's convention) 2.4 GHz" in convention
    assert "vector unit (AVX-512 FMA)" in convention and "physical cores, the whole node" in convention


def test_the_source_names_the_page_of_the_processor():
    assert "/sku/120489/" in known(machine_rpeak(machine(GOLD_6148), "fp64")).source


@pytest.mark.parametrize(("clock", "ghz"), [("base", 2.4), ("top500", 2.4), ("boost", 3.7), (2.1, 2.1)])
def test_the_clock_is_chosen_by_name_or_given(clock, ghz):
    assert known(machine_rpeak(machine(GOLD_6148), "fp64", clock)).flops == pytest.approx(40 * 32 * ghz * 1e9)


def test_a_model_with_one_fma_unit_counts_half():
    silver = known(machine_rpeak(machine("Intel(R) Xeon(R) Silver 4114 CPU @ 2.20GHz", sockets=2, cores=20), "fp64"))
    assert silver.flops == pytest.approx(20 * 16 * 2.2e9)


def test_a_quota_of_one_and_a_half_cpus_counts_one_and_a_half_cores():
    peak = known(machine_rpeak(machine(GOLD_6148, quota=1.5, usable=40), "fp64"))
    assert peak.flops == pytest.approx(1.5 * 32 * 2.4e9)
    assert "1.5 of the machine's 40 that this process may use (quota of 1.5 CPUs)" in peak.convention


def test_an_affinity_mask_counts_the_cores_behind_it():
    peak = known(machine_rpeak(machine(GOLD_6148, usable=4), "fp64"))
    assert peak.flops == pytest.approx(4 * 32 * 2.4e9)
    assert "4 of the machine's 40" in peak.convention


def test_cores_in_use_by_the_run_replace_those_allowed():
    peak = known(machine_rpeak(machine(GOLD_6148), "fp64", cores=10, nodes=3))
    assert peak.flops == pytest.approx(3 * 10 * 32 * 2.4e9)
    assert "10 of the machine's 40 in use" in peak.convention


def test_more_threads_than_cores_do_not_raise_the_peak():
    whole = known(machine_rpeak(machine(GOLD_6148), "fp64"))
    assert known(machine_rpeak(machine(GOLD_6148), "fp64", cores=80)).flops == whole.flops


def test_hardware_threads_shown_as_cores_are_cut_to_what_the_processor_has():
    peak = known(machine_rpeak(machine(GOLD_6148, sockets=1, cores=40), "fp64"))
    assert peak.flops == pytest.approx(20 * 32 * 2.4e9)
    assert "the machine shows 40 cores" in peak.convention


@pytest.mark.parametrize(
    ("name", "detected", "guess"),
    [
        ("Intel(R) Xeon(R) Processor", "sapphirerapids", "Intel Sapphire Rapids"),
        ("AMD EPYC", "zen3", "AMD Zen 3"),
        ("AMD EPYC-Milan Processor", "zen3", "AMD Zen 3"),
        ("Intel Xeon Processor (Skylake, IBRS)", "skylake_avx512", "Intel Skylake-SP"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "broadwell", "Intel Broadwell"),
        ("QEMU Virtual CPU version 2.5+", None, None),
        ("Common KVM processor", None, None),
    ],
)
def test_a_generic_name_gives_no_rpeak_but_the_reason_and_a_labelled_guess(name, detected, guess):
    host = machine(
        name, sockets=1, cores=2, hypervisor="kvm", microarchitecture=detected, microarchitecture_is_guess=True
    )
    reason = machine_rpeak(host, "fp64")
    assert isinstance(reason, str)
    assert reason.startswith("Rpeak unknown") and name in reason and "names no model" in reason and "kvm" in reason
    assert "measured ceiling" in reason and "\n" not in reason
    if guess:
        assert f"microarchitecture guess: {guess}" in reason
    else:
        assert "guess" not in reason


def test_a_generic_name_stays_a_guess_even_where_detection_trusts_the_numbers():
    host = machine("AMD EPYC", microarchitecture="zen3", base_hz=2.45e9)
    reason = machine_rpeak(host, "fp64")
    assert isinstance(reason, str) and "microarchitecture guess: AMD Zen 3" in reason


def test_a_name_that_is_missing_altogether_says_so():
    reason = machine_rpeak(machine(None, sockets=1, cores=2), "fp64")
    assert isinstance(reason, str) and "model name is unknown" in reason


def test_a_core_design_with_one_or_two_fma_units_is_not_settled_by_the_processors_own_numbers():
    host = machine("Intel(R) Xeon(R) Sample 999", microarchitecture="skylake_avx512", base_hz=2e9)
    reason = machine_rpeak(host, "fp64")
    assert isinstance(reason, str) and "one or with two FMA units" in reason


def test_a_model_that_the_table_lacks_counts_by_the_core_design_that_detection_is_sure_of():
    host = machine("AMD Ryzen 5 7640HS", sockets=1, cores=6, microarchitecture="zen4", base_hz=4.3e9)
    assert known(machine_rpeak(host, "fp64")).flops == pytest.approx(6 * 16 * 4.3e9)


def test_an_arm_processor_without_a_name_counts_by_the_core_that_its_own_numbers_tell():
    host = machine(None, sockets=1, cores=64, microarchitecture="neoverse_v1", base_hz=2.6e9)
    peak = known(machine_rpeak(host, "fp64"))
    assert peak.flops == pytest.approx(64 * 16 * 2.6e9) and peak.spec == "unnamed processor (neoverse_v1)"
    without = machine_rpeak(machine(None, sockets=1, cores=64, microarchitecture="neoverse_v1"), "fp64")
    assert isinstance(without, str) and "base clock" in without


def test_a_desktop_model_counts_by_its_core_design_and_the_reported_clock():
    name = "AMD Ryzen 9 7950X 16-Core Processor"
    peak = known(machine_rpeak(machine(name, sockets=1, cores=16, base_hz=4.5e9, isa=AVX512), "fp64"))
    assert peak.flops == pytest.approx(16 * 16 * 4.5e9)
    assert "operating system reports" in peak.convention
    assert "base clock" in str(machine_rpeak(machine(name, sockets=1, cores=16, isa=AVX512), "fp64"))


def test_performance_and_efficiency_cores_are_not_mixed_up():
    reason = machine_rpeak(
        machine("12th Gen Intel(R) Core(TM) i7-12700", cores=12, performance_cores=8, efficiency_cores=4), "fp64"
    )
    assert isinstance(reason, str) and "8 performance and 4 efficiency cores" in reason


def test_a_precision_that_the_processor_does_not_compute_in_has_no_peak():
    reason = machine_rpeak(machine(GOLD_6148), "fp16")
    assert isinstance(reason, str) and "no fp16 arithmetic" in reason


def test_an_instruction_set_that_the_machine_hides_is_not_counted():
    peak = known(machine_rpeak(machine("Intel(R) Xeon(R) Platinum 8480+", sockets=2, cores=112, isa=AVX512), "fp64"))
    assert peak.flops == pytest.approx(112 * 32 * 2.0e9)
    hidden = machine_rpeak(machine("Intel(R) Xeon(R) Platinum 8480+", sockets=2, cores=112, isa=AVX512), "int8")
    assert isinstance(hidden, str) and "does not show it" in hidden
    partly = known(
        machine_rpeak(
            machine("Intel(R) Xeon(R) Platinum 8480+", sockets=2, cores=112, isa=[*AVX512, "avx512_vnni"]), "int8"
        )
    )
    assert partly.flops == pytest.approx(112 * 256 * 2.0e9) and "AMX-INT8 is not visible" in partly.convention


H100 = [Gpu(index=i, name="NVIDIA H100 80GB HBM3", multiprocessors=132) for i in range(4)]


def test_gpus_count_with_their_tensor_units_and_without_the_processors():
    peak = known(machine_rpeak(machine(GOLD_6148, gpus=H100), "fp64", device="cuda"))
    assert peak.flops == pytest.approx(4 * 132 * 256 * 1.98e9)
    assert "tensor unit" in peak.convention and "processors not counted" in peak.convention
    one = known(machine_rpeak(machine(GOLD_6148, gpus=H100), "fp16", device="cuda", gpus=[2]))
    assert one.flops == pytest.approx(132 * 4096 * 1.83e9)


def test_a_mig_slice_counts_its_own_multiprocessors():
    slice_ = [Gpu(index=0, name="NVIDIA A100-SXM4-40GB MIG 1g.5gb", multiprocessors=14, mig=True)]
    peak = known(machine_rpeak(machine(GOLD_6148, gpus=slice_), "fp64", device="cuda"))
    assert peak.flops == pytest.approx(14 * 128 * 1.41e9)
    assert "14 of the 108 multiprocessors" in peak.convention


def test_a_gpu_that_the_table_does_not_know_gives_the_reason_and_near_names():
    reason = machine_rpeak(machine(GOLD_6148, gpus=[Gpu(index=0, name="NVIDIA H1000")]), "fp64", device="cuda")
    assert isinstance(reason, str) and "'NVIDIA H1000' is not in the hardware table" in reason and "H100" in reason


def test_bad_input_is_refused():
    with pytest.raises(UnknownName, match="fp65"):
        machine_rpeak(machine(GOLD_6148), "fp65")
    with pytest.raises(BadInput, match="clock 'turbo'"):
        machine_rpeak(machine(GOLD_6148), "fp64", "turbo")
    with pytest.raises(BadInput, match="tpu"):
        machine_rpeak(machine(GOLD_6148), "fp64", device="tpu")
