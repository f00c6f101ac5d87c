"""Pulls from a mirror of the Hub that others wrote: no sizes, no ranges, git's digests alone."""

from __future__ import annotations

import sys
from pathlib import Path

from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.pulls.types import Destination, Layout
from modeldeck.engines.pulls.wanted import wanted
from modeldeck.engines.units import MIB
from tests.support.hub import git_digest
from tests.support.olah import installed, olah
from tests.support.pulls import CONTENT, pulled


def test_a_mirror_by_others_is_pulled_from(tmp_path: Path) -> None:
    from huggingface_hub import scan_cache_dir

    program = installed(Path(sys.prefix) / "olah")
    files = {"m-Q4_K_M.gguf": CONTENT[: 12 * MIB], "mmproj-F16.gguf": b"sees", "LICENSE": b"free"}
    store = tmp_path / "store"
    with olah(program, tmp_path, "o/n", files) as url:
        environ = {"HF_ENDPOINT": url}
        want = wanted(parse_target("hf:o/n"), Destination(Layout.HUB_CACHE, store), environ)
        assert [file.size_bytes for file in want.files] == [12 * MIB, 4]
        placed, _ = pulled(want, environ)
    for path in placed:
        assert path.read_bytes() == files[path.name]
        assert path.resolve().name == git_digest(files[path.name])
    assert len(placed) == 2
    assert not scan_cache_dir(store).warnings
