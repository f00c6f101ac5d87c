"""Debian's ``docker-registry``, a real OCI registry, with models as Ollama's registry holds them.

The package is fetched once and unpacked into ``.venv``; nothing is installed into the system. Where
apt cannot fetch it, the tests that want it are skipped, with apt's reason.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.ollama.image."
_PACKAGE = "docker-registry"
_PROGRAM = Path("usr/bin/docker-registry")
_SETTINGS = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {data}}}, delete: {{enabled: true}}}}
http: {{addr: 127.0.0.1:{port}}}
"""


@dataclass(frozen=True)
class OciRegistry:
    """A registry that runs.

    Attributes:
        host: its address and port, as they stand in a model's name.
    """

    host: str

    def push(self, model: str, weights: bytes, others: Mapping[str, bytes] | None = None) -> str:
        """Put a model there.

        Args:
            model: ``namespace/name:tag``.
            weights: its GGUF file.
            others: further layers by the last word of their media type, such as ``template``.

        Returns:
            The digest of its manifest.
        """
        name, _, tag = model.partition(":")
        layers = [self._layer(name, "model", weights)]
        layers += [self._layer(name, kind, text) for kind, text in (others or {}).items()]
        config = json.dumps({"model_format": "gguf", "architecture": "amd64", "os": "linux"})
        digest = self._blob(name, config.encode())
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest, "size": len(config)},
            "layers": layers,
        }
        url = f"http://{self.host}/v2/{name}/manifests/{tag}"
        answer = httpx.put(url, content=json.dumps(manifest), headers={"Content-Type": MANIFEST})
        answer.raise_for_status()
        return answer.headers["Docker-Content-Digest"]

    def _layer(self, name: str, kind: str, content: bytes) -> dict[str, object]:
        digest = self._blob(name, content)
        return {"mediaType": LAYER + kind, "digest": digest, "size": len(content)}

    def _blob(self, name: str, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        begun = httpx.post(f"http://{self.host}/v2/{name}/blobs/uploads/")
        begun.raise_for_status()
        place = httpx.URL(begun.headers["Location"]).copy_merge_params({"digest": digest})
        kind = {"Content-Type": "application/octet-stream"}
        httpx.put(place, content=content, headers=kind, timeout=60).raise_for_status()
        return digest


def fetched_program(kept: Path) -> Path:
    """The registry's program; the test is skipped where apt cannot fetch it.

    Args:
        kept: where it is, or is to be.
    """
    folder = kept / _PACKAGE
    if not (folder / _PROGRAM).is_file():
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            pytest.skip("a real registry is a Debian package, and there is no apt here")
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept) as made:
            _unpack(Path(made))
            with suppress(OSError):  # another worker was faster
                (Path(made) / "whole").rename(folder)
    return folder / _PROGRAM


def _unpack(into: Path) -> None:
    words = ["apt-get", "-o", "APT::Sandbox::User=root", "download", _PACKAGE]
    got = subprocess.run(words, cwd=into, capture_output=True, text=True, timeout=300)
    packages = list(into.glob("*.deb"))
    if got.returncode or not packages:
        pytest.skip(f"apt cannot fetch {_PACKAGE}: {got.stderr.strip()[-200:]}")
    subprocess.run(["dpkg-deb", "-x", packages[0], into / "whole"], check=True)


@contextmanager
def oci_registry(program: Path, data: Path) -> Generator[OciRegistry]:
    """Run a registry over a folder, on loopback, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    settings = data / "registry.yml"
    settings.write_text(_SETTINGS.format(data=data / "registry", port=port))
    with (data / "registry.log").open("wb") as log:
        server = subprocess.Popen([program, "serve", settings], stdout=log, stderr=log)
    host = f"127.0.0.1:{port}"
    try:
        _wait(server, host, data / "registry.log")
        yield OciRegistry(host)
    finally:
        server.kill()
        server.wait()


def _wait(server: subprocess.Popen[bytes], host: str, log: Path) -> None:
    for _ in range(200):
        try:
            httpx.get(f"http://{host}/v2/").raise_for_status()
            return
        except httpx.TransportError:
            assert server.poll() is None, log.read_text(errors="replace")[-500:]
            time.sleep(0.05)
    raise AssertionError("the registry never answered")
