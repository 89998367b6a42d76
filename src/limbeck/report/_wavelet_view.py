"""An adaptive wavelet in the page: the wavelet beside the one it started from, where it looks, and what it adds up.

A weight alone says little, for coefficients of coarse scales are large. Each weight is therefore multiplied by the
spread of its coefficient over the stored held-out rows: what that moves the score.

Cost
----
O(terms * length); at most `MAX_TERMS` are listed, and at most `MAX_ATOMS` drawn of an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limbeck.readable import WaveletReadable
from limbeck.readable._wavelet_filters import highpass_of
from limbeck.report._images import around_zero, full_strength, png_uri
from limbeck.report._soft_svg import beside
from limbeck.report._students import StudentView
from limbeck.report._wavelet_svg import Cell, Lane, filter_svg, map_svg, wavelet_svg
from limbeck.report._words import MINUS, number, plural, shortened

__all__ = ["starting_taps", "wavelet_values"]

MAX_TERMS = 60
MAX_ATOMS = 24
MAX_SCORES = 3
MAX_EXAMPLES = 4
KINDS_2D = ("approximation", "across", "down", "diagonal")


def wavelet_values(student: StudentView, model: WaveletReadable, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What the drawing's template needs."""
    start = starting_taps(model)
    sizes = _sizes(model, arrays.get("X"))
    terms = _terms(model, sizes)
    name = shortened(student.name, 60)
    return {
        "kind": "wavelet",
        "taps": len(model.lowpass),
        "start": shortened(model.start, 40) if start is not None else "",
        "unchanged": start is not None and bool(np.allclose(start, model.lowpass, atol=1e-6)),
        "filter": filter_svg(model.lowpass, start, f"The low-pass filter of {name}"),
        "function": wavelet_svg(model.lowpass, start, model.level, f"The wavelet of {name}"),
        "filters_2d": [] if model.image is None else _filters(model, start),
        "scales": model.level,
        "is_image": model.image is not None,
        "is_fixed": model.features == "fixed",
        **_map(model, arrays, sizes, name),
        "atoms": [] if model.image is None else _atoms(model, terms),
        "terms": terms,
        "more": _more(model),
        "measured": len(arrays.get("X", ())) > 1,
        "intercept": _weights(model, model.intercept),
        "link": model.link,
        "scores": len(model.intercept),
        "second": shortened(model.output_names[-1], 60),
    }


def starting_taps(model: WaveletReadable) -> tuple[float, ...] | None:
    """The filter of the wavelet that the model started from by its name; None where there is none such."""
    import pywt

    if model.start not in pywt.wavelist(kind="discrete"):
        return None
    taps = tuple(float(value) for value in pywt.Wavelet(model.start).dec_lo)
    return taps if len(taps) == len(model.lowpass) else None


def _sizes(model: WaveletReadable, rows: np.ndarray | None) -> np.ndarray:
    """By term and score: the weight times the spread of the coefficient over the rows ``(terms, q)``."""
    q = len(model.intercept)
    weights = np.array([term.value for term in model.terms], dtype=np.float64).reshape(-1, q)
    if rows is None or len(rows) < 2 or not model.terms:
        return weights
    return np.asarray(weights * model.term_values(rows).std(axis=0)[:, None])


def _terms(model: WaveletReadable, sizes: np.ndarray) -> list[dict[str, Any]]:
    """A line a term: what it is called, its weights, and how much it moves the score."""
    most = float(np.abs(sizes).max()) if sizes.size else 0.0
    lines = []
    for i, term in enumerate(model.terms[:MAX_TERMS]):
        top = int(np.argmax(np.abs(sizes[i])))
        share = abs(float(sizes[i, top])) / (most or 1.0)
        lines.append(
            {
                "index": i,
                "name": model.term_text(i),
                "weight": _weights(model, term.value),
                "size": number(abs(float(sizes[i, top])), 3),
                "bar": f"bar {'plus' if sizes[i, top] >= 0 else 'minus'}",
                "share": f"{50 * share:.1f}",
            }
        )
    for level in model.levels[: MAX_TERMS - len(lines)]:
        column = model.schema.columns[level.column]
        text = f"{shortened(column.name, 40)} = {shortened(column.level_names[level.code], 40)}"
        lines.append(
            {"index": -1, "name": text, "weight": _weights(model, level.value), "size": "", "bar": "", "share": "0"}
        )
    return lines


def _weights(model: WaveletReadable, value: Sequence[float]) -> str:
    """``+ 0.5``; of several scores the greatest few, with their names."""
    signed = [f"{MINUS if weight < 0 else '+'} {number(abs(weight))}" for weight in value]
    if len(value) == 1:
        return signed[0]
    order = sorted((o for o in range(len(value)) if value[o]), key=lambda o: -abs(value[o]))
    shown = [f"{shortened(model.output_names[o], 24)} {signed[o]}" for o in order[:MAX_SCORES]]
    more = f", and {len(order) - MAX_SCORES} more" if len(order) > MAX_SCORES else ""
    return (", ".join(shown) + more) or "0"


