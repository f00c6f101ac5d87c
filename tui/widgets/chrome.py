"""The frame around every place: the top bar, the notice line and the key line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content

from modeldeck.tui.actions import Action, Place, action, key_name
from modeldeck.tui.state import Notice, PullsBrief
from modeldeck.tui.widgets.line import Line

if TYPE_CHECKING:
    from modeldeck.engines.hardware.types import HardwareSnapshot

PLACES: tuple[tuple[Place, str], ...] = (
    ("models", "everywhere.models"),
    ("hub", "everywhere.hub"),
    ("pulls", "everywhere.pulls"),
    ("chat", "everywhere.chat"),
    ("engines", "everywhere.engines"),
)
_GIB = 1024**3


def places_line(here: Place, actions: Iterable[Action], pulls: PullsBrief | None = None) -> Content:
    """The program's name and the places with their keys; the place shown stands out.

    While something is pulled it says how many are on their way, and how far.
    """
    shown = "chat" if here == "conversations" else here
    keys = {entry.id: key_name(entry.keys[0]) for entry in actions if entry.keys}
    parts: list[Content | tuple[str, str]] = [(" modeldeck ", "bold $primary")]
    for place, action_id in PLACES:
        more = pulls_badge(pulls) if place == "pulls" and pulls is not None else ""
        label = f" {keys.get(action_id, '')} {action(action_id).label}{more} "
        parts.append((label, "bold reverse" if place == shown else "$foreground-muted"))
    return Content.assemble(*parts)


def pulls_badge(pulls: PullsBrief) -> str:
    """`` ▾2 41%``: two are on their way and so far; empty where nothing is."""
    if not pulls.number:
        return ""
    percent = f" {pulls.percent}%" if pulls.percent is not None else ""
    return f" ▾{pulls.number}{percent}"


def hardware_line(snapshot: HardwareSnapshot | None, room: int = 0) -> Content:
    """Host, the card that is judged for with its memory in GiB and its temperature; n/a is said.

    What finds no place in ``room`` cells is left out, the least telling first; 0 is enough room.
    """
    if snapshot is None:
        return Content("")
    host = snapshot.host
    if not snapshot.gpus:
        memory = ""
        total, available = host.memory_total_bytes, host.memory_available_bytes
        if total is not None and available is not None:
            memory = f"RAM {(total - available) / _GIB:.1f}/{total / _GIB:.1f} GiB"
        return _in_room([(host.name, 2), ("no NVIDIA GPU", 0), (memory, 1)], room)
    gpu = snapshot.main_gpu or snapshot.gpus[0]
    name = gpu.name.removeprefix("NVIDIA ").removeprefix("GeForce ")
    memory = "memory n/a"
    if gpu.memory_used_bytes is not None and gpu.memory_total_bytes is not None:
        memory = f"{gpu.memory_used_bytes / _GIB:.1f}/{gpu.memory_total_bytes / _GIB:.1f} GiB"
    celsius = gpu.temperature_celsius
    more = len(snapshot.runners) - 1
    return _in_room(
        [
            (host.name, 4),
            (name, 1),
            (memory, 0),
            (f"{celsius}°C" if celsius is not None else "", 3),
            (f"+{more} GPU" if more > 0 else "", 2),
        ],
        room,
    )


def _in_room(parts: list[tuple[str, int]], room: int) -> Content:
    """The parts that are not empty; while too wide, the one with the highest number goes."""
    kept = [part for part in parts if part[0]]
    while True:
        line = Content("  ".join(text for text, _ in kept) + " ")
        last = max(kept, key=lambda part: part[1], default=("", 0))
        if not room or line.cell_length <= room or not last[1]:
            return line
        kept.remove(last)


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


def notice_line(
    notice: Notice | None, width: int = 0, *, log_keys: str = "", retry_keys: str = ""
) -> Content:
    """Cause, then next step; a failure says so in words and names the keys that help.

    Args:
        notice: what to say.
        width: what does not fit beside the rest into so many cells stands below it.
        log_keys: what to press for the log.
        retry_keys: what to press to try a failed load again.
    """
    if notice is None:
        return Content("")
    if not notice.failure:
        return Content.assemble((notice.cause, "$foreground-muted"), f" {notice.next_step}")
    parts = [(" ", Content(notice.next_step))] if notice.next_step else []
    if notice.offer:
        offer = Content.assemble((retry_keys, "bold $primary"), f" {notice.offer}")
        parts.append((" ", offer))
    if notice.log_tail:
        log = Content.assemble((log_keys, "bold $primary"), (" log", "$foreground-muted"))
        parts.append(("   ", log))
    said = row = Content.styled(f"✕ {notice.cause}", "bold $error")
    for gap, part in parts:
        longer = row + gap + part
        beside = longer.cell_length <= width
        row = longer if beside else Content("  ") + part
        said = said + gap + part if beside else said + "\n  " + part
    return said


class TopBar(Horizontal):
    """Places on the left, the machine on the right."""

    DEFAULT_CSS = """
    TopBar { height: 1; background: $surface; }
    TopBar #hardware { width: auto; min-width: 16; max-width: 60%; text-align: right; }
    """

    def __init__(self, here: Place, actions: tuple[Action, ...]) -> None:
        super().__init__(id="top-bar")
        self._here: Place = here
        self._actions = actions
        self._machine: tuple[HardwareSnapshot | None, int | None] = (None, None)
        self._pulls = PullsBrief()

    def compose(self) -> ComposeResult:
        """Two lines side by side."""
        yield Line(places_line(self._here, self._actions), id="places")
        yield Line(id="hardware")

    def show_pulls(self, pulls: PullsBrief) -> None:
        """Say how many pulls are on their way, and how far."""
        if pulls != self._pulls:
            self._pulls = pulls
            self.query_one("#places", Line).show(self._places)
            self.show_hardware(*self._machine)

    @property
    def _places(self) -> Content:
        return places_line(self._here, self._actions, self._pulls)

    def on_resize(self) -> None:
        """Show as much of the machine as the new width takes."""
        self.show_hardware(*self._machine)

    def show_hardware(self, snapshot: HardwareSnapshot | None, slow_ms: int | None = None) -> None:
        """Show the newest snapshot; on a slow line how often is drawn, instead."""
        self._machine = (snapshot, slow_ms)
        line = self.query_one("#hardware", Line)
        room = self.size.width - self._places.cell_length
        content = hardware_line(snapshot, max(0, room)) if slow_ms is None else slow_line(slow_ms)
        width = max(16, content.cell_length)
        if line.styles.width is None or line.styles.width.cells != width:
            line.styles.width = width
        line.show(content)
