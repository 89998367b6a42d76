"""A scikit-learn pipeline over columns of text and numbers (Adult), distilled; needs the data folder.

python examples/adult.py            or, on the command line, with this file beside you:
limbeck distill --data adult --target income --missing level --teacher adult:teacher
"""

from __future__ import annotations

from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import limbeck
from limbeck import datasets


def teacher() -> Pipeline:
    """A pipeline that takes a frame with strings, fitted on the first 8,000 rows."""
    data = datasets.load("adult", missing="level")
    text = make_column_selector(dtype_exclude="number")
    number = make_column_selector(dtype_include="number")
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer((one_hot, text), (StandardScaler(), number))
    model = make_pipeline(columns, HistGradientBoostingClassifier(random_state=0))
    rows = data.frame[:8_000]
    return model.fit(rows.drop(columns="income"), rows["income"])


def main() -> None:
    """Distil on rows that the pipeline has not seen."""
    rows = datasets.load("adult", missing="level").frame[8_000:10_000]
    result = limbeck.distill(teacher(), rows, "income", students=["tree"], n_queries=4_000, random_state=0)
    print(result.table().to_string(index=False))
    print(result["tree"].readable.text())


if __name__ == "__main__":
    main()
