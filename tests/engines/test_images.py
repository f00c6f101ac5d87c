"""Which files are images, and how large they are, told without decoding them."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines import images
from modeldeck.engines.chat import Image
from modeldeck.engines.images import (
    ImageError,
    data_uri,
    image_line,
    image_of,
    looks_like_image,
    read_image,
)
from tests.support.image_files import png

JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    b"\xff\xff\xc4\x00\x04ab\xff\xc2\x00\x0b\x08\x01\x2c\x02\x58\x01\x01\x11\x00"
)
VP8 = b"RIFF\x00\x00\x00\x00WEBPVP8 " + b"\x00" * 10 + struct.pack("<HH", 640, 480)
VP8L = b"RIFF\x00\x00\x00\x00WEBPVP8L" + b"\x00" * 4 + b"\x2f" + struct.pack("<I", 99 | 49 << 14)
VP8X = b"RIFF\x00\x00\x00\x00WEBPVP8X" + b"\x00" * 8 + b"\xff\x01\x00\xff\x00\x00"


@pytest.mark.parametrize(
    ("data", "kind", "size"),
    [
        (png(3, 2), "image/png", (3, 2)),
        (JPEG, "image/jpeg", (600, 300)),
        (b"GIF89a" + struct.pack("<HH", 320, 200), "image/gif", (320, 200)),
        (VP8, "image/webp", (640, 480)),
        (VP8L, "image/webp", (100, 50)),
        (VP8X, "image/webp", (512, 256)),
        (JPEG[:30], "image/jpeg", (0, 0)),
        (b"\x89PNG\r\n\x1a\n", "image/png", (0, 0)),
    ],
)
def test_an_image_is_known_by_its_first_bytes(
    data: bytes, kind: str, size: tuple[int, int]
) -> None:
    image = image_of("a.bin", data)

    assert (image.mime, (image.width, image.height)) == (kind, size)
    assert image.data == data


@pytest.mark.parametrize("data", [b"", b"GGUF", b"<svg/>", b"BM", b"RIFF\x00\x00\x00\x00WAVE"])
def test_what_is_no_image_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(ImageError, match="no image that models read") as refused:
        image_of("a\x1b[31m.png", data)

    assert "\x1b" not in str(refused.value)
    assert refused.value.next_step


@given(st.sampled_from([png(3, 2), JPEG, VP8, VP8L, VP8X]), st.binary(max_size=40), st.data())
def test_no_bytes_are_a_reason_to_crash(whole: bytes, tail: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(16, len(whole)))

    image = image_of("x", whole[:cut] + tail)

    assert image.width >= 0
    assert image.height >= 0


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(png(512, 300))

    image = read_image(path)

    assert image == Image("cat.png", "image/png", png(512, 300), 512, 300)
    assert image_line(image) == f"image  cat.png  512x300  {len(image.data) / 1000:.0f} kB"
    assert data_uri(image).startswith("data:image/png;base64,iVBOR")
    assert looks_like_image(path)


def test_what_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "big.png").write_bytes(png(1, 1) + b"\x00" * 100)
    monkeypatch.setattr(images, "MOST_BYTES", 100)

    for name, cause in [
        ("absent.png", "cannot be read"),
        ("fifo.png", "not a file"),
        ("", "cannot be read|not a file"),
        ("nul\x00.png", "cannot be read"),
        ("big.png", "larger than"),
    ]:
        with pytest.raises(ImageError, match=cause):
            read_image(tmp_path / name)
        assert name == "big.png" or not looks_like_image(tmp_path / name)


def test_the_png_of_these_tests_is_one() -> None:
    data = png(2, 1)
    assert zlib.decompress(data[data.index(b"IDAT") + 4 : -16]) == b"\x00" + b"\x80\x80\x80" * 2
