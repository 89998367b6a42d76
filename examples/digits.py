"""A network that reads digits becomes a soft decision tree: its filters as pictures, and the reading of one image.

Run ``python examples/digits.py``: scikit-learn's 8 x 8 digits, half a minute; ``--mnist`` takes 10,000 images of MNIST
from the data folder (LIMBECK_DATA), a few minutes. The report is written to ``runs/digits/report.html``.
"""

from __future__ import annotations

import sys

from sklearn.neural_network import MLPClassifier

import limbeck
from limbeck import datasets
from limbeck.checks import Fidelity, Stability
from limbeck.queries import ImageShifts
from limbeck.students import SoftTreeClassifier, TreeClassifier


def main(*, mnist: bool = False) -> limbeck.Distillation:
    """The distillation of the images, saved with its report."""
    data = datasets.load("mnist" if mnist else "digits")
    rows = data.frame.sample(10_000 if mnist else 1_797, random_state=0)
    # Columns that are named p0, p1, ... and make a square are read as an image
    X = rows.drop(columns=data.targets)
    X.columns = [f"p{i}" for i in range(X.shape[1])]
    y = rows[data.target].to_numpy()
    network = MLPClassifier((100,), max_iter=60, early_stopping=True, random_state=0).fit(X.to_numpy() / 16.0, y)
    result = limbeck.distill(
        lambda images: network.predict_proba(images.to_numpy() / 16.0),
        X,
        y,
        students={"soft_tree": SoftTreeClassifier(5, max_steps=500), "tree": TreeClassifier()},
        queries=ImageShifts(),
        n_queries=4 * len(X) if mnist else len(X),
        checks=[Fidelity(), Stability(2)],
        classes=list(network.classes_),
        task="classification",
        random_state=0,
    )
    print(result.table().to_string(index=False))
    print(result["tree"].readable.text())
    tree = result["soft_tree"].readable
    print(f"\nHow the tree of depth {tree.depth} comes to its answer on the first image, a {y[0]}:\n")
    print(tree.read(X.iloc[:1])[0].text())
    table = limbeck.tradeoff(result)
    print("\nThe price of clarity:\n")
    columns = ["student", "size", "unit", "validation_fidelity", "test_fidelity", "test_accuracy", "stop"]
    print(table[columns].round(3).to_string(index=False))
    folder = result.save("runs/digits")
    print(f"\nThe filters and readings as pictures: {result.report(folder / 'report.html')}")
    return result


if __name__ == "__main__":
    main(mnist="--mnist" in sys.argv)
