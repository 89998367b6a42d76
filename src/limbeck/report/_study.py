"""The page of a study: its document in, one offline HTML text out.

Source
------
Own.

Checked
-------
Unit tests: the same document gives the same bytes, hostile names stay text, what is missing or malformed is refused.

Cost
----
O(trials), and the bytes of a page below 3 MB.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from limbeck._core.storage import write_file
from limbeck.report._embed import Scripts, clean
from limbeck.report._entries import read_document
from limbeck.report._shell import logo, shipped, templates, within_bounds
from limbeck.report._study_forest_svg import ForestRow, Panel, difference_text, forest_svg
from limbeck.report._study_points_svg import arm_mark, most_symbols, points_svg
from limbeck.report._study_read import read_study
from limbeck.report._study_values import Comparison, Overall, Spread, Study, StudyPoint
from limbeck.report._study_view import (
    Key,
    arm_lines,
    cards,
    comparison_name,
    is_significant,
    key_of,
    overview,
    p_text,
    progress,
    protocol,
    set_view,
    significance,
)
from limbeck.report._words import plural, shortened

__all__ = ["DOCUMENT", "render_study", "write_study"]

DOCUMENT = "study.json"
STYLES = ("base.css", "pictures.css", "study.css", "print.css")
LIMITS = ((400, 4_000), (60, 800), (0, 120))
"""Trials drawn for an arm on a set, and characters of a formula: less of both where the page would be too large."""
FIRST = (("jacobian", "plain", "r2"), ("lipschitz", "plain", "r2"), ("plain", "direct", "r2"))
"""The comparisons that the first forest shows; the rest is in a second."""
NOTHING = Spread(None, None, None)


def write_study(folder: str | Path, path: str | Path) -> Path:
    """The path of the page, written from a study's folder: one HTML file below 3 MB that needs no network.

    Parameters
    ----------
    folder : path
        A folder with ``study.json``, as ``limbeck study`` writes; a study that goes on is shown as far as it went.
    path : path
        Where the page goes. It is written beside and renamed, so a kill leaves the old page or the new one.

    Raises
    ------
    StorageError
        Where the folder holds no study, its document can't be read, or `path` can't be written.
    InputError
        Where the document is malformed.
    """
    return write_file(path, render_study(read_document(Path(folder), DOCUMENT, "a study", "study")))


def render_study(data: dict[str, Any]) -> str:
    """The page of a study as text: the same document gives the same page.

    Parameters
    ----------
    data : dict
        A parsed ``study.json``. Numbers may be None where there were too few trials; they are shown as that.

    Raises
    ------
    InputError
        Where it is not a study, or of another schema; where an entry is missing, of another type, or not finite; or
        where it is so large that no page below 3 MB can show it.
    """
    study = read_study(data)
    refused = f"{plural(len(study.sets), 'set')}; render a study with fewer"
    return within_bounds(lambda limits: _page(study, *limits), LIMITS, refused)


def _page(study: Study, per_arm: int, most_text: int) -> str:
    style = "\n".join(shipped(name) for name in STYLES).replace("DARK", shipped("dark.css"))
    scripts = Scripts()
    script = scripts.add(shipped("theme.js") + shipped("study.js"))
    alpha = significance(study)
    return clean(
        templates()
        .get_template("study.html.j2")
        .render(
            policy=scripts.policy(),
            css=Markup(style),  # noqa: S704 - shipped with the package
            logo=logo(),
            name=shortened(study.name, 120),
            verdict=shortened(study.verdict, 4_000),
            progress=progress(study),
            cards=cards(study, alpha),
            forests=_forests(study, alpha),
            alpha=p_text(alpha).rstrip("0"),
            arms=arm_lines(study),
            legend=[{"name": shortened(a.name, 40), "tone": i, "mark": arm_mark(i)} for i, a in enumerate(study.arms)],
            multiples=_multiples(study, per_arm),
            thinned=_thinned(study, per_arm),
            overview=overview(study, _keys(study)[0], alpha),
            sets=[set_view(study, index, alpha, most_text) for index in range(len(study.sets))],
            protocol=protocol(study),
            script=script,
        )
    )


def _keys(study: Study) -> tuple[list[Key], list[Key]]:
    """The comparisons that matter most, and all others."""
    every: list[Overall | Comparison] = [*study.overall, *(found for one in study.sets for found in one.comparisons)]
    keys = list(dict.fromkeys(key_of(found) for found in every))
    first = [key for key in FIRST if key in keys] or keys[:3]
    return first, [key for key in keys if key not in first]


def _forests(study: Study, alpha: float) -> list[dict[str, Any]]:
    """The forest of the comparisons that matter most, and that of all others."""
    out = []
    titles = "The paired differences of each set", "The other paired differences of each set"
    for title, keys in zip(titles, _keys(study), strict=True):
        panels = [_panel(study, key, alpha) for key in keys]
        if panels and study.sets:
            side = 2 if len(panels) == 4 else 3
            wide = [forest_svg(panels[i : i + side], 1040, title) for i in range(0, len(panels), side)]
            out.append({"wide": wide, "narrow": forest_svg(panels, 400, title)})
    return out


def _panel(study: Study, key: Key, alpha: float) -> Panel:
    arm, against, metric = key
    rows = []
    for one in study.sets:
        name = shortened(one.name, 120)
        found = next((c for c in one.comparisons if key_of(c) == key), None)
        if found is None:
            rows.append(ForestRow(name, NOTHING, False, f"{name}: not compared yet"))
            continue
        low, high = difference_text(found.spread.low), difference_text(found.spread.high)
        hover = f"{name}, {comparison_name(found)}: {difference_text(found.spread.mean)}, 95 % interval {low} to "
        hover += f"{high}, Holm’s p {p_text(found.p_holm)}, {plural(found.trials, 'trial')}"
        rows.append(ForestRow(name, found.spread, is_significant(found, alpha), hover))
    whole = next((o for o in study.overall if key_of(o) == key), None)
    tone = [known.name for known in study.arms].index(arm)
    spread, marked = (whole.spread, is_significant(whole, alpha)) if whole else (NOTHING, False)
    return Panel(shortened(arm, 24), shortened(against, 24), metric, tone, rows, spread, marked)


def _multiples(study: Study, per_arm: int) -> list[dict[str, Any]]:
    """A small picture a set."""
    by_set: dict[str, dict[str, list[StudyPoint]]] = {}
    for point in study.points:
        by_set.setdefault(point.set, {}).setdefault(point.arm, []).append(point)
    arms, most = [arm.name for arm in study.arms], most_symbols(study.points)
    return [
        {"name": shortened(one.name, 60), "svg": points_svg(one, by_set.get(one.name, {}), arms, most, per_arm)}
        for one in study.sets
    ]


def _thinned(study: Study, per_arm: int) -> str:
    if per_arm == LIMITS[0][0]:
        return ""
    shown = f"at most {per_arm} trials of an arm on a set are drawn" if per_arm else "single trials are not drawn"
    return f"To stay below 3 MB, {shown}, and long formulas are cut; study.json holds all of them."
