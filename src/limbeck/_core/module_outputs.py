"""The raw outputs of a torch module for one batch, as ``(n, k)``, with one wording for what can go wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limbeck._core.errors import TeacherError
from limbeck._core.module_kept import module_kept, random_state_kept

if TYPE_CHECKING:
    import torch

__all__ = ["module_outputs", "outputs_as_it_is"]


def module_outputs(model: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """The answers ``(n, k)``, in the mode that the module is in.

    Raises
    ------
    TeacherError
        Where it raises, or does not give a tensor ``(n,)`` or ``(n, k)``.
    """
    import torch

    name = f"the network {type(model).__name__}"
    try:
        answers: Any = model(rows)
    except Exception as error:
        raise TeacherError(
            f"{name} raised {type(error).__name__} on rows of shape {tuple(rows.shape)}: {str(error)[:300]}. Give it "
            "rows of the shape that it was trained on."
        ) from error
    if not isinstance(answers, torch.Tensor) or answers.ndim not in (1, 2) or len(answers) != len(rows):
        shape = tuple(getattr(answers, "shape", ())) or type(answers).__name__
        raise TeacherError(
            f"{name} must answer {len(rows)} rows with one tensor of raw outputs, ({len(rows)},) or ({len(rows)}, k); "
            f"got {shape}. Wrap it in a module whose forward() returns the outputs to be explained."
        )
    return answers[:, None] if answers.ndim == 1 else answers


def outputs_as_it_is(model: torch.nn.Module, X: Any) -> torch.Tensor:
    """The answers ``(n, k)`` in evaluation mode, without gradients; everything is as it was afterwards.

    Rows of floating point are given in the module's own type, on its device.

    Raises
    ------
    TeacherError
        As `module_outputs`, and for answers that are not finite.
    """
    import torch

    rows = torch.as_tensor(X)
    own = next((t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()), None)
    if own is not None:
        rows = rows.to(device=own.device, dtype=own.dtype if rows.is_floating_point() else rows.dtype)
    with random_state_kept(), module_kept(model):
        answers = module_outputs(model, rows)
    if not bool(torch.isfinite(answers).all()):
        raise TeacherError(f"the network {type(model).__name__} answers with NaN or infinite numbers on these rows")
    return answers.detach()
