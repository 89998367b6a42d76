"""A block inside a network replaced: the formula as a torch module, what is refused, and nothing left behind."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sympy as sp
import torch

from limbeck._block import blocks, distill_block
from limbeck._block_module import as_module
from limbeck._block_result import BlockResult, judge_block
from limbeck._core.errors import InputError, StorageError, TeacherError
from limbeck._core.tables import Table
from limbeck.checks import Finding
from limbeck.readable import FormulaReadable, Readable, readable_from_dict
from limbeck.readable._language import choice
from limbeck.students import (
    FormulaRegressor,
    NetworkClassifier,
    RuleListClassifier,
    RuleSetRegressor,
    SoftTreeClassifier,
    TreeClassifier,
    TreeRegressor,
)
from running_cli import limbeck

x0, x1, x2 = sp.symbols("x0 x1 x2")
ROWS = np.random.default_rng(0).normal(size=(300, 3))
QUICK = FormulaRegressor(max_complexity=14, max_evaluations=20_000)
TREE = TreeRegressor(max_leaf_nodes=6)
Link = Any


def formula(*expressions: Any, link: Link = "identity", names: tuple[str, ...] = ()) -> FormulaReadable:
    task: Any = "regression" if link == "identity" else "classification"
    names = names or tuple(f"y{i}" for i in range(len(expressions)))
    return FormulaReadable(Table.read(ROWS).schema, task, names, tuple(sp.sympify(e) for e in expressions), link)


def random_expression(rng: np.random.Generator, depth: int) -> sp.Expr:
    """An expression of the language that is finite on all rows."""
    if depth == 0 or rng.random() < 0.15:
        return sp.Float(round(float(rng.normal()), 2)) if rng.random() < 0.4 else (x0, x1, x2)[rng.integers(3)]
    a, b = (random_expression(rng, depth - 1) for _ in range(2))
    made: list[Callable[[], sp.Expr]] = [
        lambda: sp.Add(a, b, sp.Float(0.7), evaluate=False),
        lambda: sp.Mul(a, b, evaluate=False),
        lambda: sp.Mul(a, sp.Pow(sp.Add(1, sp.Pow(b, 2, evaluate=False), evaluate=False), -1, evaluate=False)),
        lambda: sp.Pow(sp.Add(sp.Abs(a, evaluate=False), sp.Float(0.1), evaluate=False), sp.Rational(3, 2)),
        lambda: sp.exp(sp.Mul(-1, sp.Abs(a, evaluate=False), evaluate=False), evaluate=False),
        lambda: sp.log(sp.Add(sp.Abs(a, evaluate=False), sp.Float(0.5), evaluate=False), evaluate=False),
        lambda: sp.sqrt(sp.Add(sp.Pow(a, 2, evaluate=False), 1, evaluate=False), evaluate=False),
        lambda: sp.tanh(a, evaluate=False),
        lambda: sp.sin(a, evaluate=False),
        lambda: sp.Max(a, b, sp.Float(0.2), evaluate=False),
        lambda: sp.Min(a, b, evaluate=False),
        lambda: choice((a, sp.Le(x1, sp.Float(0.3))), (b, sp.And(x0 > 0, x2 < sp.Float(1.5))), (a * x2, True)),
    ]
    return made[rng.integers(len(made))]()


@pytest.mark.parametrize("seed", range(12))
def test_a_formula_as_a_module_gives_its_own_numbers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    readable = formula(*(random_expression(rng, 4) for _ in range(3)))
    module = as_module(readable)
    wanted, got = readable(ROWS), module(torch.tensor(ROWS)).detach().numpy()
    assert np.isfinite(wanted).all()
    np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)
    single = module(torch.tensor(ROWS, dtype=torch.float32))
    assert single.dtype == torch.float32
    assert module.readable().expressions == readable.expressions
    np.testing.assert_array_equal(copy.deepcopy(module)(torch.tensor(ROWS)).detach(), got)


def test_links_are_probabilities() -> None:
    for readable in (
        formula(3 * x0 - 800 * x1, link="logistic", names=("no", "yes")),
        formula(x0, 900 * x1, sp.Float(0.5), link="softmax", names=("a", "b", "c")),
    ):
        got = as_module(readable)(torch.tensor(ROWS)).detach().numpy()
        np.testing.assert_allclose(got, readable(ROWS), rtol=1e-12, atol=1e-12)
    rows = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    as_module(formula(x0, link="logistic", names=("no", "yes")))(rows)[0, 1].backward()
    assert rows.grad is not None
    assert rows.grad[0, 0].item() == pytest.approx(0.25)


def test_slopes_are_those_of_finite_differences() -> None:
    safe = choice((sp.sqrt(x0), x0 > sp.Float(0.1)), (sp.log(sp.Float(1.5) - x0), True))
    readable = formula(safe, sp.Float(1.7) * sp.exp(-(x1**2)) * x2, sp.Abs(x2) ** sp.Float(1.5))
    module = as_module(readable)
    rows = torch.tensor(ROWS[:40], requires_grad=True)
    assert torch.autograd.gradcheck(module, (rows,))
    constants = module.constants.detach().clone().requires_grad_(True)

    def of_constants(values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(module, {"constants": values}, (rows.detach(),))

    assert torch.autograd.gradcheck(of_constants, (constants,))


def test_a_branch_that_is_not_taken_has_no_slope() -> None:
    """torch.where alone gives 0 times infinity beside it."""
    plain = torch.tensor([-1.0, 4.0], requires_grad=True)
    torch.where(plain > 0, torch.sqrt(plain), plain).sum().backward()
    assert plain.grad is not None
    assert plain.grad.isnan().any()
    rows = torch.tensor([[-1.0, 0.0, 0.0], [4.0, 0.0, 0.0]], requires_grad=True)
    as_module(formula(choice((sp.sqrt(x0), x0 > 0), (x0, True))))(rows).sum().backward()
    assert rows.grad is not None
    assert rows.grad[:, 0].tolist() == [1.0, 0.25]


FRAME = pd.DataFrame(ROWS, columns=["a", "b", "c"]).assign(job=np.where(ROWS[:, 1] > 0, "nurse", "clerk"))
LABELS = np.where((FRAME["job"] == "nurse") & (FRAME["a"] > 0), "yes", "no")


def families() -> list[Readable]:
    y = ROWS[:, 0] + (FRAME["job"] == "nurse")
    return [
        TreeClassifier(max_leaf_nodes=5).fit(FRAME, LABELS).readable_,
        TreeRegressor(max_leaf_nodes=5).fit(FRAME, y).readable_,
        RuleListClassifier().fit(FRAME, LABELS).readable_,
        RuleSetRegressor(max_rules=5).fit(FRAME, y).readable_,
        SoftTreeClassifier(max_depth=2, max_steps=30, random_state=0).fit(FRAME, LABELS).readable_,
        NetworkClassifier(hidden_layer_sizes=(4,), max_epochs=2, random_state=0).fit(FRAME, LABELS).readable_,
    ]


def test_every_family_can_be_a_module() -> None:
    for readable in families():
        Z = readable.schema.encode(FRAME)
        module = as_module(readable)
        np.testing.assert_allclose(
            module(torch.tensor(Z)).detach().numpy(), readable.predict_encoded(Z), rtol=1e-9, atol=1e-9
        )
        with pytest.raises(InputError, match="only a formula can be read again"):
            module.readable()


def test_a_module_is_trained_and_read_again() -> None:
    module = as_module(formula(sp.Float(1.0) * x0 + sp.Float(0.5)))
    optimiser = torch.optim.SGD(module.parameters(), lr=0.3)
    rows = torch.tensor(ROWS)
    for _ in range(60):
        optimiser.zero_grad()
        ((module(rows)[:, 0] - (3.25 * rows[:, 0] - 2)) ** 2).mean().backward()
        optimiser.step()
    assert module.readable(3).text() == "y0 = 3.25*x0 - 2"
    other = as_module(formula(sp.Float(9.0) * x0 + sp.Float(9.0)))
    other.load_state_dict(module.state_dict())
    torch.testing.assert_close(other(rows), module(rows))
    assert as_module(formula(x0)).constants.shape == (0,)


def test_what_is_no_readable_is_refused() -> None:
    with pytest.raises(InputError, match="readable model is required"):
        as_module("x0 + 1")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"rows of shape \(n, 3\) are required"):
        as_module(formula(x0))(torch.zeros(5, 2))
    with pytest.raises(InputError, match="gamma is not an operation"):
        as_module(formula(sp.gamma(x0)))


class Law(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x[:, 0] * x[:, 1], x[:, 1] + 0.5, torch.ones_like(x[:, 0]), x[:, 0] - 3], dim=1)


class Net(torch.nn.Module):
    """A law inside: its third output never varies, and nothing reads its fourth."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh())
        self.norm = torch.nn.BatchNorm1d(3)
        self.drop = torch.nn.Dropout(0.5)
        self.law = Law()
        self.last = torch.nn.Linear(4, 1)
        with torch.no_grad():
            self.first[0].weight.copy_(torch.randn(3, 3, generator=generator))  # type: ignore[union-attr]
            self.first[0].bias.zero_()  # type: ignore[union-attr]
            self.last.weight.copy_(torch.tensor([[2.0, 1.0, 0.5, 0.0]]))
            self.last.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.law(self.drop(self.norm(self.first(x)))))


