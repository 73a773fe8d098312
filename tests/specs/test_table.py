"""The hardware table that comes with flopbench, and what a bad table is refused for."""

from __future__ import annotations

import re

import msgspec
import pytest

from flopbench.errors import BadInput, UnknownName
from flopbench.specs import table
from flopbench.specs.peak import choose
from flopbench.specs.schema import DataFile
from flopbench.specs.validate import TOLERANCE, findings, formula_flops

SHIPPED = table.load()

#: Every GPU that the project promises, as people write it.
GPUS = [
    "V100 PCIe", "V100 SXM2", "V100S PCIe", "Tesla V100-SXM2-16GB", "NVIDIA A100-PCIE-40GB", "NVIDIA A100 80GB PCIe",
    "NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe", "NVIDIA H100 NVL",
    "H100 NVL pair", "GB200 superchip", "GB200 NVL72", "NVIDIA H200", "NVIDIA GH200 480GB", "NVIDIA B200", "NVIDIA B300",
    "NVIDIA L40S", "NVIDIA L4", "NVIDIA A40", "NVIDIA A30", "NVIDIA A10", "Tesla T4", "Tesla P100-SXM2-16GB",
    "NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 5090", "NVIDIA RTX A6000",
    "NVIDIA RTX 6000 Ada Generation", "MI250X", "MI300X", "MI300A", "Intel Data Center GPU Max 1550",
]  # fmt: skip

#: Processors as their operating systems report them, with the FP64 FLOP/cycle/core that each must have.
CPUS = {
    "Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz": 16,
    "Intel(R) Xeon(R) CPU E5-2697A v4 @ 2.60GHz": 16,
    "Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz": 32,
    "Intel(R) Xeon(R) Gold 5118 CPU @ 2.30GHz": 16,
    "Intel(R) Xeon(R) Gold 5122 CPU @ 3.60GHz": 32,
    "Intel(R) Xeon(R) Silver 4114 CPU @ 2.20GHz": 16,
    "Intel(R) Xeon(R) Platinum 8280 CPU @ 2.70GHz": 32,
    "Intel(R) Xeon(R) Silver 4214 CPU @ 2.20GHz": 16,
    "Intel(R) Xeon(R) Platinum 8380 CPU @ 2.30GHz": 32,
    "Intel(R) Xeon(R) D-2776NT CPU @ 2.10GHz": 16,
    "Intel(R) Xeon(R) Platinum 8480+": 32,
    "Intel(R) Xeon(R) CPU Max 9480": 32,
    "Intel(R) Xeon(R) Platinum 8592+": 32,
    "Intel(R) Xeon(R) 6980P": 32,
    "AMD EPYC 7601 32-Core Processor": 8,
    "AMD EPYC 7742 64-Core Processor": 16,
    "AMD EPYC 7763 64-Core Processor": 16,
    "AMD EPYC 9654 96-Core Processor": 16,
    "AMD EPYC 9755 128-Core Processor": 32,
    "A64FX": 32,
    "NVIDIA Grace": 16,
    "Graviton2": 8,
    "Graviton3": 16,
    "Graviton4": 16,
    "Ampere Altra Max M128-30": 8,
    "AmpereOne A192-32X": 8,
}


def test_the_table_that_comes_with_flopbench_has_no_fault():
    assert [str(f) for f in findings(SHIPPED)] == []


@pytest.mark.parametrize("name", GPUS)
def test_a_gpu_is_found_under_the_name_that_people_and_drivers_use(name):
    assert SHIPPED.gpu(name) is not None


@pytest.mark.parametrize(("name", "flop_per_cycle"), CPUS.items())
def test_a_processor_is_found_and_has_its_flop_per_cycle(name, flop_per_cycle):
    cpu = SHIPPED.cpu(name)
    assert cpu is not None
    row = choose(SHIPPED.microarchitectures[cpu.microarchitecture].arithmetic, "fp64")
    assert row is not None and row.flop_per_cycle_per_core == flop_per_cycle


@pytest.mark.parametrize(
    ("name", "micro"),
    [
        ("AMD Ryzen 9 7950X 16-Core Processor", "zen4"),
        ("AMD Ryzen 7 9700X 8-Core Processor", "zen5"),
        ("AMD Ryzen 9 5950X 16-Core Processor", "zen3"),
        ("Intel(R) Core(TM) i7-4790 CPU @ 3.60GHz", "haswell"),
        ("Intel(R) Core(TM) i9-9900K CPU @ 3.60GHz", "skylake"),
        ("12th Gen Intel(R) Core(TM) i9-12900K", "alderlake"),
        ("POWER9, altivec supported", "power9"),
        ("Neoverse-N1", "neoverse_n1"),
    ],
)
def test_a_model_that_is_not_listed_is_known_by_its_core_design(name, micro):
    assert SHIPPED.cpu(name) is None
    found = SHIPPED.microarchitecture_by_name(name)
    assert found is not None and found.name == micro


