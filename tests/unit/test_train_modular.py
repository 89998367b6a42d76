"""Training for modules: the two phases, the same numbers for a seed, nothing left behind, stops, bad inputs."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from limbeck._core.errors import InputError, TeacherError
from limbeck.modularity._split import split
from limbeck.modularity._train_modular import ModularTraining, train_modular

QUICK: dict[str, Any] = {"k": 2, "warmup_epochs": 1, "epochs": 2, "lr": 0.01, "random_state": 0}


def network(outputs: int = 2, dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(0)
    layers = (nn.Linear(4, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, outputs))
    return nn.Sequential(*layers)


def rows(n: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    X = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    return X, (X[:, 0] * X[:, 1] > 0).long()


def state(model: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


class Stops:
    """A progress function that stops the run after so many epochs, as Ctrl-C does."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, what: str, done: int, total: int) -> None:
        if total and done == self.after:
            raise KeyboardInterrupt


def test_two_phases_make_a_network_that_is_less_enmeshed() -> None:
    model = network()
    found = train_modular(model, rows(), k=2, warmup_epochs=2, epochs=40, lr=0.01, random_state=0)
    assert isinstance(found, ModularTraining)
    assert found.model is model
    assert found.complete
    assert list(found.history["phase"]) == ["plain"] * 2 + ["modular"] * 40
    assert list(found.clusters) == ["3"]
    assert found.clusters["3"].k == 2
    assert found.history["enmeshment"].isna().tolist() == [True] * 2 + [False] * 40
    assert found.history["enmeshment"].iloc[-1] < 0.1 * found.history["enmeshment"].iloc[2]
    weight = model[3].weight.detach().numpy() ** 2
    mask = found.clusters["3"].mask()
    assert 1 - weight[mask].sum() / weight.sum() == pytest.approx(found.history["enmeshment"].iloc[-1], abs=1e-6)


@pytest.mark.parametrize("validation", [None, rows()])
def test_a_last_phase_holds_the_weights_between_clusters_at_0(validation: Any) -> None:
    model = network()
    how: dict[str, Any] = {"k": 2, "warmup_epochs": 2, "epochs": 8, "lr": 0.01, "random_state": 0}
    found = train_modular(model, rows(), **how, split_epochs=30, validation=validation)
    assert list(found.history["phase"]) == ["plain"] * 2 + ["modular"] * 8 + ["split"] * 30
    outside = ~found.clusters["3"].mask()
    assert outside.any()
    assert (model[3].weight.detach().numpy()[outside] == 0).all()
    without = network()
    train_modular(without, rows(), **how)
    assert (without[3].weight.detach().numpy()[outside] != 0).any()
    X, y = rows()
    assert torch.equal(split(found).network(X), model(X))
    scored = [nn.functional.cross_entropy(split(net, found.clusters).network(X), y).item() for net in (model, without)]
    assert scored[0] < 0.9 * scored[1]


def test_weights_made_anew_can_not_be_held_at_0() -> None:
    model = network()
    torch.nn.utils.parametrizations.weight_norm(model[3])
    with pytest.raises(InputError, match="made anew"):
        train_modular(model, rows(), **QUICK, split_epochs=1)


def test_units_may_be_clustered_by_gradients() -> None:
    ways: tuple[Any, ...] = ("weights", "gradients")
    one, other = (train_modular(network(), rows(), **QUICK, affinity=how).clusters["3"] for how in ways)
    assert one.to_dict() != other.to_dict()
    with pytest.raises(InputError, match="affinity must be"):
        train_modular(network(), rows(), **QUICK, affinity="colour")  # type: ignore[arg-type]


def test_without_strength_nothing_comes_apart() -> None:
    found = train_modular(network(), rows(), k=2, strength=0.0, warmup_epochs=2, epochs=40, lr=0.01, random_state=0)
    assert found.history["enmeshment"].iloc[-1] > 0.2