@pytest.fixture(scope="module")
def found() -> BlockResult:
    return distill_block(Net(), ROWS, ROWS[:, 0], at="law", student=QUICK, n_queries=300, random_state=0)


def test_the_block_is_replaced(found: BlockResult) -> None:
    assert found.verdict == "faithful"
    assert found.outputs == (0, 1)
    assert set(found.constants) == {2, 3}
    assert found.constants[2] == 1.0
    assert found.inputs == (0, 1)
    assert found.readable.schema.names == ("drop[0]", "drop[1]")
    assert found.readable.output_names == ("law[0]", "law[1]")
    net = Net().eval()
    rows = torch.tensor(ROWS, dtype=torch.float32)
    assert (net(rows) - found.model(rows)).abs().max() < 0.05
    assert found.effects["outputs"][0] > 0.1
    assert found.effects["outputs"][3] == 0.0
    assert found.whole.value is not None
    assert found.whole.value > 0.99
    assert found.constant is not None
    assert found.constant < 0.2
    assert not any(part.training for part in found.model.modules())


def test_the_new_network_can_be_trained_on(found: BlockResult) -> None:
    model = copy.deepcopy(found.model)
    rows = torch.tensor(ROWS, dtype=torch.float32)
    model(rows).sum().backward()
    module = model.get_submodule("law")
    constants = module.get_parameter("formula.constants")
    assert constants.grad is not None
    assert constants.grad.isfinite().all()
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    other = copy.deepcopy(found.model)
    with torch.no_grad():
        other.get_submodule("law").get_parameter("formula.constants").zero_()
    other.load_state_dict(found.model.state_dict())
    torch.testing.assert_close(other.double()(rows.double()).float(), found.model(rows), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(model.train()(rows).shape, (300, 1))


def test_it_is_read_saved_and_told(found: BlockResult, tmp_path: Path) -> None:
    text = found.text()
    for part in ("`law[0]` = ", "`law[2]` = 1", "the network with it: R2", "on the truth", "constant", "faithful"):
        assert part in text
    assert found.before is not None
    assert found.after is not None
    assert found.after["change_interval"][0] <= found.after["change"] <= found.after["change_interval"][1]
    folder = found.save(tmp_path / "block")
    document = json.loads((folder / "block.json").read_text(encoding="utf-8"))
    assert document["format"] == "limbeck-block"
    assert document["verdict"] == "faithful"
    np.testing.assert_array_equal(readable_from_dict(document["readable"])(ROWS[:, :2]), found.readable(ROWS[:, :2]))
    assert (folder / "model.safetensors").stat().st_size > 100
    found.save(folder)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(StorageError, match="holds no block"):
        found.save(tmp_path / "other")


def state_of(net: torch.nn.Module) -> list[Any]:
    return [
        [part.training for part in net.modules()],
        [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in net.modules()],
        [p.detach().clone() for p in net.parameters()],
        [None if p.grad is None else p.grad.clone() for p in net.parameters()],
        [p.requires_grad for p in net.parameters()],
        [b.clone() for b in net.buffers()],
        torch.get_rng_state(),
        random.getstate(),
        np.random.get_state()[1],  # noqa: NPY002
    ]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(np.array_equal(np.asarray(a), np.asarray(b))) if isinstance(a, torch.Tensor | np.ndarray) else a == b


@pytest.mark.parametrize("student", [TREE, QUICK, "raises"])
def test_the_network_is_left_as_it_was(student: Any) -> None:
    class Raises(TreeRegressor):
        def fit(self, *args: Any, **kwargs: Any) -> Any:
            raise ValueError("on purpose")

    net = Net()
    net.norm.eval()
    net(torch.tensor(ROWS, dtype=torch.float32)).sum().backward()
    net.last.bias.requires_grad_(False)
    net.first.register_forward_hook(lambda module, args, output: output * 1.0)
    before = state_of(net)
    if student == "raises":
        with pytest.raises(ValueError, match="on purpose"):
            distill_block(net, ROWS, at="law", student=Raises(), n_queries=0)
    else:
        distill_block(net, ROWS, at="law", student=student, n_queries=100, random_state=0)
    assert same(before, state_of(net))


def test_the_same_seed_gives_the_same(found: BlockResult) -> None:
    again = distill_block(Net(), ROWS, ROWS[:, 0], at="law", student=QUICK, n_queries=300, random_state=0)
    assert again.readable.text() == found.readable.text()
    assert again.whole == found.whole


def test_a_tree_takes_the_place_too() -> None:
    lines: list[str] = []
    found = distill_block(
        Net(),
        pd.DataFrame(ROWS, columns=["a", "b", "c; DROP TABLE"]),
        at="first",
        student=TREE,
        random_state=0,
        progress=lambda what, done, total: lines.append(what),
    )
    assert found.readable.family == "tree"
    assert found.readable.schema.names[2] == "c; DROP TABLE"
    assert found.untuned is None
    assert found.before is None
    assert "block first: 3 inputs, 3 outputs" in lines[0]
    rows = torch.tensor(ROWS, dtype=torch.float32)
    assert found.model(rows).shape == (300, 1)


def test_columns_scaled_inside_keep_their_names() -> None:
    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.law = Law()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.law((x - 5.0) / 2.0).sum(dim=1)

    found = distill_block(Scaled(), ROWS, at="law", student=QUICK, names=["a", "b", "c"], random_state=0)
    assert found.readable.schema.names == ("a (scaled)", "b (scaled)")
    assert any("a (scaled) = (a - 5) / 2" in note for note in found.notes)


def test_few_inputs_are_chosen_and_it_is_said() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 40), torch.nn.Linear(40, 1))
    with torch.no_grad():
        net[1].weight.mul_(torch.cat([torch.full((1, 3), 20.0), torch.full((1, 37), 0.01)], dim=1))
    found = distill_block(net, ROWS, at="1", student=TREE, max_inputs=3, random_state=0)
    assert found.inputs == (0, 1, 2)
    assert found.effects["inputs_left_out"] < 1e-3
    assert any("3 of 40 inputs" in note for note in found.notes)


