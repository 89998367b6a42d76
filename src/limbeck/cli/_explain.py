"""``limbeck explain``: which inputs, alone and in groups, a network used for some rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli._network_rows import Network, Shape, network_named, shaped_rows
from limbeck.cli._options import Classes, Data, Drop, MaxRows, Missing, Quiet, Seed, Target
from limbeck.cli._runs import names_in

if TYPE_CHECKING:
    import numpy as np

    from limbeck.cli._rows import NamedRows

__all__ = ["explain"]


def explain(
    model: Network,
    data: Data = "concrete",
    target: Target = None,
    rows: Annotated[int, typer.Option(help="How many rows are explained, drawn by the seed.", min=1)] = 5,
    method: Annotated[
        str, typer.Option(help="acd, cd, trim, integrated_gradients, input_x_gradient or occlusion.")
    ] = "acd",
    transform: Annotated[
        str | None, typer.Option(help="For trim: fourier, wavelet, pca or nmf; absent: pca for tables, else fourier.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="image, text, signal or table, where --shape does not say.")] = None,
    shape: Shape = None,
    text: Annotated[str | None, typer.Option(help="The column of sentences, words apart by blanks.")] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(help="A file with one word a line; a word's id is its line, from 0.")
    ] = None,
    output: Annotated[int | None, typer.Option(help="The explained output; absent: the largest.", min=0)] = None,
    tile: Annotated[int | None, typer.Option(help="The side of tiles, or the steps of windows.", min=1)] = None,
    rule: Annotated[str, typer.Option(help="proportional, shapley, acd or cdep.")] = "proportional",
    out: Annotated[Path, typer.Option(help="The folder of the explanation.")] = Path("runs/explain"),
    seed: Seed = 0,
    max_rows: MaxRows = None,
    classes: Classes = None,
    drop: Drop = None,
    missing: Missing = "error",
    as_json: Annotated[bool, typer.Option("--json", help="Print explanation.json and nothing else.")] = False,
    quiet: Quiet = False,
) -> None:
    """Explain what a network used for some rows, and check whether the explanation can be trusted."""
    from limbeck._explain import explain as explained
    from limbeck.cli._rows import read_rows, sampled

    network = network_named(model)
    found = read_rows(data, target=names_in(target), drop=names_in(drop), missing=missing)
    found = found if max_rows is None else sampled(found, max_rows, seed)
    X, words, names = _rows_for(found, shape, text, vocabulary)
    truth = found.frame[found.target[0]].to_numpy() if len(found.target) == 1 else None
    result = explained(
        network,
        X,
        truth,
        rows=rows,
        method=method,
        transform=transform,
        kind=kind,
        output=output,
        rule=rule,
        tile=tile,
        words=words,
        names=names,
        classes=names_in(classes) or None,
        data_name=found.name,
        random_state=seed,
        progress=not (quiet or as_json),
    )
    folder = result.save(out)
    typer.echo(json.dumps(result.to_dict(), ensure_ascii=False) if as_json else f"{result.text()}\n\nin {folder}")
    if any(note.startswith("stopped after") for note in result.notes):
        sys.exit(130)
    if result.verdict.startswith("do not use"):
        sys.exit(3)


def _rows_for(
    found: NamedRows, shape: str | None, text: str | None, vocabulary: Path | None
) -> tuple[Any, list[list[str]] | None, list[str] | None]:
    """The rows as the network takes them, their words, and the columns' names."""
    from limbeck._core.errors import InputError

    if text is not None:
        if vocabulary is None or text not in found.frame.columns:
            raise InputError(f"--text names a column of {list(found.frame.columns)[:20]} and needs --vocabulary FILE")
        return _encoded(found.frame[text].astype(str).tolist(), _vocabulary(vocabulary))
    X, names = shaped_rows(found, shape)
    return X, None, names


def _vocabulary(path: Path) -> dict[str, int]:
    from limbeck._core.errors import InputError

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise InputError(f"{path} can't be read as text, one word a line: {str(error)[:120]}") from None
    return {word: number for number, word in reversed(list(enumerate(lines)))}


def _encoded(sentences: list[str], known: dict[str, int]) -> tuple[np.ndarray, list[list[str]], None]:
    """Token ids ``(n, L)``, filled up with 0, and the words; a word that is not known is id 1."""
    import numpy as np

    split = [sentence.split() or [""] for sentence in sentences]
    ids = np.zeros((len(split), max(len(one) for one in split)), dtype=np.int64)
    for row, tokens in zip(ids, split, strict=True):
        row[: len(tokens)] = [known.get(token, 1) for token in tokens]
    return ids, split, None
