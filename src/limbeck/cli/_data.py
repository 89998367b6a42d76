"""``limbeck data``: the data sets that can be named."""

from __future__ import annotations

import json
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Data sets by name.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Data sets by name."""


@app.command("list")
def list_sets(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the data sets that --data takes by name, and where each lies."""
    from limbeck import datasets

    table = datasets.available()
    if as_json:
        typer.echo(json.dumps(table.to_dict("records")))
    else:
        typer.echo(table.to_string(index=False))
