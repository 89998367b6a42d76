"""What a program probably scores, from its own noisy episodes and from those of programs that act nearly as it does.

An episode's return is mostly luck, and hundreds of programs play only one or two. But programs that act alike score
alike: a Gaussian process over what they do in the same states tells much more of each than its own episodes.

Source
------
Rasmussen2006 (Gaussian processes; scikit-learn's). Wilson2014 (a kernel between policies by what they do).

Departures
----------
- The distance of two programs is the root of the share of states in which they differ, and the kernel falls with its
  square.
- At most `MOST` episodes are looked at, the last ones: of more lines that play for the first time, the first are judged
  by those that act alike alone.

Checked
-------
tests/unit/test_smoothing.py: a smooth value under much noise is ranked better than by the noisy returns.

Cost
----
Cubic in the number of episodes, at most `MOST` of them: about a second.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from limbeck.policies._program_draft import Draft

__all__ = ["Smoothed"]

MOST = 500
STATES = 300
LENGTHS, NOISE = (0.2, 1.5), (0.1, 2.0)  # as distances; as a part of the variance


class Smoothed:
    """A Gaussian process over programs.

    Parameters
    ----------
    drafts : sequence of Draft
    returns : sequence of sequence of float
        Of each one the episodes it played; the last `MOST` of all are looked at.
    rows : array (n, d)
        States that say how alike two programs are.
    n_actions : int
    """

    def __init__(
        self, drafts: Sequence[Draft], returns: Sequence[Sequence[float]], rows: np.ndarray, n_actions: int
    ) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        self.rows, self.n_actions = rows[:: max(1, len(rows) // STATES)][:STATES], n_actions
        counts = [len(own) for own in returns]
        y = np.array([value for own in returns for value in own])[-MOST:]
        X = np.repeat(self._acts(drafts), counts, axis=0)[-MOST:]
        self.mean, self.spread = float(y.mean()), max(float(y.std()), 1e-9)
        kernel = ConstantKernel(0.5, (0.01, 4.0)) * RBF(0.4, LENGTHS) + WhiteKernel(0.5, NOISE)
        self.process = GaussianProcessRegressor(kernel, alpha=1e-6)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is as good as any
            self.process.fit(X, (y - self.mean) / self.spread)

    def _acts(self, drafts: Sequence[Draft]) -> np.ndarray:
        """What each does, so that the squared distance of two is the share of states in which they differ."""
        own = np.array([draft(self.rows) for draft in drafts])
        acts = (own[:, :, None] == np.arange(self.n_actions)).reshape(len(own), -1)
        return np.asarray(acts / np.sqrt(2.0 * len(self.rows)))

    def means(self, drafts: Sequence[Draft]) -> np.ndarray:
        """The expected return of each."""
        return np.asarray(self.mean + self.spread * self.process.predict(self._acts(drafts)))

    def hopes(self, drafts: Sequence[Draft]) -> np.ndarray:
        """The expected return and one standard deviation of the doubt about it."""
        mean, both = self.process.predict(self._acts(drafts), return_std=True)
        noise = float(self.process.kernel_.k2.noise_level)
        doubt = np.sqrt(np.maximum(both**2 - noise, 0.0))
        return np.asarray(self.mean + self.spread * (mean + doubt))
