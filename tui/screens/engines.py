"""Engines: what is installed, what is not, and how to get it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.types import CSSPathType
from textual.widgets import Static

from modeldeck.engines.choice import EngineStatus
from modeldeck.tui.actions import Action, Place
from modeldeck.tui.bindings import bindings_of
from modeldeck.tui.messages import (
    CopyAsked,
    DoctorAsked,
    EngineTestAsked,
    NoticeGiven,
    ProbeAsked,
)
from modeldeck.tui.screens.place import PlaceScreen
from modeldeck.tui.state import DeckState
from modeldeck.tui.widgets.columns import Column
from modeldeck.tui.widgets.row_list import RowList
from modeldeck.tui.widgets.rows import Cell, Row

COLUMNS = (
    Column("engine", "ENGINE", 20),
    Column("state", "STATE", 15),
    Column("build", "BUILD", 24, priority=1),
    Column("devices", "DEVICES", 30, flexible=True),
)
_GIB = 1024**3


def engine_row(status: EngineStatus, loaded: str | None) -> Row:
    """One engine as a row. ``loaded`` is the model it holds, when it holds one."""
    probe = status.probe
    if probe is None:
        state = Cell("… asking", "muted")
    elif loaded is not None:
        state = Cell("▶ in use", "good")
    elif probe.available:
        state = Cell("● ready", "good")
    elif status.missing:
        state = Cell("○ not installed", "muted")
    else:
        state = Cell("✕ not usable", "bad")
    devices = Cell(", ".join(device.name for device in probe.devices) if probe else "")
    title = Cell(status.info.title)
    if probe is not None and status.missing:
        title, devices = title._replace(style="muted"), Cell(probe.command, "muted")
    return Row(status.info.name, (title, state, Cell(probe.build if probe else ""), devices))


def engine_detail(status: EngineStatus, loaded: str | None, trial: Sequence[str] = ()) -> Content:
    """What the deck knows of one engine, in sentences, and how it did when it was tried."""
    info, probe = status.info, status.probe
    formats = ", ".join(sorted(f.value.upper() for f in info.formats))
    lines = [
        Content.styled(info.title, "bold"),
        Content(f"{info.summary}"),
        Content(f"reads      {formats}"),
    ]
    if probe is None:
        lines.append(Content("asking what it can do here …"))
        return Content("\n").join(lines)
    if probe.where:
        lines.append(Content(f"runs       {probe.where}"))
    if probe.build:
        lines.append(Content(f"build      {probe.build}"))
    for device in probe.devices:
        memory = ""
        if device.memory_total_bytes:
            memory = f"  {device.memory_total_bytes / _GIB:.1f} GiB"
        lines.append(Content(f"device     {device.name}  {device.description}{memory}"))
    if loaded is not None:
        lines.append(Content(f"holds      {loaded}"))
    if not probe.available:
        style = "$text-muted" if status.missing else "bold $error"
        lines.append(Content.styled(probe.problem, style))
        lines.append(Content(probe.next_step))
    lines += [Content(f"{'tested' if at == 0 else '':<11}{line}") for at, line in enumerate(trial)]
    return Content("\n").join(lines)


class EnginesScreen(PlaceScreen):
    """Every engine with its state; the one under the cursor in full below."""

    PLACE: ClassVar[Place] = "engines"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("engines")
    CSS_PATH: ClassVar[CSSPathType | None] = ["place.tcss", "engines.tcss"]

    rows = getters.query_one(RowList)
    detail = getters.query_one("#engine-detail", Static)

    def compose_body(self) -> ComposeResult:
        """The list above, the engine under the cursor below."""
        yield RowList(COLUMNS, id="engine-list")
        yield Static(id="engine-detail", markup=False)

    def on_mount(self) -> None:
        """The list takes the keys."""
        self.rows.focus()

    def show_state(self, state: DeckState, before: DeckState) -> None:
        """Show the engines when one of them changed."""
        same = state.engines is before.engines and state.loaded is before.loaded
        if same and state.trials is before.trials and self.rows.rows:
            return
        self.rows.set_rows(tuple(engine_row(e, self._holds(e)) for e in state.engines))
        self._show_detail(self.rows.cursor_key)

    def _holds(self, status: EngineStatus) -> str | None:
        loaded = self.state.loaded
        return loaded.model.name if loaded and loaded.engine == status.info.name else None

    def _engine(self, name: str | None) -> EngineStatus | None:
        return next((e for e in self.state.engines if e.info.name == name), None)

    def _show_detail(self, name: str | None) -> None:
        status = self._engine(name)
        if status is not None:
            trial = self.state.trials.get(status.info.name, ())
            self.detail.update(engine_detail(status, self._holds(status), trial))
        self.show_keys()

    @on(RowList.Highlighted)
    def _highlighted(self, event: RowList.Highlighted) -> None:
        self._show_detail(event.key)

    def is_valid(self, entry: Action) -> bool:
        """The install command can be copied only when there is one; what is usable is tested."""
        status = self._engine(self.rows.cursor_key) if self.ready else None
        if entry.id == "engines.copy_command":
            return bool(status and status.probe and status.probe.next_step)
        if entry.id == "engines.test":
            return bool(status and status.available)
        return True

    def action_engines_test(self) -> None:
        """Have the engine under the cursor say five tokens."""
        status = self._engine(self.rows.cursor_key)
        if status is not None and status.available:
            self.post_message(EngineTestAsked(status.info.name))

    def action_engines_rescan(self) -> None:
        """Look again."""
        self.post_message(ProbeAsked())

    def action_engines_doctor(self) -> None:
        """Have the machine examined."""
        self.post_message(DoctorAsked())

    def action_engines_copy_command(self) -> None:
        """Copy what would install the engine under the cursor."""
        status = self._engine(self.rows.cursor_key)
        if status and status.probe and status.probe.next_step:
            copied = status.probe.command or status.probe.next_step
            self.post_message(CopyAsked(copied, "the next step"))
        else:
            self.post_message(NoticeGiven("This engine is installed already."))