@pytest.mark.parametrize("kind", ["arrays", "numpy", "loader", "loader with a generator"])
def test_the_same_seed_gives_the_same_weights_and_leaves_nothing_behind(kind: str) -> None:
    X, y = rows()
    generator = torch.Generator().manual_seed(5)
    loader: Any = {
        "arrays": lambda: (X, y),
        "numpy": lambda: (X.numpy().astype(np.float64), y.numpy().astype(np.uint8)),
        "loader": lambda: DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True),
        "loader with a generator": lambda: DataLoader(
            TensorDataset(X, y), batch_size=32, shuffle=True, generator=generator
        ),
    }[kind]()
    got = []
    for global_seed in (1, 2):
        model = network(dropout=0.3)
        model.eval()
        model[0].train()
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)  # noqa: NPY002
        before = torch.get_rng_state(), np.random.get_state()[1].copy(), generator.get_state()  # type: ignore[union-attr,index] # noqa: NPY002
        found = train_modular(model, loader, **QUICK)
        after = torch.get_rng_state(), np.random.get_state()[1], generator.get_state()  # type: ignore[index] # noqa: NPY002
        assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
        assert [part.training for part in model] == [True] + [False] * 5
        assert not model.training
        assert all(p.grad is None for p in model.parameters())
        got.append((state(model), found.history.drop(columns="seconds")))
    assert same(got[0][0], got[1][0])
    assert got[0][1].equals(got[1][1])
    other = network(dropout=0.3)
    train_modular(other, loader, **{**QUICK, "random_state": 1})
    assert not same(state(other), got[0][0])


def test_the_best_epoch_on_validation_rows_is_what_stays() -> None:
    X, y = rows(200)
    model = network()
    held = (X[100:], y[100:])
    how: dict[str, Any] = {**QUICK, "epochs": 60, "lr": 0.1, "patience": 3, "validation": held}
    found = train_modular(model, (X[:100], y[:100]), **how)
    modular = found.history[found.history["phase"] == "modular"]
    watched = (modular["validation"] + 20 * modular["enmeshment"]).to_numpy()
    assert len(modular) < 60
    assert len(modular) == int(watched.argmin()) + 1 + 3
    model.eval()
    loss = float(nn.functional.cross_entropy(model(held[0]), held[1]).detach())
    assert loss == pytest.approx(modular["validation"].iloc[int(watched.argmin())], abs=1e-5)
    assert loss != pytest.approx(modular["validation"].iloc[-1], abs=1e-3)
    assert found.complete


@pytest.mark.parametrize("after", [1, 2])
def test_a_stop_keeps_what_is_done(after: int) -> None:
    model, whole = network(), network()
    before = state(model)
    found = train_modular(model, rows(), **{**QUICK, "warmup_epochs": 1, "epochs": 9}, progress=Stops(after))
    assert not found.complete
    assert len(found.history) == after
    assert set(found.clusters) == {"3"}
    assert not same(state(model), before)
    train_modular(whole, rows(), **{**QUICK, "warmup_epochs": 1, "epochs": after - 1 or 1})
    assert same(state(model), state(whole)) == (after > 1)


def test_the_cost_is_said_before_the_work_and_progress_counts_epochs() -> None:
    said: list[tuple[str, int, int]] = []
    train_modular(network(), rows(), **QUICK, progress=lambda *what: said.append(what))
    assert "3 epochs of 2 steps" in said[0][0]
    assert "about" in said[0][0]
    assert said[0][1:] == (0, 0)
    assert [done for _, done, total in said if total][:3] == [1, 2, 3]
    assert "clusters of units (3: " in "".join(what for what, _, _ in said)


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.head = nn.Linear(6 * 9, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(self.first(x).relu(), 2)
        return self.head(self.second(x).relu().flatten(1))


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(x).mean(dim=1))


@pytest.mark.parametrize(
    ("make", "shape", "layers"),
    [
        (Convolutions, (1, 6, 6), ["second"]),
        (Convolutions, (1, 6, 6), ["first", "second", "head"]),
        (Transformer, (3, 8), ["block.linear1", "block.linear2"]),
    ],
)
def test_convolutions_and_transformers_come_apart(
    make: Callable[[], nn.Module], shape: tuple[int, ...], layers: list[str]
) -> None:
    torch.manual_seed(0)
    model = make()
    X = torch.randn(64, *shape, generator=torch.Generator().manual_seed(0))
    y = (X.flatten(1)[:, 0] > 0).long()
    if "first" in layers:
        layers = layers[1:]  # one input channel can't be in two clusters
    found = train_modular(model, (X, y), layers=layers, k=2, warmup_epochs=1, epochs=60, lr=0.02, random_state=0)
    enmeshed = found.history["enmeshment"].dropna()
    assert list(found.clusters) == layers
    assert enmeshed.iloc[-1] < 0.1 * enmeshed.iloc[0]


