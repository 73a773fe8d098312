"""The gate's error rates over synthetic machines, 10,000 series for each statement. About two minutes; exit code 1 if one is not met.

python tests/experiments/gate/simulate.py [SERIES]
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from flopbench.gate.protocol import Rules, decide

sys.path.insert(0, str(Path(__file__).parents[2] / "gate"))
from gate_synthetic import MACHINES, synthetic

THREE = ("a", "b", "c")
#: (statement, true ratio, metrics, words counted per series, at most or at least, limit)
STATEMENTS = (
    ("same speed, told slower", 1.00, ("a",), {"slower"}, "at most", 0.001),
    ("same speed, three metrics, any told slower", 1.00, THREE, {"slower"}, "at most", 0.001),
    ("exactly at the threshold, told slower", 0.90, ("a",), {"slower"}, "at most", 0.005),
    ("exactly at the threshold, three metrics, any told slower", 0.90, THREE, {"slower"}, "at most", 0.005),
    ("exactly at the threshold, passed", 0.90, ("a",), {"same", "faster"}, "at most", 0.05),
    ("15 % slower, passed", 0.85, ("a",), {"same", "faster"}, "at most", 0.001),
    ("15 % slower, told slower", 0.85, ("a",), {"slower"}, "at least", 0.90),
    ("25 % slower, told slower", 0.75, ("a",), {"slower"}, "at least", 0.98),
)


def counts(ratio: float, metrics: tuple[str, ...], series: int) -> dict[str, Counter[str]]:
    """By machine: in how many series each word was said of at least one metric."""
    found: dict[str, Counter[str]] = {name: Counter() for name in MACHINES}
    for seed in range(series):
        name = list(MACHINES)[seed % len(MACHINES)]
        measure = synthetic(MACHINES[name], dict.fromkeys(metrics, ratio), seed)
        found[name].update({v.word for v in decide(dict.fromkeys(metrics, "FLOP/s"), measure, Rules())})
    return found


def main() -> int:
    """Print a line a statement, and the machines apart; 1 if a statement is not met."""
    series = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    known: dict[tuple[float, tuple[str, ...]], dict[str, Counter[str]]] = {}
    missed = 0
    for text, ratio, metrics, words, bound, limit in STATEMENTS:
        if (ratio, metrics) not in known:
            known[ratio, metrics] = counts(ratio, metrics, series)
        by_machine = known[ratio, metrics]
        hits = sum(count[word] for count in by_machine.values() for word in words)
        met = hits <= limit * series if bound == "at most" else hits >= limit * series
        missed += not met
        print(f"{text}: {hits} of {series} = {hits / series:.2%}, {bound} {limit:.1%}: {'met' if met else 'NOT MET'}")
    print("\nby machine, words said of at least one metric:")
    for (ratio, metrics), by_machine in known.items():
        for name, count in by_machine.items():
            said = ", ".join(f"{n} {word}" for word, n in count.most_common())
            print(f"  ratio {ratio}, {len(metrics)} metric(s), {name}: {said}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
