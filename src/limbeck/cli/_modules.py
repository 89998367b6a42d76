"""``limbeck modules``: does a network come apart into modules, and what does each of them decide?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli._network_rows import Shape, shaped_rows
from limbeck.cli._options import Classes, Data, Drop, MaxRows, Missing, Quiet, Seed, Target
from limbeck.cli._runs import names_in

__all__ = ["modules"]


def modules(
    model: Annotated[str, typer.Option(help="The network: package.module:name of a torch module, or what makes one.")],
    data: Data = "concrete",
    target: Target = None,
    shape: Shape = None,
    layers: Annotated[
        str | None, typer.Option(help="The layers whose units are clustered, with commas; absent: the hidden ones.")
    ] = None,
    k: Annotated[int | None, typer.Option(help="How many modules; absent: chosen by the weights.", min=2)] = None,
    train: Annotated[bool, typer.Option("--train", help="Train a copy of the network so that it comes apart.")] = False,
    strength: Annotated[float, typer.Option(help="With --train: how much being apart counts.", min=0.0)] = 20.0,
    warmup_epochs: Annotated[int, typer.Option(help="With --train: plain passes over the rows first.", min=0)] = 0,
    epochs: Annotated[int, typer.Option(help="With --train: passes over the rows.", min=1)] = 15,
    split_epochs: Annotated[
        int, typer.Option(help="With --train: passes after these with the weights between modules at 0.", min=0)
    ] = 5,
    distill: Annotated[
        bool, typer.Option("--distill", help="Give each module a formula, tree or rules of its own.")
    ] = False,
    circuits: Annotated[
        bool, typer.Option("--circuits/--no-circuits", help="Find the weights that each label needs.")
    ] = True,
    holdout: Annotated[float, typer.Option(help="The share of the rows that only the verdicts see.")] = 0.25,
    out: Annotated[Path, typer.Option(help="The folder of the result.")] = Path("runs/modules"),
    seed: Seed = 0,
    max_rows: MaxRows = None,
    classes: Classes = None,
    drop: Drop = None,
    missing: Missing = "error",
    as_json: Annotated[bool, typer.Option("--json", help="Print modules.json and nothing else.")] = False,
    quiet: Quiet = False,
) -> None:
    """Find a network's modules, what each decides, and whether it comes apart without losing its score."""
    from limbeck._block_case import read_model
    from limbeck._core.errors import InputError
    from limbeck._modules import modules as found_modules
    from limbeck.cli._rows import read_rows, sampled

    network = read_model(model, "modules are found in")
    found = read_rows(data, target=names_in(target), drop=names_in(drop), missing=missing)
    found = found if max_rows is None else sampled(found, max_rows, seed)
    if not found.target:
        raise InputError("--target is required: modules are judged by what is true for the rows")
    X, names = shaped_rows(found, shape)
    truth = found.frame[list(found.target)]
    result = found_modules(
        network,
        X,
        truth[found.target[0]] if len(found.target) == 1 else truth,
        layers=names_in(layers) or None,
        k=k,
        train=train,
        strength=strength,
        warmup_epochs=warmup_epochs,
        epochs=epochs,
        split_epochs=split_epochs,
        distill=distill,
        circuits=circuits,
        names=names,
        classes=names_in(classes) or None,
        holdout=holdout,
        data_name=found.name,
        random_state=seed,
        progress=not (quiet or as_json),
    )
    folder = result.save(out)
    typer.echo(json.dumps(result.to_dict(), ensure_ascii=False) if as_json else f"{result.text()}\n\nin {folder}")
    if not result.complete:
        typer.echo("interrupted: the folder holds what was done by then", err=True)
        sys.exit(130)
    if result.verdict.startswith("does not come apart"):
        sys.exit(3)
