"""The frame around every place: the top bar, the notice line and the key line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content

from modeldeck.tui.actions import Action, Place, action, key_name
from modeldeck.tui.state import Notice
from modeldeck.tui.widgets.line import Line

if TYPE_CHECKING:
    from modeldeck.engines.hardware.types import HardwareSnapshot

PLACES: tuple[tuple[Place, str], ...] = (
    ("models", "everywhere.models"),
    ("chat", "everywhere.chat"),
    ("engines", "everywhere.engines"),
)
_GIB = 1024**3


def places_line(here: Place, actions: Iterable[Action]) -> Content:
    """The program's name and the places with their keys; the place shown stands out."""
    shown = "chat" if here == "conversations" else here
    keys = {entry.id: key_name(entry.keys[0]) for entry in actions if entry.keys}
    parts: list[Content | tuple[str, str]] = [(" modeldeck ", "bold $primary")]
    for place, action_id in PLACES:
        label = f" {keys.get(action_id, '')} {action(action_id).label} "
        parts.append((label, "bold reverse" if place == shown else "$foreground-muted"))
    return Content.assemble(*parts)


def hardware_line(snapshot: HardwareSnapshot | None) -> Content:
    """Host and card with their memory in GiB and the die's temperature; n/a is said."""
    if snapshot is None:
        return Content("")
    host = snapshot.host
    if not snapshot.gpus:
        text = f"{host.name}  no NVIDIA GPU"
        total, available = host.memory_total_bytes, host.memory_available_bytes
        if total is not None and available is not None:
            text += f"  RAM {(total - available) / _GIB:.1f}/{total / _GIB:.1f} GiB"
        return Content(text + " ")
    gpu = snapshot.gpus[0]
    name = gpu.name.removeprefix("NVIDIA ").removeprefix("GeForce ")
    parts = [host.name, name]
    if gpu.memory_used_bytes is not None and gpu.memory_total_bytes is not None:
        parts.append(f"{gpu.memory_used_bytes / _GIB:.1f}/{gpu.memory_total_bytes / _GIB:.1f} GiB")
    else:
        parts.append("memory n/a")
    if gpu.temperature_celsius is not None:
        parts.append(f"{gpu.temperature_celsius}°C")
    if len(snapshot.gpus) > 1:
        parts.append(f"+{len(snapshot.gpus) - 1} GPU")
    return Content("  ".join(parts) + " ")


def slow_line(slow_ms: int) -> Content:
    """That the terminal does not keep up, and what is done about it."""
    return Content.styled(f"slow line: drawing every {slow_ms} ms ", "$text-warning")


def keys_line(actions: Iterable[Action], width: int) -> Content:
    """``key label`` for each action that fits into ``width`` cells.

    The way to all others always stays: help, or the palette where help's key is a letter to type.
    """
    entries = [entry for entry in actions if entry.shown and entry.keys]
    ways = [entry for entry in entries if entry.id in ("everywhere.palette", "everywhere.help")]
    kept = ways[-1:]
    used = 1 + sum(_cells(entry) for entry in kept)
    shown: list[Action] = []
    for entry in entries:
        if entry in kept:
            continue
        used += _cells(entry)
        if used > width:
            break
        shown.append(entry)
    parts: list[str | tuple[str, str]] = [" "]
    for entry in (*shown, *kept):
        key = key_name(entry.keys[0])
        parts += [(key, "bold $primary"), (f" {entry.label}   ", "$foreground-muted")]
    return Content.assemble(*parts)


def _cells(entry: Action) -> int:
    return len(key_name(entry.keys[0])) + len(entry.label) + 4


def notice_line(notice: Notice | None, log_key: str) -> Content:
    """Cause, then next step; a failure says so in words and names the key of the log."""
    if notice is None:
        return Content("")
    if not notice.failure:
        return Content.assemble((notice.cause, "$foreground-muted"), f" {notice.next_step}")
    log = f"  ({log_key} log)" if notice.log_tail else ""
    return Content.assemble(
        (f"✕ {notice.cause}", "bold $error"), f" {notice.next_step}", (log, "$foreground-muted")
    )


class TopBar(Horizontal):
    """Places on the left, the machine on the right."""

    DEFAULT_CSS = """
    TopBar { height: 1; background: $surface; }
    TopBar #hardware { width: auto; min-width: 20; max-width: 60%; text-align: right; }
    """

    def __init__(self, here: Place, actions: tuple[Action, ...]) -> None:
        super().__init__(id="top-bar")
        self._here: Place = here
        self._actions = actions

    def compose(self) -> ComposeResult:
        """Two lines side by side."""
        yield Line(places_line(self._here, self._actions), id="places")
        yield Line(id="hardware")

    def show_hardware(self, snapshot: HardwareSnapshot | None, slow_ms: int | None = None) -> None:
        """Show the newest snapshot; on a slow line how often is drawn, instead."""
        line = self.query_one("#hardware", Line)
        content = hardware_line(snapshot) if slow_ms is None else slow_line(slow_ms)
        width = max(20, content.cell_length)
        if line.styles.width is None or line.styles.width.cells != width:
            line.styles.width = width
        line.show(content)
