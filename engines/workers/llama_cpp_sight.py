"""Images for a model in ``llama-cpp-python``: llama.cpp's ``libmtmd``, in the worker only.

Function and field names are those of ``mtmd.h`` and ``mtmd-helper.h``. A prompt with images is cut
into the tokens of its text and pieces that stand for many tokens each. The bindings have no types.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import secrets
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class Unreadable(Exception):
    """An image, or a prompt with images, that llama.cpp does not take; ``args[0]`` says which."""


@dataclass(frozen=True, slots=True)
class Patch:
    """An image, or a part of one, where it stands in a prompt.

    Equal patches are the same picture: what the cache holds of one need not be computed again.

    Attributes:
        name: of the file, by its content, and which part of it.
        tokens: room that it takes in the context.
        positions: how far it moves what comes after it; fewer than its tokens with M-RoPE.
        chunk: libmtmd's own, for as long as the prompt is cut.
    """

    name: tuple[bytes, int]
    tokens: int
    positions: int
    chunk: Any = field(compare=False, repr=False, default=None)


Unit = int | Patch
"""What a prompt is made of: a token, or an image."""


def tokens_in(units: Sequence[Unit]) -> int:
    """The tokens that they take."""
    return sum(unit.tokens if isinstance(unit, Patch) else 1 for unit in units)


def positions_in(units: Sequence[Unit]) -> int:
    """The positions that they take."""
    return sum(unit.positions if isinstance(unit, Patch) else 1 for unit in units)


class Sight:
    """The projector of one loaded model."""

    def __init__(self, model: Any, settings: Mapping[str, Any]) -> None:
        """Load it.

        Args:
            model: the ``llama_model`` it belongs to.
            settings: the plan, with the projector's file under ``projector``.

        Raises:
            Unreadable: libmtmd is not there, or refused the file.
        """
        try:
            self._mtmd = mtmd = importlib.import_module("llama_cpp.mtmd_cpp")
        except (ImportError, OSError, RuntimeError, AttributeError) as error:
            raise Unreadable(f"the projector: this build has no libmtmd ({error})") from error
        # Words of a message must not be taken for the place of an image: nobody knows this one.
        self.marker = f"<__media_{secrets.token_hex(8)}__>"
        self._marker = self.marker.encode()
        self._batch_tokens: int = settings["batch_tokens"]
        params = mtmd.mtmd_context_params_default()
        params.use_gpu = settings["gpu_layers"] != 0
        params.n_threads = settings["threads"]
        params.flash_attn_type = int(settings["flash_attention"])
        params.print_timings = False
        params.media_marker = self._marker
        path = str(settings["projector"]).encode("utf-8", "surrogateescape")
        self._context = mtmd.mtmd_init_from_file(path, model, params)
        if not self._context:
            raise Unreadable("the projector")
        if not mtmd.mtmd_support_vision(self._context):
            raise Unreadable("the projector, which is not for images")

    @contextlib.contextmanager
    def cut(
        self, prompt: str, images: Sequence[bytes], *, only_count: bool = False
    ) -> Generator[list[Unit]]:
        """Cut ``prompt``, which has one marker for each image, into its units.

        Args:
            prompt: the conversation as the template writes it.
            images: the files, in their order.
            only_count: the patches are as large as they will be, but cannot be computed.

        Raises:
            Unreadable: an image is none that llama.cpp reads, or a marker is missing.
        """
        mtmd = self._mtmd
        chunks = mtmd.mtmd_input_chunks_init()
        bitmaps: list[Any] = []
        try:
            for number, image in enumerate(images, 1):
                data = (ctypes.c_uint8 * len(image)).from_buffer_copy(image)
                bitmap = mtmd.mtmd_helper_bitmap_init_from_buf(
                    self._context, data, len(image), only_count
                )
                if not bitmap:
                    raise Unreadable(f"image {number} cannot be read")
                bitmaps.append(bitmap)
            text = prompt.encode("utf-8", "replace")
            said = mtmd.mtmd_input_text(text, len(text), True, True)
            array = (mtmd.mtmd_bitmap_p_ctypes * len(bitmaps))(*bitmaps)
            if mtmd.mtmd_tokenize(self._context, chunks, ctypes.byref(said), array, len(bitmaps)):
                raise Unreadable("the images do not fit into the chat template")
            yield self._units(chunks)
        finally:
            mtmd.mtmd_input_chunks_free(chunks)
            for bitmap in bitmaps:
                mtmd.mtmd_bitmap_free(bitmap)

    def _units(self, chunks: Any) -> list[Unit]:
        mtmd, units = self._mtmd, list[Unit]()
        seen: Counter[bytes] = Counter()
        for index in range(mtmd.mtmd_input_chunks_size(chunks)):
            chunk = mtmd.mtmd_input_chunks_get(chunks, index)
            size = mtmd.mtmd_input_chunk_get_n_tokens(chunk)
            if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
                length = ctypes.c_size_t()
                tokens = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(length))
                units += tokens[: length.value]
            else:
                digest = mtmd.mtmd_input_chunk_get_id(chunk) or b""  # SHA-256 of the file
                seen[digest] += 1
                positions = mtmd.mtmd_input_chunk_get_n_pos(chunk)
                units.append(Patch((digest, seen[digest]), size, positions, chunk))
        return units

    def compute(self, context: Any, patch: Patch, position: int) -> tuple[int, int]:
        """Put a patch into the cache: encode the picture, then decode what came out.

        Returns:
            llama.cpp's code (0 for done, 1 for no room, 2 for called off), and the nanoseconds it
            took.
        """
        begin_ns = time.monotonic_ns()
        end = ctypes.c_int32()
        code = self._mtmd.mtmd_helper_eval_chunk_single(
            self._context,
            context,
            patch.chunk,
            position,
            0,
            self._batch_tokens,
            False,
            ctypes.byref(end),
        )
        return code, time.monotonic_ns() - begin_ns
