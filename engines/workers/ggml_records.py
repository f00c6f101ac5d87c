"""Records of ggml that a backend is made of (``ggml-backend-impl.h``, ``ggml.h``).

Only for child processes, and only for a library whose backends say that they are of a version of
the interface that is known here (``API_VERSIONS``).
"""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, c_bool, c_char_p, c_int, c_int32, c_int64, c_size_t, c_void_p
from typing import Final

API_VERSIONS: Final = (2, 3)

TextOf = CFUNCTYPE(c_char_p, c_void_p)
SizeOf = CFUNCTYPE(c_size_t, c_void_p)
PointerOf = CFUNCTYPE(c_void_p, c_void_p)
KindOf = CFUNCTYPE(c_int, c_void_p)
Nothing = CFUNCTYPE(None, c_void_p)
AllocBuffer = CFUNCTYPE(c_void_p, c_void_p, c_size_t)
AllocSize = CFUNCTYPE(c_size_t, c_void_p, c_void_p)
Asked = CFUNCTYPE(c_bool, c_void_p, c_void_p)
Fill = CFUNCTYPE(None, c_void_p, c_void_p, c_int, c_size_t, c_size_t)
Move = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p, c_size_t, c_size_t)
Clear = CFUNCTYPE(None, c_void_p, c_int)
Memory = CFUNCTYPE(None, c_void_p, ctypes.POINTER(c_size_t), ctypes.POINTER(c_size_t))
Start = CFUNCTYPE(c_void_p, c_void_p, c_char_p)
Compute = CFUNCTYPE(c_int, c_void_p, c_void_p)
At = CFUNCTYPE(c_void_p, c_void_p, c_size_t)
Depend = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p)
Named = CFUNCTYPE(c_void_p, c_void_p, c_char_p)


class Tensor(ctypes.Structure):
    """``ggml_tensor``, as far as its views."""

    _fields_ = [
        ("type", c_int32),
        ("buffer", c_void_p),
        ("ne", c_int64 * 4),
        ("nb", c_size_t * 4),
        ("op", c_int32),
        ("op_params", c_int32 * 16),
        ("flags", c_int32),
        ("src", c_void_p * 10),
        ("view_src", c_void_p),
        ("view_offs", c_size_t),
    ]


class Graph(ctypes.Structure):
    """``ggml_cgraph``, as far as its nodes."""

    _fields_ = [
        ("size", c_int),
        ("n_nodes", c_int),
        ("n_leafs", c_int),
        ("nodes", ctypes.POINTER(c_void_p)),
    ]


class OptimizeParams(ctypes.Structure):
    """``ggml_backend_graph_optimize_params``."""

    _fields_ = [("add_alloc_dep", Depend), ("user_data", c_void_p)]


Optimize = CFUNCTYPE(None, c_void_p, ctypes.POINTER(Graph), ctypes.POINTER(OptimizeParams))


class BufferType(ctypes.Structure):
    """``ggml_backend_buffer_type``."""

    _fields_ = [
        ("get_name", TextOf),
        ("alloc_buffer", AllocBuffer),
        ("get_alignment", SizeOf),
        ("get_max_size", c_void_p),
        ("get_alloc_size", AllocSize),
        ("is_host", c_void_p),
        ("device", c_void_p),
        ("context", c_void_p),
    ]


class WiderBufferType(ctypes.Structure):
    """The same since version 3."""

    _fields_ = [
        ("get_name", TextOf),
        ("alloc_buffer", AllocBuffer),
        ("alloc_buffer_n", c_void_p),
        ("get_alignment", SizeOf),
        ("get_max_size", c_void_p),
        ("get_alloc_size", AllocSize),
        ("get_alloc_size_n", c_void_p),
        ("is_host", c_void_p),
        ("device", c_void_p),
        ("context", c_void_p),
    ]


class BufferFunctions(ctypes.Structure):
    """``ggml_backend_buffer_i``."""

    _fields_ = [
        ("free_buffer", c_void_p),
        ("get_base", PointerOf),
        ("init_tensor", c_void_p),
        ("memset_tensor", Fill),
        ("set_tensor", Move),
        ("get_tensor", Move),
        ("set_tensor_2d", c_void_p),
        ("get_tensor_2d", c_void_p),
        ("cpy_tensor", c_void_p),
        ("clear", Clear),
        ("reset", c_void_p),
    ]


class Backend(ctypes.Structure):
    """``ggml_backend``."""

    _fields_ = [
        ("guid", c_void_p),
        ("get_name", TextOf),
        ("free", Nothing),
        *((name, c_void_p) for name in ("set_async", "get_async", "set_2d", "get_2d", "cpy_async")),
        ("synchronize", Nothing),
        *((name, c_void_p) for name in ("plan_create", "plan_free", "plan_update", "plan_compute")),
        ("graph_compute", Compute),
        ("event_record", c_void_p),
        ("event_wait", c_void_p),
        ("graph_optimize", Optimize),
        ("device", c_void_p),
        ("context", c_void_p),
    ]


class Properties(ctypes.Structure):
    """``ggml_backend_dev_props``."""

    _fields_ = [
        ("name", c_char_p),
        ("description", c_char_p),
        ("memory_free", c_size_t),
        ("memory_total", c_size_t),
        ("type", c_int),
        ("device_id", c_char_p),
        *((name, c_bool) for name in ("async_", "host_buffer", "from_host_ptr", "events", "mmap")),
    ]


PropertiesOf = CFUNCTYPE(None, c_void_p, ctypes.POINTER(Properties))


class Device(ctypes.Structure):
    """``ggml_backend_device``."""

    _fields_ = [
        ("get_name", TextOf),
        ("get_description", TextOf),
        ("get_memory", Memory),
        ("get_type", KindOf),
        ("get_props", PropertiesOf),
        ("init_backend", Start),
        ("get_buffer_type", PointerOf),
        ("get_host_buffer_type", c_void_p),
        ("buffer_from_host_ptr", c_void_p),
        ("supports_op", Asked),
        ("supports_buft", Asked),
        ("offload_op", Asked),
        *((name, c_void_p) for name in ("event_new", "event_free", "event_synchronize")),
        ("reg", c_void_p),
        ("context", c_void_p),
    ]


class Registry(ctypes.Structure):
    """``ggml_backend_reg``."""

    _fields_ = [
        ("api_version", c_int),
        ("get_name", TextOf),
        ("get_device_count", SizeOf),
        ("get_device", At),
        ("get_proc_address", Named),
        ("context", c_void_p),
    ]
