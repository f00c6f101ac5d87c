"""Where each architecture's weights and caches lie, beside llama.cpp's own dry run.

llama.cpp's server for other machines runs here, on the CPU, and is the device that layers move to:
what is placed by number of layers and by experts is the same for any device.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.catalog.scan import model_at
from modeldeck.engines.fit.architectures import ARCHITECTURES
from modeldeck.engines.fit.shape import Unjudged
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.terms import bill
from modeldeck.engines.types import Plan
from tests.engines.installed.test_every_architecture import NOT_BUILT
from tests.support.gguf_files import Tensor, write_gguf
from tests.support.llama_keys import EXPERTS, keys_of
from tests.support.llama_lab import ask

pytestmark = pytest.mark.engines

MIB = 1 << 20
CONTEXT = 1024


@pytest.fixture(scope="module")
def device(tools: Path) -> Iterator[str]:
    """A device to move layers to: its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    words = [str(tools / "ggml-rpc-server"), "-H", "127.0.0.1", "-p", str(port)]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(words, stdout=quiet, stderr=quiet)
    for _ in range(100):
        with socket.socket() as there:
            if there.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"127.0.0.1:{port}"
    server.kill()
    server.wait()


def said(tools: Path, path: Path, device: str, layers: int, moe: int) -> dict[str, list[int]]:
    """MiB of weights, caches and compute by device, rounded down."""
    words = ["-m", str(path), "--rpc", device, "-fitp", "on", "-ngl", str(layers), "-fa", "on"]
    words += ["-c", str(CONTEXT), "-ub", "512", "-np", "1", "--n-cpu-moe", str(moe)]
    program = str(tools / "llama-fit-params")
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=120)
    rows = (line.split() for line in done.stdout.splitlines())
    found = {row[0]: [int(size) for size in row[1:]] for row in rows if len(row) == 4}
    assert found, done.stderr[-500:]
    return found


@pytest.mark.parametrize("name", sorted(ARCHITECTURES.keys() - NOT_BUILT))
def test_what_lies_where_is_what_the_bill_says(
    tools: Path, tmp_path: Path, device: str, name: str
) -> None:
    keys = keys_of(name)
    [answer] = ask(tools / "libllama.so", [(keys, [])])
    unique = {tensor[0]: tensor for tensor in answer.tensors}
    table = [Tensor(tensor, shape, kind) for tensor, _, kind, shape in unique.values()]
    path = write_gguf(tmp_path / "model.gguf", keys, table)
    header = model_at(path).header
    assert header is not None
    shape = shape_of(header)
    assert not isinstance(shape, Unjudged)
    experts = (0, 2) if name in EXPERTS else (0,)
    plans = [(k, moe) for k in (0, 2, shape.layers - 1, shape.layers) for moe in experts]
    for k, moe in plans:
        found = said(tools, path, device, k + 1, moe)
        terms = bill(shape, Plan(context_tokens=CONTEXT, cpu_moe_blocks=moe), CONTEXT, k)
        host, (there,) = found.pop("Host"), found.values()
        billed = [
            (terms.weights_gpu_bytes, there[0]),
            (terms.weights_host_bytes, host[0]),
            (terms.kv_gpu_bytes + terms.recurrent_gpu_bytes, there[1]),
            (terms.kv_host_bytes + terms.recurrent_host_bytes, host[1]),
        ]
        for ours, theirs in billed:
            # Rounded down; a tensor begins at a multiple of 32 or 128 bytes.
            assert theirs - 0.6 <= ours / MIB <= theirs + 1.6, (k, moe, found, host)
