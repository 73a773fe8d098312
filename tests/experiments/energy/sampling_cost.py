"""What reading the meters costs a busy program: pairs of the same work, with and without sampling, in alternating order.

    python tests/experiments/energy/sampling_cost.py [--pairs 7] [--seconds 4] [--threads 2]

The meters are four RAPL counters in a tree on disk (two packages with dram), read as often as on a real host, and two
power files that are read as often as a GPU's power (20 times a second). The work is FP64 products through NumPy on
all threads; the rate is products a second over the region that the sampler marks. First, what does not depend on a
quiet machine: the processor time that reading alone takes while the program sleeps, as a share of one core. Prints
the rate of each side of each pair, the ratio, and the medians; must hold: the median ratio is at least 0.995.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from flopbench import timing
from flopbench.energy import rapl
from flopbench.energy.meter import PowerFile
from flopbench.energy.sampling import Sampler
from flopbench.machine.source import Source

MUST_HOLD = 0.995
TOO_NOISY = 0.05  # range of the ratios above which their median says nothing about half a percent
ZONES = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "dram", "intel-rapl:1": "package-1", "intel-rapl:1:0": "dram"}


class FastPower(PowerFile):
    period_s = 0.05


def meters(root):
    """Those of a server with two packages, and two fast power files, in a tree below `root`."""
    for zone, name in ZONES.items():
        folder = root / "sys/class/powercap" / zone
        folder.mkdir(parents=True)
        for file, text in {"name": name, "energy_uj": "12345678", "max_energy_range_uj": "262143328850"}.items():
            (folder / file).write_text(text + "\n")
    source = Source(root=root)
    for file in ("power_a", "power_b"):
        (root / file).write_text("250000000\n")
    fast = [FastPower(source, f"/{file}", file, "gpu", 1e-6) for file in ("power_a", "power_b")]
    return [*rapl.find(source).meters, *fast]


def rate(seconds, sampled):
    """Products a second for at least `seconds`, under a sampler of `sampled` meters."""
    a = np.random.default_rng(1).standard_normal((512, 512))
    out = np.empty_like(a)
    sampler = Sampler(sampled)
    sampler.start()
    try:
        with sampler.region():
            begin, count = timing.clock(), 0
            while (now := timing.clock()) - begin < seconds:
                np.matmul(a, a, out=out)
                count += 1
    finally:
        sampler.stop()
    readings = sum(found.readings for found in sampler.uses())
    return count / (now - begin), readings


def cpu_share(seconds, sampled):
    """Processor time of reading `sampled` for `seconds` in a program that does nothing else, as a share of one core."""
    sampler = Sampler(sampled)
    before, begin = time.process_time(), timing.clock()
    sampler.start()
    sampler.idle(seconds)
    sampler.stop()
    return (time.process_time() - before) / (timing.clock() - begin)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(asked.threads):
        found = meters(Path(folder))
        shares = [cpu_share(asked.seconds, found) for _ in range(5)]
        print(f"reading alone: {statistics.median(shares):.3%} of a core ({min(shares):.3%} to {max(shares):.3%})")
        sides = {"with": found, "without": []}
        rate(0.5, found)  # warms up
        rates = {side: [] for side in sides}
        for pair in range(asked.pairs):
            readings = 0
            for side in list(sides)[:: 1 if pair % 2 == 0 else -1]:
                measured, seen = rate(asked.seconds, sides[side])
                rates[side].append(measured)
                readings += seen
            with_, without = rates["with"][-1], rates["without"][-1]
            print(
                f"pair {pair + 1}: with {with_:.2f}/s, without {without:.2f}/s, {with_ / without:.4f}, {readings} readings"
            )
    ratios = [a / b for a, b in zip(rates["with"], rates["without"], strict=True)]
    middle = statistics.median(ratios)
    verdict = "it does" if middle >= MUST_HOLD else "IT DOES NOT"
    if max(ratios) - min(ratios) > TOO_NOISY:
        verdict = "not to be told, the machine is too busy"
    print(
        f"medians: with {statistics.median(rates['with']):.2f}/s, without {statistics.median(rates['without']):.2f}/s, "
        f"ratio {middle:.4f} ({min(ratios):.4f} to {max(ratios):.4f}), at least {MUST_HOLD} must hold: "
        f"{verdict}"
    )


if __name__ == "__main__":
    main()
