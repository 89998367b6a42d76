"""Columns, levels, classes and titles from a hostile hand: the numbers stay right, and no text becomes code."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Column, Schema
from limbeck.readable import (
    Comparison,
    FormulaReadable,
    Guard,
    IsIn,
    Node,
    Program,
    ProgramPolicy,
    TreeReadable,
    policy_schema,
)
from limbeck.readable._language import expression_from_json
from limbeck.readable._printing import RESERVED, variable_names
from limbeck.readable._targets import EXPORTERS
from running_exports import RUNNERS, compiled, run_script

NAMES = (
    "it's",
    'say "hello"',
    "back\\slash",
    "back\\",
    "two words",
    " ",
    "e\u0301tat",
    "\u00e9tat",
    "\U0001f600 smile",
    "\u05d0\u05d1\u05d2",
    "\u202eabc",
    "line\nbreak",
    "line\r\n#include <stdlib.h>",
    "tab\there",
    "\u2028",
    "select",
    "class",
    "int",
    "return",
    "lambda",
    "function",
    "this",
    "union",
    "__proto__",
    "constructor",
    "__import__",
    "<script>alert(1)</script>",
    "</script>",
    "]]>",
    "<!--",
    "-->",
    "*/",
    "/*",
    "*/ int main(void) { return system(\"true\"); } /*",
    "//",
    "??/",
    "{{7*7}}",
    "${7*7}",
    "{0}",
    "%s",
    "%",
    "`id`",
    "$(id)",
    '"; DROP TABLE rows; --',
    "'; DROP TABLE rows; --",
    '"""',
    "'''",
    "\\end{align*}\\input{/etc/passwd}",
    "$x_1^2$ & #1 ~",
    "n" * 200,
    "1st",
    "a-b",
    "a_b",
    "a b",
    "x0",
    "x7",
    "t0",
    "t_0",
    "y_0",
    "predict",
    "row",
    "rows",
    "out",
    "math",
    "Math",
    "exp",
    "module",
    "COLUMNS",
    "limbeck_row",
    "limbeck_0",
    "limbeck_t0",
    "prediction",
    "Y",
    "label",
    "X",
    "NULL",
    "NaN",
)  # fmt: skip
SPARED = tuple(name for name in NAMES if name != "Math")  # SQL: beside "math"
LEVELS = (
    "it's",
    'say "x"',
    "back\\",
    "\\'",
    "'; DROP TABLE rows; --",
    "</script><script>alert(1)</script>",
    "\U0001f600",
    "e\u0301",
    "\u202e",
    "new\nline",
    "*/ */",
    "??/",
    "",
    " ",
    "NULL",
    "{{7*7}}",
    "%s",
    "\\",
    "\u2029",
)
X = sp.symbols(f"x0:{len(NAMES)}")


def of_numbers(names):
    """A sum in which every column has a weight of its own, so that two that were swapped would show."""
    schema = Schema(tuple(Column(name) for name in names))
    weights = [sp.Float(round(1.0 + 0.37 * j, 3)) for j in range(len(names))]
    total = sp.Add(*(weight * symbol for weight, symbol in zip(weights, X, strict=False)), evaluate=False)
    return FormulaReadable(schema, "regression", ("prediction",), (total + sp.exp(-(X[0] ** 2)),))


def of_levels(names, classes):
    """A tree that asks a different level of every column, each with the hostile levels."""
    schema = Schema((*(Column(name, "nominal", LEVELS, dtype="object") for name in names), Column("plain number")))
    nodes = []
    for j in range(len(names)):
        nodes += [Node((0.5, 0.5), 1, j, None, (j % len(LEVELS), (j + 3) % len(LEVELS)), 2 * j + 1, 2 * j + 2)]
        nodes += [Node(((j + 1) / (len(names) + 2), 1 - (j + 1) / (len(names) + 2)), 1)]
    nodes.append(Node((0.999, 0.001), 1))
    return TreeReadable(schema, "classification", classes, tuple(nodes))


