"""ONNX graphs: an encoder traced by torch's exporter, and a hash function put behind it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import bytes_of
from crossbit.errors import DataError, MissingExtraError
from crossbit.hasher import HashFunction
from crossbit.queries.traceable import NoGraphError, Traceable

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

OPSET = 18  # of 2022: what browsers, phones and older runtimes know, and the first that torch's exporter aims at


def check_installed() -> None:
    """Raise MissingExtraError unless all that an export needs is there; said before long work, not after it."""
    missing = [name for name in ("torch", "onnx", "onnxscript", "onnxruntime") if not _is_installed(name)]
    if missing:
        raise MissingExtraError(f"An export ({', '.join(missing)} not installed)", "train,export")


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # an import hook may refuse by raising
        return False


def write_graph(path: Path, source: Traceable, function: HashFunction) -> None:
    """Write the graph of an encoder with a hash function behind it.

    Outputs: features (n, d) float32, values (n, n_bits) float32 before the sign, code (n, bytes) uint8 as `Codes`
    packs them. The number of items, and of tokens, may vary.
    """
    import onnx  # noqa: PLC0415 - an optional package, needed only for an export

    model = _traced(source)
    _forget_origins(model)
    _append_hash_function(model, function)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def _traced(source: Traceable) -> ModelProto:
    import torch  # noqa: PLC0415 - an optional package, needed only for an export

    shapes = tuple(
        {axis: torch.export.Dim(called) for axis, called in source.varying[name].items()} for name in source.inputs
    )
    try:
        with _quiet(), torch.inference_mode():
            program = torch.onnx.export(
                source.module,
                tuple(source.inputs.values()),
                input_names=list(source.inputs),
                output_names=["features"],
                opset_version=OPSET,
                dynamic_shapes=shapes,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the exporter and what it is made of raise classes of many kinds
        raise NoGraphError(
            f"torch's exporter makes no graph of {source.encoder.fingerprint()} ({_first(error)})."
        ) from error
    if program is None:
        raise DataError("torch's exporter gave no graph; try the versions of torch and onnx that crossbit pins.")
    model: ModelProto = program.model_proto
    return model


def _first(error: Exception) -> str:
    """The first line of what went wrong, without the steps that the exporter lists."""
    cause = error.__cause__ or error
    return str(cause).strip().partition("\n")[0][:200] or type(cause).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says about its own parts: nothing of it is about the model or anything to act on."""
    told = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [log.level for log in told]
    for log in told:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(told, levels, strict=True):
            log.setLevel(level)


def _forget_origins(model: ModelProto) -> None:
    """Take out the notes on where each node stood in whose source: they name folders of the machine."""
    del model.metadata_props[:]
    graph = model.graph
    for holder in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del holder.metadata_props[:]
        holder.doc_string = ""
    model.doc_string = graph.doc_string = ""
    del graph.value_info[:]


def _append_hash_function(model: ModelProto, function: HashFunction) -> None:
    """Compute values and code from features as `HashFunction` and `Codes` do: sums in float64, signs of float32."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - an optional package, for an export only

    graph = model.graph
    nodes: list[NodeProto] = []
    constants: list[TensorProto] = []

    def constant(name: str, array: NDArray[Any]) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=f"hash.{output}", **attributes))
        return output

    at = node("Cast", ["features"], "wide", to=TensorProto.DOUBLE)
    if function.normalise:
        axes = constant("axes", np.array([1], np.int64))
        length = node("ReduceL2", [at, axes], "length", keepdims=1)
        some = node("Greater", [length, constant("nothing", np.array(0.0))], "some")
        divisor = node("Where", [some, length, constant("one", np.array(1.0))], "divisor")
        at = node("Div", [at, divisor], "normalised")
    for number, layer in enumerate(function.layers):
        weight = node("Cast", [constant(f"weight.{number}", layer.weight)], f"wide.{number}", to=TensorProto.DOUBLE)
        bias = node("Cast", [constant(f"bias.{number}", layer.bias)], f"wide.bias.{number}", to=TensorProto.DOUBLE)
        at = node("Add", [node("MatMul", [at, weight], f"turned.{number}"), bias], f"layer.{number}")
        if layer.activation != "linear":
            at = node({"relu": "Relu", "tanh": "Tanh"}[layer.activation], [at], f"active.{number}")
    node("Cast", [at], "values", to=TensorProto.FLOAT)
    n_bytes = bytes_of(function.n_bits)
    bits = node("GreaterOrEqual", ["values", constant("zero", np.array(0, np.float32))], "bits")
    bits = node("Cast", [bits], "figures", to=TensorProto.FLOAT)
    unused = constant("unused", np.array([0, 0, 0, 8 * n_bytes - function.n_bits], np.int64))
    bits = node("Pad", [bits, unused], "padded")
    bits = node("Reshape", [bits, constant("by eight", np.array([-1, n_bytes, 8], np.int64))], "eights")
    packed = node("MatMul", [bits, constant("powers", (2.0 ** np.arange(8)).astype(np.float32))], "packed")
    node("Cast", [packed], "code", to=TensorProto.UINT8)
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    for name, kind, width in (("values", TensorProto.FLOAT, function.n_bits), ("code", TensorProto.UINT8, n_bytes)):
        graph.output.append(helper.make_tensor_value_info(name, kind, ["n", width]))
