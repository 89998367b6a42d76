"""The command line: one file a verb, each only translating to a public function.

Exit codes: 0 done; 1 the work failed; 2 an argument, a table or a file is not what is required; 3 done, but every
student is refused (``do not use``), or the network does not come apart; 130 interrupted, with what was done kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from limbeck.cli import (
    _bill,
    _block,
    _compress,
    _data,
    _distill,
    _distill_policy,
    _explain,
    _export,
    _modules,
    _play,
    _predict,
    _report,
    _show,
    _study,
    _tradeoff,
)

__all__ = ["app", "main"]

app = typer.Typer(
    name="limbeck",
    help="Turn a trained network into models that a person can read, and measure how faithful they are.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("distill")(_distill.distill)
app.command("compress")(_compress.compress)
app.command("show")(_show.show)
app.command("export")(_export.export)
app.command("predict")(_predict.predict)
app.command("report")(_report.report)
app.command("tradeoff")(_tradeoff.tradeoff)
app.command("bill")(_bill.bill)
app.command("block")(_block.block)
app.command("explain")(_explain.explain)
app.command("modules")(_modules.modules)
app.command("distill-policy")(_distill_policy.distill_policy)
app.command("play")(_play.play)
app.add_typer(_data.app, name="data")
app.add_typer(_study.app, name="study")


def _version(value: bool) -> None:
    if value:
        from limbeck import __version__

        typer.echo(f"limbeck {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Turn a trained network into models that a person can read, and measure how faithful they are."""


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    from limbeck._core.errors import InputError, LimbeckError

    try:
        yield
    except InputError as error:
        _complain(error)
        sys.exit(2)
    except LimbeckError as error:
        _complain(error)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)


def _complain(error: Exception) -> None:
    typer.echo("limbeck: " + " ".join(str(error).split()), err=True)


def main() -> None:
    """Run the command line."""
    with _errors_in_one_line():
        app(standalone_mode=True)
