"""A ``llama-server`` to put on PATH: the flags and the words of the real one, served by the wheel.

Which flags there are, what their values are and what the help, the version and the list of devices
look like is from ``common/arg.cpp`` of llama.cpp. ``lacking`` makes it an older build.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# Long name: its other names.
FLAGS: dict[str, tuple[str, ...]] = {
    "--help": ("-h",),
    "--version": (),
    "--list-devices": (),
    "--model": ("-m",),
    "--ctx-size": ("-c",),
    "--parallel": ("-np",),
    "--kv-unified": ("-kvu",),
    "--batch-size": ("-b",),
    "--ubatch-size": ("-ub",),
    "--cache-type-k": ("-ctk",),
    "--cache-type-v": ("-ctv",),
    "--flash-attn": ("-fa",),
    "--gpu-layers": ("-ngl", "--n-gpu-layers"),
    "--threads": ("-t",),
    "--device": ("-dev",),
    "--fit": ("-fit",),
    "--cache-ram": ("-cram",),
    "--context-shift": (),
    "--no-context-shift": (),
    "--jinja": (),
    "--n-cpu-moe": ("-ncmoe",),
    "--override-tensor": ("-ot",),
    "--load-mode": ("-lm",),
    "--no-mmap": (),
    "--mmproj": ("-mm",),
    "--no-mmproj-offload": (),
    "--split-mode": ("-sm",),
    "--tensor-split": ("-ts",),
    "--main-gpu": ("-mg",),
    "--lora": (),
    "--spec-type": (),
    "--spec-draft-n-max": (),
    "--draft-max": ("--draft",),
    "--model-draft": ("-md", "--spec-draft-model"),
    "--gpu-layers-draft": ("-ngld",),
    "--device-draft": ("-devd",),
    "--cache-type-k-draft": ("-ctkd",),
    "--cache-type-v-draft": ("-ctvd",),
    "--host": (),
    "--port": (),
    "--metrics": (),
    "--slots": (),
    "--no-ui": ("--no-webui",),
    "--offline": (),
    "--verbosity": ("-lv", "--log-verbosity"),
}
SWITCHES = {
    "--help",
    "--version",
    "--list-devices",
    "--kv-unified",
    "--context-shift",
    "--no-context-shift",
    "--jinja",
    "--no-mmap",
    "--no-mmproj-offload",
    "--metrics",
    "--slots",
    "--no-ui",
    "--offline",
}
TODAY_LACKS = ("--no-mmap", "--draft-max")
"""``--load-mode none`` and ``--spec-draft-n-max`` took their places."""

OLD_LACKS = (
    *("--kv-unified", "--fit", "--cache-ram", "--n-cpu-moe", "--load-mode", "--offline"),
    *("--no-ui", "--slots", "--device", "--mmproj", "--no-mmproj-offload"),
    *("--spec-type", "--spec-draft-n-max", "--cache-type-k-draft", "--cache-type-v-draft"),
)
"""A build of early 2025."""


def install(
    folder: Path, lacking: Sequence[str] = TODAY_LACKS, *, old_flash_attention: bool = False
) -> Path:
    """Put the launcher into ``folder`` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "llama-server"
    path.write_text(
        f"#!{sys.executable}\n"
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.support.llama_server import main\n"
        f"main(sys.argv[1:], lacking={tuple(lacking)!r}, "
        f"old_flash_attention={old_flash_attention!r})\n"
    )
    path.chmod(0o755)
    return path


def help_text(lacking: Sequence[str], *, old_flash_attention: bool) -> str:
    """What ``--help`` prints."""
    lines = ["----- common params -----", ""]
    for name, others in FLAGS.items():
        if name in lacking:
            continue
        value = "" if name in SWITCHES else " VALUE"
        if name == "--flash-attn":
            value = "" if old_flash_attention else " [on|off|auto]"
        # As there: the first name is short, and the others begin in one column.
        words = f"{others[0] + ',':<6} " + ", ".join((*others[1:], name)) if others else name
        lines.append(f"{words}{value}".ljust(40) + "sets it, see --other-flag")
        lines.append(" " * 40 + f"(env: LLAMA_ARG_{name.strip('-').upper()})")
    if not old_flash_attention:
        lines.append(" " * 40 + " - 4: trace (more info)")
    return "\n".join(lines)


