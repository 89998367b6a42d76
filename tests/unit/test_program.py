"""Programs and trees that act: what they do, how they read, and that a shorter one acts the same."""

from __future__ import annotations

import itertools
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from limbeck._core.errors import InputError
from limbeck._core.tables import Column, Schema
from limbeck.readable import (
    Branch,
    Comparison,
    Guard,
    PolicyTree,
    ProgramPolicy,
    pack,
    policy_schema,
    readable_from_dict,
    unpack,
)
from limbeck.readable._text import number_text
from running_exports import c_actions, compiled, run_script

ACTIONS = ("stay", "right", "left")
BREAKOUT = policy_schema(["ball_x", "ball_y", "paddle_x", "ball_vx", "paddle_vx"])
D = ((0, 1.0), (2, -1.0), (3, 2.0), (4, -1.0))


def above(form, bound):
    return Comparison(form, bound)


def below(form, bound):
    return Comparison(tuple((column, -weight) for column, weight in form), -bound)


def program(*guards, otherwise=0, schema=BREAKOUT, actions=ACTIONS, changes=()):
    guards = tuple(Guard(tuple(asked) if isinstance(asked, list) else (asked,), action) for asked, action in guards)
    return ProgramPolicy(schema, actions, guards, otherwise, changes)


ONE_LINE = program((above(D, 20.5), 1), (below(D, -3.5), 2))


# ---- how they read


def test_the_one_line_of_breakout():
    text = "with d = ball_x - paddle_x + 2*ball_vx - paddle_vx: right if d > 20.5; left if d < -3.5; else stay"
    assert ONE_LINE.text() == text
    assert (ONE_LINE.n_lines, ONE_LINE.n_comparisons) == (1, 2)
    assert ONE_LINE.complexity == 9 + 2 + 2 * (2 + 3) + 1


X, Y, Z, V = ((0, 1.0),), ((0, 1.0), (2, -1.0)), ((1, 1.0),), ((3, 1.0),)


@pytest.mark.parametrize(
    ("guards", "text", "lines", "complexity"),
    [
        ([(above(Y, 0), 1)], "right if ball_x > paddle_x; else stay", 1, 6),
        ([(below(Y, 0), 1)], "right if ball_x < paddle_x; else stay", 1, 6),
        ([(above(Y, 3), 1)], "right if ball_x - paddle_x > 3; else stay", 1, 8),
        ([(Comparison(((0, -1.0),), 3.5), 2)], "left if ball_x < -3.5; else stay", 1, 6),
        ([(Comparison(((0, -1.0), (1, -0.5)), 0), 2)], "left if ball_x + 0.5*ball_y < 0; else stay", 1, 10),
        ([(above(X, 3), 1), (below(X, 1), 2)], "right if ball_x > 3; left if ball_x < 1; else stay", 1, 11),
        ([([above(X, 1), below(X, 3)], 1)], "right if 1 < ball_x < 3; else stay", 1, 8),
        ([([above(X, 1), above(V, 0)], 1)], "right if ball_x > 1 and ball_vx > 0; else stay", 1, 10),
        ([(above(X, 1), 1), (above(V, 0), 2)], "right if ball_x > 1\nleft if ball_vx > 0\nelse stay", 2, 11),
        (
            [(above(Y, 9), 1), (above(V, 0), 2), (below(Y, 5), 1), (below(Y, 2), 2)],
            "d = ball_x - paddle_x\nright if d > 9\nleft if ball_vx > 0\nright if d < 5; left if d < 2\nelse stay",
            3,
            26,
        ),
        ([], "always stay", 1, 1),
    ],
)
def test_text_lines_and_complexity(guards, text, lines, complexity):
    found = program(*guards)
    assert (found.text(), found.n_lines, found.complexity) == (text, lines, complexity)


def test_three_thresholds_on_one_sum_are_two_lines():
    found = program((above(X, 3), 1), (below(X, 1), 2), (above(X, 2), 2))
    assert found.statements() == ((0, 1), (2,))
    assert found.n_lines == 2


def test_the_pieces_of_lines_say_their_guard():
    lines = ONE_LINE.lines()
    assert "".join(text for text, _ in lines[0]) == ONE_LINE.text()
    said = {i: text for line in lines for text, i in line if i is not None}
    assert said == {0: "right if d > 20.5", 1: "left if d < -3.5", 2: "else stay"}


