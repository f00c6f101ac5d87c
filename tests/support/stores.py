"""The stores of other programs, laid out on the disk as those programs lay them out."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.types import Source
from tests.support.gguf_files import write_llama
from tests.support.hub import SMALL, git_digest

OLD, NEW = "a" * 40, "b" * 40
"""Two commits of a repository."""


def weights(folder: Path, name: str = "Tiny Llama") -> bytes:
    """A sound GGUF, another one for each name, as bytes."""
    return write_llama(folder / "made.gguf", name=name).read_bytes()


def sha256(data: bytes) -> str:
    """The digest in hex."""
    return hashlib.sha256(data).hexdigest()


def etag_of(data: bytes) -> str:
    """What the Hub names a content by: large files are kept by LFS, small ones by git."""
    return sha256(data) if len(data) > SMALL else git_digest(data)


class OllamaStore:
    """``blobs`` and ``manifests`` of Ollama."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = Place(Source.OLLAMA, folder)
        (folder / "blobs").mkdir(parents=True)

    def blob(self, data: bytes) -> str:
        """Keep ``data``; its digest as manifests write it."""
        (self.folder / "blobs" / f"sha256-{sha256(data)}").write_bytes(data)
        return f"sha256:{sha256(data)}"

    def path(self, data: bytes) -> Path:
        """Where ``data`` lies."""
        return self.folder / "blobs" / f"sha256-{sha256(data)}"

    def model(self, name: str, tag: str, **layers: bytes) -> Path:
        """A model with its own config; the path of its manifest."""
        config = json.dumps({"model_format": "gguf", "name": name, "tag": tag}).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "digest": self.blob(config),
                "size": len(config),
            },
            "layers": [
                {
                    "mediaType": f"application/vnd.ollama.image.{kind}",
                    "digest": self.blob(data),
                    "size": len(data),
                }
                for kind, data in layers.items()
            ],
        }
        path = self.folder.joinpath("manifests", "registry.ollama.ai", "library", name, tag)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(manifest))
        return path


class HubCache:
    """The cache of ``huggingface_hub``: blobs, snapshots of links to them, refs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = Place(Source.HUGGING_FACE, folder)
        folder.mkdir(parents=True)

    def snapshot(
        self, name: str, files: Mapping[str, bytes], commit: str = OLD, ref: str | None = "main"
    ) -> Path:
        """One revision of a repository; its folder."""
        repository = self.folder / f"models--{name.replace('/', '--')}"
        folder = repository / "snapshots" / commit
        for file, data in files.items():
            blob = repository / "blobs" / etag_of(data)
            blob.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(data)
            link = folder / file
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(blob, link.parent))
        if ref:
            (repository / "refs").mkdir(exist_ok=True)
            (repository / "refs" / ref).write_text(commit)
        return folder


def names_below(*folders: Path) -> dict[str, tuple[int, bytes | str]]:
    """Every name below ``folders`` with its inode and content, a link with its target."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            inode = path.lstat().st_ino
            if path.is_symlink():
                found[str(path)] = inode, str(path.readlink())
            elif path.is_file():
                found[str(path)] = inode, path.read_bytes()
    return found
