"""Frozen networks as they are deployed: embeddings, 8-bit and pruned weights, their predictions, text and exports."""

from __future__ import annotations

import ast
import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from limbeck._core.errors import InputError
from limbeck._core.tables import Column, Schema
from limbeck.readable import Embedding, Layer, NetworkReadable, evaluate, pack, readable_from_dict, unpack
from limbeck.readable._formula import link_probabilities
from limbeck.readable._network import ACTIVATIONS, design_inputs, design_matrix
from limbeck.readable._targets import FAMILY_EXPORTERS
from running_exports import RUNNERS, compiled, run_script

SCHEMA = Schema(
    (
        Column("age"),
        Column("job", "nominal", ("clerk", "nurse", "officer"), dtype="object"),
        Column("grade", "nominal", (1, 3, 7)),
        Column("wage"),
    )
)
HOSTILE = ('"; DROP', "*/ int main", "</script><!--", "\\", "it's", '"""', "new\nline", "??/", "\u2028", "{0}%s")


def coded(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = np.abs(values).max(axis=0) / 127
    return np.rint(values / np.where(scale > 0, scale, 1.0)) * scale, scale


def network(
    schema: Schema = SCHEMA,
    *,
    task: Any = "classification",
    names: tuple[str, ...] = ("no", "yes"),
    widths: tuple[int, ...] = (7, 5),
    dims: int = 0,
    eight_bit: bool = False,
    sizes_differ: bool = False,
    zeros: float = 0.0,
    activation: Any = "relu",
    seed: int = 0,
) -> NetworkReadable:
    rng = np.random.default_rng(seed)
    stored = coded if eight_bit else lambda values: (values, None)
    embedded = [j for j in range(len(schema)) if dims and schema.has_levels(j)]
    tables = tuple(Embedding(j, *stored(rng.normal(size=(len(schema.columns[j].levels), dims)))) for j in embedded)
    inputs = design_inputs(schema, embedded)
    sizes = [len(inputs) + dims * len(embedded), *widths, len(names)]
    layers = []
    for a, b in itertools.pairwise(sizes):
        drawn = rng.normal(size=(a, b))
        weight, scale = stored(np.where(rng.random((a, b)) < zeros, 0.0, drawn) if zeros else drawn)
        rows_of = 10.0 ** rng.uniform(-2, 2, size=a) if sizes_differ and not layers else None
        weight = weight if rows_of is None else weight * rows_of[:, None]
        layers.append(Layer(weight, rng.normal(size=b), scale, rows_of))
    return NetworkReadable(schema, task, names, inputs, tuple(layers), activation, tables)


def rows(schema: Schema, n: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, len(schema)))
    for j, column in enumerate(schema.columns):
        if column.levels:
            Z[:, j] = rng.integers(0, len(column.levels), n)
    return Z


def plain_formula(one: NetworkReadable, Z: np.ndarray) -> np.ndarray:
    """The definition, line by line: what predict_encoded must give however it is computed."""
    h = design_matrix(one.inputs, Z, one.embeddings)
    for layer in one.layers[:-1]:
        h = ACTIVATIONS[one.activation](h @ layer.weight + layer.bias)
    h = h @ one.layers[-1].weight + one.layers[-1].bias
    return h if one.task == "regression" else link_probabilities(h, "softmax")


MADE = {
    "indicators": network(),
    "embeddings": network(dims=2),
    "8-bit": network(dims=3, eight_bit=True, activation="tanh"),
    "numbers": network(Schema((Column("a"), Column("b"))), task="regression", names=("y",)),
    "many classes": network(names=tuple(f"class {i}" for i in range(40)), widths=(9,)),
    "linear": network(widths=(), task="regression", names=("y", "z")),
    "two scales": network(dims=2, eight_bit=True, sizes_differ=True, seed=7),
    "two scales, indicators": network(eight_bit=True, sizes_differ=True, seed=8),
    "two scales, pruned": network(eight_bit=True, sizes_differ=True, seed=9, zeros=0.8, widths=(30,)),
    "wide": network(widths=(300,), dims=1, seed=3),
}


@pytest.mark.parametrize("n", [0, 1, 2, 700, 5000])
@pytest.mark.parametrize("name", MADE)
def test_predictions_are_those_of_the_plain_formula(name: str, n: int) -> None:
    one, Z = MADE[name], rows(MADE[name].schema, n)
    found = one.predict_encoded(Z)
    assert found.shape == (n, len(one.output_names))
    np.testing.assert_allclose(found, plain_formula(one, Z), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [1, 4])
