"""The other things that `flopbench hpl` does: take its options from an HPL.dat, write one, screen the nodes of a job."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from flopbench import hpl_dat
from flopbench.errors import EXIT_FAILED, EXIT_OK, BadInput, CannotWrite
from flopbench.kernel_api import Comm

_DECIDED_BY_DAT = ("n", "nb", "grid", "memory", "time", "repeat")


def read_dat(comm: Comm, path: Path, options: Mapping[str, Any]) -> hpl_dat.HplDat:
    """The file, read by rank 0 for all. Collective. Raises BadInput on every rank."""
    given = [f"--{name}" for name in _DECIDED_BY_DAT if options.get(name) not in (None, ())]
    if given:
        raise BadInput(f"--dat decides what {', '.join(given)} would; leave out one or the other")
    dat: hpl_dat.HplDat | str | None = None
    if comm.rank == 0:
        try:
            dat = hpl_dat.read(path)
        except BadInput as error:
            dat = str(error)
    dat = comm.bcast(dat)
    if not isinstance(dat, hpl_dat.HplDat):
        raise BadInput(str(dat))
    if dat.ranks > comm.size:
        raise BadInput(
            f"{path.name} lines 11 and 12: the largest grid needs {dat.ranks} ranks, there are {comm.size}; "
            f"start it with: mpiexec -n {dat.ranks} flopbench hpl --dat {path}"
        )
    return dat


def request_of(dat: hpl_dat.HplDat) -> dict[str, Any]:
    """The fields of HplRequest that an HPL.dat decides. HPL runs every case once."""
    return {
        "n": dat.ns,
        "nb": dat.nbs,
        "grid": dat.grids,
        "tuning": dat.tunings(),
        "threshold": dat.threshold,
        "repeat": 1,
    }


@contextmanager
def output_of(dat: hpl_dat.HplDat) -> Iterator[TextIO]:
    """Where lines 3 and 4 of the file want HPL's text. Raises CannotWrite."""
    if dat.device in (6, 7):
        yield sys.stdout if dat.device == 6 else sys.stderr
        return
    try:
        stream = open(dat.output_file, "w", encoding="utf-8")  # noqa: SIM115 closed below
    except OSError as error:
        raise CannotWrite(f"cannot write {dat.output_file} (HPL.dat line 3): {error.strerror}") from error
    with stream:
        yield stream


def write_dat(comm: Comm, path: Path, options: Mapping[str, Any]) -> int:
    """Write the plan of these options as an HPL.dat, and run nothing. N fills the memory where it is not given."""
    from flopbench import grid_choice, plan
    from flopbench.machine.detect import detect
    from flopbench.run import room

    machine = detect()
    nbs = options.get("nb") or (int(plan.choose_nb(frozenset(machine.cpu.isa)).value),)
    space = room(comm, machine)
    fraction = options.get("memory") or plan.MEMORY_FRACTION
    ns = options.get("n") or (plan.choose_n_by_memory(fraction, nbs[0], space)[0],)
    grids = options.get("grid") or (grid_choice.chosen(comm, ns[0], nbs[0])[0],)
    if comm.rank == 0:
        hpl_dat.write(hpl_dat.HplDat(ns=ns, nbs=nbs, grids=grids), path)
        print(f"{path}: N = {ns[0]}, NB = {nbs[0]}, grid {grids[0][0]} x {grids[0][1]}")
    return EXIT_OK


def screen(comm: Comm, choice: Mapping[str, Any], settings: Any, options: Mapping[str, Any]) -> int:
    """Run on every node at once and list them, the slowest first; exit 1 if one falls behind."""
    from dataclasses import replace

    from threadpoolctl import threadpool_limits

    from flopbench import choose, job, placement, plan
    from flopbench import screen as screening
    from flopbench.machine.detect import detect

    job.prepare()
    machine = detect()
    placed = placement.placement(comm, machine)
    threads, _ = plan.choose_threads(settings.threads, machine.limits, placement.sharing(placed, comm.rank))
    local = screening.node_comm(comm)
    settings = replace(settings, threads=threads)
    kernel, _ = choose.kernel(
        "lu", machine, settings, choice["kernel"], choice["backend"], choice["device"], local.size
    )
    nb = (options.get("nb") or (int(plan.choose_nb(frozenset(machine.cpu.isa)).value),))[0]
    n = (options.get("n") or (None,))[0]
    with threadpool_limits(threads):
        nodes = screening.screen(comm, local, kernel, machine, threads, nb, n)
    slow = screening.suspects(nodes) if nodes else []
    if comm.rank == 0:
        _show(nodes, slow, kernel.name)
    return EXIT_FAILED if comm.bcast(bool(slow)) else EXIT_OK


def _show(nodes: list[Any], slow: list[Any], kernel: str) -> None:
    import statistics

    from flopbench import units

    median = statistics.median(node.flops for node in nodes)
    print(f"{len(nodes)} node(s) at once, each alone: {kernel}, N = {nodes[0].n}; median {units.rate(median)}")
    print(f"  {'rate':<16} {'of median':>9}  {'verdict':<9} host")
    for node in nodes:
        share = units.percent(node.flops / median)
        mark = "  <- look at this one" if node in slow else ""
        print(f"  {units.rate(node.flops):<16} {share:>9}  {node.verdict:<9} {node.host}{mark}")
