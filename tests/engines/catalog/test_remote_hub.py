"""Models of the Hub that are not here, from a server that answers as the Hub does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from modeldeck.engines.catalog.remote import RemoteModel, RemoteProblem, remote_models
from modeldeck.engines.catalog.remote_hub import read_listing
from modeldeck.engines.catalog.scan import model_at
from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.errors import FormatError, ModeldeckError, ModelNotFound, SettingsError
from modeldeck.engines.types import ModelFormat
from tests.support.file_server import FileServer, Request, serving, well
from tests.support.gguf_files import write_llama
from tests.support.hub import folder_files, repository
from tests.support.safetensors_files import LLAMA, Weight, llama_weights, write_folder


def asked(server: FileServer, target: str, **environ: str) -> tuple[RemoteModel, ...]:
    found = remote_models(parse_target(target), {"HF_ENDPOINT": server.url, **environ})
    return tuple(model for model in found if isinstance(model, RemoteModel))


def refusal(files: Mapping[str, bytes], target: str) -> ModeldeckError:
    with serving(files) as server, pytest.raises(ModeldeckError) as caught:
        asked(server, target)
    assert caught.value.next_step
    return caught.value


def test_a_gguf_repository_is_asked_with_the_users_token_and_read_by_ranges(tmp_path: Path) -> None:
    content = write_llama(tmp_path / "a.gguf").read_bytes()
    projector = bytes(3000)
    files = {"a-Q8_0.gguf": content, "mmproj-F16.gguf": projector}
    with serving(repository("owner/name", files)) as server:
        (model,) = asked(server, "hf:owner/name", HF_TOKEN="hf_secret")
    assert model.name == "hf:owner/name:a-Q8_0.gguf"
    assert model.header.architecture == "llama"
    assert (model.size_bytes, model.projector_bytes) == (len(content), len(projector))
    assert {request.headers["Authorization"] for request in server.seen} == {"Bearer hf_secret"}
    assert server.seen[1].headers["Range"].startswith("bytes=0-")


@pytest.mark.parametrize(
    ("token", "sent"),
    [("hf_a\n", "Bearer hf_a"), ("  ", None), ("a b", None), ("ä", None), ("\x00x", None)],
)
def test_a_token_in_its_file_is_used_if_it_is_one(
    token: str, sent: str | None, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(token)
    content = write_llama(tmp_path / "a.gguf").read_bytes()
    with serving(repository("o/n", {"a.gguf": content})) as server:
        asked(server, "hf:o/n", HF_HOME=str(tmp_path))
    assert {request.headers.get("Authorization") for request in server.seen} == {sent}


FOLDERS: dict[str, tuple[Callable[[Path], Path], ModelFormat, str]] = {
    "plain": (write_folder, ModelFormat.SAFETENSORS, "BF16"),
    "shards": (lambda path: write_folder(path, shards=3), ModelFormat.SAFETENSORS, "BF16"),
}
TABLES: dict[str, tuple[dict[str, object], ModelFormat]] = {
    "EXL2 4 bpw": ({"quant_method": "exl2", "bits": 4.0}, ModelFormat.EXL2),
    "EXL3 3.5 bpw": ({"quant_method": "exl3", "bits": 3.5}, ModelFormat.EXL3),
    "GPTQ 4-bit g128": (
        {"quant_method": "gptq", "bits": 4, "group_size": 128},
        ModelFormat.GPTQ,
    ),
    "AWQ 4-bit": ({"quant_method": "awq", "bits": 4}, ModelFormat.AWQ),
    "NF4": (
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
        ModelFormat.BITSANDBYTES,
    ),
    "FP8": ({"quant_method": "fp8"}, ModelFormat.FP8),
    "NVFP4": ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, ModelFormat.NVFP4),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("own_file", [False, True])
def test_a_quantised_repository_says_what_the_folder_says(
    name: str, own_file: bool, tmp_path: Path
) -> None:
    table, model_format = TABLES[name]
    config = LLAMA if own_file else {**LLAMA, "quantization_config": table}
    weights = [*llama_weights(2, linear="I32"), Weight("model.layers.0.scales", (8, 8), "F16")]
    folder = write_folder(tmp_path / "m", weights, config)
    if own_file:
        (folder / "quantize_config.json").write_text(json.dumps(table))
    with serving(repository("o/n", folder_files(folder))) as server:
        (model,) = asked(server, "hf:o/n")
    here = model_at(folder, None).header
    assert here is not None
    assert (model.header.format, model.header.quantisation) == (model_format, name)
    assert model.header.weights == here.weights
    assert model.header.hparams == here.hparams


@pytest.mark.parametrize("shards", [1, 3])
def test_nothing_but_headers_of_safetensors_is_read(shards: int, tmp_path: Path) -> None:
    weights = llama_weights(40, 512, 32_000)
    folder = write_folder(tmp_path / "m", weights, shards=shards)
    files = {name: data[: 64 << 10] for name, data in folder_files(folder).items()}
    with serving(repository("o/n", files)) as server:
        server.length = 200 << 20
        (model,) = asked(server, "hf:o/n")
    headers = sum(8 + int.from_bytes(data[:8], "little") for data in folder_safetensors(folder))
    papers = sum(request.range is None for request in server.seen)
    assert papers == 2
    ranges = sum(r.range[1] - r.range[0] + 1 for r in server.seen if r.range)
    assert ranges <= 1.25 * headers
    assert model.header.tensor_count == len(weights)
    assert model.header.has_chat_template


def folder_safetensors(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.glob("*.safetensors")]


def test_a_branch_is_named_behind_an_at(tmp_path: Path) -> None:
    config = {**LLAMA, "quantization_config": {"quant_method": "exl2", "bits": 4.25}}
    folder = write_folder(tmp_path / "m", config=config)
    branches = ("main", "3.0bpw", "4.25bpw")
    files = repository("o/n", {"README.md": b"", "measurement.json": b"{}"}, branches=branches)
    files |= repository("o/n", folder_files(folder), revision="4.25bpw", branches=branches)
    with serving(files) as server:
        (model,) = asked(server, "hf:o/n@4.25bpw")
    assert model.name == "hf:o/n@4.25bpw"
    assert model.header.quantisation == "EXL2 4.25 bpw"
    told = refusal(files, "hf:o/n")
    assert "no model in its main branch" in told.cause
    assert told.next_step == "It has 3.0bpw, 4.25bpw: write hf:o/n@3.0bpw."
    assert "no revision “5bpw”" in (told := refusal(files, "hf:o/n@5bpw")).cause
    assert "3.0bpw, 4.25bpw" in told.next_step


@pytest.mark.parametrize(
    ("names", "target", "cause"),
    [
        ({"README.md": b""}, "hf:o/n", "neither GGUF files nor safetensors"),
        ({"config.json": b"{}", "pytorch_model.bin": b""}, "hf:o/n", "pickles"),
        ({"adapter_config.json": b"{}", "adapter_model.safetensors": b""}, "hf:o/n", "an adapter"),
        ({"config.json": b"{}", "model.safetensors": b""}, "hf:o/n:Q4", "no “Q4”"),
        ({"config.json": b"[]", "model.safetensors": b""}, "hf:o/n", "no JSON object"),
        ({"config.json": b"{", "model.safetensors": b""}, "hf:o/n", "not sound JSON"),
        ({"config.json": b"{}", "model.safetensors": b""}, "hf:o/n", "which kind of model"),
        (
            {"config.json": json.dumps(LLAMA).encode(), "model.safetensors": b""},
            "hf:o/n",
            "on the server ends at least 8 bytes before the end of its header",
        ),
        (
            {"config.json": json.dumps(LLAMA).encode(), "model.safetensors": b"\xff" * 99},
            "hf:o/n",
            "no safetensors file",
        ),
        (
            {"config.json": b"{}", "m-00001-of-00003.safetensors": b""},
            "hf:o/n",
            "1 of 3 parts",
        ),
    ],
)
def test_what_is_no_model_says_why(names: dict[str, bytes], target: str, cause: str) -> None:
    assert cause in refusal(repository("o/n", names), target).cause


def test_a_config_of_a_gigabyte_is_not_asked_for() -> None:
    names = {"config.json": b"{}", "model.safetensors": b""}
    files = repository("o/n", names, sizes={"config.json": 1 << 30})
    assert "1,073,741,824 bytes" in refusal(files, "hf:o/n").cause
    with serving(repository("o/n", names, blobs=False)) as server:
        server.files["/o/n/resolve/main/config.json"] = bytes(5 << 20)
        with pytest.raises(FormatError, match="more than the 4 MiB"):
            asked(server, "hf:o/n")


@pytest.mark.parametrize(
    ("status", "code", "cause", "step"),
    [
        (401, "GatedRepo", "is gated", "Accept them at http://"),
        (403, "GatedRepo", "is gated", "set HF_TOKEN"),
        (403, "", "is gated", "/o/n"),
        (401, "RepoNotFound", "knows no model o/n", "HF_TOKEN"),
        (404, "", "knows no model o/n", "Look at http://"),
        (418, "", "HTTP 418", "later"),
    ],
)
def test_a_refusal_of_the_hub_says_what_to_do(
    status: int, code: str, cause: str, step: str
) -> None:
    async def refuses(request: Request) -> None:
        await request.answer(status, {"X-Error-Code": code})

    with serving({}, refuses) as server, pytest.raises(ModeldeckError) as caught:
        asked(server, "hf:o/n", HF_TOKEN="hf_secret")
    assert cause in caught.value.cause
    assert step in caught.value.next_step
    assert "hf_secret" not in str(caught.value)


def test_a_gated_file_in_an_open_listing_says_so_too(tmp_path: Path) -> None:
    content = write_llama(tmp_path / "a.gguf").read_bytes()

    async def gated(request: Request) -> None:
        if "/resolve/" in request.path:
            await request.answer(403, {"X-Error-Code": "GatedRepo"})
        else:
            await well(request)

    with (
        serving(repository("o/n", {"a.gguf": content}), gated) as server,
        pytest.raises(ModeldeckError) as caught,
    ):
        asked(server, "hf:o/n")
    assert "is gated" in caught.value.cause
    assert f"{server.url}/o/n" in caught.value.next_step


@pytest.mark.parametrize("endpoint", ["localhost:9000", "file:///x", "nonsense"])
def test_an_endpoint_that_is_no_address_is_said(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="HF_ENDPOINT"):
        remote_models(parse_target("hf:o/n"), {"HF_ENDPOINT": endpoint})


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"siblings": 3}', b'{"siblings": [{}]}'])
def test_an_unsound_listing_is_refused(text: bytes) -> None:
    with pytest.raises(FormatError):
        read_listing(text)


def test_a_variant_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    content = write_llama(tmp_path / "a.gguf").read_bytes()
    files = {"a-Q4_0.gguf": b"no GGUF", "a-Q8_0.gguf": content, "b-00001-of-00002.gguf": content}
    with serving(repository("o/n", files)) as server:
        found = remote_models(
            parse_target("hf:o/n"), {"HF_ENDPOINT": server.url}, all_variants=True
        )
    assert [type(one) for one in found] == [RemoteProblem, RemoteModel, RemoteModel]
    assert isinstance(found[0], RemoteProblem)
    assert found[0].name == "hf:o/n:a-Q4_0.gguf"
    assert "no GGUF file" in found[0].error.cause


def test_a_repository_that_is_not_there_is_no_model() -> None:
    assert isinstance(refusal({}, "hf:o/n"), ModelNotFound)
