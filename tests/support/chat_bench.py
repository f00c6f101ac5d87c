"""A bench for the chat's widgets: a scripted answer, streamed as an engine would.

Run it in a terminal to look at it::

    PYTHONPATH=.pkg python tests/support/chat_bench.py [tokens per second] [batch in milliseconds]
"""

from __future__ import annotations

import asyncio
import math
import re
import sys
import time
from collections.abc import Callable, Sequence

from textual import getters, on
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Resize
from textual.message import Message

from modeldeck.engines.chat import Sampling
from modeldeck.engines.hardware.types import GpuSnapshot, HostSnapshot
from modeldeck.engines.meter import Rate, Reading
from modeldeck.tui.context_use import ContextUse
from modeldeck.tui.widgets.answer import Answer
from modeldeck.tui.widgets.chat_settings import ChatSettings
from modeldeck.tui.widgets.line import Line
from modeldeck.tui.widgets.model_picker import ModelPicker, PickerRow
from modeldeck.tui.widgets.prompt import Prompt
from modeldeck.tui.widgets.throughput_lines import PanelData, tokens_per_joule
from modeldeck.tui.widgets.throughput_panel import ThroughputPanel
from modeldeck.tui.widgets.transcript import Transcript

QUESTION = "為什麼 4-bit 的 30B 放不進 12 GB?  [/] [red]hostile[/red] [@click=app.quit]x"
REASONING = """The user asks, in Chinese, why a 30B model at 4 bits does not fit into 12 GB.
Weights: 30.5e9 parameters at about 4.8 bits is 18.3 GB. That alone is more than the card has.
Then the KV cache: 48 layers, 4 KV heads of 128, so 96 KiB per token; 16k tokens make 1.5 GB.
I should answer in Chinese, then give the numbers as a list and a table."""
ANSWER = """一個 30B 的模型，以 4-bit 量化後大約是 **18 GB**，而 RTX 3060 只有 12 GB 的記憶體，\
所以放不進去。原因有三個，每個都可以計算出來，而且彼此獨立。

## Why it does not fit

A model of thirty billion parameters at four and a half bits each takes about \
*seventeen gigabytes* for the weights alone, before a single token of context has been \
stored. The card of this machine has twelve, of which the driver keeps a little \
for itself, so that 11.6 GB is what a process can really have.

1. **Weights**: 30.5 billion parameters, each at about 4.8 bits with the scales, is 18.3 GB.
2. **KV cache**: 48 layers, 4 KV heads of 128, two bytes each: 96 KiB per token, 1.5 GB at 16k.
3. **Compute buffers**: about 300 MB for a micro-batch of 512 tokens.
4. The CUDA context itself, which is 250 MB on this driver and cannot be avoided by any means.

| quant  | size    | fits 12 GB |
|--------|--------:|------------|
| Q2_K   | 11.3 GB | no, barely |
| Q3_K_M | 14.7 GB | no         |
| Q4_K_M | 18.6 GB | no         |

What you *can* do is to keep the experts of some blocks on the CPU, as in:

```python
def fits(weights: int, cache: int, free: int) -> bool:
    \"\"\"Whether it fits.\"\"\"
    margin = 256 * 1024**2  # bytes
    return weights + cache + margin <= free
```

> The prediction is good to about fifteen per cent; `modeldeck bench` measures.

- the attention weights stay on the GPU, where they are needed for every token;
- the experts move to host memory, and only 8 of 128 are read for each token;
- decode is then bound by the bandwidth of the host memory: about 50 GB/s for DDR4.

That gives about 28 tokens per second on this machine, which is a comfortable reading pace. See \
`llama-server --n-cpu-moe 28` and [the manual](https://example.org/manual) for the details. \
Hostile: [/] [red]not red[/red] &#x202e;bidi &#27;[31m <b>bold?</b> e\u0301 n\u0303 \x1b]0;title\x07
"""


def tokens_of(text: str) -> list[str]:
    """``text`` cut into pieces about as long as a model's tokens."""
    return re.findall(r"\s*[^\s\u2e80-\uffef]{1,5}|\s*[\u2e80-\uffef]|\s+", text)


