"""A device of llama.cpp that asks for memory as CUDA does, and computes nothing.

With it llama.cpp's own scheduler and allocator size the buffers of a run on an NVIDIA card, on a
machine that has none, or with a build that cannot use it. What decides a size is ported from
ggml-cuda: alignment and padding (``get_alloc_size``), caches that flash attention unpacks to 16
bits (``fattn.cu``), which operations the device has (``supports_op``), and what fusion keeps alive
(``graph_optimize``). The card is an Ampere (compute capability 8.6).

Only for child processes: the device stays in the library.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import Any, Final, TypeVar

from modeldeck.engines.workers import ggml_records as ggml

T = TypeVar("T")

_ROW_PADDING: Final = 512
_ALIGNMENT: Final = 128
_CELLS_STEP: Final = 256
_MOST_FUSED_EXPERTS: Final = 15
_OFFLOAD_FROM: Final = 32
_GPU: Final = 1  # GGML_BACKEND_DEVICE_TYPE_GPU
_NOWHERE: Final = 1 << 40
"""An address: nobody writes to what is allocated."""
_MEMORY: Final = 1 << 42

# ggml.h, ggml_type
_F32, _F16, _BF16 = 0, 1, 30
_CACHE_TYPES: Final = frozenset({_F32, _F16, 2, 3, 6, 7, 8, _BF16})
_QUANTISED: Final = frozenset({*range(2, 24), 29, *range(34, 44)})
_EQUAL_HEADS: Final = frozenset({40, 64, 72, 80, 96, 112, 128, 256})
_GROUPED_HEADS: Final = {(192, 128): 8, (320, 256): 32, (512, 512): 1, (576, 512): 1}


def add_stand_in(library: Any, name: str) -> StandIn | None:
    """Give the library such a device, unless it has a GPU already or is of another kind.

    The device lives as long as what is returned. None where there is none: the library does not
    export what it takes, or its backends are not of the version that is known here.
    """
    try:
        devices = [library.ggml_backend_dev_get(at) for at in range(_device_count(library))]
        version = min(_version(library, device) for device in devices)
        if version not in ggml.API_VERSIONS or any(_is_gpu(library, one) for one in devices):
            return None
        stand_in = StandIn(library, name.encode(), version)
    except AttributeError:
        return None
    stand_in.register()
    return stand_in


def _device_count(library: Any) -> int:
    library.ggml_backend_dev_get.restype = ctypes.c_void_p
    library.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    library.ggml_backend_dev_count.restype = ctypes.c_size_t
    return int(library.ggml_backend_dev_count())


def _version(library: Any, device: int) -> int:
    """Of the interface; a registry begins with it."""
    registry = _typed(library.ggml_backend_dev_backend_reg, ctypes.c_void_p)(device)
    return ctypes.c_int.from_address(registry).value


def _is_gpu(library: Any, device: int) -> bool:
    return bool(_typed(library.ggml_backend_dev_type, ctypes.c_int)(device) == _GPU)


class StandIn:
    """The device, its buffers and its backend: records that the library keeps pointers to."""

    def __init__(self, library: Any, name: bytes, version: int) -> None:
        """Make the records; ``register`` adds the device.

        Args:
            library: llama.cpp's.
            name: that it prints the device by.
            version: of the interface between it and its backends.

        Raises:
            AttributeError: the library does not export what this takes.
        """
        self._name = name
        self._register = library.ggml_backend_device_register
        self._tensors = _Tensors(library)
        self._init_buffer = library.ggml_backend_buffer_init
        self._init_buffer.restype = ctypes.c_void_p
        self._init_buffer.argtypes = [
            ctypes.c_void_p,
            ggml.BufferFunctions,
            ctypes.c_void_p,
            ctypes.c_size_t,
        ]
        self._guid = ctypes.create_string_buffer(b"sizes of CUDA", 16)
        self._buffer = ggml.BufferFunctions(
            get_base=ggml.PointerOf(_always(_NOWHERE)),
            memset_tensor=ggml.Fill(_nothing),
            set_tensor=ggml.Move(_nothing),
            get_tensor=ggml.Move(_nothing),
            clear=ggml.Clear(_nothing),
        )
        type_record = ggml.WiderBufferType if version > 2 else ggml.BufferType
        self._type = type_record(
            get_name=ggml.TextOf(_always(name)),
            alloc_buffer=ggml.AllocBuffer(self._alloc_buffer),
            get_alignment=ggml.SizeOf(_always(_ALIGNMENT)),
            get_alloc_size=ggml.AllocSize(self._tensors.alloc_size),
        )
        self._backend = ggml.Backend(
            guid=ctypes.addressof(self._guid),
            get_name=ggml.TextOf(_always(name)),
            free=ggml.Nothing(_nothing),
            synchronize=ggml.Nothing(_nothing),
            graph_compute=ggml.Compute(_always(-1)),
            graph_optimize=ggml.Optimize(self._tensors.keep_fused),
        )
        self._device = ggml.Device(
            get_name=ggml.TextOf(_always(name)),
            get_description=ggml.TextOf(_always(name)),
            get_memory=ggml.Memory(_memory),
            get_type=ggml.KindOf(_always(_GPU)),
            get_props=ggml.PropertiesOf(self._properties),
            init_backend=ggml.Start(_always(ctypes.addressof(self._backend))),
            get_buffer_type=ggml.PointerOf(_always(ctypes.addressof(self._type))),
            supports_op=ggml.Asked(self._tensors.computed),
            supports_buft=ggml.Asked(self._takes),
            offload_op=ggml.Asked(self._tensors.offloaded),
        )
        self._registry = ggml.Registry(
            api_version=version,
            get_name=ggml.TextOf(_always(b"CUDA")),
            get_device_count=ggml.SizeOf(_always(1)),
            get_device=ggml.At(_always(ctypes.addressof(self._device))),
            get_proc_address=ggml.Named(_always(None)),
        )
        self._type.device = self._backend.device = ctypes.addressof(self._device)
        self._device.reg = ctypes.addressof(self._registry)

    def register(self) -> None:
        """Add the device to the library's."""
        self._register(ctypes.byref(self._device))

    def _alloc_buffer(self, kind: int, size: int) -> int:
        made: int = self._init_buffer(kind, self._buffer, None, size)
        return made

    def _takes(self, _: int, buffer_type: int) -> bool:
        return buffer_type == ctypes.addressof(self._type)

    def _properties(self, _: int, found: Any) -> None:
        found[0] = ggml.Properties(
            name=self._name,
            description=self._name,
            memory_free=_MEMORY,
            memory_total=_MEMORY,
            type=_GPU,
            async_=True,
        )