def parse(
    words: Sequence[str], lacking: Sequence[str], *, old_flash_attention: bool
) -> dict[str, str]:
    """Flags by their long name. Raises ValueError as llama.cpp does."""
    names = {
        every: name
        for name, others in FLAGS.items()
        if name not in lacking
        for every in (name, *others)
    }
    given: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word not in names:
            raise ValueError(f"error: invalid argument: {word}")
        name = names[word]
        bare = name in SWITCHES or (name == "--flash-attn" and old_flash_attention)
        given[name] = "" if bare else rest.pop(0)
    return given


def main(
    words: Sequence[str], *, lacking: Sequence[str] = (), old_flash_attention: bool = False
) -> None:
    """Be ``llama-server``."""
    for name in os.environ:
        if name.startswith("LLAMA_ARG_"):
            print(f"warn: {name} environment variable is set", file=sys.stderr)
    try:
        given = parse(words, lacking, old_flash_attention=old_flash_attention)
    except ValueError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    if "--help" in given:
        print(help_text(lacking, old_flash_attention=old_flash_attention))
    elif "--version" in given:
        print("version: 0.1.2 (build 9876, commit abcdef12)", file=sys.stderr)
        print("built with GNU 13.2.0 for Linux x86_64", file=sys.stderr)
    elif "--list-devices" in given:
        print("Available devices:")
        print("  CUDA0: NVIDIA GeForce RTX 3060 (12044 MiB, 11900 MiB free)")
    else:
        serve(given, old_flash_attention=old_flash_attention)


def serve(given: dict[str, str], *, old_flash_attention: bool) -> None:
    """Serve with the wheel until a signal comes."""
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    flash = xllamacpp.llama_flash_attn_type
    on = "--flash-attn" in given if old_flash_attention else given["--flash-attn"] == "on"
    params.model.path = given["--model"]
    params.hostnames = [given["--host"]]
    params.port = int(given.get("--port", "8080"))
    if key := os.environ.get("LLAMA_API_KEY"):
        params.api_keys = [key]
    params.n_ctx = int(given["--ctx-size"])
    params.n_parallel = int(given["--parallel"])
    params.kv_unified = "--kv-unified" in given
    params.n_batch = int(given["--batch-size"])
    params.n_ubatch = int(given["--ubatch-size"])
    params.cache_type_k = getattr(
        xllamacpp.ggml_type, f"GGML_TYPE_{given['--cache-type-k'].upper()}"
    )
    params.cache_type_v = getattr(
        xllamacpp.ggml_type, f"GGML_TYPE_{given['--cache-type-v'].upper()}"
    )
    params.flash_attn_type = getattr(
        flash, f"LLAMA_FLASH_ATTN_TYPE_{'ENABLED' if on else 'DISABLED'}"
    )
    params.n_gpu_layers = int(given["--gpu-layers"])
    params.cpuparams.n_threads = int(given["--threads"])
    params.fit_params = given.get("--fit") != "off"
    params.use_jinja = "--jinja" in given
    params.endpoint_metrics = "--metrics" in given
    params.endpoint_slots = True
    params.ui = "--no-ui" not in given
    params.verbosity = int(given.get("--verbosity", "3"))
    params.mmproj.path = given.get("--mmproj", "")
    params.mmproj_use_gpu = "--no-mmproj-offload" not in given
    if given.get("--load-mode") == "none" or "--no-mmap" in given:
        params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    print(f"main: server is listening on {server.listening_address}", file=sys.stderr, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)
