"""flopbench hpl: Rmax of this machine, or of all ranks that a launcher started."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from flopbench.cli.options import GRIDS, PAIRS, SIZES

_OF_A_RANK = ("threads", "blas", "output")  # options that may differ between ranks


def _apply_config(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    if value is not None:
        from flopbench.config import hpl_defaults

        ctx.default_map = {**(ctx.default_map or {}), **hpl_defaults(value)}
    return value


@click.command("hpl")
@click.option("--n", type=SIZES, default=None, help="Order of A; several with commas are a sweep.")
@click.option("--nb", type=SIZES, default=None, help="Blocking factor NB.")
@click.option("--grid", type=GRIDS, default=None, help="Process grid PxQ of the ranks. [auto]")
@click.option("--memory", type=float, default=None, help="Choose N to fill this fraction of the free memory, e.g. 0.8.")
@click.option("--time", type=float, default=None, help="Seconds that the timed runs may take together. [45]")
@click.option(
    "--repeat", type=click.IntRange(1, 1000), default=None, help="Timed runs; the best is Rmax. [1 to 3 by --time]"
)
@click.option(
    "--energy",
    is_flag=True,
    default=None,
    help="Also energy over the timed runs, by the meters of this machine: GFLOPS/W and what it covers.",
)
@click.option("--kernel", default=None, help="Kernel by name, see `flopbench kernels`.")
@click.option("--backend", default=None, help="numpy, numba, cupy ...")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option(
    "--threads", type=click.IntRange(1, 65536), default=None, help="Threads per rank. [the cores that may be used]"
)
@click.option("--blas", default=None, help="A BLAS library by path or name, for kernels that take one.")
@click.option(
    "--option",
    "extra",
    type=PAIRS,
    multiple=True,
    help="An option of the kernel's own, see `flopbench kernels`; repeatable.",
)
@click.option("--config", type=click.Path(path_type=Path), is_eager=True, expose_value=False, callback=_apply_config,
              help="Options from a TOML file; the command line wins.")  # fmt: skip
@click.option(
    "--output", type=click.Path(path_type=Path), default="results", show_default=True, help="Folder for records."
)
@click.option("--json", "as_json", is_flag=True, help='One JSON document on stdout: {"results": [record, ...]}.')
@click.option("--hpl-format", is_flag=True, help="Print HPL 2.3's own text.")
@click.option("--dat", type=click.Path(path_type=Path), default=None, help="Do what this HPL.dat asks, print as xhpl.")
@click.option(
    "--write-dat", type=click.Path(path_type=Path), default=None, help="Write the plan as an HPL.dat; run nothing."
)
@click.option("--detail", is_flag=True, help="Time per phase over the ranks, and the slowest rank.")
@click.option("--screen", is_flag=True, help="Short test on every node at once; lists nodes below the median.")
def command(
    as_json: bool,
    hpl_format: bool,
    dat: Path | None,
    write_dat: Path | None,
    detail: bool,
    screen: bool,
    **options: Any,
) -> int:
    """Measure Rmax: solve Ax = b by LU with partial pivoting in FP64, checked by HPL's own residual.

    Alone it chooses everything and says why. Under mpiexec or srun it uses all ranks.
    """
    from flopbench import job
    from flopbench.cli import hpl_modes, stdout
    from flopbench.cli.hpl_output import HplText, Json, Summary
    from flopbench.comm import agree, world
    from flopbench.hpl_run import HplRequest
    from flopbench.kernel_api import Settings
    from flopbench.run import run_hpl

    comm = world()
    job.prepare()
    shared = {name: value for name, value in options.items() if name not in _OF_A_RANK}
    agree(comm, {**shared, "dat": dat, "write_dat": write_dat, "screen": screen})
    if write_dat is not None:
        return hpl_modes.write_dat(comm, write_dat, options)
    choice = {name: options.pop(name) for name in ("kernel", "backend", "device")}
    settings = Settings(threads=options.pop("threads"), blas=options.pop("blas"), extra=dict(options.pop("extra")))
    if screen:
        return hpl_modes.screen(comm, choice, settings, options)
    with ExitStack() as stack:
        stack.enter_context(stdout.for_document(as_json))
        text = HplText(detail=detail)
        if dat is not None:
            file = hpl_modes.read_dat(comm, dat, options)
            options.update(hpl_modes.request_of(file))
            hpl_format = True
            if comm.rank == 0:
                text = HplText(stack.enter_context(hpl_modes.output_of(file)), detail)
                for warning in file.warnings:
                    text.complain(f"warning: {warning}")
        printer = Json() if as_json else text if hpl_format else Summary(detail)
        asked = {name: value for name, value in options.items() if value is not None}
        if "time" in asked:
            asked["time_s"] = asked.pop("time")
        return run_hpl(comm, printer if comm.rank == 0 else None, HplRequest(settings=settings, **asked), **choice)
