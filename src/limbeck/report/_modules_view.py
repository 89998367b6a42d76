"""A network's modules in words: the head with its scores, and the layers with their pictures.

Source
------
Own.

Cost
----
O(entries).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from limbeck.report._modules_pictures import block_words, coarse, weights_svg
from limbeck.report._modules_values import Layer, Measure, Modules, Score
from limbeck.report._words import count, measure, number, plural, shortened

__all__ = ["ALPHA", "MAX_NAMED", "Limits", "capitalised", "head", "layer_views", "p_words", "share_text"]

METRICS = {"accuracy": "accuracy", "r2": "R²"}
SCORES = {
    "original": ("Original", "the network as it was given"),
    "trained": ("Trained", "after modular training"),
    "split": ("Split", "every weight between two modules set to exactly 0"),
}
ALPHA = 0.05
MAX_NAMED = 12


@dataclass(frozen=True)
class Limits:
    """How much is shown: layers, pixels a side, examples a module, characters of a formula, circuits, labels."""

    layers: int
    pixels: int
    examples: int
    text: int
    circuits: int
    labels: int


def head(found: Modules) -> dict[str, Any]:
    """What was taken apart, how, and how well it went."""
    recipe = found.recipe
    named = ", ".join(shortened(name, 40) for name in found.outputs[:MAX_NAMED])
    more = f" and {len(found.outputs) - MAX_NAMED} more" if len(found.outputs) > MAX_NAMED else ""
    facts = [
        ("Network", shortened(found.model, 200)),
        ("Modules", count(recipe.k)),
        ("Recipe", _recipe(found)),
        ("Outputs", f"{named}{more}"),
        ("Seed", str(found.seed)),
        ("Time", f"{number(found.seconds, 3)} s"),
    ]
    return {
        "name": shortened(found.name, 120),
        "verdict": capitalised(shortened(found.verdict, 4_000)),
        "facts": facts,
        "notes": [shortened(note, 1_000) for note in found.notes[:50]],
        "metric": METRICS[found.metric],
        "scores": _scores(found.scores),
        "trained": recipe.trained,
    }


def capitalised(text: str) -> str:
    """The text with a large first letter."""
    return text[:1].upper() + text[1:]


def _recipe(found: Modules) -> str:
    recipe = found.recipe
    if not recipe.trained:
        return "clustered as it came, not trained"
    parts = []
    if recipe.warmup_epochs is not None:
        parts.append(f"{plural(recipe.warmup_epochs, 'plain epoch')}, then clustered")
    if recipe.epochs is not None:
        parts.append(f"{plural(recipe.epochs, 'epoch')} with the enmeshment penalty")
    if recipe.split_epochs:
        parts.append(f"{plural(recipe.split_epochs, 'epoch')} with the weights between modules at 0")
    if recipe.strength is not None:
        parts.append(f"strength {number(recipe.strength, 3)}")
    return ", ".join(parts) or "trained to be modular"


def _scores(scores: Sequence[Score]) -> dict[str, Any]:
    """The scores as dots with their intervals on one axis."""
    low = min(min(score.low, score.value) for score in scores)
    high = max(max(score.high, score.value) for score in scores)
    pad = 0.12 * (high - low) or 0.05
    start, span = low - pad, high - low + 2 * pad

    def at(value: float) -> str:
        return f"{100 * (value - start) / span:.1f}"

    lines = [
        {
            "what": SCORES[score.what][0],
            "words": SCORES[score.what][1],
            "value": measure(score.value),
            "interval": f"{measure(score.low)} to {measure(score.high)}",
            "low": at(score.low),
            "wide": f"{100 * (score.high - score.low) / span:.1f}",
            "at": at(score.value),
        }
        for score in scores
    ]
    return {"lines": lines, "start": measure(start), "end": measure(start + span)}


def share_text(value: float) -> str:
    """A share of a hundred, with the decimals that those near 0 and 1 call for.

    Examples
    --------
    >>> [share_text(v) for v in (0.25, 0.99987, 0.999999, 1.0, 0.00004, 0.0)]
    ['25.0 %', '99.99 %', '> 99.99 %', '100 %', '< 0.01 %', '0 %']
    """
    if value in (0.0, 1.0):
        return f"{100 * value:.0f} %"
    if value > 0.99995:
        return "> 99.99 %"
    if value < 0.00005:
        return "< 0.01 %"
    return f"{100 * value:.2f} %" if value > 0.995 or value < 0.005 else f"{100 * value:.1f} %"


def p_words(p: float) -> str:
    """``p < 0.001``, ``p = 0.012``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def layer_views(found: Modules, limits: Limits) -> list[dict[str, Any]]:
    """Each layer: its pictures and measures, before and after."""
    return [_layer(found, layer, limits) for layer in found.layers[: limits.layers]]


def _layer(found: Modules, layer: Layer, limits: Limits) -> dict[str, Any]:
    name, modules = shortened(layer.name, 60), found.modules
    shown = []
    after = "After training" if found.recipe.trained else "As it is"
    for when, values, own, blocks in (
        ("Before training", layer.picture_before, layer.before, layer.blocks_before),
        (after, layer.picture_after, layer.after, layer.blocks),
    ):
        if values is None and own is None:
            continue
        title = f"Weights of layer {name}, {when[0].lower()}{when[1:]}"
        svg, words = None, block_words(blocks, modules)
        if values is not None:
            svg = weights_svg(blocks, len(modules), coarse(values, limits.pixels), title, words)
        shown.append({"when": when, "svg": svg, "measure": None if own is None else _measure(own)})
    return {
        "name": name,
        "size": f"{plural(len(layer.blocks.rows), 'unit')} × {plural(len(layer.blocks.columns), 'input')}",
        "shown": shown,
        "sentence": _layer_sentence(layer),
    }


def _measure(own: Measure) -> dict[str, Any]:
    return {
        "value": share_text(own.clusterability),
        "wide": f"{100 * own.clusterability:.1f}",
        "chance": share_text(own.chance),
        "at": f"{100 * own.chance:.1f}",
        "p": p_words(own.p),
    }


def _layer_sentence(layer: Layer) -> str:
    """Whether the blocks hold more than chance, before and after."""
    parts = [] if layer.before is None else [f"Before training the blocks held {_beside(layer.before)}; now they hold"]
    parts = parts or ["The blocks hold"]
    return f"{parts[0]} {_beside(layer.after)}."


def _beside(own: Measure) -> str:
    return f"{'more' if own.p < ALPHA and own.clusterability > own.chance else 'no more'} than chance explains"
