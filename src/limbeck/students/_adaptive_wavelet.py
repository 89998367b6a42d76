"""Adaptive wavelet students: a wavelet fitted to signals and to their teacher, and a linear model on few coefficients.

Source
------
Ha2021. The loss is in `_wavelet_loss`, the transform in `_wavelet_transform`, the path in `_wavelet_training`.

Departures
----------
- Any length, boundary and batch; several outputs; local seeds. Gradients are asked once (`_wavelet_loss`).
- The learned filter is moved to the nearest that exactly is a wavelet's, so its transform gives every signal back.
- Coefficients at fixed places, chosen one after another; the paper's six largest of each scale are an option.

Checked
-------
tests/truth/test_adaptive_wavelet_truth.py: a planted wavelet is found again; with shuffled labels it is not.

Cost
----
`max_steps` a pair of penalties; a step of 100 signals of 96 points about 5 to 10 ms on one core.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.estimator_input import encode_rows
from limbeck._core.progress import Progress, reporting
from limbeck._core.seeds import RandomState
from limbeck._core.tables import Rows
from limbeck.readable._wavelet import MAX_LEVEL, WaveletReadable
from limbeck.readable._wavelet_filters import check_mode
from limbeck.students._fitting import TrainingRows, read_classification, read_regression
from limbeck.students._predicting import StudentClassifier, StudentRegressor
from limbeck.students._wavelet_fit import Options, fit_wavelet

__all__ = ["AdaptiveWaveletClassifier", "AdaptiveWaveletRegressor", "checked_scale", "starting_filter"]


def starting_filter(name: Any) -> np.ndarray:
    """The low-pass filter of an orthogonal wavelet of PyWavelets."""
    import pywt

    known = [one for one in pywt.wavelist(kind="discrete") if pywt.Wavelet(one).orthogonal]
    if not isinstance(name, str) or name not in known:
        raise InputError(
            "wavelet must name an orthogonal wavelet of PyWavelets, such as 'haar', 'db5', 'sym4' or 'coif2'; got "
            f"{name!r:.60}.{did_you_mean(str(name), known)}"
        )
    return np.array(pywt.Wavelet(name).dec_lo)


def checked_scale(level: Any, mode: Any) -> int:
    """The number of scales; refused where it, or the boundary mode, can't be."""
    check_mode(mode)
    return _whole("level", level, 1, MAX_LEVEL)


def _whole(name: str, value: Any, low: int, high: float) -> int:
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or not low <= int(value) <= high:
        most = "" if high == math.inf else f" and at most {high}"
        raise InputError(f"{name} must be a whole number of at least {low}{most}; got {value!r:.60}")
    return int(value)


def _options(student: Any) -> Options:
    """The checked arguments."""
    given = student.get_params()
    start = starting_filter(given["wavelet"])
    checked_scale(given["level"], given["mode"])
    for name, low in (("max_coefficients", 1), ("batch_size", 1), ("max_steps", 0)):
        _whole(name, given[name], low, math.inf)
    rate = given["learning_rate"]
    if not isinstance(rate, numbers.Real) or not 0 < float(rate) < math.inf:
        raise InputError(f"learning_rate must be a number above 0; got {rate!r:.60}")
    if given["features"] not in ("fixed", "largest"):
        hint = did_you_mean(str(given["features"]), ("fixed", "largest"))
        raise InputError(f"features must be 'fixed' or 'largest'; got {given['features']!r:.60}.{hint}")
    given |= {name: _penalties(name, given[name]) for name in ("l1", "attribution")}
    return Options(start=start, **given)


def _penalties(name: str, values: Any) -> tuple[float, ...]:
    values = (values,) if isinstance(values, numbers.Real) else values
    try:
        found = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        found = ()
    if not found or not all(0 <= value < math.inf for value in found) or list(found) != sorted(found):
        raise InputError(f"{name} must be one or more penalties of at least 0, ascending; got {values!r:.60}")
    return found


def _fit(student: Any, rows: TrainingRows, teacher: Any, progress: Progress) -> None:
    """All that a fit leaves on a student."""
    if len(rows) < 2:
        raise InputError(f"an adaptive wavelet needs at least 2 rows to train on; got n_samples = {len(rows)}")
    with reporting(progress) as report:
        fitted = fit_wavelet(rows, _options(student), teacher, report)
    student.readable_ = fitted.readable
    student.lowpass_ = np.array(fitted.readable.lowpass)
    student.front_ = fitted.front
    student.path_ = fitted.path
    student.notes_ = fitted.notes
    student.complete_ = fitted.complete


def _transformed(student: Any, X: Rows) -> np.ndarray:
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(student, "readable_")
    readable: WaveletReadable = student.readable_
    return readable.coefficients(encode_rows(student, X, readable.schema))


