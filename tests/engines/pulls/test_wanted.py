"""What a target comes to: which files of a repository are one pull."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.errors import FormatError, ModeldeckError, ModelNotFound
from modeldeck.engines.pulls.errors import PullError
from modeldeck.engines.pulls.types import Layout
from tests.support.file_server import Request, serving, well
from tests.support.hub import repository
from tests.support.pulls import COMMIT, on_hub

GGUF = {
    "m-Q4_K_M-00001-of-00003.gguf": b"1",
    "m-Q4_K_M-00002-of-00003.gguf": b"2",
    "m-Q4_K_M-00003-of-00003.gguf": b"3",
    "m-Q8_0.gguf": b"8",
    "mmproj-BF16.gguf": b"sees",
    "mmproj-F16.gguf": b"sees",
    "README.md": b"card",
}
EXL2 = {
    "config.json": b"{}",
    "output-00001-of-00002.safetensors": b"1",
    "output-00002-of-00002.safetensors": b"2",
    "tokenizer.json": b"{}",
    "tokenizer.model": b"words",
    "chat_template.jinja": b"{{ m }}",
    "measurement.json": b"{}",
    ".gitattributes": b"",
}
TWICE = {
    "config.json": b"{}",
    "model.safetensors": b"it",
    "consolidated.safetensors": b"it again",
    "pytorch_model.bin": b"it once more",
    "onnx/model.onnx": b"and here",
}


@pytest.mark.parametrize(
    ("text", "files", "names"),
    [
        ("hf:o/n:Q4_K_M", GGUF, [*sorted(GGUF)[1:4], "mmproj-F16.gguf"]),
        ("hf:o/n", GGUF, [*sorted(GGUF)[1:4], "mmproj-F16.gguf"]),
        ("hf:o/n:q8_0", GGUF, ["m-Q8_0.gguf", "mmproj-F16.gguf"]),
        ("hf:o/n:m-Q4_K_M-00002-of-00003.gguf", GGUF, [*sorted(GGUF)[1:4], "mmproj-F16.gguf"]),
        ("hf:o/n:mmproj-BF16.gguf", GGUF, ["mmproj-BF16.gguf"]),
        ("hf:o/n", EXL2, sorted(set(EXL2) - {".gitattributes"})),
        ("hf:o/n", TWICE, ["config.json", "model.safetensors"]),
        ("hf:o/n:model.safetensors", TWICE, ["config.json", "model.safetensors"]),
    ],
)
def test_all_that_belongs_together_is_one_pull(
    tmp_path: Path, text: str, files: dict[str, bytes], names: list[str]
) -> None:
    with serving(repository("o/n", files, commit=COMMIT)) as server:
        want, _ = on_hub(server, text, tmp_path)
    assert sorted(file.name for file in want.files) == sorted(names)
    assert want.commit == COMMIT
    assert all(f"/resolve/{COMMIT}/" in file.url for file in want.files)
    assert want.size_bytes == sum(len(files[name]) for name in names)


def test_a_branch_is_pulled_as_the_commit_that_it_is_now(tmp_path: Path) -> None:
    with serving(repository("o/n", EXL2, revision="4.0bpw", commit=COMMIT)) as server:
        want, _ = on_hub(server, "hf:o/n@4.0bpw", tmp_path)
    assert (want.revision, want.commit) == ("4.0bpw", COMMIT)
    assert want.target == "hf:o/n@4.0bpw"


@pytest.mark.parametrize(
    ("text", "files", "error", "says"),
    [
        ("hf:o/n:Q2_K", GGUF, ModelNotFound, "no “Q2_K”"),
        ("hf:o/n:other.safetensors", TWICE, ModelNotFound, "no “other.safetensors”"),
        ("hf:o/n", {"README.md": b"card"}, ModelNotFound, "neither"),
        ("hf:o/n:pytorch_model.bin", TWICE, PullError, "pickle"),
        (
            "hf:o/n",
            {name: EXL2[name] for name in EXL2 if "00002-of" not in name},
            FormatError,
            "1 of 2",
        ),
    ],
)
def test_what_cannot_be_pulled_says_why(
    tmp_path: Path, text: str, files: dict[str, bytes], error: type[ModeldeckError], says: str
) -> None:
    with (
        serving(repository("o/n", files, commit=COMMIT)) as server,
        pytest.raises(error, match=says) as caught,
    ):
        on_hub(server, text, tmp_path)
    assert caught.value.next_step


def test_a_cache_of_the_hub_needs_a_commit(tmp_path: Path) -> None:
    from tests.support.pulls import pulled

    with serving(repository("o/n", {"m.gguf": b"x"})) as server:
        want, environ = on_hub(server, "hf:o/n", tmp_path)
        with pytest.raises(PullError, match="commit"):
            pulled(want, environ)
        there, _ = on_hub(server, "hf:o/n", tmp_path, Layout.FOLDER)
        placed, _ = pulled(there, environ)
    assert placed == (tmp_path / "o" / "n" / "m.gguf",)


def test_a_hub_that_asks_for_patience_says_for_how_long(tmp_path: Path) -> None:
    async def behave(request: Request) -> None:
        if request.path.startswith("/api/"):
            await request.answer(429, {"Retry-After": "120"})
        else:
            await well(request)

    with (
        serving(repository("o/n", GGUF, commit=COMMIT), behave) as server,
        pytest.raises(FormatError, match="120 seconds"),
    ):
        on_hub(server, "hf:o/n", tmp_path)
