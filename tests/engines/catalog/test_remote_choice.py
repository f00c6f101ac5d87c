"""Which files of a repository are meant by what was typed."""

from __future__ import annotations

import pytest

from modeldeck.engines.catalog.remote_choice import choose_files
from modeldeck.engines.errors import ModelNotFound

NAMES = [
    "README.md",
    "mmproj-F16.gguf",
    "m-Q8_0.gguf",
    "m-Q4_K_M.gguf",
    "m-UD-IQ2_M.gguf",
    "big/m-F16-00002-of-00002.gguf",
    "big/m-F16-00001-of-00002.gguf",
]
PARTS = ["big/m-F16-00001-of-00002.gguf", "big/m-F16-00002-of-00002.gguf"]


@pytest.mark.parametrize(
    ("wanted", "files"),
    [
        ("", [["m-Q4_K_M.gguf"]]),
        ("Q8_0", [["m-Q8_0.gguf"]]),
        ("iq2_m", [["m-UD-IQ2_M.gguf"]]),
        ("F16", [PARTS]),
        ("m-Q8_0.gguf", [["m-Q8_0.gguf"]]),
        ("big/m-F16-00001-of-00002.gguf", [PARTS]),
    ],
)
def test_the_file_that_is_meant(wanted: str, files: list[list[str]]) -> None:
    assert choose_files(NAMES, wanted) == files


def test_all_variants_and_none() -> None:
    assert len(choose_files(NAMES, "", all_variants=True)) == 4
    with pytest.raises(ModelNotFound, match="no “Q5_K_M”"):
        choose_files(NAMES, "Q5_K_M")
    with pytest.raises(ModelNotFound, match="no GGUF file"):
        choose_files(["model.safetensors"], "")
