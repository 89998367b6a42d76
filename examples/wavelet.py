"""A network that reads heartbeats becomes a wavelet and a few of its coefficients, with a picture of where they look.

Run ``python examples/wavelet.py``: 200 heartbeats of ECG200 from the data folder (LIMBECK_DATA), a minute or two; where
there is none, made-up ones. A small convolutional network is trained in the run, for columns called t0, t1, ... are a
signal. Beside the adapted wavelet stand its controls: the same model on the wavelet as it was at the start, a tree on
those coefficients, and a tree on the signal. The report is written to ``runs/wavelet/report.html``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import limbeck
from limbeck import datasets
from limbeck.checks import Fidelity


def heartbeats() -> tuple[pd.DataFrame, np.ndarray]:
    """ECG200, or 200 made-up signals of 96 points: a wave that some have and others not, in noise."""
    if "ucr_ecg200" in set(datasets.available()["name"]):
        data = datasets.load("ucr_ecg200")
        return data.X, np.where(data.y.to_numpy() > 0, "normal", "ischemia")
    generator = np.random.default_rng(0)
    time, ill = np.arange(96), generator.integers(2, size=200) == 1
    beat = 3 * np.exp(-(((time - 20) / 4) ** 2)) + np.where(ill[:, None], -1, 1) * np.exp(-(((time - 60) / 8) ** 2))
    signals = beat + generator.normal(0, 0.3, size=(200, 96))
    return pd.DataFrame(signals, columns=[f"t{i}" for i in time]), np.where(ill, "ischemia", "normal")


def main() -> limbeck.Distillation:
    """The distillation of the network, saved with its report."""
    X, y = heartbeats()
    result = limbeck.distill(
        None,
        X,
        y,
        students=["wavelet", "wavelet_fixed", "wavelet_tree", "tree"],
        checks=[Fidelity()],
        n_queries=500,
        random_state=0,
    )
    print(result.table().to_string(index=False))
    model = result["wavelet"].readable
    print(f"\n{model.text()}\n")
    values = model.term_values(X.to_numpy()[:1])[0]
    print("of the first heartbeat:", ", ".join(f"{model.term_text(i)}: {v:.2f}" for i, v in enumerate(values)))
    folder = result.save("runs/wavelet")
    print(f"\nThe wavelet and where it looks, as a picture: {result.report(folder / 'report.html')}")
    return result


if __name__ == "__main__":
    main()
