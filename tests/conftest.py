"""Every test runs as a new user in a plain 256-colour terminal, and talks to no other machine."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# What a person's shell may hold that changes what the deck does or how it looks.
_PERSONAL = (
    "COLORTERM",
    "COLUMNS",
    "CUDA_VISIBLE_DEVICES",
    "FORCE_COLOR",
    "LINES",
    "NO_COLOR",
    "NVIDIA_VISIBLE_DEVICES",
    "STY",
    "TERM_PROGRAM",
    "TMUX",
)
_PERSONAL_PREFIXES = (
    "GGML_",
    "HF_",
    "HUGGING",
    "LLAMA_",
    "LC_",
    "MODELDECK_",
    "OLLAMA_",
    "SSH_",
    "TEXTUAL",
    "XDG_",
)

# Slow machines are no failure, so no example has a deadline.
settings.register_profile("modeldeck", parent=settings.get_profile("default"), deadline=None)
settings.load_profile("modeldeck")


def pytest_configure() -> None:
    """Fix the environment before anything imports Textual, which reads it once, on import."""
    for name in list(os.environ):
        if name in _PERSONAL or name.startswith(_PERSONAL_PREFIXES):
            del os.environ[name]
    os.environ.update(TERM="xterm-256color", LANG="C.UTF-8", TEXTUAL_ANIMATIONS="none")
    # A shell makes its background jobs deaf to interrupts, and all that they start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def fresh_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, where all that the deck reads and writes goes."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture(scope="session")
def registry_program() -> Path:
    """A real OCI registry; tests that want it are skipped where it cannot be had."""
    from tests.support.oci_registry import fetched_program

    return fetched_program(Path(sys.prefix) / "debian")


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> None:
    """Refuse a connection to another machine, so that a test that needs one fails at once."""
    patch = pytest.MonkeyPatch()
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any, /) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_here(address[0]):
            raise ConnectionRefusedError(f"a test may not connect to {address[0]}")
        connect(self, address)

    patch.setattr(socket.socket, "connect", guarded)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
