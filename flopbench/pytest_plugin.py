"""The fixture `flopbench_rate` for other projects' tests: pytest-benchmark's times as rates, held against the measured ceiling.

    def test_product(flopbench_rate):
        a = np.random.default_rng(0).random((1000, 1000))
        flopbench_rate(np.matmul, a, a, flops=2 * 1000**3)

pytest loads this file in every project that has flopbench installed, so it imports nothing that is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

_NOW = pytest.StashKey[dict[str, dict[str, Any]]]()
_BEFORE = pytest.StashKey[dict[str, dict[str, Any]]]()


class RateBenchmark:
    """What the fixture hands out: call it like pytest-benchmark's `benchmark`, and say how many operations one call is."""

    def __init__(self, benchmark: Any, config: pytest.Config) -> None:
        self._benchmark = benchmark
        self._config = config

    def __call__(
        self, function: Callable[..., Any], *args: Any, flops: float, precision: str = "fp64", **kwargs: Any
    ) -> Any:
        """Benchmark `function(*args, **kwargs)` and return its result; the rate goes into `benchmark.extra_info`.

        Args:
            flops: operations of one call, e.g. 2 m n k for a product of matrices
            precision: fp64, fp32, bf16, fp16 or int8 (whose rate is in OP/s): which ceiling to hold the rate against

        Raises BadInput if `flops` is not positive, UnknownName on a precision that is not known.
        """
        from flopbench.errors import BadInput
        from flopbench.precision import precision as known_precision

        if not flops > 0:
            raise BadInput(f"flops={flops}: the operations of one call, a number above 0")
        unit = known_precision(precision).unit
        result = self._benchmark(function, *args, **kwargs)
        info = self._benchmark.extra_info
        info |= {"flop_count": flops, "precision": precision, "unit": unit}
        if self._benchmark.stats is not None:  # None with --benchmark-disable: it ran once and was not timed
            info |= _rates(flops, self._benchmark.stats.stats, precision)
            self._config.stash.setdefault(_NOW, {})[self._benchmark.fullname] = info
        return result


def _rates(flops: float, stats: Any, precision: str) -> dict[str, Any]:
    """Best and median rate, and their share of the ceiling, measured now on all cores that may be used."""
    from flopbench.ceiling import measure
    from flopbench.machine.detect import detect

    machine = detect()
    ceiling = measure(precision, machine.limits.usable_cores, machine)
    rate = flops / stats.min
    found = {"rate_flops": rate, "median_flops": flops / stats.median}
    if isinstance(ceiling, str):
        return found | {"ceiling_flops": None, "ceiling_reason": ceiling, "of_ceiling": None}
    return found | {"ceiling_flops": ceiling.flops, "of_ceiling": rate / ceiling.flops}


if find_spec("pytest_benchmark"):

    @pytest.fixture
    def flopbench_rate(benchmark: Any, request: pytest.FixtureRequest) -> RateBenchmark:
        """pytest-benchmark's `benchmark` that is told the operations of a call and records the rate."""
        return RateBenchmark(benchmark, request.config)

else:

    @pytest.fixture
    def flopbench_rate() -> RateBenchmark:
        """Without pytest-benchmark there is nothing to time with: the test is skipped and says so."""
        pytest.skip("flopbench_rate needs pytest-benchmark: pip install pytest-benchmark")


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_compare_machine_info(config: pytest.Config, compared_benchmark: dict[str, Any]) -> None:
    """Keep the rates of the run that --benchmark-compare compares with; of several, the last."""
    for bench in compared_benchmark["benchmarks"]:
        if "rate_flops" in bench["extra_info"]:
            config.stash.setdefault(_BEFORE, {})[bench["fullname"]] = bench["extra_info"]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """A line for every rate, with the compared run's beside it."""
    now = config.stash.get(_NOW, {})
    if not now:
        return
    before = config.stash.get(_BEFORE, {})
    terminalreporter.section("flopbench rates (best round)")
    for name, info in now.items():
        terminalreporter.write_line(_line(name, info, before.get(name)))


def _line(name: str, info: dict[str, Any], before: dict[str, Any] | None) -> str:
    from flopbench.units import percent, rate

    text = f"{name}: {rate(info['rate_flops'], info['unit'])} {info['precision']}"
    if info["of_ceiling"] is not None:
        text += f", {percent(info['of_ceiling'])} of the measured ceiling"
    if before is not None and before["unit"] == info["unit"]:
        ratio = info["rate_flops"] / before["rate_flops"]
        text += f"; compared run: {rate(before['rate_flops'], before['unit'])}, ratio {ratio:.3f}"
    return text
