"""A deck for tests: a home, models as the test wants them, a scripted engine, a quiet machine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from modeldeck.engines.contract import Engine
from modeldeck.engines.hardware.types import GpuSnapshot, HardwareSnapshot, HostSnapshot
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.tui.app import DeckApp
from modeldeck.tui.services import EnginesMade, Services
from modeldeck.tui.settings import Settings
from tests.support.gguf_files import Q4_K, llama_metadata, llama_tensors, write_gguf
from tests.support.screens import screen_text

GIB = 1 << 30
QUIET = HardwareSnapshot(
    gpus=(
        GpuSnapshot(
            number=0,
            name="NVIDIA GeForce RTX 3060",
            memory_total_bytes=12288 << 20,
            memory_used_bytes=382 << 20,
            memory_free_bytes=11906 << 20,
            utilisation_percent=0,
            temperature_celsius=41,
            power_watts=15.0,
            driver="580.10",
            compute_capability=(8, 6),
        ),
    ),
    host=HostSnapshot("gpubox", "Ryzen 5 5600", 12, 3.0, 64 * GIB, 60 * GIB),
)


class QuietServices(Services):
    """Services on a machine where nothing changes."""

    snapshot = QUIET

    def sample(self, pid: int | None) -> tuple[HardwareSnapshot, int | None]:
        """The same each time."""
        return self.snapshot, None


def dense(folder: Path, name: str, *, blocks: int, embedding: int, kv_heads: int = 8) -> Path:
    """A plain dense 4-bit model of these dimensions; it takes no room on disk."""
    dims: dict[str, int] = {
        "blocks": blocks,
        "embedding": embedding,
        "feed_forward": embedding * 7 // 2,
        "heads": embedding // 128,
        "kv_heads": kv_heads,
        "tokens": 4096,
    }
    return write_gguf(
        folder / f"{name}.gguf",
        llama_metadata(name=name, context=131072, file_type=15, **dims),
        llama_tensors(ggml_type=Q4_K, tied=False, **dims),
    )


@dataclass
class Deck:
    """A running deck and the user in front of it."""

    pilot: Pilot[int]
    app: DeckApp
    services: Services

    @property
    def text(self) -> str:
        """What the screen shows."""
        return screen_text(self.app)

    async def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            await self.pilot.press(key)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type text into whatever has the focus."""
        await self.press(*("space" if c == " " else c for c in text))

    async def cursor_on(self, name: str) -> None:
        """Put the cursor of the list on a model, and let it rest there."""
        from modeldeck.tui.widgets.row_list import RowList

        key = next(model.id for model in self.app.state.models if model.name == name)
        self.app.screen.query_one(RowList).move_to(key)
        await self.pilot.pause(0.3)

    async def until(self, holds: Callable[[], bool], what: str = "it") -> None:
        """Wait until something holds. Fails with the screen after ten seconds."""
        for _ in range(500):
            if holds():
                await self.pilot.pause()
                return
            await self.pilot.pause(0.02)
        raise AssertionError(f"never came: {what}\n{self.text}")

    async def see(self, text: str) -> None:
        """Wait until the screen shows a text."""
        await self.until(lambda: text in self.text, text)

    async def rest(self) -> None:
        """Wait until the list is read and judged and the engines have answered."""
        state = self.app
        await self.until(
            lambda: (
                not state.state.scanning
                and len(state.state.verdicts)
                == sum(m.header is not None for m in state.state.models)
                and len(state.state.engines) > 0
                and all(e.probe is not None for e in state.state.engines)
            ),
            "a deck at rest",
        )
        await self.pilot.pause(0.3)


@asynccontextmanager
async def open_deck(
    home: Path,
    *engines: Engine,
    size: tuple[int, int] = (120, 40),
    settings: Settings | None = None,
    services_class: type[Services] = QuietServices,
    problems: tuple[str, ...] = (),
) -> AsyncGenerator[Deck]:
    """Open a deck that looks for models in ``home/models`` and has these engines."""
    models = home / "models"
    models.mkdir(exist_ok=True)
    database = Database.open(home / "deck.db", SCHEMAS)
    services = services_class(
        settings or Settings(model_dirs=(models,)),
        problems,
        home / ".config" / "modeldeck" / "config.toml",
        database,
        lambda: EnginesMade(engines, ()),
        {"XDG_CACHE_HOME": str(home / "cache")},
    )
    app = DeckApp(services)
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            yield Deck(pilot, app, services)
    finally:
        app.talk.close()
        for engine in engines:
            await engine.close()
        services.close()
