"""Rpeak of described systems: the published figures of real ones, and the options one by one."""

from __future__ import annotations

import pytest

from flopbench.errors import BadInput, UnknownName
from flopbench.specs.peak import clock_that_gives
from flopbench.specs.rpeak import described_rpeak

#: system -> (its description, published Rpeak in FLOP/s). Sources: TOP500 lists of the years named; the first six also in table 3.4 of
#: CTCI Foundation, ISBN 978-626-98882-3-8; CLAIX-2023: github.com/EEHPCWG/PowerMeasurementMethodology.
PUBLISHED = {
    "PRIMEHPC FX1000, 3840 nodes (2024-06)": (dict(cpu="A64FX", nodes=3840), 12.98e15),
    "PRIMEHPC FX1000, 1920 nodes (2024-06)": (dict(cpu="A64FX", nodes=1920), 6.49e15),
    "Forerunner 1 (2024-06)": (dict(cpu="Xeon Platinum 8480+", sockets=2, nodes=558), 4.00e15),
    "Taiwania 3 (2024-06)": (dict(cpu="Xeon Platinum 8280", sockets=2, nodes=900), 4.35e15),
    "TAIPEI-1 (2024-06)": (
        dict(gpu="H100 SXM", gpus=8, cpu="Xeon Platinum 8480C", sockets=2, nodes=64, flop_per_cycle=16),
        34.53e15,
    ),
    "Frontera (2019-06)": (dict(cpu="Xeon Platinum 8280", sockets=2, nodes=8008), 38.7459e15),
    "Fugaku, boost mode (2020-11)": (dict(cpu="A64FX Fugaku", nodes=158_976, clock="boost"), 537.212e15),
    "CLAIX-2023, processors, at 2.8 GHz": (
        dict(cpu="Xeon Platinum 8468", sockets=2, nodes=598, clock=2.8),
        57_408 * 32 * 2.8e9,
    ),
    "CLAIX-2023, GPUs only": (dict(gpu="H100 SXM", gpus=4, nodes=36), 9.634775e15),
    "Satori's GPU, base clock 1.29 GHz": (dict(gpu="V100 SXM2", clock=1.29), 6.604e12),
    "Oakforest-PACS (2018-11)": (dict(cpu="Xeon Phi 7250", nodes=8178), 24.9135e15),
    "K computer (2018-11)": (dict(cpu="SPARC64 VIIIfx", cores=8, clock=2.0, nodes=88_128), 11.28038e15),
    "Sequoia (2018-11)": (dict(cpu="Power BQC", cores=16, clock=1.6, nodes=98_304), 20.13266e15),
    "Sunway TaihuLight (2018-11)": (dict(cpu="SW26010", cores=260, clock=1.45, nodes=40_960), 125.4359e15),
}


@pytest.mark.parametrize("system", PUBLISHED)
def test_the_published_rpeak_of_a_known_system_is_reproduced_within_half_a_percent(system):
    description, published = PUBLISHED[system]
    assert described_rpeak(**description).flops == pytest.approx(published, rel=0.005)


def test_taiwania_2_shows_which_gpu_clock_its_entry_took():
    """15.21 PF needs 1.389 GHz: neither the data sheet's 1.53 GHz of the SXM2 (16.66 PF) nor any other clock of the table."""
    described = dict(gpu="V100 SXM2", gpus=8, cpu="Xeon Gold 6154", sockets=2, nodes=252)
    peak = described_rpeak(**described)
    assert peak.flops == pytest.approx(16.66e15, rel=0.005)
    ghz = clock_that_gives(peak, 15.21e15, "gpu")
    assert ghz == pytest.approx(1.389, abs=0.001)
    assert described_rpeak(**described, gpu_clock=ghz).flops == pytest.approx(15.21e15)


def test_no_clock_gives_a_figure_that_the_rest_exceeds():
    peak = described_rpeak(gpu="V100 SXM2", gpus=8, cpu="Xeon Gold 6154", sockets=2)
    assert clock_that_gives(peak, 1e12, "cpu") is None


def test_the_formula_holds_every_number_and_the_value():
    peak = described_rpeak(gpu="H100 SXM", gpus=4, cpu="Xeon Gold 6148", sockets=2, nodes=3)
    assert peak.formula == (
        "3 nodes x (4 x 132 SM x 256 FLOP/cycle x 1.98 GHz + 2 sockets x 20 cores x 32 FLOP/cycle x 2.4 GHz) = 812.1 TFLOPS"
    )


def test_leaving_the_processors_out_is_part_of_the_convention():
    with_cpus = described_rpeak(gpu="H100 SXM", cpu="Xeon Gold 6148")
    without = described_rpeak(gpu="H100 SXM")
    assert "no processors counted" in without.convention and "no processors" not in with_cpus.convention
    assert with_cpus.flops - without.flops == pytest.approx(20 * 32 * 2.4e9)


