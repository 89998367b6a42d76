"""A forest of 500 trees becomes a network of a few kilobytes, and a C file that needs nothing.

python examples/compress.py            or, on the command line, with this file beside you:
limbeck compress --data concrete --teacher compress:teacher --budget 10KB
"""

from __future__ import annotations

from sklearn.ensemble import RandomForestRegressor

import limbeck
from limbeck import datasets


def teacher() -> RandomForestRegressor:
    """A forest fitted on the first 600 rows of Concrete."""
    data = datasets.load("concrete")
    return RandomForestRegressor(500, random_state=0).fit(data.X[:600], data.y[:600])


def main() -> None:
    """Compress it, and print what both cost to store and to ask."""
    data = datasets.load("concrete")
    result = limbeck.compress(
        teacher(), data.X[600:], data.y[600:], budget="10KB", n_queries=3_000, max_epochs=30, random_state=0
    )
    network = result["network"]
    print(f"fidelity to the forest: R2 {network.fidelity:.3f}, {network.verdict}")
    for ratio in result.run["bill"]["ratios"]:
        print(
            f"{ratio['form']}: {ratio['smaller']:,.0f} times smaller, one row {ratio['faster_1']:,.0f} times faster, "
            f"10,000 rows {ratio['faster_10000']:,.0f} times"
        )
    source = network.readable.export("c")
    print(f"as C: {len(source):,} bytes, from limbeck_row to the answer:")
    print(source[source.index("void limbeck_predict") :][:900])


if __name__ == "__main__":
    main()