CLASSES = ("</script>'\"", '"; DROP TABLE rows; --')
HOSTILE = {
    "numbers": of_numbers(NAMES),
    "levels": of_levels(NAMES[:40], CLASSES),
    "numbers, SQL": of_numbers(SPARED),
    "levels, SQL": of_levels(SPARED[40:], CLASSES),
}


def rows_for(readable, n=300):
    rng = np.random.default_rng(3)
    Z = rng.normal(size=(n, len(readable.schema)))
    for j, column in enumerate(readable.schema.columns):
        if column.levels:
            Z[:, j] = rng.integers(0, len(column.levels), n)
    return Z


@pytest.mark.parametrize("target", RUNNERS)
@pytest.mark.parametrize("kind", ["numbers", "levels"])
def test_numbers_stay_right(kind, target):
    readable = HOSTILE[f"{kind}, SQL" if target in ("sqlite", "duckdb") else kind]
    Z = rows_for(readable)
    np.testing.assert_allclose(RUNNERS[target](readable, Z), readable.predict_encoded(Z), rtol=1e-9)


@pytest.mark.parametrize("kind", ["numbers", "levels"])
def test_python_has_no_name_of_theirs(kind):
    source = HOSTILE[kind].export("python")
    assert source.isascii()
    tree = ast.parse(source)
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    known = {"_value", "_number", "_level", "_exp", "_div", "float", "len", "str", "hasattr", "zip", "dict"}
    known |= {"ValueError", "math.isfinite", "math.exp", "math.copysign"}
    assert calls <= known
    imports = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imports == ["import math"]
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert all(re.fullmatch(r"_?[A-Za-z][A-Za-z0-9_]*", name) and not name.startswith("__") for name in names)


STRING = r'"(?:[^"\\\n]|\\.)*"'


@pytest.mark.parametrize("kind", ["numbers", "levels"])
def test_javascript_keeps_them_in_strings(kind):
    source = HOSTILE[kind].export("javascript")
    assert source.isascii()
    bare = re.sub(STRING, '""', re.sub(r"^//.*\n", "", source, flags=re.M))
    words = set(re.findall(r"[A-Za-z_$]\w*", bare))
    used = {f"{name}" for name in variable_names(HOSTILE[kind].schema)}
    listed = """
        const function let if else return throw new typeof undefined null predict row value number level j given read
        found known LEVELS COLUMNS OUTPUTS Error Array isArray ArrayBuffer isView length Object prototype hasOwnProperty
        call Number isFinite String find includes Math exp module exports y_0 y_1 E
    """
    language = set(listed.split())
    assert words <= used | language
    assert not re.search(r"[`\\]", bare)


@pytest.mark.parametrize("kind", ["numbers", "levels"])
def test_javascript_stays_inside_a_page(kind):
    """A browser ends a script at ``</script``, and keeps to a comment after ``<!--``: neither may be there."""

    class Page(HTMLParser):
        def __init__(self):
            super().__init__()
            self.tags, self.inside = [], ""

        def handle_starttag(self, tag, attrs):
            self.tags.append(tag)

        def handle_data(self, data):
            self.inside += data

    source = HOSTILE[kind].export("javascript")
    page = Page()
    page.feed(f"<html><body><script>{source}</script></body></html>")
    assert page.tags == ["html", "body", "script"]
    assert page.inside == source
    assert "<!--" not in source
    assert "]]>" not in source


@pytest.mark.parametrize("kind", ["numbers", "levels"])
def test_c_keeps_them_in_strings(kind):
    source = HOSTILE[kind].export("c")
    assert source.isascii()
    assert "??" not in source
    bare = re.sub(STRING, '""', re.sub(r"/\*.*?\*/", "", source, flags=re.S))
    directives = re.findall(r"^[ \t]*#.*", bare, flags=re.M)
    assert all(re.match(r"#(include <(math|stddef|string)\.h>|define LIMBECK_\w+ \d+)$", line) for line in directives)
    assert set(re.findall(r"([a-z_]\w*)\s*\(", bare)) <= {
        "limbeck_find", "limbeck_predict", "strcmp", "isfinite", "exp", "if", "for"
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["numbers, SQL", "levels, SQL"])
def test_sql_is_one_select(kind):
    query = HOSTILE[kind].export("sql")
    bare = re.sub(r"'(?:[^']|'')*'", "''", re.sub(r'"(?:[^"]|"")*"', '""', re.sub(r"^--.*\n", "", query, flags=re.M)))
    assert ";" not in bare
    assert "--" not in bare
    words = {word for word in re.findall(r"[A-Za-z_]\w*", bare) if not word.startswith("limbeck_")}
    language = "WITH AS SELECT FROM rows CAST DOUBLE PRECISION CASE WHEN THEN ELSE END IN EXP COUNT OVER E0"
    assert words <= set(language.split())