def test_a_long_line_is_broken_after_its_sum():
    schema = policy_schema([f"a_column_with_a_long_name_{j}" for j in range(4)])
    form = tuple((j, 1.0) for j in range(4))
    lines = program((above(form, 1), 1), (below(form, -1), 2), schema=schema).text().splitlines()
    assert lines[0].startswith("with d = a_column")
    assert lines[1] == "    right if d > 1; left if d < -1; else stay"


def test_hostile_words_do_not_read_as_program():
    schema = policy_schema(["d", "x if y", "a\nb"])
    form = ((0, 1.0), (1, 2.0), (2, -1.0))
    found = program((above(form, 1), 1), (below(form, -1), 0), schema=schema, actions=("go if d", "fire 2"))
    assert found.text().startswith("with e = d + 2*`x if y` - `a\nb`: fire 2 if e > 1; `go if d` if e < -1")


def test_a_tree_reads_as_if_and_else():
    tree = PolicyTree(BREAKOUT, ACTIONS, Branch(above(Y, 2), Branch(above(V, 0), 1, 0), Branch(below(Y, -2), 2, 0)))
    text = "if ball_x - paddle_x > 2:\n    if ball_vx > 0: right\n    else: stay\n"
    assert tree.text() == text + "else if ball_x - paddle_x < -2: left\nelse: stay"
    assert (tree.n_leaves, tree.depth, tree.n_comparisons, tree.complexity) == (4, 2, 3, 3 + 4 + 5 + 3 + 5)
    said = [i for line in tree.lines() for _, i in line if i is not None]
    assert said == [0, 1, 2, 3]
    rows = np.array([[5, 0, 0, 1, 0], [5, 0, 0, -1, 0], [-5, 0, 0, 1, 0], [0, 0, 0, 1, 0]], dtype=float)
    assert tree.firing(rows).tolist() == said
    assert PolicyTree(BREAKOUT, ACTIONS, 2).text() == "always left"


def test_change_columns_are_named_and_never_twice():
    assert policy_schema(["x", "x_change"], [0, 1]).names == ("x", "x_change", "x_change_2", "x_change_change")
    with pytest.raises(InputError, match=r"positions of the 1 columns; got \[1\]"):
        policy_schema(["x"], [1])


# ---- what they do


def test_acts_by_the_first_guard_that_holds():
    found = program((above(X, 1), 1), (above(X, 0), 2))
    rows = np.zeros((4, 5))
    rows[:, 0] = [2.0, 1.0, 0.5, 0.0]
    assert found.act(rows).tolist() == [1, 2, 2, 0]
    assert found.firing(rows).tolist() == [0, 1, 1, 2]
    np.testing.assert_array_equal(found(rows), np.eye(3)[[1, 2, 2, 0]])
    assert found.act(rows[:0]).shape == (0,)


