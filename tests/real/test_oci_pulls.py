"""Pulls from a real OCI registry, into the format of Ollama's store and into a plain folder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.catalog.ollama import ollama_sets
from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.catalog.unreadable import Unreadable
from modeldeck.engines.pulls.control import Bandwidth, Control
from modeldeck.engines.pulls.errors import Stopped
from modeldeck.engines.pulls.pull import Report, run_pull
from modeldeck.engines.pulls.types import Destination, Layout, PullState
from modeldeck.engines.pulls.wanted import wanted
from modeldeck.engines.units import MIB
from tests.support.oci_registry import OciRegistry, oci_registry
from tests.support.pulls import CONTENT, nothing_left, pulled


@pytest.fixture(scope="module")
def registry(
    registry_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OciRegistry]:
    with oci_registry(registry_program, tmp_path_factory.mktemp("registry")) as there:
        there.push("library/tiny:1b", CONTENT, {"template": b"{{ .Prompt }}", "projector": b"sees"})
        yield there


def test_a_model_lies_in_ollamas_store_as_ollama_puts_it(
    registry: OciRegistry, tmp_path: Path
) -> None:
    target = parse_target(f"ollama:{registry.host}/tiny:1b")
    want = wanted(target, Destination(Layout.OLLAMA_STORE, tmp_path), {})
    (manifest,), _ = pulled(want)

    assert manifest == tmp_path / "manifests" / registry.host / "library" / "tiny" / "1b"
    whole = json.loads(manifest.read_bytes())
    for layer in (*whole["layers"], whole["config"]):
        blob = tmp_path / "blobs" / layer["digest"].replace(":", "-")
        assert f"sha256:{hashlib.sha256(blob.read_bytes()).hexdigest()}" == layer["digest"]
        assert blob.stat().st_size == layer["size"]
    (found,) = ollama_sets(tmp_path, Unreadable())
    assert found.stem == f"{registry.host}/library/tiny:1b"
    assert not found.files[0].problem
    assert nothing_left(tmp_path)


def test_the_registry_gives_the_rest_of_a_blob(registry: OciRegistry, tmp_path: Path) -> None:
    target = parse_target(f"ollama:{registry.host}/tiny:1b")
    want = wanted(target, Destination(Layout.OLLAMA_STORE, tmp_path), {})
    control = Control(Bandwidth(24 * MIB))

    def stop(report: Report) -> None:
        if max(file.done_bytes for file in report.files) > 12 * MIB:
            control.stop()

    with pytest.raises(Stopped):
        run_pull(want, os.environ, control, stop)
    assert not (tmp_path / "manifests").exists()
    _, told = pulled(want)
    assert max(file.done_bytes for file in told[0].files) > 10 * MIB


def test_weights_alone_come_into_a_folder(registry: OciRegistry, tmp_path: Path) -> None:
    target = parse_target(f"ollama:{registry.host}/tiny:1b")
    placed, _ = pulled(wanted(target, Destination(Layout.FOLDER, tmp_path), {}))
    assert {path.name: path.read_bytes() for path in placed} == {
        "tiny-1b.gguf": CONTENT,
        "mmproj-tiny-1b.gguf": b"sees",
    }


@pytest.mark.parametrize("late", [False, True], ids=["while others come", "before the manifest"])
def test_blobs_that_ollama_sweeps_out_before_the_manifest_are_fetched_again(
    registry: OciRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """A server of Ollama that starts removes the blobs that no manifest names."""
    target = parse_target(f"ollama:{registry.host}/tiny:1b")
    want = wanted(target, Destination(Layout.OLLAMA_STORE, tmp_path), {})
    swept: list[Path] = []
    monkeypatch.setattr("modeldeck.engines.pulls.pull._TELL_SECONDS", 0.0)

    def sweep(report: Report) -> None:
        placing = report.state is PullState.PLACING
        if placing is late and report.files[1].done_bytes and not swept:
            swept.extend((tmp_path / "blobs").glob("sha256-*"))
            for blob in swept:
                blob.unlink()

    run_pull(want, {}, Control(), sweep)
    assert swept
    (found,) = ollama_sets(tmp_path, Unreadable())
    assert found.files[0].size_bytes == len(CONTENT)