def test_every_processor_of_the_table_also_fits_no_name_pattern_of_another_design():
    wrong = []
    for cpu in SHIPPED.cpus.values():
        named = SHIPPED.microarchitecture_by_name(cpu.name)
        if named is not None and named.name != cpu.microarchitecture:
            wrong.append((cpu.name, cpu.microarchitecture, named.name))
    assert wrong == []


@pytest.mark.parametrize("name", ["NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe"])
def test_tensor_rates_double_when_operands_halve(name):
    gpu = SHIPPED.gpu(name)
    assert gpu is not None
    tensor = {p.precision: p.flops for p in gpu.peaks if p.unit == "tensor"}
    assert tensor["fp16"] == pytest.approx(2 * tensor["tf32"], rel=TOLERANCE)
    assert tensor["int8"] == pytest.approx(2 * tensor["fp16"], rel=TOLERANCE)
    vector = {p.precision: p.flops for p in gpu.peaks if p.unit == "vector"}
    assert tensor["fp64"] == pytest.approx(2 * vector["fp64"], rel=TOLERANCE)


def test_every_rate_is_multiprocessors_times_flop_per_cycle_times_clock_or_says_why_not():
    checked = 0
    for gpu in SHIPPED.gpus.values():
        for peak in gpu.peaks:
            expected = formula_flops(SHIPPED.gpu_architectures[gpu.architecture], gpu, peak)
            if expected is None:
                assert peak.unchecked
            else:
                assert peak.flops == pytest.approx(expected, rel=TOLERANCE) or peak.disagreement
                checked += 1
    assert checked > 150


def test_geforce_halves_fp16_with_fp32_sums():
    gpu = SHIPPED.named_gpu("RTX 4090")
    fp16 = {p.accumulator: p.flops for p in gpu.peaks if p.precision == "fp16"}
    assert fp16["float16"] == pytest.approx(2 * fp16["float32"], rel=TOLERANCE)


GOOD = """\
[[sources]]
id = "sheet"
title = "Made-up data sheet"
publisher = "Maker"
url = "https://example.org/sheet"

[[microarchitectures]]
name = "design"
title = "A design"
vendor = "Maker"
architecture = "x86_64"
arithmetic = [
  { precision = "fp64", unit = "vector", isa = "FMA", accumulator = "float64", source = "sheet", flop_per_cycle_per_core = 16, \
pipes = 2, width_bits = 256, operations_per_lane = 2, basis = "" },
]

[[cpus]]
name = "Chip 4711"
microarchitecture = "design"
cores = 8
base_ghz = 2.0
source = "sheet"

[[gpu_architectures]]
name = "grid"
title = "A GPU design"
vendor = "Maker"
multiprocessor = "SM"
arithmetic = [
  { precision = "tf32", unit = "tensor", accumulator = "float32", flop_per_cycle_per_multiprocessor = 1000, source = "sheet" },
  { precision = "fp16", unit = "tensor", accumulator = "float32", flop_per_cycle_per_multiprocessor = 2000, source = "sheet" },
  { precision = "int8", unit = "tensor", accumulator = "int32", flop_per_cycle_per_multiprocessor = 4000, source = "sheet" },
]

[[gpus]]
name = "Board 1"
architecture = "grid"
multiprocessors = 100
boost_ghz = 1.0
clock_source = "sheet"
memory_gb = 10
memory_bandwidth_gb_per_s = 100
source = "sheet"
peaks = [
  { precision = "tf32", unit = "tensor", accumulator = "float32", dense_tflops = 100, clock_ghz = 1.0, source = "sheet" },
  { precision = "fp16", unit = "tensor", accumulator = "float32", dense_tflops = 200, clock_ghz = 1.0, source = "sheet" },
  { precision = "int8", unit = "tensor", accumulator = "int32", dense_tops = 400, clock_ghz = 1.0, source = "sheet" },
]
"""  # fmt: skip


def faults(text: str) -> str:
    """All findings of a table of one file, as text."""
    part = msgspec.toml.decode(text.encode(), type=DataFile)
    return "\n".join(str(f) for f in findings(table.join([part])))


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) >= 1, old
    return GOOD.replace(old, new, 1)


