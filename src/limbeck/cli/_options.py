"""The options that the verbs share which make a run: what is distilled or compressed, and where it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AsJson",
    "Classes",
    "Data",
    "Drop",
    "Jobs",
    "MaxRows",
    "Missing",
    "Out",
    "Quiet",
    "Seed",
    "Target",
    "Task",
    "TeacherModel",
    "Train",
]

Data = Annotated[str, typer.Option(help="A .csv or .parquet file, or a data set by name (see: limbeck data list).")]
Target = Annotated[
    str | None, typer.Option(help="The column(s) of the truth, with commas; a named data set knows its own.")
]
TeacherModel = Annotated[
    str | None,
    typer.Option(help="The model: a .pt2, .onnx or .skops file, or package.module:name. Absent: one is trained."),
]
Train = Annotated[bool, typer.Option("--train", help="Train a default network on the rows as the teacher.")]
Out = Annotated[Path, typer.Option(help="The folder of the run.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same answer.", min=0)]
MaxRows = Annotated[
    int | None, typer.Option(help="Use so many rows of the data, drawn by the seed, and leave the others.", min=1)
]
Task = Annotated[str | None, typer.Option(help="regression or classification, where the teacher does not say.")]
Classes = Annotated[str | None, typer.Option(help="The labels in the order of the outputs, with commas.")]
Drop = Annotated[str | None, typer.Option(help="Columns to leave out, with commas.")]
Missing = Annotated[
    str, typer.Option(help="Rows with missing values: error, drop, or level (text columns get a level 'missing').")
]
Jobs = Annotated[int, typer.Option(help="Processes; -1 is one a core.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print results.json and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