LATEX_WORDS = {
    "begin", "end", "mathrm", "text", "textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater",
    "textbar", "left", "right", "leq", "in", "operatorname", "quad", "cdot", "times",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["numbers", "levels"])
def test_latex_escapes_them(kind):
    readable = HOSTILE[kind]
    text = readable.export("latex")
    assert set(re.findall(r"\\([A-Za-z]+)", text)) <= LATEX_WORDS
    assert re.findall(r"\\(?:begin|end)\{(\w+\*?)\}", text)[:1] == ["align*"]
    body = text.split("\n", 1)[1]
    unescaped = re.sub(r"\\\\|\\[{}$&#%_,|]", "", body)
    assert unescaped.count("{") == unescaped.count("}")
    assert not re.search(r"[$#%~]", unescaped)
    depth = 0
    for character in unescaped:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    for part in ("two words", "DROP TABLE rows", r"\{\{7*7\}\}", r"\%s", r"back\textbackslash{}"):
        assert part in body


@pytest.mark.parametrize("kind", ["numbers", "levels"])
def test_mathml_escapes_them(kind):
    readable = HOSTILE[kind]
    text = readable.export("mathml")
    root = ElementTree.fromstring(text)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "script" not in tags
    assert {name for element in root.iter() for name in element.attrib} <= {
        "display", "displaystyle", "style", "mathvariant", "fence", "stretchy", "separator", "width"
    }  # fmt: skip
    shown = {element.text for element in root.iter()}
    assert "<script>alert(1)</script>" in shown
    assert "line\\u000abreak" in shown
    assert "\\u202eabc" in shown

    class Page(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.add(tag)

    found = set()
    page = Page()
    page.feed(text)
    assert found == tags


@pytest.mark.parametrize("target", [target for target in EXPORTERS if target not in ("onnx", "sql")])
def test_titles_are_comments_only(target):
    title = '*/ </script> \n import os \n--> \\input{x} %s """ \' --\nDROP'
    program = Program(Schema((Column("a"),)), (), (X[0] * 2,), ("y",), "regression", title)
    plain = Program(Schema((Column("a"),)), (), (X[0] * 2,), ("y",), "regression", "plain")
    text = EXPORTERS[target](program)
    assert len(text.splitlines()) == len(EXPORTERS[target](plain).splitlines())
    for part in ("*/ <", "</script", "-->", "\\input", '%s "', "\" '"):
        assert part not in text


def test_titles_are_comments_only_in_sql():
    title = "x\n; DROP TABLE rows; --"
    text = EXPORTERS["sql"](Program(Schema((Column("a"),)), (), (X[0] * 2,), ("y",), "regression", title))
    assert "DROP" in text.splitlines()[0]
    assert text.splitlines()[0].startswith("-- ")
    assert not any("DROP" in line for line in text.splitlines()[1:])


def test_variable_names_are_words_of_their_own():
    schema = Schema(tuple(Column(name) for name in NAMES))
    names = variable_names(schema)
    assert len({name.lower() for name in names}) == len(NAMES)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,45}", name) for name in names)
    assert not set(names) & RESERVED
    assert not any(re.fullmatch(r"[ty]_?\d+", name) for name in names)


