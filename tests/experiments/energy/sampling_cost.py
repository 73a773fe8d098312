"""What reading the meters costs a busy program, with the meters in a tree on disk and read as often as on a real host.

    python tests/experiments/energy/sampling_cost.py [--pairs 7] [--seconds 2] [--threads 1,2]

Meters: four RAPL counters (two packages with dram), a power file of the node (5 readings a second), or both. The work is FP64
products through NumPy; its rate is products a second over the region that the sampler marks. Two answers for each set of meters and
each number of threads:

1. Processor time that the reading threads use while the work runs, by their own clocks (CLOCK_THREAD_CPUTIME_ID), per second of the
   run. If all cores are busy, the work loses at least that; work that waits for its slowest thread loses that share of its rate.
   Needs no quiet machine. Not in it: what the work's caches lose by the interruption.
2. The rate with sampling over the rate without, in pairs of alternating order (A B, B A, ...): the median of the ratios and its
   95 % interval (order statistics, as docs/method.md has it; fewer than six pairs have none). Reading meters makes no work faster:
   an interval that reaches above 1.005 shows noise, and nothing is told from it. Else half a percent is told if the interval lies
   on one side of 0.995. Pairs of unsampled runs show what the machine's noise alone does.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from flopbench import timing
from flopbench.energy import rapl, sensors
from flopbench.energy.sampling import Sampler
from flopbench.machine.source import Source

MUST_HOLD = 0.995
SIZE = 512
ZONES = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "dram", "intel-rapl:1": "package-1", "intel-rapl:1:0": "dram"}


class WithClocks(Sampler):
    """A sampler whose threads say what processor time they used."""

    def __init__(self, meters):
        super().__init__(meters)
        self.cpu_s = []

    def _work(self, tracks):
        super()._work(tracks)
        self.cpu_s.append(time.thread_time())


def meters_below(root):
    """Sets of meters, by name, in a tree below `root`."""
    for zone, name in ZONES.items():
        folder = root / rapl.FOLDER.lstrip("/") / zone
        folder.mkdir(parents=True)
        for file, text in {"name": name, "energy_uj": "12345678", "max_energy_range_uj": "262143328850"}.items():
            (folder / file).write_text(text + "\n")
    folder = root / sensors.HWMON_FOLDER.lstrip("/") / "hwmon0"
    folder.mkdir(parents=True)
    (folder / "name").write_text("power_meter\n")
    (folder / "power1_average").write_text("250000000\n")
    source = Source(root=root)
    counters, power = rapl.find(source).meters, sensors.find_hwmon(source).meters
    assert (len(counters), len(power)) == (4, 1)
    return {"4 counters": counters, "1 power file": power, "both": (*counters, *power)}


def busy(seconds, meters):
    """(products a second, processor seconds of the reading threads per second, readings) of at least `seconds` of work."""
    a = np.random.default_rng(1).standard_normal((SIZE, SIZE))
    out = np.empty_like(a)
    sampler = WithClocks(meters)
    sampler.start()
    try:
        with sampler.region():
            begin, count = timing.clock(), 0
            while (now := timing.clock()) - begin < seconds:
                np.matmul(a, a, out=out)
                count += 1
    finally:
        sampler.stop()
    return count / (now - begin), sum(sampler.cpu_s) / (now - begin), sum(use.readings for use in sampler.uses())


def ratio(seconds, meters, swapped):
    """Rate under `meters` over the rate without any, one after the other; processor share of reading and number of readings."""
    sides = {"with": meters, "without": ()}
    seen = {side: busy(seconds, sides[side]) for side in sorted(sides, reverse=swapped)}
    return seen["with"][0] / seen["without"][0], *seen["with"][1:]


def told(ratios):
    """The ratios in words, and what they can tell of half a percent."""
    interval = timing.median_interval(ratios)
    middle = f"median {statistics.median(ratios):.4f}"
    if interval is None:
        return f"{middle}; too few pairs for an interval: not to be told"
    low, high = interval
    verdict = "not to be told: the noise is larger"
    if high <= 2 - MUST_HOLD and low >= MUST_HOLD:
        verdict = "costs less than 0.5 %"
    elif high < MUST_HOLD:
        verdict = "COSTS MORE THAN 0.5 %"
    return f"{middle} ({low:.4f} to {high:.4f}): {verdict}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--threads", default=f"1,{len(os.sched_getaffinity(0))}", help="as 1,2")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sets = meters_below(Path(folder))
        for threads in dict.fromkeys(map(int, asked.threads.split(","))):
            with threadpool_limits(threads):
                busy(0.5, ())  # warms up
                noise = []
                for name, meters in sets.items():
                    pairs = [ratio(asked.seconds, meters, pair % 2 == 1) for pair in range(asked.pairs)]
                    noise.append(ratio(asked.seconds, (), False)[0])
                    ratios, shares, readings = zip(*pairs, strict=True)
                    cost = statistics.median(shares)
                    verdict = "less" if max(shares) < 1 - MUST_HOLD else "NOT LESS"
                    print(f"{threads} thread(s), {name}, {readings[0]} readings in {asked.seconds:g} s:")
                    print(f"  reading takes {cost:.4%} of a core (at most {max(shares):.4%}): {verdict} than 0.5 %")
                    print(f"  rate with / without: {told(ratios)}; each: {' '.join(f'{one:.4f}' for one in ratios)}")
                print(f"{threads} thread(s), without / without: {' '.join(f'{one:.4f}' for one in noise)}", flush=True)


if __name__ == "__main__":
    main()