def test_what_is_no_levels_position_enters_as_nothing(n: int) -> None:
    """Positions that no encoding gives: no indicator, and an embedding of zeros; the same for one row and for many."""
    for one in (MADE["indicators"], MADE["embeddings"]):
        for wrong in (-1.0, 3.0, 0.5, np.nan):
            Z = rows(SCHEMA, n)
            Z[0, 1] = wrong
            np.testing.assert_allclose(one.predict_encoded(Z), plain_formula(one, Z), rtol=1e-9)
    Z[:, 1] = -1.0
    np.testing.assert_array_equal(design_matrix(one.inputs, Z, one.embeddings)[:, 2:4], 0.0)


def test_predicting_changes_neither_the_rows_nor_the_network() -> None:
    for one in MADE.values():
        for n in (1, 50):
            Z, stored = rows(one.schema, n), one.to_dict()
            before = Z.copy()
            first = one.predict_encoded(Z)
            np.testing.assert_array_equal(one.predict_encoded(Z), first)
            np.testing.assert_array_equal(Z, before)
            assert one.to_dict() == stored


@pytest.mark.parametrize("name", ["embeddings", "8-bit", "indicators"])
def test_the_one_language_says_the_same(name: str) -> None:
    one, Z = MADE[name], rows(SCHEMA, 100)
    np.testing.assert_allclose(evaluate(one.program(), Z), one.predict_encoded(Z), rtol=1e-9)


@pytest.mark.parametrize("name", MADE)
def test_documents_give_the_network_back(name: str) -> None:
    one = MADE[name]
    again = readable_from_dict(one.to_dict())
    assert again == one
    assert ("embeddings" in one.to_dict()) == bool(one.embeddings)
    np.testing.assert_array_equal(again.predict_encoded(rows(one.schema, 9)), one.predict_encoded(rows(one.schema, 9)))


def test_codes_are_the_weights() -> None:
    for part in (*MADE["8-bit"].layers, *MADE["8-bit"].embeddings):
        values = part.weight if isinstance(part, Layer) else part.table
        assert part.codes.dtype == np.int8
        assert part.scale is not None
        np.testing.assert_array_equal(part.codes * part.scale, values)
        assert np.abs(part.codes).max() == 127
    with pytest.raises(InputError, match="these weights are not 8-bit: there is no scale"):
        _ = MADE["indicators"].layers[0].codes


def test_what_a_person_reads() -> None:
    one = MADE["8-bit"]
    assert [one.input_text(i) for i in range(8)] == [
        "age", "wage", *(f"job, place {i}" for i in (1, 2, 3)), *(f"grade, place {i}" for i in (1, 2, 3))
    ]  # fmt: skip
    assert one.features_used == ("age", "job", "grade", "wage")
    assert one.n_parameters == 18 + (8 * 7 + 7) + (7 * 5 + 5) + (5 * 2 + 2)
    text = one.text()
    assert text.startswith("network 8 -> 7 -> 5 -> 2, tanh, 133 numbers, 8-bit weights\n")
    assert "job: 3 levels in 3 number(s) each" in text
    layer = one.layers[0]
    none = np.zeros_like(layer.weight)
    none[2] = layer.weight[2]
    few = NetworkReadable(
        SCHEMA,
        one.task,
        one.output_names,
        one.inputs,
        (Layer(none, layer.bias), *one.layers[1:]),
        "relu",
        one.embeddings,
    )
    assert few.features_used == ("job",)
    assert ", 8-bit weights in 2 of 3 layers, 49% of the weights are 0" in few.text()
    assert few.complexity < one.complexity
    assert one.n_bytes < network(dims=3, activation="tanh").n_bytes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "gelu"}, r"activation is one of \['relu', 'tanh'\]; got 'gelu'"),
        ({"inputs": ((0, -1), (9, -1))}, r"input \(9, -1\) is not a column or level of the table"),
        ({"inputs": ((0, -1), (0, -1))}, r"must differ; these come more than once: \[\(0, -1\)\]"),
        ({"inputs": ((0, -1), (1, 0))}, "column 'job' is embedded, so it can't be an input"),
        (
            {"embeddings": (Embedding(0, np.ones((1, 2))),)},
            "an embedding needs a column with levels; got column 0 of 4",
        ),
        (
            {"embeddings": (Embedding(1, np.ones((2, 2))),)},
            r"embedding of 'job' needs a table \(3, dims\); got \(2, 2\)",
        ),
        ({"embeddings": (Embedding(1, np.full((3, 2), np.nan)),)}, "the embedding of 'job' has some that are not"),
        ({"embeddings": (Embedding(1, np.ones((3, 1))),) * 2}, "be embedded again"),
        ({"layers": ()}, r"needs layers ending in 2 outputs; got 0, ending in 6"),
        ({"embeddings": ()}, r"a layer needs weight \(2, outputs\) and bias; got \(6, 7\)"),
    ],
)
def test_what_is_not_a_network_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(MADE["embeddings"], **change)


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (
            np.full(2, 0.01),
            "layer 3 has a scale, so each weight must be a whole number of at most 127 times it, exactly",
        ),
        (np.full(2, 1e-9), "a whole number of at most 127"),
        (np.zeros(2), "a whole number of at most 127"),
        (np.full(3, 0.01), r"needs a scale \(2,\) of finite numbers"),
        (np.full(2, -0.01), "0 or more"),
        (np.full(2, np.nan), "finite numbers"),
    ],
)
def test_a_scale_that_does_not_give_the_weights_is_refused(scale: np.ndarray, message: str) -> None:
    one = MADE["indicators"]
    last = Layer(one.layers[-1].weight, one.layers[-1].bias, scale)
    with pytest.raises(InputError, match=message):
        replace(one, layers=(*one.layers[:-1], last))


