"""Image files as a model is shown them: told by their first bytes, measured, never decoded here.

Where width and height stand: PNG (RFC 2083, IHDR), JPEG (ITU T.81, start of frame), GIF89a
(logical screen), WebP (RFC 9649: VP8, VP8L, VP8X).
"""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path
from typing import Final

from modeldeck.engines.chat import Image
from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import MIB

MOST_BYTES: Final = 16 * MIB
"""The largest image taken: a photograph of 50 megapixels as JPEG."""

SUFFIXES: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
}
"""Each kind of image with the ending of its file names."""

_NO_FRAME: Final = frozenset({0xC4, 0xC8, 0xCC})
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})


class ImageError(ModeldeckError):
    """An image cannot be shown to a model: not there, too large, or of a kind none reads."""


def read_image(path: Path) -> Image:
    """The image in a regular file.

    Raises:
        ImageError: it cannot be read, is larger than ``MOST_BYTES``, or is no PNG, JPEG, WebP
            or GIF.
    """
    name = clean_line(path.name, 120)
    try:
        # A FIFO must not be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ImageError(f"{name} is not a file.", "Give the path of an image.")
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such path"
        raise ImageError(f"{name} cannot be read ({reason}).", "Check the path.") from error
    return image_of(name, data)


def image_of(name: str, data: bytes) -> Image:
    """An image from its bytes. Raises ImageError."""
    name = clean_line(name, 120)
    if len(data) > MOST_BYTES:
        raise ImageError(
            f"{name} is larger than {MOST_BYTES // MIB} MiB.", "Make it smaller first."
        )
    kind = _kind(data)
    if not kind:
        raise ImageError(
            f"{name} is no image that models read.", "Use a PNG, JPEG, WebP or GIF file."
        )
    width, height = _size(kind, data)
    return Image(name, kind, data, width, height)


def image_line(image: Image) -> str:
    """An image in one line: ``image  cat.png  512x512  83 kB`` (decimal kilobytes)."""
    size = f"  {image.width}x{image.height}" if image.width and image.height else ""
    kilobytes = max(1, round(len(image.data) / 1000))
    return f"image  {image.name}{size}  {kilobytes:,} kB"


def data_uri(image: Image) -> str:
    """The image as a ``data:`` URI (RFC 2397)."""
    return f"data:{image.mime};base64,{base64.b64encode(image.data).decode('ascii')}"


def looks_like_image(path: Path) -> bool:
    """Whether a regular file begins as an image does. Never raises."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return bool(_kind(file.read(16)))
    except (OSError, ValueError):
        return False


def _kind(data: bytes) -> str:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return ""


def _size(kind: str, data: bytes) -> tuple[int, int]:
    """Width and height in pixels; 0 and 0 where the file is cut short."""
    if kind == "image/png" and data[12:16] == b"IHDR" and len(data) >= 24:
        return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    if kind == "image/gif" and len(data) >= 10:
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    if kind == "image/jpeg":
        return _jpeg_size(data)
    return _webp_size(data) if kind == "image/webp" else (0, 0)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
        elif marker in _ALONE:
            place += 2
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = data[place + 5 : place + 7], data[place + 7 : place + 9]
            return int.from_bytes(width), int.from_bytes(height)
        else:
            place += 2 + max(2, int.from_bytes(data[place + 2 : place + 4]))
    return 0, 0


def _webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(data) >= 30:
        width, height = data[26:28], data[28:30]
        return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
    return 0, 0