class _Tensors:
    """What CUDA makes of a tensor; each is given by its address."""

    def __init__(self, library: Any) -> None:
        self._bytes: Callable[[int], int] = _typed(library.ggml_nbytes, ctypes.c_size_t)
        self._row_bytes = library.ggml_row_size
        self._row_bytes.restype = ctypes.c_size_t
        self._row_bytes.argtypes = [ctypes.c_int, ctypes.c_int64]
        self._rows: Callable[[int], int] = _typed(library.ggml_nrows, ctypes.c_int64)
        self._contiguous = _typed(library.ggml_is_contiguous, ctypes.c_bool)
        self._contiguous_1 = _typed(library.ggml_is_contiguous_1, ctypes.c_bool)
        self._contiguous_rows = _typed(library.ggml_is_contiguous_rows, ctypes.c_bool)
        self._element_bytes = _typed(library.ggml_element_size, ctypes.c_size_t)
        library.ggml_op_name.restype = ctypes.c_char_p
        names: dict[str, int] = {}
        for at in range(200):
            name = library.ggml_op_name(at).decode()
            names.setdefault(name, at)
            if name == "GLU":  # the last of them
                break
        # Operations are numbered anew with every version.
        self._mul, self._add, self._view = names["MUL"], names["ADD"], names["VIEW"]
        self._flash = names["FLASH_ATTN_EXT"]
        self._rules: dict[int, Callable[[ggml.Tensor], bool]] = {
            self._flash: flash_kernel,
            names["MUL_MAT"]: self._multiplies,
            names["MUL_MAT_ID"]: self._multiplies,
            names["SSM_CONV"]: lambda op: _of(op, 0).ne[1] % 128 == 0,
            names["SSM_SCAN"]: _scans,
            names["UNARY"]: lambda op: self._contiguous(op.src[0]),
            names["GLU"]: lambda op: self._contiguous_1(op.src[0]),
            **{
                names[name]: lambda op: self._contiguous_rows(op.src[0])
                for name in ("NORM", "RMS_NORM", "L2_NORM", "SUM_ROWS", "MEAN")
            },
        }
        if "LIGHTNING_INDEXER" in names:
            self._rules[names["LIGHTNING_INDEXER"]] = _indexes
        self._batched: dict[int, Callable[[ggml.Tensor], int]] = {
            names["GET_ROWS"]: lambda _: 0,
            names["MUL_MAT"]: lambda op: op.ne[1],
            names["MUL_MAT_ID"]: lambda op: op.ne[2],
            names["ROPE"]: lambda op: op.ne[2],
        }

    def alloc_size(self, _: int, at: int) -> int:
        """Bytes to allocate for a tensor."""
        tensor = ggml.Tensor.from_address(at)
        size = self._bytes(at)
        if tensor.op == self._flash:
            return flash_bytes(tensor, size)
        beyond = tensor.ne[0] % _ROW_PADDING
        if tensor.type in _QUANTISED and beyond:
            size += self._row_bytes(tensor.type, _ROW_PADDING - beyond)
        return size

    def computed(self, _: int, at: int) -> bool:
        """Whether CUDA has the operation; those that no model's graph has are not looked at."""
        op = ggml.Tensor.from_address(at)
        rule = self._rules.get(op.op)
        return rule is None or rule(op)

    def offloaded(self, _: int, at: int) -> bool:
        """Whether it computes with weights that lie in host memory: from 32 tokens on."""
        op = ggml.Tensor.from_address(at)
        batched = self._batched.get(op.op)
        return bool((batched(op) if batched else self._rows(at)) >= _OFFLOAD_FROM)

    def _multiplies(self, op: ggml.Tensor) -> bool:
        a, b = _of(op, 0), _of(op, 1)
        if b.type == _F16 and a.type != _F16:
            return False
        return bool(
            a.nb[0] == self._element_bytes(op.src[0]) and b.nb[0] == self._element_bytes(op.src[1])
        )

    def keep_fused(self, _: int, graph: Any, params: Any) -> None:
        """Experts that are weighed and summed at once stay until the sum is there."""
        nodes, count = graph.contents.nodes, graph.contents.n_nodes
        for at in range(count):
            mul = ggml.Tensor.from_address(nodes[at])
            if mul.op != self._mul or mul.type != _F32:
                continue
            used = mul.ne[1]
            last = at + 2 * used - 1
            if not 2 <= used <= _MOST_FUSED_EXPERTS or last >= count:
                continue
            experts, weights = _of(mul, 0), _of(mul, 1)
            if list(experts.ne) != list(mul.ne) or list(weights.ne) != [1, *mul.ne[1:]]:
                continue
            if not self._contiguous(mul.src[0]):
                continue
            after = [ggml.Tensor.from_address(nodes[i]) for i in range(at + 1, last + 1)]
            views = sum(one.op == self._view and one.view_src == nodes[at] for one in after)
            if views == used and sum(one.op == self._add for one in after) == used - 1:
                depend, user = params.contents.add_alloc_dep, params.contents.user_data
                depend(user, mul.src[0], nodes[last])
                depend(user, mul.src[1], nodes[last])


