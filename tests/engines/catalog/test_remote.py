"""Models that are elsewhere: read by ranges from a real server, also from one that misbehaves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from modeldeck.engines.catalog.remote import RemoteModel, remote_models
from modeldeck.engines.catalog.targets import TargetKind, family_name, parse_target
from modeldeck.engines.errors import FormatError, ModelNotFound
from tests.support.file_server import Behaviour, Request, serving, well
from tests.support.gguf_files import (
    llama_metadata,
    llama_tensors,
    write_gguf,
    write_llama,
    write_split_llama,
)


@pytest.mark.parametrize(
    ("text", "kind", "name", "file"),
    [
        ("hf:owner/name", TargetKind.HUB, "owner/name", ""),
        ("hf:owner/name:Q4_K_M", TargetKind.HUB, "owner/name", "Q4_K_M"),
        ("hf:owner/name:sub/a.gguf", TargetKind.HUB, "owner/name", "sub/a.gguf"),
        ("hf:owner/name@4.0bpw:a.gguf", TargetKind.HUB, "owner/name", "a.gguf"),
        ("ollama:qwen3", TargetKind.OLLAMA, "qwen3:latest", ""),
        ("ollama:user/m:8b", TargetKind.OLLAMA, "user/m:8b", ""),
        ("https://host/a.gguf", TargetKind.URL, "https://host/a.gguf", ""),
        ("https://huggingface.co/o/n", TargetKind.HUB, "o/n", ""),
        ("https://hf.co/o/n/tree/main", TargetKind.HUB, "o/n", ""),
        (
            "https://huggingface.co/o/n/blob/main/a%20b/c.gguf?x=1",
            TargetKind.HUB,
            "o/n",
            "a b/c.gguf",
        ),
        (
            "https://huggingface.co/o/n/raw/main/x",
            TargetKind.URL,
            "https://huggingface.co/o/n/raw/main/x",
            "",
        ),
        ("https://huggingface.co.evil/o/n", TargetKind.URL, "https://huggingface.co.evil/o/n", ""),
        ("./a.gguf", TargetKind.LOCAL, "./a.gguf", ""),
        ("qwen3-14b", TargetKind.LOCAL, "qwen3-14b", ""),
    ],
)
def test_a_target_is_taken_apart(text: str, kind: TargetKind, name: str, file: str) -> None:
    target = parse_target(text)
    assert (target.kind, target.name, target.file) == (kind, name, file)


@pytest.mark.parametrize(
    ("text", "revision"),
    [("hf:a/b", ""), ("hf:a/b@4.0bpw", "4.0bpw"), ("hf:a/b@refs/pr/1:Q8_0", "refs/pr/1")],
)
def test_a_revision_is_named_behind_an_at(text: str, revision: str) -> None:
    assert parse_target(text).revision == revision


@pytest.mark.parametrize(
    "text",
    [
        "hf:../..",
        "hf:a/b@x y",
        "hf:a/b@../x",
        "hf:",
        "hf:name",
        "hf:a/b/c",
        "hf:a/b:../x",
        "ollama:",
        "ollama:a b",
        "https://",
        "https://[x",
        "hf:a/b:/x",
        "hf:a/b@",
    ],
)
def test_what_is_no_target_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ModelNotFound, match="Write it like"):
        parse_target(text)


@pytest.mark.parametrize(
    ("name", "family"), [("Qwen3-14B-Q4_K_M", "qwen3-14b"), ("a.UD-IQ2_M.gguf", "a"), ("b", "b")]
)
def test_the_family_is_the_name_without_its_quantisation(name: str, family: str) -> None:
    assert family_name(name) == family


def the_one(target: str) -> RemoteModel:
    (model,) = remote_models(parse_target(target), {})
    assert isinstance(model, RemoteModel)
    return model


def test_ollamas_registry_gives_the_weights_by_their_digest(tmp_path: Path) -> None:
    write_llama(tmp_path / "a.gguf")
    content = (tmp_path / "a.gguf").read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": digest}
    kind = "application/vnd.ollama.image.projector"
    sees = {"mediaType": kind, "digest": digest, "size": 600_000}
    files = {
        "/v2/library/tiny/manifests/1b": json.dumps({"layers": [layer, sees]}).encode(),
        f"/v2/library/tiny/blobs/{digest}": content,
    }
    with serving(files) as server:
        host = server.url.removeprefix("http://")
        model = the_one(f"ollama:{host}/tiny:1b")
    assert model.projector_bytes == 600_000
    assert model.header.architecture == "llama"


def test_all_parts_of_a_split_model_are_read(tmp_path: Path) -> None:
    paths = write_split_llama(tmp_path, "m", 3)
    files = {f"/{path.name}": path.read_bytes() for path in paths}
    with serving(files) as server:
        model = the_one(f"{server.url}/{paths[0].name}")
    assert len(model.header.weights.blocks) >= 1
    assert model.size_bytes == sum(map(len, files.values()))


def test_no_server_and_no_file_are_errors_with_a_cause() -> None:
    with serving({}) as server, pytest.raises(FormatError, match="no such file"):
        remote_models(parse_target(f"{server.url}/v.gguf"), {})
    with pytest.raises(FormatError, match="cannot be read from"):
        remote_models(parse_target(f"{server.url}/v.gguf"), {})


@pytest.mark.parametrize("times", [1, 2])
def test_a_file_that_changes_while_it_is_read_is_begun_again_once(
    times: int, tmp_path: Path
) -> None:
    metadata = llama_metadata(tokens=4_000)
    content = write_gguf(tmp_path / "v.gguf", metadata, llama_tensors(tokens=4_000)).read_bytes()
    behave = changes_every(content, times)
    with serving({"/v.gguf": content}, behave) as server:
        if times == 1:
            assert the_one(f"{server.url}/v.gguf").header.architecture == "llama"
        else:
            with pytest.raises(FormatError, match="changes the file while it is read"):
                the_one(f"{server.url}/v.gguf")


def changes_every(content: bytes, times: int) -> Behaviour:
    """The file is replaced within its first ``times`` readings."""
    left = [times]

    async def behave(request: Request) -> None:
        if request.range and request.range[0] and left[0]:
            left[0] -= 1
            request.server.files[request.path] = content + bytes(32 * (left[0] + 1))
        await well(request)

    return behave
