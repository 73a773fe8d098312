"""flopbench gemm: what this machine multiplies in each precision, by each library."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from flopbench.cli.options import NAMES, SIZES

_PATH = click.Path(path_type=Path)


@click.command("gemm")
@click.option(
    "--precision", type=NAMES, default=None, help="fp64, fp32, bf16, fp16, fp8, int8; several with commas. [all]"
)
@click.option(
    "--n",
    type=SIZES,
    default=None,
    help="Columns of B and C; several are a sweep. [256 to 16384, as far as --time allows]",
)
@click.option("--m", type=click.IntRange(1, 2**31 - 1), default=None, help="Rows of A and C. [n]")
@click.option("--k", type=click.IntRange(1, 2**31 - 1), default=None, help="Columns of A, rows of B. [n]")
@click.option("--backend", type=NAMES, default=None, help="numpy, numba, cblas ...; several with commas. [all]")
@click.option("--kernel", type=NAMES, default=None, help="Kernels by name, see `flopbench kernels`.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--isa", default=None, help="At most this instruction set, e.g. avx2, to compare.")
@click.option("--blas", default=None, help="A BLAS library by path or name for cblas; also FLOPBENCH_BLAS.")
@click.option("--threads", type=click.IntRange(1, 65536), default=None, help="[the cores that may be used]")
@click.option("--time", "time_s", type=float, default=90.0, show_default=True, help="Seconds for everything together.")
@click.option(
    "--repeat", type=click.IntRange(1, 100000), default=None, help="Timed repeats. [until the median is known to 2 %]"
)
@click.option("--rotate", is_flag=True, help="Rotate among operand buffers, so that none is found in a cache.")
@click.option(
    "--energy",
    is_flag=True,
    default=None,
    help="Also energy over the timed runs, by the meters of this machine: GFLOPS/W and what it covers.",
)
@click.option("--output", type=_PATH, default="results", show_default=True, help="Folder for records.")
@click.option(
    "--json", "as_json", is_flag=True, help='One JSON document on stdout: {"results": [...], "skipped": [...]}.'
)
@click.option("--html", "html_file", type=_PATH, default=None, help="Also write one self-contained page with plots.")
@click.option("--plot", "plot_file", type=_PATH, default=None, help="Also write the plots: .png, .svg or .pdf.")
def command(as_json: bool, html_file: Path | None, plot_file: Path | None, **options: Any) -> int:
    """Measure C = A B in every precision and backend that this machine has; every product is checked.

    What cannot run is listed with its reason.
    """
    from flopbench.cli import stdout
    from flopbench.cli.gemm_output import Json, Table
    from flopbench.gemm_run import GemmRequest
    from flopbench.kernel_api import Settings
    from flopbench.report.write import require_writable
    from flopbench.run_gemm import run_gemm

    require_writable(html_file, plot_file)
    settings = Settings(
        threads=options.pop("threads"),
        blas=options.pop("blas") or os.environ.get("FLOPBENCH_BLAS") or None,
        isa=options.pop("isa"),
    )
    printer = (Json if as_json else Table)(html_file, plot_file)
    asked = {name: value for name, value in options.items() if value is not None}
    with stdout.for_document(as_json):
        return run_gemm(printer, GemmRequest(settings=settings, **asked))