def test_a_row_scale_is_checked_too() -> None:
    first, *others = MADE["two scales"].layers
    assert first.row_scale is not None
    np.testing.assert_array_equal(first.codes * first.scale * first.row_scale[:, None], first.weight)
    for rows_of, message in (
        (first.row_scale[1:], r"layer 1 needs a row_scale \(6,\) of finite numbers above 0"),
        (first.row_scale * 0, "above 0"),
        (first.row_scale * 1.5, r"multiply the codes by the scale \(and then by row_scale\)"),
    ):
        with pytest.raises(InputError, match=message):
            replace(MADE["two scales"], layers=(replace(first, row_scale=rows_of), *others))
    with pytest.raises(InputError, match="layer 1 has a row_scale without a scale"):
        replace(MADE["two scales"], layers=(replace(first, scale=None), *others))


# ---- the exports


@pytest.mark.parametrize("target", ["c", "javascript", "python", "onnx"])
@pytest.mark.parametrize("name", ["two scales", "two scales, indicators", "two scales, pruned"])
def test_two_scales_are_multiplied_in_every_target(name: str, target: str) -> None:
    one, Z = MADE[name], rows(SCHEMA, 40)
    assert unpack(pack(one)) == one
    np.testing.assert_allclose(RUNNERS[target](one, Z), one.predict_encoded(Z), rtol=1e-6)


@pytest.mark.parametrize("target", ["c", "javascript", "python", "onnx"])
def test_columns_and_units_that_move_nothing_are_not_in_the_exports(target: str) -> None:
    one = MADE["indicators"]
    first, second, last = one.layers
    weight, onward = first.weight.copy(), second.weight.copy()
    weight[1:4] = 0  # job
    onward[::2] = 0  # every second unit
    few = replace(one, layers=(Layer(weight, first.bias), Layer(onward, second.bias), last))
    assert "job" not in few.features_used
    Z = rows(SCHEMA, 40)
    np.testing.assert_allclose(RUNNERS[target](few, Z), few.predict_encoded(Z), rtol=1e-6)
    assert len(few.export(target)) < len(one.export(target))
    nothing = replace(one, layers=(Layer(first.weight * 0, first.bias), second, last))
    np.testing.assert_allclose(RUNNERS[target](nothing, Z), nothing.predict_encoded(Z), rtol=1e-6)


@pytest.mark.parametrize("target", ["c", "javascript", "python", "onnx"])
def test_a_levels_position_is_a_number_and_inputs_come_in_any_order(target: str) -> None:
    inputs = ((3, -1), (2, -1), (1, 2), (1, 0), (0, -1))
    rng = np.random.default_rng(5)
    layers = (Layer(rng.normal(size=(5, 6)), rng.normal(size=6)), Layer(rng.normal(size=(6, 1)), rng.normal(size=1)))
    one = NetworkReadable(SCHEMA, "regression", ("y",), inputs, layers)
    Z = rows(SCHEMA, 40)
    np.testing.assert_allclose(RUNNERS[target](one, Z), one.predict_encoded(Z), rtol=1e-6)