@pytest.mark.parametrize(
    ("precision", "unit", "expected"),
    [
        ("fp64", "best", 132 * 256 * 1.98e9),
        ("fp64", "vector", 132 * 128 * 1.98e9),
        ("fp32", "best", 132 * 256 * 1.98e9),
        ("tf32", "best", 132 * 2048 * 1.83e9),
        ("bf16", "best", 132 * 4096 * 1.83e9),
        ("fp16", "tensor", 132 * 4096 * 1.83e9),
        ("fp8", "best", 132 * 8192 * 1.83e9),
        ("int8", "best", 132 * 8192 * 1.83e9),
    ],
)
def test_precision_and_unit_choose_the_rate(precision, unit, expected):
    peak = described_rpeak(precision, gpu="H100 SXM", unit=unit)
    assert peak.flops == pytest.approx(expected)
    assert peak.unit == ("OP/s" if precision == "int8" else "FLOP/s")


def test_fp8_counts_fp32_sums_which_run_at_half_rate_on_geforce():
    assert described_rpeak("fp8", gpu="RTX 4090").flops == pytest.approx(128 * 1024 * 2.52e9)
    assert described_rpeak("fp8", gpu="NVIDIA L40S").flops == pytest.approx(142 * 2048 * 2.52e9)
    with pytest.raises(BadInput, match="no dense fp8 rate"):
        described_rpeak("fp8", gpu="A100 SXM")


def test_fp16_counts_fp32_sums_where_the_hardware_has_them_and_says_so_where_not():
    assert described_rpeak("fp16", gpu="RTX 4090").flops == pytest.approx(128 * 512 * 2.52e9)
    sapphire = described_rpeak("fp16", cpu="Xeon Platinum 8480+")
    assert sapphire.flops == pytest.approx(56 * 128 * 2.0e9) and "float16 sums" in sapphire.convention
    granite = described_rpeak("fp16", cpu="Xeon 6980P")
    assert granite.flops == pytest.approx(128 * 1024 * 2.0e9) and "AMX-FP16" in granite.convention


def test_a_gpu_without_printed_clock_is_taken_as_printed_and_says_so():
    peak = described_rpeak("fp16", gpu="NVIDIA B200", gpus=8)
    assert peak.flops == pytest.approx(8 * 2250e12)
    assert "as the data sheet prints it" in peak.convention and "prints neither SM count nor clock" in peak.convention
    with pytest.raises(BadInput, match="no base clock"):
        described_rpeak("fp16", gpu="NVIDIA B200", clock="base")


def test_a_clock_in_ghz_is_the_processors_unless_there_are_only_gpus():
    both = described_rpeak(gpu="V100 SXM2", cpu="Xeon Gold 6148", clock=2.0)
    assert both.flops == pytest.approx(80 * 64 * 1.53e9 + 20 * 32 * 2.0e9)
    assert described_rpeak(gpu="V100 SXM2", clock=1.29).flops == pytest.approx(80 * 64 * 1.29e9)


def test_an_unlisted_model_needs_cores_and_clock():
    peak = described_rpeak(cpu="Ryzen 9 7950X", cores=16, clock=4.5)
    assert peak.flops == pytest.approx(16 * 16 * 4.5e9)
    with pytest.raises(UnknownName, match="AMD Zen 4.*--cores of each socket and a --clock in GHz"):
        described_rpeak(cpu="Ryzen 9 7950X")


def test_the_letter_of_a_cloud_model_is_no_count_of_cores():
    peak = described_rpeak(cpu="Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", cores=32, clock=2.9)
    assert peak.flops == pytest.approx(32 * 32 * 2.9e9)
    assert "icelake" in peak.spec


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(), "nothing to compute"),
        (dict(gpu="H1000"), "did you mean NVIDIA H100"),
        (dict(cpu="Xeon Gold 6148", clock="turbo"), "choose top500, base, boost"),
        (dict(cpu="Xeon Gold 6148", clock=2400.0), "between 0.05 and 20 GHz"),
        (dict(cpu="Xeon Gold 6148", clock=float("nan")), "between 0.05 and 20 GHz"),
        (dict(cpu="Xeon Gold 6148", flop_per_cycle=-1), "FLOP/cycle must be"),
        (dict(cpu="Xeon Gold 6148", flop_per_cycle=float("inf")), "FLOP/cycle must be"),
        (dict(cpu="Xeon Gold 6148", sockets=0), "sockets must be at least 1"),
        (
            dict(cpu="Xeon Gold 6148", precision="fp16"),
            "no fp16 arithmetic for Intel Skylake-SP .*; it has fp64, fp32$",
        ),
        (dict(cpu="Xeon Gold 6148", gpus=4), "no GPU is named: add --gpu"),
        (dict(cpu="Xeon Gold 6148", gpu_clock="boost"), "no GPU is named: add --gpu"),
        (dict(gpu="H100 SXM", sockets=2), "no processor is named: add --cpu"),
        (dict(gpu="H100 SXM", flop_per_cycle=16), "no processor is named: add --cpu"),
        (dict(gpu="V100 SXM2", precision="tf32"), "no dense tf32 rate .*; it has fp64, fp32, fp16$"),
        (dict(gpu="V100 SXM2", precision="fp64", unit="tensor"), "no dense fp64 rate on tensor units"),
        (dict(gpu="V100 SXM2", precision="fp128"), "unknown precision 'fp128'.*bf16, fp16, fp8, int8"),
    ],
)
def test_bad_input_is_refused_in_one_line(options, message):
    with pytest.raises(BadInput, match=message) as caught:
        described_rpeak(**options)
    assert "\n" not in str(caught.value)