def _expected_seconds(n: int, d: int, k: int, student: Any) -> float:
    """About how long a fit takes on one core: steps, then transforms and small fits for each filter."""
    pairs = len(_penalties("l1", student.l1)) * len(_penalties("attribution", student.attribution))
    step = 3e-3 + 3e-7 * min(student.batch_size, max(n, 1)) * d * (1 + k / 4)
    return pairs * student.max_steps * step + (pairs + 1) * student.max_coefficients * (2e-3 + 3e-9 * n * d * k)


class AdaptiveWaveletRegressor(TransformerMixin, StudentRegressor):
    """A wavelet fitted to signals, and one or several outputs that are linear in a few of its coefficients.

    Parameters
    ----------
    wavelet : str
        The orthogonal wavelet of PyWavelets to start from, such as ``"db5"``, ``"sym4"`` or ``"coif2"``.
    level : int
        The number of scales.
    mode : str
        What stands beyond the ends, by PyWavelets' names: ``"zero"``, ``"symmetric"``, ``"periodization"``, ...
    random_state : int, Generator or None
        Decides the rows held out and the order of the rows.
    features : {"fixed", "largest"}
        What the model may use: coefficients at fixed places (signals that are aligned); or the six largest of each
        scale, wherever they stand.
    max_coefficients : int
        The most that the model uses; the smallest number that is as good as the best on held-out rows is taken.
    l1 : sequence of float
        Penalties on the size of the coefficients, ascending: the path is walked from the first to the last.
    attribution : sequence of float
        Penalties on the size of the teacher's attributions to the coefficients; they count where `teacher` is given.
    learning_rate : float
        The first rate of Adam for each pair of penalties; it falls to a tenth.
    batch_size : int
    max_steps : int
        Steps for each pair of penalties; 0 keeps the wavelet that is started from.
    image_shape : tuple, optional
        ``(rows, columns)`` or ``(rows, columns, channels)``, where the columns are pixels; columns that are named
        ``p0, p1, ...`` and make a square need none.

    Attributes
    ----------
    readable_ : WaveletReadable
    lowpass_ : array ``(L,)``
        The learned filter, in PyWavelets' order (``dec_lo``): that of an orthogonal wavelet.
    path_ : tuple of PathPoint
        Every filter that was tried, with its penalties and its loss on the rows held out.
    front_ : tuple of Member
        Models on no coefficient, on one, on two, ...; the score is minus the loss on the rows held out.
    notes_ : tuple of str
        What was left out, and why.
    complete_ : bool
        False where Ctrl-C ended the path early.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(200, 32))
    >>> student = AdaptiveWaveletRegressor("haar", level=2, max_steps=20, random_state=0)
    >>> student = student.fit(X, X[:, 8:12].sum(axis=1))
    >>> student.readable_.term_text(0)
    'approximation at time 10'
    """

    lowpass_: np.ndarray

    def __init__(
        self,
        wavelet: str = "db5",
        level: int = 4,
        mode: str = "zero",
        random_state: RandomState = None,
        *,
        features: str = "fixed",
        max_coefficients: int = 12,
        l1: Sequence[float] = (0.1, 1.0),
        attribution: Sequence[float] = (1.0, 10.0),
        learning_rate: float = 0.01,
        batch_size: int = 100,
        max_steps: int = 200,
        image_shape: Any = None,
    ) -> None:
        self.wavelet = wavelet
        self.level = level
        self.mode = mode
        self.random_state = random_state
        self.features = features
        self.max_coefficients = max_coefficients
        self.l1 = l1
        self.attribution = attribution
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_steps = max_steps
        self.image_shape = image_shape

    def fit(
        self,
        X: Rows,
        y: Any,
        *,
        sample_weight: Any = None,
        y_soft: Any = None,
        classes: Any = None,
        teacher: Any = None,
        progress: Progress = False,
    ) -> AdaptiveWaveletRegressor:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`: a signal a row, columns in order of time. Columns with levels
            are no part of the signal; each level may have a weight of its own.
        y : array ``(n,)`` or ``(n, k)``
            The teacher's values.
        sample_weight : array ``(n,)``, optional
        y_soft, classes
            For classifiers only: refused.
        teacher : torch module or `Teacher`, optional
            Whose gradients say what it attends to. Another teacher has none; that is then said in `notes_`.
        progress : bool or callable

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        TeacherError
            Where the teacher raises, or has no finite gradient.
        """
        rows = read_regression(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        _fit(self, rows, teacher, progress)
        return self

    def transform(self, X: Rows) -> np.ndarray:
        """The coefficients ``(n, m)`` for the learned filter, in the order of ``pywt.wavedec`` (images: ``wavedec2``).

        Parameters
        ----------
        X : rows
            An array, frame or `Table` with the columns of ``fit``.
        """
        return _transformed(self, X)

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(n, d, k, self)


class AdaptiveWaveletClassifier(TransformerMixin, StudentClassifier):
    """A wavelet fitted to signals, and a probability for every class from a linear score of few of its coefficients.

    Parameters
    ----------
    wavelet : str
        The orthogonal wavelet of PyWavelets to start from, such as ``"db5"``, ``"sym4"`` or ``"coif2"``.
    level : int
        The number of scales.
    mode : str
        What stands beyond the ends, by PyWavelets' names: ``"zero"``, ``"symmetric"``, ``"periodization"``, ...
    random_state : int, Generator or None
        Decides the rows held out and the order of the rows.
    features : {"fixed", "largest"}
        What the model may use: coefficients at fixed places (signals that are aligned); or the six largest of each
        scale, wherever they stand.
    max_coefficients : int
        The most that the model uses; the smallest number that is as good as the best on held-out rows is taken.
    l1 : sequence of float
        Penalties on the size of the coefficients, ascending: the path is walked from the first to the last.
    attribution : sequence of float
        Penalties on the size of the teacher's attributions to the coefficients; they count where `teacher` is given.
    learning_rate : float
        The first rate of Adam for each pair of penalties; it falls to a tenth.
    batch_size : int
    max_steps : int
        Steps for each pair of penalties; 0 keeps the wavelet that is started from.
    image_shape : tuple, optional
        ``(rows, columns)`` or ``(rows, columns, channels)``, where the columns are pixels; columns that are named
        ``p0, p1, ...`` and make a square need none.

    Attributes
    ----------
    readable_ : WaveletReadable
    lowpass_ : array ``(L,)``
        The learned filter, in PyWavelets' order (``dec_lo``): that of an orthogonal wavelet.
    classes_ : array ``(k,)``
    path_ : tuple of PathPoint
        Every filter that was tried, with its penalties and its loss on the rows held out.
    front_ : tuple of Member
        Models on no coefficient, on one, on two, ...; the score is minus the loss on the rows held out.
    notes_ : tuple of str
        What was left out, and why.
    complete_ : bool
        False where Ctrl-C ended the path early.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(300, 32))
    >>> y = np.where(X[:, 8:12].sum(axis=1) > 0, "up", "down")
    >>> student = AdaptiveWaveletClassifier("haar", level=2, max_steps=20, random_state=0).fit(X, y)
    >>> student.readable_.term_text(0)
    'approximation at time 10'
    """

    lowpass_: np.ndarray

    def __init__(
        self,
        wavelet: str = "db5",
        level: int = 4,
        mode: str = "zero",
        random_state: RandomState = None,
        *,
        features: str = "fixed",
        max_coefficients: int = 12,
        l1: Sequence[float] = (0.1, 1.0),
        attribution: Sequence[float] = (1.0, 10.0),
        learning_rate: float = 0.01,
        batch_size: int = 100,
        max_steps: int = 200,
        image_shape: Any = None,
    ) -> None:
        self.wavelet = wavelet
        self.level = level
        self.mode = mode
        self.random_state = random_state
        self.features = features
        self.max_coefficients = max_coefficients
        self.l1 = l1
        self.attribution = attribution
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_steps = max_steps
        self.image_shape = image_shape

    def fit(
        self,
        X: Rows,
        y: Any,
        *,
        sample_weight: Any = None,
        y_soft: Any = None,
        classes: Any = None,
        teacher: Any = None,
        progress: Progress = False,
    ) -> AdaptiveWaveletClassifier:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`: a signal a row, columns in order of time. Columns with levels
            are no part of the signal; each level may have a weight of its own.
        y : array ``(n,)`` or None
            Labels; None where `y_soft` and `classes` say all.
        sample_weight : array ``(n,)``, optional
        y_soft : array ``(n, k)``, optional
            The teacher's probabilities, which are then what is fitted.
        classes : array ``(k,)``, optional
            All labels, in the order of the columns of `y_soft`.
        teacher : torch module or `Teacher`, optional
            Whose gradients say what it attends to. Another teacher has none; that is then said in `notes_`.
        progress : bool or callable

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        TeacherError
            Where the teacher raises, or has no finite gradient.
        """
        rows = read_classification(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        _fit(self, rows, teacher, progress)
        return self

    def transform(self, X: Rows) -> np.ndarray:
        """The coefficients ``(n, m)`` for the learned filter, in the order of ``pywt.wavedec`` (images: ``wavedec2``).

        Parameters
        ----------
        X : rows
            An array, frame or `Table` with the columns of ``fit``.
        """
        return _transformed(self, X)

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(n, d, k, self)
