"""Rule lists and rule sets: how faithful they are, beside CART of as many symbols.

The teacher is gradient boosting; students are fitted to its answers on the training rows (at most 4,000) and on as
many MUNGE queries. R2 of the probabilities (in regression of the values) on held-out rows, mean of the seeds; in
brackets the symbols that a person reads. No published figures: Friedman2008 and Letham2015 judge other things on other
sets.

    make bench NAME=rules        # three seeds, about two minutes
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.tree import DecisionTreeRegressor

from limbeck import datasets, students
from limbeck._core.tables import Table
from limbeck.queries import Munge

SETS = ("adult", "magic", "concrete", "breast_cancer_wdbc", "german_credit")
FAMILIES = ("RuleSet", "RuleList", "Tree")
ROWS = 4_000


def explained(answers: np.ndarray, own: np.ndarray) -> float:
    return 1.0 - float(((answers - own) ** 2).sum() / ((answers - answers.mean(axis=0)) ** 2).sum())


def prepared(name: str, seed: int):
    """Rows and queries, the teacher's answers on them, weights, held-out rows and answers, and the labels."""
    data = datasets.load(name, missing="level" if name == "adult" else "drop")
    table, y = Table.read(data.X), data.y.to_numpy()
    order = np.random.default_rng(seed).permutation(len(table))[: ROWS * 3 // 2]
    cut = len(order) * 2 // 3
    train, held = table.take(order[:cut]), table.take(order[cut:])
    if data.task == "regression":
        model = HistGradientBoostingRegressor(random_state=seed).fit(train.values, y[order[:cut]])
        labels, ask = None, lambda rows: model.predict(rows.values)[:, None]
    else:
        model = HistGradientBoostingClassifier(random_state=seed, max_iter=60).fit(train.values, y[order[:cut]])
        labels, ask = list(model.classes_), lambda rows: model.predict_proba(rows.values)
    asked = Munge().sample(train, cut, seed)
    rows = train.with_values(np.vstack([train.values, asked.values]))
    return rows, ask(rows), held, ask(held), labels


def cart(rows: Table, answers: np.ndarray, held: Table, symbols: int) -> np.ndarray:
    """CART with as many leaves as have about so many symbols: four a condition, one a leaf."""
    leaves = max(2, round((symbols + 4) / 5))
    tree = DecisionTreeRegressor(max_leaf_nodes=leaves, min_samples_leaf=5, random_state=0).fit(rows.values, answers)
    return tree.predict(held.values).reshape(len(held), -1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    seeds, start = parser.parse_args().seeds, time.perf_counter()
    print("| set | rule set | CART | rule list | CART | our tree | CART |\n|---|---|---|---|---|---|---|", flush=True)
    better = dict.fromkeys(FAMILIES, 0)
    for name in SETS:
        found: dict[str, list[tuple[float, float, int]]] = {family: [] for family in FAMILIES}
        for seed in range(seeds):
            rows, answers, held, expected, labels = prepared(name, seed)
            for family in FAMILIES:
                kind = "Regressor" if labels is None else "Classifier"
                student = getattr(students, family + kind)(random_state=seed)
                if labels is None:
                    student.fit(rows, answers[:, 0])
                else:
                    student.fit(rows, None, y_soft=answers, classes=labels)
                readable = student.readable_
                own = explained(expected, readable.predict_encoded(held.values))
                plain = explained(expected, cart(rows, answers, held, readable.complexity))
                found[family].append((own, plain, readable.complexity))
        cells = []
        for family, values in found.items():
            own, plain, symbols = (float(np.mean(column)) for column in zip(*values, strict=True))
            better[family] += own > plain
            cells += [f"{own:.3f} ({symbols:.0f})", f"{plain:.3f}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    for family, count in better.items():
        print(f"{family}: above CART of as many symbols on {count} of {len(SETS)} sets")
    print(f"{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
