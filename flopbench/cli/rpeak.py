"""flopbench rpeak: the theoretical peak of a described system, with the formula and its numbers."""

from __future__ import annotations

import re
from typing import Any

import click

from flopbench.errors import BadInput

_PREFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}


def _clock(ctx: click.Context, param: click.Parameter, value: str | None) -> str | float | None:
    """ "base", "boost", "top500", or a clock in GHz with or without its unit."""
    if value is None:
        return None
    text = value.strip().lower().removesuffix("ghz").strip()
    try:
        return float(text)
    except ValueError:
        return text


def _flops(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A rate with an SI prefix: "15.21P", "15.21 PFLOPS", "1.521e16"."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([kMGTPE]?)(?:i?F.*|OP.*)?\s*", value)
    try:
        number = float(found[1]) * _PREFIXES[found[2]] if found else 0.0
    except ValueError:
        number = 0.0
    if not 0 < number < 1e30:
        raise BadInput(f"--published is {value!r}; allowed: a rate such as 15.21P, 4.35PFLOPS or 1.521e16")
    return number


_COUNT = click.IntRange(1, 10_000_000)


@click.command("rpeak")
@click.option("--cpu", default=None, help='Processor, e.g. "Xeon Gold 6148"; see `flopbench specs list`.')
@click.option("--sockets", type=_COUNT, default=1, show_default=True, help="Processors in a node.")
@click.option("--cores", type=_COUNT, default=None, help="Physical cores of each processor. [the table's]")
@click.option("--gpu", default=None, help='GPU, e.g. "H100 SXM".')
@click.option("--gpus", type=_COUNT, default=1, show_default=True, help="GPUs in a node.")
@click.option("--nodes", type=_COUNT, default=1, show_default=True, help="Nodes of the system.")
@click.option("--precision", default="fp64", show_default=True, help="fp64, fp32, tf32, bf16, fp16, fp8 or int8.")
@click.option("--clock", default="top500", show_default=True, callback=_clock,
              help="top500 (processors' base clock, GPUs' data-sheet clock), base, boost, or GHz of the processors.")  # fmt: skip
@click.option(
    "--gpu-clock", default=None, callback=_clock, help="The same for the GPUs. [as --clock, if that is a word]"
)
@click.option("--flop-per-cycle", type=float, default=None, help="Of one core, in place of the table's.")
@click.option("--unit", type=click.Choice(["best", "vector", "tensor"]), default="best", show_default=True)
@click.option(
    "--published",
    default=None,
    callback=_flops,
    help="A published Rpeak, e.g. 15.21P: how far off, and which clock gives it.",
)
@click.option("--json", "as_json", is_flag=True, help='One JSON document on stdout: {"rpeak": {...}}.')
def command(as_json: bool, published: float | None, **options: Any) -> None:
    """The theoretical peak of a system, by a named convention, with its formula.

    Leave --cpu out to count the GPUs only. Rpeak of this machine: flopbench info.
    """
    from flopbench.specs.rpeak import described_rpeak
    from flopbench.specs.show import rpeak_document, rpeak_text

    peak = described_rpeak(**options)
    if as_json:
        import json

        print(json.dumps({"rpeak": rpeak_document(peak, published)}, indent=1))
    else:
        print(rpeak_text(peak, published))
