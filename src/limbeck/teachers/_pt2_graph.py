"""An exported graph, run one operator at a time: a list of allowed operators, and nothing else, is ever called.

Names of operators in the file are looked up in `OPERATORS`; there is no general attribute access, no generated code and
no evaluation of text. The graph's own assertions are not run.

Checked: against torch's own loader on dense, convolutional, recurrent, attention and embedding networks.
Cost: that of the operators, on the CPU.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch

from limbeck._core.errors import TeacherError
from limbeck.teachers._pt2_archive import DTYPES

__all__ = ["OPERATORS", "UnsupportedGraphError", "check_graph", "run_graph"]

OPERATORS = frozenset(
    """
    abs absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d add addbmm
    addcdiv addcmul addmm addmv addr adjoint alias all alpha_dropout amax amin aminmax any arange arccos arccosh arcsin
    arcsinh arctan arctan2 arctanh argmax argmin argsort as_strided asin asinh atan atan2 atanh atleast_1d atleast_2d
    avg_pool1d avg_pool2d baddbmm batch_norm bernoulli bilinear bitwise_and bitwise_not bitwise_or bitwise_xor bmm
    broadcast_tensors broadcast_to bucketize cat cdist ceil celu channel_shuffle chunk clamp clamp_max clamp_min clip
    clone column_stack concat concatenate constant_pad_nd contiguous conv1d conv2d conv_transpose1d conv_transpose2d
    convolution copy copysign cos cosh cosine_similarity count_nonzero cross cummax cummin cumprod cumsum deg2rad
    detach diag diag_embed diagonal digamma div divide dot dropout einsum elu embedding embedding_bag empty empty_like
    eq erf erfc erfinv exp exp2 expand expand_as expm1 eye feature_alpha_dropout feature_dropout fill flatten flip
    fliplr flipud float_power floor floor_divide fmax fmin fmod frac full full_like gather ge gelu glu greater
    greater_equal group_norm gru gru_cell gt hardshrink hardsigmoid hardswish hardtanh heaviside hstack hypot index
    index_add index_copy index_fill index_put index_select inner instance_norm isclose isfinite isinf isnan isneginf
    isposinf kron kthvalue layer_norm le leaky_relu lerp less less_equal lgamma lift_fresh lift_fresh_copy
    linalg_matmul linalg_norm linalg_vecdot linalg_vector_norm linear linspace log log10 log1p log2 log_sigmoid
    log_softmax logaddexp logaddexp2 logcumsumexp logical_and logical_not logical_or logical_xor logit logsumexp lstm
    lstm_cell lt masked_fill masked_scatter masked_select matmul max max_pool1d max_pool2d maximum mean median meshgrid
    min minimum mish mm movedim mul multiply mv nan_to_num nanmean nansum narrow native_batch_norm native_dropout
    native_group_norm native_layer_norm ne neg negative new_empty new_full new_ones new_zeros norm not_equal one_hot
    ones ones_like outer pad pairwise_distance permute pixel_shuffle polygamma positive pow prelu prod quantile rad2deg
    rand_like randn_like reciprocal reflection_pad1d relu relu6 remainder repeat repeat_interleave replication_pad1d
    reshape reshape_as rms_norm rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell roll rot90 round rrelu rsqrt rsub
    scalar_tensor scaled_dot_product_attention scatter scatter_add scatter_reduce searchsorted select select_scatter
    selu sgn sigmoid sign signbit silu sin sinc sinh slice slice_scatter softmax softplus softshrink sort special_entr
    special_erf special_erfc special_expit special_expm1 special_log1p special_logit special_logsumexp special_ndtr
    special_softmax special_log_softmax split split_with_sizes sqrt square squeeze stack std std_mean sub subtract sum
    swapaxes swapdims sym_numel sym_size sym_storage_offset sym_stride t take take_along_dim tan tanh tensordot
    tensor_split threshold tile to topk trace transpose tril triu true_divide trunc type_as unbind unflatten unfold
    unsafe_chunk unsafe_split unsqueeze upsample_nearest1d upsample_nearest2d var var_mean view view_as vstack where
    xlogy zero zeros zeros_like _adaptive_avg_pool2d _assert_scalar _assert_tensor_metadata _cdist_forward _log_softmax
    _native_batch_norm_legit _native_batch_norm_legit_no_training _safe_softmax _softmax _to_copy _unsafe_view
    _weight_norm _weight_norm_interface
    """.split()  # noqa: SIM905 - a list that is read
)
"""The operators of ``torch.ops.aten`` that a file may use, with their in-place forms: arithmetic on tensors."""

ASSERTIONS = frozenset({"_assert_scalar", "_assert_tensor_metadata"})

_ARITHMETIC = (
    *("add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "pow"),
    *("eq", "ne", "lt", "le", "gt", "ge", "and_", "or_", "not_"),
)
ON_NUMBERS: dict[str, Callable[..., Any]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in _ARITHMETIC},
    **{f"math.{name}": getattr(math, name) for name in ("ceil", "floor", "trunc")},
    "torch.sym_float": torch.sym_float,
    "torch.sym_int": torch.sym_int,
    "torch.sym_max": torch.sym_max,
    "torch.sym_min": torch.sym_min,
    "torch.sym_not": torch.sym_not,
    "torch.sym_ite": torch.sym_ite,
    "torch._sym_sqrt": math.sqrt,
}
"""What a file may do with sizes."""

NO_GRAD = "torch.ops.higher_order.wrap_with_set_grad_enabled"
MEMORY_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
TARGET = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")


class UnsupportedGraphError(TeacherError):
    """The graph uses an operator or a kind of argument that is not run from a file."""


def check_graph(graph: dict[str, Any]) -> int:
    """The number of operators in the graph, each of which may be run.

    Raises
    ------
    UnsupportedGraphError
        Where one may not; it is named.
    """
    count = 0
    for node in graph["nodes"]:
        target = str(node["target"])
        count += 1
        if target == NO_GRAD:
            count += check_graph(_subgraph(node))
        elif target not in ON_NUMBERS:
            _operator(target)
    return count


def run_graph(graph: dict[str, Any], inputs: Sequence[Any]) -> list[Any]:
    """The graph's outputs for its inputs, in order."""
    names = [_name(argument) for argument in graph["inputs"]]
    values: dict[str, Any] = dict(zip(names, inputs, strict=True))
    for node in graph["nodes"]:
        result = _run_node(node, values)
        outputs = node["outputs"]
        if len(outputs) == 1 and node["target"] != NO_GRAD:
            _bind(outputs[0], result, values)
        elif outputs:
            for argument, part in zip(outputs, result, strict=True):
                _bind(argument, part, values)
    return [_value(argument, values) for argument in graph["outputs"]]