class Odd(torch.nn.Module):
    """Blocks that can't be replaced, each for its own reason."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = torch.nn.Linear(3, 3)
        self.two = torch.nn.Bilinear(3, 3, 2)
        self.conv = torch.nn.Conv2d(1, 2, 1)
        self.gru = torch.nn.GRUCell(3, 2)
        self.lstm = torch.nn.LSTM(3, 2)
        self.never = torch.nn.Linear(3, 1)
        self.tied = torch.nn.Linear(3, 3)
        self.good = torch.nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.twice(self.twice(x)) + self.two(x, x).sum(1, keepdim=True)
        x = x + self.conv(x[:, None, :, None]).mean((1, 3)) + self.gru(x, hx=None).sum(1, keepdim=True)
        x = x + self.lstm(x)[0].sum(1, keepdim=True) * 0
        return self.good(x + self.tied(x) @ self.tied.weight).squeeze(1)


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("twice", "called 2 times in one answer"),
        ("two", "takes 2 inputs"),
        ("conv", r"shape \(n, 1, 3, 1\): maps of a convolution"),
        ("gru", "takes 1 inputs and the arguments"),
        ("lstm", "gives a tuple"),
        ("never", "never called as a module"),
        ("tied", "read the block's own weights"),
        ("god", "one of|Did you mean 'good'"),
        (None, "at names the block to replace"),
        (3, "must be the name of a module"),
    ],
)
def test_blocks_that_cannot_be_replaced_are_refused_by_name(at: Any, why: str) -> None:
    with pytest.raises(InputError, match=why):
        distill_block(Odd().double(), ROWS, at=at, student=TREE, n_queries=0, random_state=0)


def test_blocks_are_listed() -> None:
    table = blocks(Odd(), ROWS).set_index("name")
    assert table.loc["good", "can_replace"]
    assert (table.loc["good", "inputs"], table.loc["good", "outputs"], table.loc["good", "parameters"]) == (3, 1, 4)
    assert not table.loc["twice", "can_replace"]
    assert "2 times" in table.loc["twice", "why"]
    assert table.loc["good", "seconds"] > 1


class Answers(torch.nn.Module):
    """A network that answers what it is told to."""

    def __init__(self, answer: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.inside, self.answer = torch.nn.Linear(3, 1), answer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.answer(self.inside(x))


@pytest.mark.parametrize(
    ("model", "rows", "more", "error", "match"),
    [
        ("model.onnx", ROWS, {}, InputError, "In a .pt2 or .onnx file the modules are gone"),
        (lambda X: X[:, 0], ROWS, {}, InputError, "torch.nn.Module is required"),
        (Net(), ROWS[:5], {}, InputError, "at least 20 rows"),
        (Net(), ROWS[:, :2], {}, TeacherError, "raised RuntimeError"),
        (Net(), np.where(ROWS > 2, np.nan, ROWS), {}, InputError, "missing"),
        (Net(), np.where(ROWS > 2, np.inf, ROWS), {}, InputError, "infinity"),
        (Net(), ROWS, {"tune": 2}, InputError, "from 0 to 1"),
        (Net(), ROWS, {"max_inputs": 0}, InputError, "max_inputs must be"),
        (Net(), ROWS, {"n_queries": -1}, InputError, "n_queries must be"),
        (Net(), ROWS, {"holdout": 1.0}, InputError, "between 0 and 1"),
        (Net(), ROWS, {"student": "forest"}, InputError, "student is one of"),
        (Net(), ROWS, {"student": TreeClassifier()}, InputError, "a regressor is required"),
        (Net(), ROWS, {"y": ROWS[:9, 0]}, InputError, "must have 300 rows"),
        (Answers(lambda h: h * float("nan")), ROWS, {"at": "inside"}, TeacherError, "NaN"),
        (Answers(lambda h: h + torch.rand_like(h)), ROWS, {"at": "inside"}, TeacherError, "random"),
        (Answers(lambda h: h * 0 + 1), ROWS, {"at": "inside"}, InputError, "no output of the block matters"),
        (torch.nn.ReLU(), ROWS, {}, InputError, "no modules inside"),
    ],
)
def test_bad_calls(model: Any, rows: Any, more: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        distill_block(model, rows, **{"at": "law", "student": TREE, **more})


def test_constant_columns_and_one_answer_do_not_stop_it() -> None:
    rows = np.column_stack([ROWS[:, :2], np.full(300, 7.0)])
    found = distill_block(Net(), rows, at="first", student=TREE, n_queries=0, random_state=0)
    assert 2 not in found.inputs


def test_rows_outside_the_domain_are_said() -> None:
    class Logs(TreeRegressor):
        def fit(self, X: Any, y: Any, **kwargs: Any) -> Any:
            super().fit(X, y, **kwargs)
            names = self.readable_.output_names
            expressions = tuple(sp.log(x0) for _ in names)
            self.readable_ = FormulaReadable(X.schema, "regression", names, expressions)
            return self

    found = distill_block(Net(), ROWS, ROWS[:, 0], at="law", student=Logs(), tune=0, n_queries=0, random_state=0)
    assert found.whole.status == "fail"
    assert "not a number on" in found.whole.message
    assert "outside its domain" in found.fidelity.message
    assert found.verdict.startswith("do not use")
    json.dumps(found.to_dict(), allow_nan=False)
    assert "do not use" in found.text()


def test_the_verdict_says_what_is_worse() -> None:
    good = Finding("", "pass", 0.9, (0.85, 0.95), 0.8, "R2 0.900")
    before = {"metric": "R2", "value": 0.9, "rmse": [1.0]}
    after = {"metric": "R2", "value": 0.8, "rmse": [1.4], "change": -0.1, "change_interval": [-0.2, -0.01]}
    assert judge_block(good, good, 0.1, before, {**after, "change": -0.01}) == "faithful"
    assert "clearly worse on the truth: R2 0.900" in judge_block(good, good, 0.1, before, after)
    assert "hardly needs the block" in judge_block(good, good, 0.86)
    open_one = Finding("", "inconclusive", 0.8, (0.7, 0.9), 0.8, "R2 0.800")
    assert judge_block(open_one, good, 0.1).startswith("use with care: the network is not certain")
    assert judge_block(Finding("", "fail", 0.1, (0.0, 0.2), 0.8, "R2 0.1"), good, 0.1).startswith("do not use")


def test_text_columns_and_a_module_of_two_names() -> None:
    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Linear(3, 1)
            self.other = self.one

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tanh(self.other(x))

    def numbers(frame: pd.DataFrame) -> np.ndarray:
        return np.column_stack([frame["a"], frame["b"], frame["job"] == "nurse"]).astype(np.float32)

    torch.manual_seed(1)
    found = distill_block(
        Two(), FRAME[["a", "b", "job"]], at="other", student=TREE, preprocess=numbers, n_queries=50, random_state=0
    )
    assert found.at == "other"
    assert found.readable.schema.names == ("other.in[0]", "other.in[1]", "other.in[2]")
    assert type(found.model.get_submodule("one")).__name__ == "BlockModule"
    assert found.model.get_submodule("one") is found.model.get_submodule("other")


def test_a_classifier_keeps_its_classes() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh(), torch.nn.Linear(2, 3))
    with torch.no_grad():
        net[2].weight.mul_(6.0)
    labels = np.array(["a", "b", "c"])[net(torch.tensor(ROWS, dtype=torch.float32)).argmax(1).numpy()]
    student = FormulaRegressor(max_complexity=30, max_evaluations=8_000)
    found = distill_block(net, ROWS, labels, at="0", student=student, random_state=0, output="logits")
    assert found.before == {"metric": "accuracy", "value": 1.0, "interval": found.before["interval"]}  # type: ignore[index]
    assert found.after is not None
    assert found.after["value"] > 0.9
    assert "same class as the network as it was" in found.whole.message
    assert found.verdict == "faithful"


NETWORK = """
import torch
def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("block")
    pd.DataFrame(ROWS, columns=["a", "b", "out"]).to_csv(folder / "rows.csv", index=False)
    (folder / "blocknets.py").write_text(NETWORK, encoding="utf-8")
    return folder


