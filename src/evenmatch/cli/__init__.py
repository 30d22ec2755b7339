"""The evenmatch command line: one file a command, no logic of its own."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import typer

from evenmatch import __version__
from evenmatch.cli import audit, calibrate, check, compare, datasets, demo, embed, robustness, scores, train, transfer
from evenmatch.cli._interrupted import Interrupted
from evenmatch.errors import CheckFailed, EvenmatchError

__all__ = ["app", "main"]

# Typer names neither class in public, and whether they are click's or its own depends on its version.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
_CommandError: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="evenmatch",
    help="One match threshold that holds for every class: measure it, calibrate it, ship it, watch it.",
    epilog="Exit codes: 0 done, 1 a check failed, 2 the input cannot be used (a line on stderr says what to do), "
    "3 a fault of evenmatch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("audit")(audit.audit)
app.command("calibrate")(calibrate.calibrate)
app.command("check")(check.check)
app.command("compare")(compare.compare)
app.command("demo")(demo.demo)
app.command("transfer")(transfer.transfer)
app.command("robustness")(robustness.robustness)
app.command("scores")(scores.scores)
app.command("train")(train.train)
app.command("embed")(embed.embed)
app.add_typer(datasets.app, name="datasets")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"evenmatch {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", callback=_version, is_eager=True
    ),
) -> None:
    """Options of the program itself."""


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code; without arguments, those of the process, which then ends."""
    if arguments is not None:
        return _run(arguments)
    try:
        code = _run(None)
    except Exception:  # Python's own exit code would be 1, that of a failed check
        traceback.print_exc()
        typer.echo("this is a fault of evenmatch; please report it with the lines above", err=True)
        code = 3
    sys.exit(code)


def _run(arguments: list[str] | None) -> int:
    command = typer.main.get_command(app)
    try:
        result = command.main(args=arguments, prog_name="evenmatch", standalone_mode=False)
        if result == 130:  # newer typers turn Ctrl-C into this
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except CheckFailed as failure:
        typer.echo(f"check failed: {failure}", err=True)
        return 1
    except EvenmatchError as error:
        typer.echo(f"error: {error}", err=True)
        return 2
    except _UsageError as error:
        message, context = _message(error), getattr(error, "ctx", None)
        if message:  # without arguments the help itself has been printed
            typer.echo(f"error: {message}; see {context.command_path if context else 'evenmatch'} --help", err=True)
        return 2
    except _CommandError as error:
        typer.echo(f"error: {_message(error)}", err=True)
        return 2
    except Interrupted as how:
        typer.echo(f"interrupted; {how}", err=True)
        return 130
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("interrupted", err=True)
        return 130


def _message(error: Any) -> str:
    return error.format_message().strip().rstrip(".")
