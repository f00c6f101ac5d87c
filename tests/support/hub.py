"""A repository of the Hugging Face Hub, as files for a server on loopback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

SMALL = 10_000
"""Larger files are kept by LFS and named by their SHA-256."""


def repository(
    name: str,
    files: Mapping[str, bytes],
    *,
    revision: str = "main",
    branches: Sequence[str] = ("main",),
    sizes: Mapping[str, int] | None = None,
    blobs: bool = True,
    commit: str = "",
) -> dict[str, bytes]:
    """What is at which path.

    Args:
        name: ``owner/name``.
        files: of the repository.
        revision: in which they are.
        branches: of the repository.
        sizes: that the listing claims, where they are not the files' own.
        blobs: the listing has sizes and digests; mirrors leave them out.
        commit: that the revision is now; empty where the server does not say.
    """
    siblings: list[dict[str, object]] = []
    tree: list[dict[str, object]] = []
    for file, content in files.items():
        entry: dict[str, object] = {"rfilename": file}
        digest = hashlib.sha256(content).hexdigest()
        size = (sizes or {}).get(file, len(content))
        if blobs and size > SMALL:
            entry |= {"size": size, "blobId": digest[:40], "lfs": {"size": size, "sha256": digest}}
        elif blobs:
            entry |= {"size": size, "blobId": git_digest(content)}
        siblings.append(entry)
        leaf: dict[str, object] = {"type": "file", "path": file, "size": size}
        leaf["oid"] = git_digest(content)
        if size > SMALL:
            leaf["lfs"] = {"oid": digest, "size": size, "pointerSize": 134}
        tree.append(leaf)
    listing = "" if revision == "main" else f"/revision/{revision}"
    whole: dict[str, object] = {
        "siblings": siblings,
        "config": {"tokenizer_config": {"chat_template": "{{ m }}"}},
    }
    if commit:
        whole["sha"] = commit
    refs = {"branches": [{"name": branch} for branch in branches], "tags": []}
    return {
        f"/api/models/{name}{listing}": json.dumps(whole).encode(),
        f"/api/models/{name}/refs": json.dumps(refs).encode(),
        f"/api/models/{name}/tree/{commit or revision}": json.dumps(tree).encode(),
        **{f"/{name}/resolve/{revision}/{file}": content for file, content in files.items()},
        **{
            f"/{name}/resolve/{commit}/{file}": content for file, content in files.items() if commit
        },
    }


def git_digest(content: bytes) -> str:
    """What git, and the Hub for small files, calls a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def folder_files(folder: Path) -> dict[str, bytes]:
    """The files of a folder, as a repository has them."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