def test_regression_with_one_output_is_not_broadcast() -> None:
    X, _ = rows()
    y = X[:, 0]
    model = network(outputs=1)
    found = train_modular(model, (X, y), k=2, strength=0.1, warmup_epochs=40, epochs=1, lr=0.01, random_state=0)
    assert found.history["loss"].iloc[-1] < 0.1 * float(y.var())


def test_a_loss_and_an_optimiser_of_ones_own() -> None:
    X, y = rows()
    model = network()
    seen: list[int] = []

    def loss(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append(len(target))
        return nn.functional.cross_entropy(outputs, target)

    own = torch.optim.SGD(model.parameters(), 0.1)
    train_modular(model, (X, y), **QUICK, loss=loss, optimizer=own)
    other = network()
    train_modular(other, (X, y), **QUICK, optimizer=lambda some: torch.optim.SGD(some, 0.1))
    assert seen[:2] == [64, 32]
    assert same(state(model), state(other))


class Fails(nn.Module):
    """Answers NaN, or raises, from the fourth batch on."""

    def __init__(self, raises: bool) -> None:
        super().__init__()
        self.inner, self.calls, self.raises = network(), 0, raises

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls > 3 and self.raises:
            raise ValueError("no more")
        return self.inner(x) * (math.nan if self.calls > 3 else 1.0)


@pytest.mark.parametrize(("raises", "says"), [(True, "Fails or the loss raised ValueError.*no more"), (False, "loss")])
def test_where_the_model_fails_its_weights_are_those_of_before(raises: bool, says: str) -> None:
    model = Fails(raises)
    model.eval()
    before = state(model)
    with pytest.raises(TeacherError, match=says):
        train_modular(model, rows(), **QUICK)
    assert same(state(model), before)
    assert not model.inner.training


def test_bad_rows_are_said_before_anything_is_trained() -> None:
    X, y = rows()
    bad = X.clone()
    bad[3, 1] = math.nan
    for data, says in (
        ((bad, y), "X must be finite; 1 of 96 rows"),
        ((X, y[:5]), r"X \(n, ...\) and y"),
        ((X[:0], y[:0]), "n >= 1"),
        ((X, np.array(["a"] * 96)), "must be numbers"),
        (X, "DataLoader or a pair"),
        ((X, y + 1), "labels must be 0 to 1"),
        ((X, torch.stack([X[:, 0]] * 3, dim=1)), "a number for each output"),
        (DataLoader(TensorDataset(X), batch_size=8), "pairs"),
    ):
        model = network()
        before = copy.deepcopy(state(model))
        with pytest.raises(InputError, match=says):
            train_modular(model, data, **QUICK)
        assert same(state(model), before)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"k": 1}, "k must be"),
        ({"k": 20}, "k must be"),
        ({"strength": math.nan}, "strength must be"),
        ({"strength": -1.0}, "strength must be"),
        ({"warmup_epochs": -1}, "warmup_epochs must be"),
        ({"epochs": 0}, "epochs must be"),
        ({"split_epochs": -1}, "split_epochs must be"),
        ({"epochs": 2.5}, "epochs must be"),
        ({"lr": 0.0}, "lr must be"),
        ({"patience": 2}, "patience needs validation"),
        ({"patience": 0, "validation": rows()}, "patience must be"),
        ({"layers": ["nowhere"]}, "nowhere"),
        ({"device": "nonsense"}, "device must be"),
        ({"loss": lambda outputs, y: outputs}, "one number"),
        ({"optimizer": lambda some: None}, "torch.optim.Optimizer"),
        ({"optimizer": torch.optim.SGD(nn.Linear(2, 2).parameters(), 0.1)}, "the model's parameters"),
    ],
)
def test_bad_arguments_are_refused(how: dict[str, Any], says: str) -> None:
    model = network()
    before = state(model)
    with pytest.raises(InputError, match=says):
        train_modular(model, rows(), **{**QUICK, **how})
    assert same(state(model), before)


def test_a_model_without_weights_is_refused() -> None:
    with pytest.raises(InputError, match=r"torch\.nn\.Module"):
        train_modular(len, rows())  # type: ignore[arg-type]
    frozen = network()
    frozen.requires_grad_(False)
    with pytest.raises(InputError, match="requires_grad"):
        train_modular(frozen, rows(), **QUICK)


def test_frozen_weights_stay() -> None:
    model = network()
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    train_modular(model, rows(), **QUICK)
    assert torch.equal(model[0].weight, before)
    assert not model[0].weight.requires_grad