@pytest.mark.parametrize("policy", [ONE_LINE, PolicyTree(BREAKOUT, ACTIONS, Branch(above(D, 1), 1, 0))])
def test_rows_that_are_not_rows_are_refused(policy):
    good = np.zeros((2, 5))
    for rows, message in [
        (good[0], r"shape \(n, 5\).*got shape \(5,\)"),
        (good[:, :4], r"got shape \(2, 4\)"),
        ([["a"] * 5], "rows must be numbers"),
        (np.where(np.eye(2, 5) > 0, np.nan, good), "column 'ball_x' has one that is not"),
        (np.where(np.eye(2, 5, 3) > 0, np.inf, good), "column 'ball_vx' has one that is not"),
    ]:
        with pytest.raises(InputError, match=message):
            policy.act(rows)
    assert policy.act(np.where(np.eye(2, 5, 1)[:1] > 0, np.nan, good[:1])).tolist() == [0]  # not asked
    assert policy.act(np.full((1, 5), 1.7e308)).shape == (1,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Comparison((), 1.0), "one column or more, each once"),
        (lambda: Comparison(((0, 1.0), (0, 2.0)), 1.0), "one column or more, each once"),
        (lambda: Comparison(((-1, 1.0),), 1.0), "one column or more, each once"),
        (lambda: Comparison(((0, 0.0),), 1.0), "weights other than 0"),
        (lambda: Comparison(((0, 1.0),), float("nan")), "a finite threshold"),
        (lambda: Comparison(((0, float("inf")),), 1.0), "finite weights"),
        (lambda: Comparison(((0, "x"),), 1.0), "pairs of a column and a weight"),
        (lambda: Comparison(None, 1.0), "pairs of a column and a weight"),
        (lambda: Guard((), 0), "a guard needs one Comparison or more"),
        (lambda: Guard((1,), 0), "a guard needs one Comparison or more"),
        (lambda: Branch(1, 0, 1), "a branch needs a Comparison"),
        (lambda: program((above(X, 1), 3)), "whole number from 0 to 2; got 3"),
        (lambda: program((above(X, 1), -1)), "whole number from 0 to 2; got -1"),
        (lambda: program((above(X, 1), True)), "whole number from 0 to 2; got True"),
        (lambda: program(otherwise=1.0), "whole number from 0 to 2; got 1.0"),
        (lambda: program((above(((7, 1.0),), 1), 1)), "asks column 7; the rows have 5 columns"),
        (lambda: program(changes=(4,)), r"positions below 4; got \(4,\)"),
        (lambda: program(changes=(0, 0)), "each once"),
        (lambda: program(actions=("a", "a")), "of different names"),
        (lambda: program(schema=Schema((Column("x", "nominal", ("a",)),))), "columns are numbers"),
        (lambda: PolicyTree(BREAKOUT, ACTIONS, Branch(above(X, 1), 0, 5)), "whole number from 0 to 2; got 5"),
        (lambda: PolicyTree(BREAKOUT, ACTIONS, "left"), "whole number from 0 to 2; got 'left'"),
        (lambda: ONE_LINE.rounded(0), "from 1 to 17; got 0"),
        (lambda: ONE_LINE.simplified(np.zeros((0, 5))), r"one row or more; got shape \(0, 5\)"),
        (lambda: ONE_LINE.simplified(np.zeros((1, 4))), r"got shape \(1, 4\)"),
    ],
)
def test_what_can_not_be_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_tree_too_deep_is_refused():
    def chain(depth):
        node = 0
        for i in range(depth):
            node = Branch(above(X, i), node, 1)
        return PolicyTree(BREAKOUT, ACTIONS, node)

    assert chain(80).act(np.full((1, 5), 99.0)).tolist() == [0]
    assert compile(chain(80).export("python"), "<export>", "exec")
    with pytest.raises(InputError, match="at most 80 conditions on a path; got 81"):
        chain(81)
    data = chain(80).to_dict()
    data["root"] = {**data["root"], "then": data["root"]}
    with pytest.raises(InputError, match="at most 80 conditions on a path"):
        readable_from_dict(data)


def test_numpy_numbers_become_plain():
    guard = Guard((Comparison(((np.int64(1), np.float32(0.5)),), np.float64(2)),), np.int64(1))
    found = ProgramPolicy(BREAKOUT, ACTIONS, [guard], np.int64(2))
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    assert found.decisions == (1, 2)


# ---- kept


@pytest.mark.parametrize(
    "policy",
    [
        program((above(D, 0.1), 1), ([below(D, 1 / 3), above(V, 2)], 2), changes=(2, 0), otherwise=2),
        PolicyTree(BREAKOUT, ACTIONS, Branch(above(D, 1e-9), 1, Branch(below(V, 2.5), 0, 2)), (1,)),
    ],
)
def test_comes_back_equal(policy):
    again = readable_from_dict(json.loads(json.dumps(policy.to_dict())))
    assert again == policy
    assert again.text() == policy.text()
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert unpack(pack(policy)) == policy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"guards": 3}, "malformed"),
        ({"guards": [{"comparisons": []}]}, "malformed"),
        ({"guards": [{"comparisons": [], "action": 0}]}, "a guard needs one Comparison"),
        ({"guards": [{"comparisons": [{"terms": [[0]], "threshold": 1}], "action": 0}]}, "malformed"),
        ({"guards": [{"comparisons": [{"terms": [["0", 1]], "threshold": 1}], "action": 0}]}, "whole columns"),
        ({"guards": [{"comparisons": [{"terms": [[0, 1]], "threshold": "1"}], "action": 0}]}, "whole columns"),
        ({"guards": [{"comparisons": [{"terms": [[0, 1]], "threshold": 1}], "action": True}]}, "action is a whole"),
        ({"otherwise": None}, "action is a whole number; got None"),
        ({"changes": 1}, "changes are a list"),
        ({"changes": [9]}, "positions below 4"),
    ],
)
def test_a_malformed_program_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        readable_from_dict({**ONE_LINE.to_dict(), **change})


