"""Models of an Ollama-style registry: a real registry answers, not a copy of its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.catalog.remote import RemoteModel, remote_models
from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.errors import FormatError
from tests.support.gguf_files import write_llama
from tests.support.oci_registry import OciRegistry, oci_registry


@pytest.fixture(scope="module")
def registry(
    registry_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OciRegistry]:
    with oci_registry(registry_program, tmp_path_factory.mktemp("registry")) as there:
        yield there


def test_a_model_is_described_by_its_header_alone(registry: OciRegistry, tmp_path: Path) -> None:
    write_llama(tmp_path / "a.gguf")
    content = (tmp_path / "a.gguf").read_bytes()
    registry.push(
        "library/tiny:1b", content, {"template": b"{{ .Prompt }}", "projector": b"x" * 99}
    )

    (model,) = remote_models(parse_target(f"ollama:{registry.host}/tiny:1b"), {})

    assert isinstance(model, RemoteModel)
    assert model.header.architecture == "llama"
    assert model.size_bytes == len(content)
    assert model.projector_bytes == 99


def test_a_tag_that_is_not_there(registry: OciRegistry) -> None:
    with pytest.raises(FormatError, match="no such file") as caught:
        remote_models(parse_target(f"ollama:{registry.host}/tiny:70b"), {})
    assert caught.value.next_step