class ChatBench(App[None]):
    """The chat's widgets as a screen would put them together, with an answer on demand."""

    CSS = """
    #hint { width: auto; color: $text-muted; }
    #mark { width: 3; color: $primary; }
    #field { height: auto; border-top: solid $surface-lighten-2; }
    Screen.-narrow #talk { layout: vertical; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [  # noqa: RUF012
        Binding("ctrl+o", "switch", "switch"),
        Binding("ctrl+t", "settings", "settings"),
        Binding("ctrl+g", "reasoning", "reasoning"),
        Binding("escape", "leave", "leave"),
    ]

    transcript = getters.query_one(Transcript)
    prompt = getters.query_one(Prompt)

    def __init__(
        self,
        *,
        tokens_per_second: float = 50,
        batch_s: float = 0.1,
        growth_rows: int = 1,
        mounted: int = 60,
        answer: str = ANSWER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._tokens_per_second = tokens_per_second
        self._batch_s = batch_s
        self._growth_rows = growth_rows
        self._mounted = mounted
        self._answer = answer
        self._clock = clock
        self.seen: list[Message] = []
        self.report = ""

    def compose(self) -> ComposeResult:
        """Transcript and panel, the line for narrow screens, the prompt."""
        with Horizontal(id="talk"):
            yield Transcript(
                interval_s=self._batch_s, growth_rows=self._growth_rows, mounted=self._mounted
            )
            yield ThroughputPanel(id="panel", clock=self._clock)
        with Horizontal(id="field"):
            yield Line(Content(" › "), id="mark")
            yield Prompt(placeholder="ask")
            yield Line(Content("ctrl+j newline   enter send   ctrl+p everything "), id="hint")

    def on_mount(self) -> None:
        """Ready to write."""
        self.query_one("#hint").styles.width = 48
        self.prompt.focus()

    def on_resize(self, event: Resize) -> None:
        """The panel folds to one line on a narrow screen."""
        self.query_one(ThroughputPanel).set_class(event.size.width < 100, "-line")

    def show(self, data: PanelData) -> None:
        """Hand ``data`` to the panel in both its forms."""
        self.query_one(ThroughputPanel).show(data)

    def action_switch(self) -> None:
        rows = [
            PickerRow(str(size), f"Qwen3 {size}B Q4_K_M [/]", f"● fits  {size * 0.6:.1f}G")
            for size in range(1, 30)
        ]
        self.mount(ModelPicker(rows, current="14"), before="#field")

    def action_settings(self) -> None:
        self.mount(ChatSettings("You are terse.", Sampling(temperature=0.7)), before="#field")

    def action_reasoning(self) -> None:
        if (answer := self.transcript.last_answer) is not None:
            answer.toggle_reasoning()

    def action_leave(self) -> None:
        self.set_focus(None)

    @on(ModelPicker.Picked)
    @on(ModelPicker.Dismissed)
    @on(ChatSettings.Changed)
    @on(ChatSettings.Closed)
    @on(Answer.LinkClicked)
    @on(Prompt.Submitted)
    @on(Prompt.ScrollAsked)
    def _keep(self, message: Message) -> None:
        self.seen.append(message)

    @on(ModelPicker.Picked)
    @on(ModelPicker.Dismissed)
    @on(ChatSettings.Closed)
    async def _close(self) -> None:
        await self.query("ModelPicker, ChatSettings").remove()
        self.prompt.focus()

    @on(Prompt.ScrollAsked)
    def _scroll(self, message: Prompt.ScrollAsked) -> None:
        self.transcript.scroll_by(message.where)

    @on(Prompt.Submitted)
    async def _ask(self, message: Prompt.Submitted) -> None:
        await self.transcript.ask(message.text)
        self.run_worker(self.stream(), exclusive=True)

    async def stream(self) -> None:
        """An answer in real time, its reasoning first."""
        cpu = time.process_time()
        answer = await self.transcript.answer("qwen3 14b")
        started = time.monotonic()
        tokens = tokens_of(self._answer)
        for number, token in enumerate(tokens_of(REASONING)):
            answer.append_reasoning(token)
            self.show(panel_data(number, time.monotonic() - started))
            await asyncio.sleep(1 / self._tokens_per_second)
        answer.thought(4.1, 139)
        for number, token in enumerate(tokens):
            answer.append(token)
            self.show(panel_data(number + 139, time.monotonic() - started))
            await asyncio.sleep(1 / self._tokens_per_second)
        answer.finish("stopped")
        self.report = f"{len(tokens)} tokens, {time.process_time() - cpu:.2f} s CPU"


def panel_data(tokens: int, seconds: float) -> PanelData:
    """The panel after ``tokens`` of a reply that has taken ``seconds``."""
    now = 34 + 3 * math.sin(tokens / 9)
    reading = Reading(
        phase="decode",
        elapsed_ns=int(seconds * 1e9),
        decode_now=Rate(now, "engine"),
        decode_mean=Rate(34 + 1 / (tokens + 1), "engine"),
        prefill=Rate(640.3, "engine"),
        first_token_ns=660_000_000,
        gap_p50_ns=29_000_000,
        gap_p95_ns=31_000_000 + tokens // 20 * 100_000,
        gap_source="wall",
        prompt_tokens=412,
        cached_tokens=0,
        completion_tokens=tokens,
        history=tuple(34 + 3 * math.sin(int(seconds * 4 + back) / 3) for back in range(60)),
        cjk_characters_per_second=24.1,
        words_per_second=3.2,
        feel="reading pace",
    )
    gpu = GpuSnapshot(
        0, "RTX 3060", 12288 * 2**20, 11264 * 2**20, 2**30, 97, 61, 168.0 + tokens // 50 % 3
    )
    host = HostSnapshot("gpubox", "Ryzen", 8, 43.0, 32 * 2**30, 20 * 2**30)
    return PanelData(
        reading, "Qwen3 14B Q4_K_M", "llama_server", ContextUse(412 + tokens, exact=True), 16384,
        gpu, host, 2**30, tokens_per_joule(reading, gpu),
    )  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Run the bench in this terminal."""
    numbers = [float(word) for word in arguments]
    defaults = (50.0, 100.0, 1.0)
    rate, batch_ms, growth_rows = (*numbers, *defaults[len(numbers) :])
    app = ChatBench(tokens_per_second=rate, batch_s=batch_ms / 1000, growth_rows=int(growth_rows))
    app.run()
    print(app.report)


if __name__ == "__main__":
    main(sys.argv[1:])