@pytest.mark.parametrize("root", [None, [], {"then": 0}, {"then": 0, "otherwise": 1}, "0", 1.0])
def test_a_malformed_tree_is_refused(root):
    tree = PolicyTree(BREAKOUT, ACTIONS, 1)
    with pytest.raises(InputError, match=r"whole number|needs then and otherwise|malformed"):
        readable_from_dict({**tree.to_dict(), "root": root})


# ---- simplified


def grid(policy):
    """Rows whose sums stand on, between and beyond all thresholds: whole numbers and halves."""
    values = np.arange(-3.0, 3.5, 0.5)
    pairs = np.array(list(itertools.product(values, values)))
    rows = np.zeros((len(pairs), len(policy.schema)))
    rows[:, :2] = pairs
    return rows


def assert_acts_the_same(policy, shorter, rows):
    differing = np.flatnonzero(policy.act(rows) != shorter.act(rows))
    assert not len(differing), f"acts otherwise on {rows[differing[0]]}:\n{policy.text()}\n\n{shorter.text()}"


SMALL = policy_schema(["x", "y"])
forms = st.sampled_from([((0, 1.0),), ((1, 1.0),), ((0, 1.0), (1, -1.0)), ((0, 0.5), (1, -0.5)), ((0, 2.0),)])
comparisons = st.builds(
    lambda form, bound, over: above(form, bound) if over else below(form, bound),
    forms,
    st.integers(-2, 2).map(float),
    st.booleans(),
)
guards = st.builds(
    lambda asked, action: Guard(tuple(asked), action),
    st.lists(comparisons, min_size=1, max_size=3),
    st.integers(0, 2),
)
programs = st.builds(
    lambda found, otherwise: ProgramPolicy(SMALL, ACTIONS, tuple(found), otherwise),
    st.lists(guards, max_size=6),
    st.integers(0, 2),
)
trees = st.builds(
    lambda root: PolicyTree(SMALL, ACTIONS, root),
    st.recursive(st.integers(0, 2), lambda inner: st.builds(Branch, comparisons, inner, inner), max_leaves=10),
)


@settings(max_examples=80, deadline=None)
@given(policy=st.one_of(programs, trees))
@example(policy=program((above(X, 1), 1), (below(X, 1), 1), schema=SMALL))  # the rows at 1 stay
@example(policy=program((above(X, 1), 1), (below(X, 1), 1), (above(Z, 0), 2), schema=SMALL))
def test_a_simplified_policy_acts_the_same_on_every_row(policy):
    shorter = policy.simplified()
    assert_acts_the_same(policy, shorter, grid(policy))
    assert shorter.n_comparisons <= policy.n_comparisons
    assert shorter.simplified() == shorter


@settings(max_examples=40, deadline=None)
@given(policy=st.one_of(programs, trees), seed=st.integers(0, 1000), count=st.integers(1, 12))
def test_simplified_by_rows_acts_the_same_on_these_rows(policy, seed, count):
    rows = np.random.default_rng(seed).choice(grid(policy), count, replace=False)
    shorter = policy.simplified(rows)
    assert_acts_the_same(policy, shorter, rows)
    assert shorter.n_comparisons <= policy.simplified().n_comparisons
    if len(np.unique(policy.act(rows))) == 1:
        assert shorter.n_comparisons == 0


def test_a_wrong_simplification_is_caught(monkeypatch):
    """Joining intervals that only meet forgets the value between them, and a program shows it."""
    from limbeck.readable import _program_simplify as simplify

    def touching(intervals):
        out = []
        for low, high in sorted(intervals):
            if out and low <= out[-1][1]:
                out[-1] = out[-1][0], max(out[-1][1], high)
            else:
                out.append((low, high))
        return out

    meeting = program((above(X, 1), 1), (below(X, 1), 1), schema=SMALL)
    hidden = program((above(X, 1), 1), (below(X, 1), 2), (above(Z, 0), 2), schema=SMALL)
    for policy in (meeting, hidden):
        assert_acts_the_same(policy, policy.simplified(), grid(policy))
    monkeypatch.setattr(simplify, "_union", touching)
    monkeypatch.setattr(simplify, "_meet", lambda one, other: one)
    with pytest.raises(AssertionError, match=r"acts otherwise on \[ ?1\. "):
        assert_acts_the_same(meeting, meeting.simplified(), grid(meeting))
    wrong = replace(hidden, guards=hidden.guards[:2])
    with pytest.raises(AssertionError, match=r"acts otherwise on \[1\.  0\.5\]"):
        assert_acts_the_same(hidden, wrong, grid(hidden))


