"""A llamafile is a program with the weights in a zip archive at its end."""

from __future__ import annotations

import io
import zipfile

import pytest

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.gguf import read_gguf
from modeldeck.engines.formats.header import header_of
from modeldeck.engines.formats.llamafile import gguf_inside
from tests.fuzz.targets import Memory
from tests.support.gguf_files import llamafile_bytes, small_gguf

PROGRAM = b"MZqFpD='\n" + bytes(500)
GGUF = small_gguf()


def archive(*files: tuple[str, bytes], compressed: bool = False, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as zipped:
        for name, data in files:
            zipped.writestr(name, data)
        zipped.comment = comment
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        llamafile_bytes(GGUF),
        PROGRAM + archive((".args", b"-m\nm.gguf"), ("m.gguf", GGUF)),
        PROGRAM + archive(("m.gguf", GGUF), comment=b"x" * 60_000),
        PROGRAM + archive(("mmproj-F16.gguf", bytes(9000)), ("m.GGUF", GGUF)),
        PROGRAM + archive(("small.gguf", GGUF[:40]), ("m.gguf", GGUF)),
    ],
)
def test_the_largest_gguf_file_that_is_no_projector_is_found(data: bytes) -> None:
    inside = gguf_inside(Memory(data))
    assert inside.read_at(0, inside.size_bytes + 100) == GGUF
    assert inside.read_at(inside.size_bytes, 1) == b""
    assert header_of([read_gguf(inside)]).architecture == "llama"


def test_an_archive_of_more_than_four_gigabytes_has_wide_numbers() -> None:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w") as zipped,
        zipped.open(zipfile.ZipInfo("m.gguf"), "w", force_zip64=True) as file,
    ):
        file.write(GGUF)
    whole = bytearray(buffer.getvalue())
    entry = whole.rfind(b"PK\x01\x02")
    end = whole.rfind(b"PK\x05\x06")
    # As written for a file beyond 4 GiB: the numbers stand in the extra field.
    extra = b"\x01\x00\x18\x00" + b"".join(
        n.to_bytes(8, "little") for n in (len(GGUF), len(GGUF), 0)
    )
    for at in (20, 24, 42):
        whole[entry + at : entry + at + 4] = b"\xff" * 4
    whole[entry + 30 : entry + 32] = len(extra).to_bytes(2, "little")
    directory = bytes(whole[entry:end][:52]) + extra
    record = (
        b"PK\x06\x06"
        + (44).to_bytes(8, "little")
        + bytes(12)
        + b"".join(n.to_bytes(8, "little") for n in (1, 1, len(directory), entry))
    )
    locator = b"PK\x06\x07" + bytes(4) + (entry + len(directory)).to_bytes(8, "little") + bytes(4)
    data = bytes(whole[:entry]) + directory + record + locator + bytes(whole[end:])
    inside = gguf_inside(Memory(data))
    assert inside.read_at(0, inside.size_bytes) == GGUF


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no archive"),
        (PROGRAM, "no archive"),
        (PROGRAM + archive(("readme", b"hello")), "no GGUF"),
        (PROGRAM + archive(("m.gguf", GGUF), compressed=True), "compressed"),
        (b"PK\x05\x06" + b"\xff" * 18, "absurd directory"),
    ],
)
def test_what_is_no_llamafile_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        gguf_inside(Memory(data))


def test_a_llamafile_cut_at_any_byte_is_refused() -> None:
    data = llamafile_bytes(GGUF)
    for length in range(len(data)):
        with pytest.raises(FormatError):
            gguf_inside(Memory(data[:length]))


def test_an_archive_that_leads_elsewhere_is_refused() -> None:
    data = bytearray(archive(("m.gguf", GGUF)))
    data[0] = 0
    with pytest.raises(FormatError, match="does not lead"):
        gguf_inside(Memory(bytes(data)))