def _run_node(node: dict[str, Any], values: dict[str, Any]) -> Any:
    target = str(node["target"])
    if target == NO_GRAD:
        return run_graph(_subgraph(node), [_value(given["arg"], values) for given in node["inputs"][2:]])
    function = ON_NUMBERS[target] if target in ON_NUMBERS else _operator(target)
    if function is None:
        return None
    args, kwargs = [], {}
    for given in node["inputs"]:
        value = _value(given["arg"], values)
        if given.get("kind") == 2:
            kwargs[str(given["name"])] = value
        else:
            args.append(value)
    return function(*args, **kwargs)


def _subgraph(node: dict[str, Any]) -> dict[str, Any]:
    try:
        graph: dict[str, Any] = node["inputs"][1]["arg"]["as_graph"]["graph"]
        return graph
    except (KeyError, IndexError, TypeError):
        raise UnsupportedGraphError("the graph holds a block without a graph of its own") from None


def _operator(target: str) -> Callable[..., Any] | None:
    """The operator that a name stands for; None for an assertion, which is not run."""
    match = TARGET.fullmatch(target)
    name = match.group(1) if match else ""
    if not match or not (name in OPERATORS or name.removesuffix("_") in OPERATORS):
        raise UnsupportedGraphError(
            f"the graph uses {target!r:.100}, which is not among the {len(OPERATORS)} operators that are run from a "
            "file. Give the module itself, or export it to ONNX."
        )
    if name in ASSERTIONS:
        return None
    packet = getattr(torch.ops.aten, name, None)
    function: Callable[..., Any] | None = getattr(packet, match.group(2), None)
    if function is None:
        raise UnsupportedGraphError(f"this torch ({torch.__version__}) has no operator {target!r:.100}")
    return function


def _bind(argument: dict[str, Any], result: Any, values: dict[str, Any]) -> None:
    kind, content = next(iter(argument.items()))
    if kind == "as_tensors":
        for place, part in zip(content, result, strict=True):
            values[str(place["name"])] = part
    elif kind != "as_none":
        values[_name(argument)] = result


def _name(argument: dict[str, Any]) -> str:
    content = next(iter(argument.values()))
    return str(content.get("name", content.get("as_name")))


def _value(argument: dict[str, Any], values: dict[str, Any]) -> Any:
    """The Python value that an argument in the file stands for."""
    kind, content = next(iter(argument.items()))
    if kind in ("as_tensor", "as_sym_int", "as_sym_float", "as_sym_bool"):
        return _named_or_plain(content, values)
    if kind in ("as_tensors", "as_sym_ints", "as_sym_floats", "as_sym_bools"):
        return [_named_or_plain(part, values) for part in content]
    if kind == "as_optional_tensor":
        return _value(content, values)
    if kind == "as_optional_tensors":
        return [_value(part, values) for part in content]
    if kind in ("as_int", "as_bool", "as_string", "as_ints", "as_bools", "as_strings"):
        return content
    if kind in CONSTANTS:
        return CONSTANTS[kind](content)
    raise UnsupportedGraphError(f"the graph uses an argument of the kind {kind!r:.60}, which is not read from a file")


CONSTANTS: dict[str, Callable[[Any], Any]] = {
    "as_none": lambda content: None,
    "as_float": float,
    "as_floats": lambda content: [float(part) for part in content],
    "as_scalar_type": lambda content: DTYPES[content],
    "as_memory_format": lambda content: MEMORY_FORMATS[content],
    "as_layout": lambda content: torch.strided,
    "as_device": lambda content: torch.device("cpu"),
}


def _named_or_plain(content: dict[str, Any], values: dict[str, Any]) -> Any:
    if "name" in content or "as_name" in content:
        name = str(content.get("name", content.get("as_name")))
        if name not in values:
            raise UnsupportedGraphError(f"the graph uses {name!r:.60} before it is made")
        return values[name]
    return next(iter(content.values()))