@pytest.mark.parametrize(
    ("guards", "text"),
    [
        ([(above(X, 3), 1), (above(X, 1), 1)], "right if ball_x > 1; else stay"),
        ([(above(X, 1), 1), (above(X, 3), 2)], "right if ball_x > 1; else stay"),
        ([(above(X, 1), 1), (below(X, 3), 1)], "always right"),
        ([(above(X, 1), 1), (below(X, 3), 2), (above(V, 0), 1)], "right if ball_x > 1; else left"),
        ([(above(X, 1), 1), ([below(X, 2), above(V, 0)], 2)], "right if ball_x > 1\nleft if ball_vx > 0\nelse stay"),
        ([([above(X, 3), below(X, 1)], 1)], "always stay"),
        ([(above(X, 1), 1), (above(V, 0), 0)], "right if ball_x > 1; else stay"),
        ([(above(X, 3), 0), (below(X, 1), 2)], "left if ball_x < 1; else stay"),
        ([([above(X, 0), above(V, 0)], 1), ([above(X, 2), above(V, 1), above(D, 0)], 2)],
         "right if ball_x > 0 and ball_vx > 0; else stay"),
        ([(Comparison(((0, 0.5), (2, -0.5)), 0.5), 1), (below(Y, -1), 2)],
         "right if ball_x - paddle_x > 1; left if ball_x - paddle_x < -1; else stay"),
        ([([above(X, 1), above(X, 2)], 1)], "right if ball_x > 2; else stay"),
    ],
)  # fmt: skip
def test_what_is_simplified(guards, text):
    assert program(*guards).simplified().text() == text


def test_what_is_simplified_in_a_tree():
    known = Branch(above(X, 2), Branch(above(X, 1), 1, 2), Branch(below(X, 3), Branch(above(V, 0), 0, 0), 1))
    assert PolicyTree(BREAKOUT, ACTIONS, known).simplified().text() == "if ball_x > 2: right\nelse: stay"
    kept = PolicyTree(BREAKOUT, ACTIONS, Branch(above(X, 2), 1, Branch(above(X, 1), 2, 0)))
    assert kept.simplified() == kept
    assert (
        kept.simplified(np.array([[5.0, 0, 0, 0, 0], [1.5, 0, 0, 0, 0]])).text() == "if ball_x > 2: right\nelse: left"
    )


def test_rounded_to_few_digits():
    found = program((above(((0, 1.0), (2, -0.98765)), 20.4837), 1), (below(V, -0.0012345), 2)).rounded(3)
    assert found.text() == "right if ball_x - 0.988*paddle_x > 20.5\nleft if ball_vx < -0.00123\nelse stay"
    tree = PolicyTree(BREAKOUT, ACTIONS, Branch(above(X, 12345.6), 1, 0)).rounded(2)
    assert tree.text() == f"if ball_x > {number_text(12000.0)}: right\nelse: stay"


# ---- exported


def test_an_export_says_what_is_wrong_with_an_observation():
    policy = program((above(X, 1), 1), schema=policy_schema(["x", "y"], [0]), changes=(0,))
    space = {}
    exec(policy.export("python"), space)
    for given_, message in [
        ({"y": 1}, "lacks column 'x'"),
        ([1], r"has 2 values .* got 1"),
        ([float("nan"), 0], "column 'x' needs a finite number; got nan"),
        ([float("-inf"), 0], "column 'x' needs a finite number; got -inf"),
    ]:
        with pytest.raises(ValueError, match=message):
            space["act"](given_)
    assert space["act"](np.array([2.0, 0.0], dtype=np.float32)) == 1
    assert c_actions(compiled(policy.export("c")), [([float("nan"), 0.0], None), ([2.0, 0.0], None)]) == [-1, 1]
    assert "column x needs a finite number; got null" in run_script(policy, [[[None, 0]]]).stderr
    assert "has 2 values; got 1" in run_script(policy, [[[1]]]).stderr
    assert "lacks column x" in run_script(policy, [[{"y": 1}]]).stderr


def test_the_python_export_imports_nothing():
    text = ONE_LINE.export("python")
    assert "import" not in text.replace("important", "")
    assert text.endswith(
        "    d = ball_x - paddle_x + 2 * ball_vx - paddle_vx\n    if d > 20.5:\n        return 1  # right\n"
        "    if d < -3.5:\n        return 2  # left\n    return 0  # stay\n"
    )
