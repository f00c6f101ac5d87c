"""What Ollama's manifest of a GGUF says: config, template, stop words. Pure.

Ollama's templates are in Go's language, those in GGUF files in Jinja. A file's template is told by
its marks, as Ollama does it (``template/index.json``); where none is known there is no layer, and
the model is only handed the text. Forms: ``types/model`` and ``server/images.go`` of Ollama.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from modeldeck.engines.types import ModelHeader

_IMAGE: Final = "application/vnd.ollama.image"
_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"


class Template(NamedTuple):
    """A family of chat templates.

    Attributes:
        name: of the family.
        marks: what the Jinja text of one has in it, all of them.
        text: the same in Go's language.
        stop: what ends an answer.
    """

    name: str
    marks: tuple[str, ...]
    text: str
    stop: tuple[str, ...]


TEMPLATES: Final = (
    Template(
        "llama3",
        ("<|start_header_id|>", "<|eot_id|>"),
        "{{ range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n"
        "{{ .Content }}<|eot_id|>{{ end }}<|start_header_id|>assistant<|end_header_id|>\n\n",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    Template(
        "chatml",
        ("<|im_start|>", "<|im_end|>"),
        "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
        "<|im_start|>assistant\n",
        ("<|im_start|>", "<|im_end|>"),
    ),
    Template(
        "gemma",
        ("<start_of_turn>", "<end_of_turn>"),
        '{{ range .Messages }}<start_of_turn>{{ if eq .Role "assistant" }}model{{ else }}user'
        "{{ end }}\n{{ .Content }}<end_of_turn>\n{{ end }}<start_of_turn>model\n",
        ("<start_of_turn>", "<end_of_turn>"),
    ),
    Template(
        "phi3",
        ("<|assistant|>", "<|end|>"),
        "{{ range .Messages }}<|{{ .Role }}|>\n{{ .Content }}<|end|>\n{{ end }}<|assistant|>\n",
        ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>"),
    ),
    Template(
        "zephyr",
        ("<|assistant|>", "eos_token"),
        "{{ range .Messages }}<|{{ .Role }}|>\n{{ .Content }}</s>\n{{ end }}<|assistant|>\n",
        ("</s>", "<|system|>", "<|user|>", "<|assistant|>"),
    ),
    Template(
        "mistral",
        ("[INST]", "[/INST]"),
        "[INST] {{ if .System }}{{ .System }}\n\n{{ end }}{{ .Prompt }}[/INST] {{ .Response }}</s>",
        ("[INST]", "[/INST]", "</s>"),
    ),
)


def template_of(jinja: str) -> Template | None:
    """The family that a file's own template is of; None where that is not known."""
    for template in TEMPLATES:
        if all(mark in jinja for mark in template.marks):
            return template
    return None


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its type, its digest ``sha256:HEX`` and its size in bytes."""

    media_type: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Image:
    """All that is written beside the weights.

    Attributes:
        blobs: small blobs by their digest in hex.
        manifest: the manifest's bytes.
    """

    blobs: dict[str, bytes]
    manifest: bytes


def image_of(header: ModelHeader, weights: Sequence[Layer], template: Template | None) -> Image:
    """The manifest of weights that are in the store, and the blobs that it needs beside them."""
    blobs: dict[str, bytes] = {}

    def kept(kind: str, data: bytes) -> Layer:
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return Layer(kind, f"sha256:{digest}", len(data))

    layers = list(weights)
    if template is not None:
        layers.append(kept(f"{_IMAGE}.template", template.text.encode()))
        stop = json.dumps({"stop": list(template.stop)}, separators=(",", ":"))
        layers.append(kept(f"{_IMAGE}.params", stop.encode()))
    config = {
        "model_format": "gguf",
        "model_family": header.architecture,
        "model_families": [header.architecture],
        "model_type": parameters_text(header.parameters),
        "file_type": header.quantisation,
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }
    head = kept(_CONFIG, json.dumps(config, separators=(",", ":")).encode())
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _record(head),
        "layers": [_record(layer) for layer in layers],
    }
    return Image(blobs, json.dumps(manifest, separators=(",", ":")).encode())


def weights_layer(kind: str, digest: str, size_bytes: int) -> Layer:
    """The layer of a ``model`` or a ``projector``; the digest in hex."""
    return Layer(f"{_IMAGE}.{kind}", f"sha256:{digest}", size_bytes)


def _record(layer: Layer) -> dict[str, object]:
    return {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size_bytes}


def parameters_text(parameters: int) -> str:
    """A number of parameters as Ollama writes it: ``8.0B``, ``137M`` (``format.HumanNumber``)."""
    if parameters >= 1_000_000_000:
        number = parameters / 1e9
        return f"{number:.0f}B" if number >= 100 else f"{number:.1f}B"
    if parameters >= 1_000_000:
        return f"{parameters / 1e6:.2f}M"
    return f"{parameters / 1e3:.0f}K" if parameters >= 1000 else str(parameters)
