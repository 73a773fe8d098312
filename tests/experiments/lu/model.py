"""How good is the performance model (flopbench/lu_model.py)? Predicted against measured, phase by phase.

    mpiexec -bind-to core -n 2 python tests/experiments/lu/model.py --grid 1x2 --n 4000,8000 --repeats 5

Calibrates as `flopbench hpl` does (best of two runs at N = 1000 and 2500, network measured), then prints for each N the prediction and the
best of the repeats, and their ratio. Rank 0 prints.
"""

import argparse

from runs import best

from flopbench import grid_choice, plan
from flopbench.comm import world
from flopbench.lu_model import PHASES, LuModel, Measured, Network, Shape


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", default="1x2")
    parser.add_argument("--n", default="4000,8000")
    parser.add_argument("--nb", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    p, q = (int(side) for side in asked.grid.split("x"))
    comm = world()
    best(comm, 1, 500, asked.nb, p, q)  # warm-up
    runs = []
    for n in (plan.WARM_UP_N, plan.CALIBRATION_N):
        seconds, phases = best(comm, plan.CALIBRATION_RUNS, n, asked.nb, p, q)
        runs.append(Measured(Shape(n, asked.nb, p, q), phases, seconds))
    network = Network(*grid_choice.measure_network(comm))
    model = LuModel.fit(*runs, network)
    if comm.rank == 0:
        print(
            f"{asked.grid}, NB = {asked.nb}: latency {network.latency_s * 1e6:.2f} us, {8e-9 / network.seconds_per_double:.2f} GB/s"
        )
        print(f"  {'N':>6} {'phase':<10} {'predicted s':>12} {'measured s':>12} {'ratio':>7}")
    for n in (int(text) for text in asked.n.split(",")):
        taken, found = best(comm, asked.repeats, n, asked.nb, p, q)
        shape = Shape(n, asked.nb, p, q)
        if comm.rank == 0:
            told = model.phases(shape)
            rows = [(name, told[name], found.get(name, 0.0)) for name in PHASES]
            others = sum(told.values())
            rows.append(("wait", model.seconds(shape) - others, taken - sum(found.get(name, 0.0) for name in PHASES)))
            rows.append(("all", model.seconds(shape), taken))
            for name, predicted, measured in rows:
                ratio = f"{predicted / measured:7.2f}" if measured > 1e-3 else "      -"
                print(f"  {n:>6} {name:<10} {predicted:12.4f} {measured:12.4f} {ratio}", flush=True)


if __name__ == "__main__":
    main()
