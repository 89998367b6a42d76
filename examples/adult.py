"""A scikit-learn pipeline over columns of text and numbers (Adult), distilled; needs the data folder.

python examples/adult.py            or, on the command line, with this file beside you:
limbeck distill --data adult --target income --missing level --teacher adult:teacher
"""

from __future__ import annotations

from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import limbeck
from limbeck import datasets


def teacher() -> Pipeline:
    """A pipeline that takes a frame with strings, fitted on the first 20,000 rows."""
    data = datasets.load("adult", missing="level")
    text = make_column_selector(dtype_exclude="number")
    number = make_column_selector(dtype_include="number")
    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), text), (StandardScaler(), number))
    model = make_pipeline(columns, GradientBoostingClassifier(random_state=0))
    rows = data.frame[:20_000]
    return model.fit(rows.drop(columns="income"), rows["income"])


def main() -> None:
    """Distil on the rows that the pipeline has not seen."""
    rows = datasets.load("adult", missing="level").frame[20_000:]
    result = limbeck.distill(teacher(), rows, "income", students=["tree"], random_state=0)
    print(result.table().to_string(index=False))
    print(result["tree"].readable.text())


if __name__ == "__main__":
    main()