def test_the_example_that_the_bad_tables_are_made_of_is_good():
    assert faults(GOOD) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed("dense_tflops = 200", "dense_tflops = 400"), r"Board 1 fp16 tensor: 400 T differs by \+100.0 % .* sparse"),
        (changed("dense_tflops = 200", "dense_tflops = 400"), "fp16 is 4 x tf32"),
        (changed("dense_tops = 400", "dense_tops = 800"), "int8 is 4 x fp16"),
        (changed("dense_tflops = 200", "dense_tflops = 204.2"), "Board 1 fp16 tensor: .* differs by"),
        (changed("_multiprocessor = 2000", "_multiprocessor = 4000"), "grid: fp16 is 4 x tf32"),
        (changed("dense_tops = 400", "dense_tflops = 400"), "integers have dense_tops"),
        (changed("dense_tflops = 200, ", ""), "give dense_tflops or dense_tops"),
        (changed("dense_tflops = 200, clock_ghz = 1.0", "dense_tflops = 200"), "`unchecked` does not say why"),
        (changed("flop_per_cycle_per_core = 16", "flop_per_cycle_per_core = 32"), r"2 pipes x 4 lanes x 2 operations = 16"),
        (changed("pipes = 2, width_bits = 256, operations_per_lane = 2, ", ""), "where does the number come from"),
        (changed('base_ghz = 2.0\nsource = "sheet"', 'base_ghz = 2.0\nsource = "hearsay"'), "'hearsay' is not in the list"),
        (changed("base_ghz = 2.0", "base_ghz = 2000.0"), "no clock in GHz"),
        (changed("base_ghz = 2.0", "base_ghz = 2.0\nboost_ghz = 1.5"), "boost_ghz 1.5 is below"),
        (changed("cores = 8", "cores = 0"), "cores must be at least 1"),
        (changed('clock_source = "sheet"\n', ""), "Board 1 clocks: source '' is not in the list"),
        (changed('microarchitecture = "design"', 'microarchitecture = "other"'), "unknown microarchitecture 'other'"),
        (changed('"fp64", unit', '"fp65", unit'), "unknown precision 'fp65'"),
        (changed("https://example.org/sheet", "https://example.org/{item}"), "give source_item"),
        (changed('url = "https://', 'url = "http://'), "no https address"),
        (GOOD + "[[gpus]]" + GOOD.split("[[gpus]]")[1].replace("Board 1", "BOARD-1"), "BOARD-1: .* is also that of Board 1"),
    ],
)  # fmt: skip
def test_a_bad_table_is_refused(text, message):
    assert re.search(message, faults(text)), faults(text)


def test_a_disagreement_with_a_stated_reason_is_let_through():
    other = changed(
        "dense_tflops = 100, clock_ghz = 1.0", 'dense_tflops = 97, clock_ghz = 1.0, disagreement = "so printed"'
    )
    assert "differs" not in faults(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed('base_ghz = 2.0\nsource = "sheet"', "base_ghz = 2.0"), "source"),
        (changed('dense_tflops = 100, clock_ghz = 1.0, source = "sheet"', "dense_tflops = 100, clock_ghz = 1.0"), "source"),
        (changed("dense_tflops = 100", "sparse_tflops = 200"), "sparse_tflops"),
        (changed("memory_gb = 10", "memory = 10"), "memory"),
        (changed("base_ghz = 2.0", 'base_ghz = "2.0"'), "base_ghz"),
        (changed('unit = "vector"', 'unit = "both"'), "both"),
        (GOOD + "\n[[tpus]]\nname = 'x'\n", "tpus"),
        ("sources = [", "TOML|Expected|nvalid|Unclosed"),
    ],
)  # fmt: skip
def test_a_missing_source_or_an_unknown_key_is_refused_on_reading(tmp_path, text, message):
    path = tmp_path / "table.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match=message) as caught:
        table.read_file(path)
    assert str(path) in str(caught.value)


def test_two_entries_of_one_name_are_refused():
    part = msgspec.toml.decode(GOOD.encode(), type=DataFile)
    with pytest.raises(BadInput, match="stands twice"):
        table.join([part, part])


def test_a_mistyped_name_lists_the_near_ones():
    with pytest.raises(UnknownName, match=r"unknown GPU 'H1000'; did you mean NVIDIA H100 NVL.*NVIDIA H100 SXM5"):
        SHIPPED.named_gpu("H1000")
    with pytest.raises(UnknownName, match="Intel Xeon Gold 6148"):
        SHIPPED.named_cpu("Xeon Gold 6149")
    with pytest.raises(UnknownName, match="nothing in the list is like it"):
        SHIPPED.named_gpu("zzzzzz")