@pytest.mark.parametrize("target", ["python", "javascript", "c", "onnx"])
def test_an_empty_name(target):
    readable = of_numbers(("", "a", "column"))
    Z = rows_for(readable, 20)
    np.testing.assert_allclose(RUNNERS[target](readable, Z), readable.predict_encoded(Z), rtol=1e-9)
    levels = of_levels(("", "Y", "column_0"), CLASSES)
    Z = rows_for(levels, 50)
    np.testing.assert_allclose(RUNNERS[target](levels, Z), levels.predict_encoded(Z), rtol=1e-9)


def test_an_empty_name_is_shown():
    readable = of_numbers(("", "a"))
    assert r'\text{""}' in readable.export("latex")
    assert "&quot;&quot;" in readable.export("mathml")


def test_names_that_sql_cannot_hold_are_refused():
    with pytest.raises(InputError, match="SQL has no empty column names"):
        of_numbers(("", "a")).export("sql")
    with pytest.raises(InputError, match="columns 'Age' and 'age' differ only in capitals"):
        of_numbers(("Age", "b", "age")).export("sql")
    with pytest.raises(InputError, match="holds a NUL character"):
        of_numbers(("a\0b", "c")).export("sql")


@pytest.mark.parametrize("target", ["c", "sql", "onnx"])
def test_texts_that_a_target_cannot_hold_are_refused(target):
    for level in ("a\0b", "\ud800"):
        schema = Schema((Column("job", "nominal", (level, "plain")), Column("wage")))
        expr = sp.Piecewise((1, IsIn.of(X[0], [level])), (0, True))
        readable = FormulaReadable(schema, "regression", ("prediction",), (expr,))
        with pytest.raises(InputError, match="NUL character or a lone surrogate"):
            readable.export(target)


@pytest.mark.parametrize("target", ["python", "javascript"])
def test_odd_texts_that_a_target_can_hold(target):
    schema = Schema((Column("job", "nominal", ("a\0b", "\ud800", "plain")), Column("wage\0")))
    expr = sp.Piecewise((1, IsIn.of(X[0], ["a\0b"])), (2, IsIn.of(X[0], ["\ud800"])), (X[1], True))
    readable = FormulaReadable(schema, "regression", ("prediction",), (expr,))
    Z = np.array([[0, 5.0], [1, 5.0], [2, 5.0]])
    np.testing.assert_array_equal(RUNNERS[target](readable, Z)[:, 0], [1, 2, 5])


def test_sql_columns_that_the_table_lacks_are_an_error():
    """SQLite takes a quoted name that is no column for a text; a name with its table it does not."""
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.execute('CREATE TABLE rows ("a" DOUBLE PRECISION)')
    readable = of_numbers(("a", "b"))
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        connection.execute(readable.export("sql"))
    connection.close()


def test_outputs_keep_clear_of_columns_in_sql():
    schema = Schema((Column("prediction"), Column("p_yes"), Column("predicted")))
    nodes = (Node((0.5, 0.5), 2, 0, 0.0, (), 1, 2), Node((1, 0), 1), Node((0, 1), 1))
    query = TreeReadable(schema, "classification", ("no", "yes"), nodes).export("sql")
    assert re.findall(r'AS ("[^"]*")', query) == ['"p_no"', '"p_yes_2"', '"predicted_2"']
    assert 'AS "prediction_2"' in of_numbers(("prediction", "b")).export("sql")


def test_a_prototype_is_not_a_column():
    """In JavaScript an object has a ``constructor`` that no one gave it."""
    readable = of_numbers(("constructor", "toString"))
    assert "the row lacks column constructor" in run_script(readable, [{}]).stderr
    given = json.loads('{"constructor": 1, "toString": 2}')
    assert run_script(readable, [given]).returncode == 0


def test_a_tree_deeper_than_parsers_go():
    """Conditions nested 120 deep on the side that languages nest."""
    nodes = []
    for i in range(120):
        nodes += [Node((0.0,), 1, 0, 120.0 - i, (), 2 * i + 2, 2 * i + 1), Node((float(i),), 1)]
    nodes.append(Node((-1.0,), 1))
    tree = TreeReadable(Schema((Column("a"),)), "regression", ("prediction",), tuple(nodes))
    Z = np.arange(-2, 125, 0.5)[:, None]
    for target, run in RUNNERS.items():
        np.testing.assert_array_equal(run(tree, Z), tree.predict_encoded(Z), err_msg=target)
    assert tree.export("latex").count("cases") == 240
    assert tree.export("mathml").count("<mtable") == 121