def _more(model: WaveletReadable) -> str:
    more = len(model.terms) + len(model.levels) - MAX_TERMS
    return f"{plural(more, 'more term is', 'more terms are')} in the text below." if more > 0 else ""


def _map(model: WaveletReadable, arrays: Mapping[str, np.ndarray], sizes: np.ndarray, name: str) -> dict[str, Any]:
    """The time-scale map of a signal, wide and narrow, over example signals; nothing for images."""
    points = len(model.signal)
    if model.image is not None or not points:
        return {"wide": "", "narrow": "", "examples": [], "colours": []}
    lanes, examples = _lanes(model, sizes), _examples(model, arrays)
    label = f"The coefficients that {name} uses, by scale and time"
    by_score = len(model.intercept) > 1 and model.terms
    return {
        "wide": map_svg(lanes, examples, points, 1000, label),
        "narrow": map_svg(lanes, examples, points, 400, label),
        "examples": [{"tone": tone, "name": text} for tone, text, _ in examples],
        "colours": [shortened(one, 40) for one in model.output_names[:8]] if by_score else [],
    }


def _lanes(model: WaveletReadable, sizes: np.ndarray) -> list[Lane]:
    """A lane for each block, from coarse to fine, with its terms."""
    most = (float(np.abs(sizes).max()) if sizes.size else 0.0) or 1.0
    cells: dict[int, list[Cell]] = {b: [] for b in range(len(model.blocks))}
    for i, term in enumerate(model.terms):
        top = int(np.argmax(np.abs(sizes[i])))
        kind = f"k{top % 8}" if sizes.shape[1] > 1 else "plus" if sizes[i, top] >= 0 else "minus"
        title = f"{_weights(model, term.value)} times {model.term_text(i)}"
        share = abs(float(sizes[i, top])) / most
        if model.features == "largest":
            cells[term.block].append(Cell(0.0, float(len(model.signal)), None, share, kind, title))
            continue
        atom = model.atoms[i]
        mass = atom**2 / max(float(atom @ atom), 1e-300)
        middle = float(mass @ np.arange(len(mass))) + 0.5
        half = 2.0 ** model.blocks[term.block].scale / 2
        cells[term.block].append(Cell(middle - half, middle + half, atom, share, kind, title))
    return [Lane(block.name, tuple(cells[b])) for b, block in enumerate(model.blocks)]


def _examples(model: WaveletReadable, arrays: Mapping[str, np.ndarray]) -> list[tuple[str, str, np.ndarray]]:
    """Held-out rows that the teacher is surest of, one a class; or of its least and its greatest answer."""
    rows, teacher = arrays.get("X"), arrays.get("teacher")
    if rows is None or teacher is None or not len(rows) or len(rows) != len(teacher):
        return []
    signals = model.signals(rows)[:, 0]
    if model.task == "regression":
        order = np.argsort(teacher[:, 0], kind="stable")
        picks = [(int(order[0]), "the least answer"), (int(order[-1]), "the greatest answer")]
        return [
            (f"k{k}", f"held-out row {i + 1}, {words} of the teacher: {number(float(teacher[i, 0]))}", signals[i])
            for k, (i, words) in enumerate(picks)
        ]
    out = []
    for c in range(min(teacher.shape[1], MAX_EXAMPLES)):
        i = int(np.argmax(teacher[:, c]))
        words = f"held-out row {i + 1}: to the teacher {teacher[i, c]:.0%} {shortened(model.output_names[c], 40)}"
        out.append((f"k{c}", words, signals[i]))
    return out


def _filters(model: WaveletReadable, start: tuple[float, ...] | None) -> list[dict[str, str]]:
    """The four filters of an image, as pictures: of the start, where it is known, and learned."""
    out = []
    for words, taps in (("start", start), ("learned", model.lowpass)):
        if taps is None:
            continue
        low = np.array(taps)
        high = highpass_of(low)
        for kind, (down, across) in zip(KINDS_2D, ((low, low), (low, high), (high, low), (high, high)), strict=True):
            picture = np.outer(down, across)[::-1, ::-1]
            out.append({"name": f"{kind}, {words}", "picture": png_uri(around_zero(picture, full_strength(picture)))})
    return out


def _atoms(model: WaveletReadable, terms: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What each used coefficient of an image multiplies the pixels by."""
    if model.features == "largest" or model.image is None:
        return []
    rows, columns, channels = model.image
    out = []
    for line in terms[:MAX_ATOMS]:
        if line["index"] < 0:
            continue
        atom = beside(model.atoms[line["index"]], model.image)
        picture = png_uri(around_zero(atom, full_strength(atom)))
        out.append(
            {
                "name": line["name"],
                "weight": line["weight"],
                "picture": picture,
                "side": f"{columns * channels} / {rows}",
            }
        )
    return out