def test_an_unknown_level_or_number_is_never_an_answer() -> None:
    """NaN in C and ONNX, an error that names column and level in JavaScript and Python."""
    import ctypes

    import onnxruntime

    one = MADE["embeddings"]
    row = {"age": 1.0, "job": "nurse", "grade": 3, "wage": 2.0}
    wrong = [{**row, "job": "pilot"}, {**row, "grade": 2}, {**row, "wage": float("nan")}]

    class Row(ctypes.Structure):
        _fields_ = (("a", ctypes.c_double), ("j", ctypes.c_char_p), ("g", ctypes.c_double), ("w", ctypes.c_double))

    library, out = compiled(one.export("c")), (ctypes.c_double * 2)()
    session = onnxruntime.InferenceSession(one.export("onnx"), providers=["CPUExecutionProvider"])
    space: dict[str, Any] = {}
    exec(one.export("python"), space)
    messages = ("column job has no level pilot", "column grade has no level 2", "column wage needs a finite number")
    for given, message in zip(wrong, messages, strict=True):
        library.limbeck_predict(
            ctypes.byref(Row(given["age"], given["job"].encode(), given["grade"], given["wage"])), out
        )
        assert np.isnan(list(out)).all()
        kinds = {"job": object}
        feed = {name: np.array([[value]], dtype=kinds.get(name, np.float64)) for name, value in given.items()}
        probability, label = session.run(None, feed)
        assert np.isnan(probability).all()
        assert label[0] == "" or given["wage"] != 2.0
        with pytest.raises(
            ValueError, match=re.sub(r"column (\w+)", r"column '\1'", message).replace("pilot", "'pilot'")
        ):
            space["predict"](given)
        sent = {**given, "wage": None} if given["wage"] != 2.0 else given
        assert message in run_script(one, [sent]).stderr
    assert list(space["predict"](row)) == ["no", "yes"]


@pytest.mark.parametrize("target", ["c", "javascript", "python", "onnx"])
def test_hostile_names_stay_names(target: str) -> None:
    columns = [Column(f"{name} {j}", "nominal", HOSTILE, dtype="object") for j, name in enumerate(HOSTILE)]
    schema = Schema(
        (*columns, Column("*/ system(); /*"), Column("</script>"), Column("x"), Column("h"), Column("limbeck_h"))
    )
    for dims in (0, 2):
        one = network(schema, names=("</script>'\"", '"; DROP */'), dims=dims, widths=(20,))
        Z = rows(schema, 30)
        np.testing.assert_allclose(RUNNERS[target](one, Z), one.predict_encoded(Z), rtol=1e-6)
        if target == "onnx":
            continue
        source = one.export(target)
        assert isinstance(source, str)
        assert source.isascii()
        if target == "python":
            assert not {"DROP", "system", "script"} & {
                n.id for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name)
            }
            continue
        assert not re.search(r"\?\?" if target == "c" else r"</script|<!--", source)
        bare = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', source)
        assert not re.search(r"\*/ (int|system)|DROP|[`\\]", re.sub(r"/\*.*?\*/", "", bare, flags=re.S))


def test_the_script_stays_in_a_page_and_runs_no_text() -> None:
    class Page(HTMLParser):
        inside = ""

        def handle_data(self, data: str) -> None:
            self.inside += data

    source = network(widths=(64,), seed=2).export("javascript")
    assert isinstance(source, str)
    page = Page()
    page.feed(f"<script>{source}</script>")
    assert page.inside == source
    assert 'numbers("' in source
    assert not re.search(r"\b(eval|Function|import|fetch|require|document)\b", source)


def test_the_module_imports_only_the_standard_library() -> None:
    source = network(widths=(64,), seed=2, eight_bit=True).export("python")
    tree = ast.parse(source)
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imports == {"array", "base64", "math", "operator", "sys"}
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & {"eval", "exec", "compile", "open", "__import__"}


def test_narrow_weights_are_narrow_in_every_export() -> None:
    wide = network(Schema(tuple(Column(f"x{j}") for j in range(40))), widths=(64,), seed=4)
    single = replace(wide, layers=tuple(Layer(np.float32(la.weight).astype(float), la.bias) for la in wide.layers))
    eight = replace(wide, layers=tuple(Layer(coded(la.weight)[0], la.bias, coded(la.weight)[1]) for la in wide.layers))
    mostly = np.where(np.random.default_rng(0).random((40, 64)) < 0.9, 0.0, wide.layers[0].weight)
    pruned = replace(wide, layers=(Layer(mostly, wide.layers[0].bias), wide.layers[1]))
    for target in {target for _, target in FAMILY_EXPORTERS}:
        double, sizes = len(wide.export(target)), [len(one.export(target)) for one in (single, eight, pruned)]
        assert sizes[0] < 0.75 * double
        assert sizes[1] < 0.45 * double
        assert sizes[2] < 0.45 * double
    assert "LIMBECK_CODE limbeck_weight_0" in eight.export("c")
    assert "float limbeck_weight_0" in single.export("c")
    assert "double limbeck_weight_0" in wide.export("c")
    assert "limbeck_unit_0" in pruned.export("c")