def flash_kernel(op: ggml.Tensor) -> bool:
    """Whether there is a kernel of flash attention for it (``fattn.cu``)."""
    q, k, v = _of(op, 0), _of(op, 1), _of(op, 2)
    mask = _of(op, 3) if op.src[3] else None
    if k.type not in _CACHE_TYPES or v.type not in _CACHE_TYPES or (mask and mask.ne[2] != 1):
        return False
    lengths = (k.ne[0], v.ne[0])
    if lengths[0] in _EQUAL_HEADS:
        return bool(lengths[0] == lengths[1])
    ratio = q.ne[2] // k.ne[2]
    bias = struct.unpack("f", struct.pack("i", op.op_params[1]))[0]
    plain = [one for one in (q, k, v, mask) if one is not None and one.type not in _QUANTISED]
    grouped = (
        ratio >= 2
        and mask is not None
        and bias == 0.0
        and k.ne[1] % _CELLS_STEP == 0
        and all(one.nb[at] % 16 == 0 for one in plain for at in (1, 2, 3))
    )
    return grouped and lengths in _GROUPED_HEADS and ratio % _GROUPED_HEADS[lengths] == 0


def flash_bytes(op: ggml.Tensor, size: int) -> int:
    """Its result, and behind it K and V as 16 bits where they are something else."""
    q, k, v = _of(op, 0), _of(op, 1), _of(op, 2)
    head = q.ne[0]
    vector = q.ne[1] == 1 and head <= 256 and head % 64 == 0 and head != 192
    if vector or not flash_kernel(op):
        return size
    same = v.view_src and (
        v.view_src == op.src[1] or (v.view_src == k.view_src and v.view_offs == k.view_offs)
    )
    for one, needed in ((k, True), (v, not same)):
        if one.type != _F16 and needed:
            size = -(-size // _ALIGNMENT) * _ALIGNMENT
            size += 2 * one.ne[0] * one.ne[1] * one.ne[2] * one.ne[3]
    return size


def _scans(op: ggml.Tensor) -> bool:
    state = _of(op, 0)
    if _of(op, 3).ne[0] == 1:
        return state.ne[0] in {96, 128, 256} and int(state.ne[1]) % 16 == 0
    plain = op.op_params[0] <= 1 and list(state.ne[:2]) == [16, 1]
    return bool(plain and state.ne[2] % 128 == 0 and _of(op, 4).ne[1] == 1)


def _indexes(op: ggml.Tensor) -> bool:
    queries = _of(op, 0)
    return queries.ne[0] == 128 and queries.ne[1] in {32, 64}


def _of(op: ggml.Tensor, at: int) -> ggml.Tensor:
    return ggml.Tensor.from_address(op.src[at])


def _typed(function: Any, result: Any) -> Any:
    function.restype, function.argtypes = result, [ctypes.c_void_p]
    return function


def _always(value: T) -> Callable[..., T]:
    def answer(*_: object) -> T:
        return value

    return answer


def _nothing(*_: object) -> None:
    pass


def _memory(_: int, free: Any, total: Any) -> None:
    free[0] = total[0] = _MEMORY
