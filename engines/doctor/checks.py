"""The checks: each looks at the facts and says what it found, or nothing. Pure.

Adding one is writing a function, here or in ``cards``, and naming it in ``CHECKS``.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from modeldeck.engines.doctor import builds, cards
from modeldeck.engines.doctor.types import Facts, Finding, Found, Severity
from modeldeck.engines.paths import home_relative
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import gib_text

_GIB: Final = 1 << 30
_SLOW_FILESYSTEMS: Final = ("nfs", "cifs", "smb", "fuse", "9p", "ceph", "glusterfs")
_LITTLE_ROOM_BYTES: Final = 10 * _GIB
_LITTLE_DATA_ROOM_BYTES: Final = _GIB // 2
_FEW_WATCHES: Final = 8192

Check = Callable[[Facts], Iterator[Found]]


def engines(facts: Facts) -> Iterator[Found]:
    """Nothing can run a model: each engine says why. Else those that are here and do not work."""
    if not facts.engines:
        return
    if any(engine.available for engine in facts.engines):
        for probe in (engine.probe for engine in facts.engines if not engine.missing):
            if probe is not None and not probe.available:
                yield Severity.ADVICE, probe.problem, probe.next_step or "See: modeldeck engines"
        return
    asked = [engine.probe for engine in facts.engines if engine.probe is not None]
    if not asked:
        yield Severity.ERROR, "No engine here can run a model.", "See: modeldeck engines"
    for probe in asked:
        yield (
            Severity.ERROR,
            f"No engine here can run a model. {probe.problem}".strip(),
            probe.next_step or "See: modeldeck engines",
        )


def memory(facts: Facts) -> Iterator[Found]:
    """Memory that is short."""
    if (facts.swap_used_bytes or 0) >= _GIB:
        yield (
            Severity.WARNING,
            f"{gib_text(facts.swap_used_bytes or 0)} are swapped out: a model whose weights go to"
            " swap is slower by far.",
            "Close what is not needed, or choose a smaller model; see: free -h",
        )
    available = facts.hardware.host.memory_available_bytes
    if available is not None and available < 2 * _GIB:
        yield (
            Severity.WARNING,
            f"Only {gib_text(available)} of memory are left.",
            "Close what is not needed; see: ps aux --sort=-rss",
        )


def processor(facts: Facts) -> Iterator[Found]:
    """A processor held back, or without what llama.cpp is fast with."""
    if facts.cpu_governor == "powersave":
        yield (
            Severity.ADVICE,
            "The processor's governor is powersave, which may keep its clock low.",
            "As root: cpupower frequency-set -g performance",
        )
    cores = facts.hardware.host.cpu_cores
    if facts.cpu_quota is not None and facts.cpu_quota < cores:
        yield (
            Severity.WARNING,
            f"{cores} cores are visible, and a limit lets {facts.cpu_quota:g} of them work:"
            " engines start too many threads.",
            "Raise the limit (docker run --cpus), or set threads in the engine's settings.",
        )
    if facts.machine == "x86_64" and facts.cpu_flags and "avx2" not in facts.cpu_flags:
        yield (
            Severity.WARNING,
            "The processor has no AVX2, so that a model on the CPU is several times slower.",
            "Keep models on the GPU, or choose small ones.",
        )


def disks(facts: Facts) -> Iterator[Found]:
    """Where the models lie."""
    for disk in facts.models:
        path = home_relative(disk.path)
        if not disk.readable:
            yield (
                Severity.ERROR,
                f"The models in {path} cannot be listed.",
                f"Allow it: chmod u+rx {path}, or take it out of model_dirs.",
            )
        if (disk.filesystem or "").startswith(_SLOW_FILESYSTEMS):
            yield (
                Severity.ADVICE,
                f"The models in {path} lie on {disk.filesystem}: loading is as slow as the line.",
                "Copy those that are used often to a disk of this machine.",
            )
        elif disk.rotational:
            yield (
                Severity.ADVICE,
                f"The models in {path} lie on a spinning disk: loading takes a minute for 10 GB.",
                "Copy those that are used often to a solid-state disk.",
            )
        if disk.free_bytes is not None and disk.free_bytes < _LITTLE_ROOM_BYTES:
            yield (
                Severity.ADVICE,
                f"Only {gib_text(disk.free_bytes)} are free for models in {path}.",
                "Delete models that are not needed, or name another folder in model_dirs.",
            )


def skipped(facts: Facts) -> Iterator[Found]:
    """Folders of models that are passed over. One looked in from the start is told by ``disks``."""
    known = {disk.path for disk in facts.models if not disk.readable}
    paths = [path for path in facts.unreadable if path not in known]
    count = facts.unreadable_count - (len(facts.unreadable) - len(paths))
    if not paths:
        return
    named = ", ".join(clean_line(home_relative(path), 200) for path in paths)
    more = f" and {count - len(paths)} more" if count > len(paths) else ""
    folders = "1 folder" if count == 1 else f"{count} folders"
    yield (
        Severity.WARNING,
        f"{folders} cannot be read, and what is in there is not listed: {named}{more}.",
        "Ollama's own: sudo usermod -aG ollama $USER, then log in again."
        if all({"ollama", ".ollama"} & set(path.parts) for path in paths)
        else f"Allow it, or have its owner do it: chmod u+rx {shlex.quote(str(paths[0]))}",
    )


def kept(facts: Facts) -> Iterator[Found]:
    """Where conversations are kept."""
    data = facts.data
    if data is None:
        return
    path = home_relative(data.path)
    if not data.readable:
        yield (
            Severity.ERROR,
            f"{path} cannot be used, so that no conversation is kept.",
            f"Make it yours: chown -R $USER {path}",
        )
    elif data.free_bytes is not None and data.free_bytes < _LITTLE_DATA_ROOM_BYTES:
        yield (
            Severity.WARNING,
            f"Only {gib_text(data.free_bytes)} are free where conversations are kept ({path}).",
            f"Make room there; see: df -h {path}",
        )


def terminal(facts: Facts) -> Iterator[Found]:
    """What the deck is drawn with."""
    term = facts.environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        yield (
            Severity.WARNING,
            f"TERM is “{term}”: the deck cannot be drawn in this terminal.",
            "export TERM=xterm-256color",
        )
    if facts.encoding.lower().replace("-", "").replace("_", "") != "utf8":
        yield (
            Severity.ERROR,
            f"The terminal's characters are {facts.encoding}, and the deck needs UTF-8.",
            "export LC_ALL=C.UTF-8",
        )
    over_ssh = any(name in facts.environ for name in ("SSH_CONNECTION", "SSH_TTY"))
    if over_ssh and not facts.environ.get("COLORTERM") and term.endswith("256color"):
        yield (
            Severity.ADVICE,
            "SSH does not say how many colours your terminal has, so 256 are used.",
            "If it has all of them: modeldeck --color truecolor",
        )


def settings(facts: Facts) -> Iterator[Found]:
    """What is wrong in the settings."""
    for problem in facts.settings_problems:
        yield Severity.WARNING, problem, "Mend it in ~/.config/modeldeck/config.toml."


def watches(facts: Facts) -> Iterator[Found]:
    """How many folders may be watched."""
    if facts.inotify_watches is not None and facts.inotify_watches < _FEW_WATCHES:
        yield (
            Severity.ADVICE,
            f"Only {facts.inotify_watches:,} folders may be watched for new models.",
            "As root: sysctl fs.inotify.max_user_watches=65536",
        )


CHECKS: Final[Mapping[str, Check]] = {
    "driver": cards.driver,
    "engine-build": builds.engine_build,
    "engines": engines,
    "hidden": cards.hidden,
    "other-processes": cards.other_processes,
    "heat": cards.heat,
    "link": cards.link,
    "instances": cards.instances,
    "sleep": cards.sleep,
    "windows": cards.windows,
    "memory": memory,
    "processor": processor,
    "disks": disks,
    "skipped": skipped,
    "kept": kept,
    "terminal": terminal,
    "settings": settings,
    "watches": watches,
}
"""Every check by its stable name."""

_ORDER: Final = tuple(Severity)


def examine(facts: Facts) -> tuple[Finding, ...]:
    """All that the checks find, the worst first."""
    found = [Finding(name, *one) for name, check in CHECKS.items() for one in check(facts)]
    return tuple(sorted(found, key=lambda finding: _ORDER.index(finding.severity)))