def test_the_command_line(place: Path) -> None:
    common = ("block", "--teacher", "blocknets:net", "--data", "rows.csv", "--target", "out")
    listed = limbeck(*common, cwd=place)
    assert listed.returncode == 0, listed.stderr
    assert "Tanh" in listed.stdout
    assert [row["name"] for row in json.loads(limbeck(*common, "--json", cwd=place).stdout)] == ["0", "1", "2"]
    ran = limbeck(*common, "--at", "0", "--students", "tree", "--queries", "0", "--quiet", cwd=place)
    assert ran.returncode in (0, 3), ran.stderr
    assert "the network with it: R2" in ran.stdout
    assert "on the truth" in ran.stdout
    assert (place / "runs/block/block.json").is_file()
    quick = ("--at", "2", "--max-symbols", "1", "--queries", "0", "--json", "--out", "runs/one")
    one = limbeck(*common, *quick, cwd=place)
    assert one.returncode == 3
    assert json.loads(one.stdout)["verdict"].startswith("do not use")


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (("--teacher", "model.onnx", "--at", "0"), "the network must come as an object"),
        (("--teacher", "blocknets:net", "--at", "9"), "must be the name of a module"),
        (("--teacher", "blocknets:nets", "--at", "0"), "Did you mean 'net'"),
        (("--teacher", "blocknets:net", "--at", "0", "--students", "tree,formula"), "names one family"),
        (("--teacher", "blocknets:net", "--at", "0", "--students", "tree", "--max-symbols", "9"), "is for --students"),
    ],
)
def test_bad_command_lines(place: Path, more: tuple[str, ...], match: str) -> None:
    ran = limbeck("block", "--data", "rows.csv", "--target", "out", *more, cwd=place)
    assert ran.returncode == 2
    assert match in ran.stderr
