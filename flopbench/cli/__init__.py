"""The command line: one file per command, loaded when it is called. Errors become one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from types import FrameType

import click

from flopbench import job
from flopbench.errors import EXIT_BAD_INPUT, EXIT_FAILED, FlopbenchError

#: command -> (module, one line of help). The list of `flopbench --help`; a command's module is imported when it is called.
COMMANDS: dict[str, tuple[str, str]] = {
    "gpu-selftest": (
        "flopbench.cli.gpu_selftest",
        "Test this machine's GPU, and flopbench on it; what an owner runs once.",
    ),
    "hpl": ("flopbench.cli.hpl", "Measure Rmax: solve Ax = b by LU in FP64, checked by HPL's residual."),
    "gemm": ("flopbench.cli.gemm", "Multiply matrices in every precision and backend; every product is checked."),
    "report": ("flopbench.cli.report", "Tables, pages and plots of records."),
    "compare": ("flopbench.cli.compare", "Compare records: ratio with interval, verdict, exit code."),
    "gate": ("flopbench.cli.gate", "Guard against regressions in CI: both sides in one job, in pairs."),
    "submit": ("flopbench.cli.submit", "File Results into the inventory, checked again on arrival."),
    "inventory": (
        "flopbench.cli.inventory",
        "Organisations, machines and their Rmax: add, import, sum up, audit, export.",
    ),
    "info": ("flopbench.cli.info", "This machine: cores, limits, GPUs, BLAS, Rpeak and (--measure) its ceiling."),
    "kernels": ("flopbench.cli.kernels", "All installed kernels, and why not where one cannot run here."),
    "specs": ("flopbench.cli.specs", "The hardware table: list, show, validate; audit a TOP500 list."),
    "rpeak": ("flopbench.cli.rpeak", "Theoretical peak of a described system, with its formula."),
}
EXIT_INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from flopbench.errors import UnknownName

            raise UnknownName("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="flopbench", message="flopbench %(version)s")
def cli() -> None:
    """How much computing power does this machine really have? Measured, proven right, comparable."""


def main() -> None:
    """Entry point of the `flopbench` command: runs it and leaves with its exit code."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (BrokenPipeError, ValueError):
            os._exit(code or EXIT_BAD_INPUT)
    if code == EXIT_INTERRUPTED:
        job.linger_after_interrupt()
        os._exit(code)  # a kernel may still be computing on a thread that nothing can stop
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run the command line and return the exit code; every expected error is one line on stderr."""
    try:
        result = cli.main(args=arguments, prog_name="flopbench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        if isinstance(
            error, getattr(click.exceptions, "NoArgsIsHelpError", ())
        ):  # click 8.2 on; before, click prints it
            if job.may_speak():
                print(error.format_message(), file=sys.stderr, flush=True)
            return EXIT_BAD_INPUT
        job.report(error.format_message(), EXIT_BAD_INPUT, _complain)
        return EXIT_BAD_INPUT
    except FlopbenchError as error:
        job.report(str(error), error.exit_code, _complain)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        if job.may_speak():
            _complain("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: nothing to say to it
        return EXIT_BAD_INPUT
    except OSError as error:
        job.report(f"cannot write the output: {error.strerror or error}", EXIT_BAD_INPUT, _complain)
        return EXIT_BAD_INPUT
    except MemoryError as error:
        job.report(f"out of memory: {error}; choose a smaller size", EXIT_BAD_INPUT, _complain)
        return EXIT_BAD_INPUT
    except Exception as error:
        if job.mpi_in_use() is None:
            raise
        job.crash(error)
        return EXIT_FAILED


def _complain(message: str) -> None:
    print(f"flopbench: {' '.join(message.split())}", file=sys.stderr, flush=True)


def _as_interrupt(signum: int, frame: FrameType | None) -> None:
    """SIGTERM (Slurm's time limit, a service manager) is treated as Ctrl-C: finished work is kept."""
    raise KeyboardInterrupt