@pytest.mark.parametrize("target", RUNNERS)
def test_an_expression_as_deep_as_can_be_stored(target):
    data = ["x", 0]
    for i in range(70):
        data = (
            ["if", [["sin", ["add", data, 0.25]], ["le", ["x", 1], i / 35 - 1]], [i, True]] if i % 2 else ["abs", data]
        )
    readable = FormulaReadable(
        Schema((Column("a"), Column("b"))), "regression", ("prediction",), (expression_from_json(data),)
    )
    Z = rows_for(readable)
    np.testing.assert_allclose(RUNNERS[target](readable, Z), readable.predict_encoded(Z), rtol=1e-9)


def test_an_expression_deeper_than_that_is_refused():
    data = ["x", 0]
    for _ in range(200):
        data = ["abs", data]
    with pytest.raises(InputError, match="nested deeper than 150"):
        expression_from_json(data)


def test_a_sum_longer_than_parsers_go():
    schema = Schema(tuple(Column(f"c{j}") for j in range(12)))
    terms = [sp.Float(round(j / 7 - 90, 4)) * X[j % 12] for j in range(1500)]
    readable = FormulaReadable(schema, "regression", ("prediction",), (sp.Add(*terms, evaluate=False),))
    Z = rows_for(readable, 5)
    for target, run in RUNNERS.items():
        np.testing.assert_allclose(run(readable, Z), readable.predict_encoded(Z), rtol=1e-9, err_msg=target)


@pytest.mark.parametrize("standard", ["c11", "gnu17"])
def test_gcc_finds_nothing_to_say(standard, tmp_path):
    """Also with more warnings, and as GNU C, where ``linux`` and ``unix`` are numbers."""
    readable = of_numbers(("linux", "unix", "I", "bool", "complex", "NAN", "errno", "M_PI", "i386"))
    compiled(readable.export("c"))
    (tmp_path / "model.c").write_text(readable.export("c"))
    command = ["gcc", f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-c", "model.c"]
    assert subprocess.run(command, capture_output=True, check=False, cwd=tmp_path).stderr == b""


# ---- policies


def hostile_policy(names, actions):
    """A program that asks every column and a change, each with a weight of its own."""
    schema = policy_schema(names, [1])
    form = tuple((j, round(1.0 + 0.25 * j, 2)) for j in range(len(schema)))
    less = tuple((j, -weight) for j, weight in form)
    asked = [[Comparison(form, 25.0)], [Comparison(less, 25.0)], [Comparison(((0, 1.0),), 0.5), Comparison(form, 0.0)]]
    guards = tuple(Guard(tuple(comparisons), i + 1) for i, comparisons in enumerate(asked))
    return ProgramPolicy(schema, actions, guards, 0, (1,))


@pytest.mark.parametrize("target", RUNNERS)
def test_policies_act_the_same_under_any_names(target):
    policy = hostile_policy(SPARED if target in ("sqlite", "duckdb") else NAMES, ("stay", *NAMES[:12]))
    Z = np.rint(np.random.default_rng(0).normal(size=(300, len(policy.schema)))) / 2
    assert set(policy.act(Z).tolist()) == {0, 1, 2, 3}
    np.testing.assert_array_equal(RUNNERS[target](policy, Z), policy.predict_encoded(Z))


@pytest.mark.parametrize("target", ["python", "c", "javascript"])
def test_what_an_acting_function_names_itself_is_no_trap(target):
    names = ("d", "e", "observation", "previous", "act", "observation 2", "number", "COLUMNS", "limbeck_act")
    policy = hostile_policy(names, ("act", "previous", "*/", "return"))
    Z = np.rint(np.random.default_rng(0).normal(size=(60, len(policy.schema))) * 10) / 2
    np.testing.assert_array_equal(RUNNERS[target](policy, Z), policy.predict_encoded(Z))
