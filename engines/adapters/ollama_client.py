"""Asking an Ollama server: one HTTP client, and what its failures mean."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Final

from modeldeck.engines.adapters.json_values import table, text
from modeldeck.engines.adapters.ollama_wire import (
    LineReader,
    ReplyReader,
    StreamFailed,
    chat_body,
    fewest_tokens,
    loaded_in,
)
from modeldeck.engines.chat import ChatEvent, ChatRequest, Done
from modeldeck.engines.errors import EngineDied, EngineError, RequestRefused
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import Plan

_ASK_S: Final = 5.0
_MOST_BYTES: Final = 8 << 20
# llm/llama_server.go and llm/server.go: what Ollama says when the process with the weights ended.
_DEAD: Final = (
    "while running the model",
    "unexpectedly stopped",
    "no longer running",
    "terminated",
)


class OllamaClient:
    """One server at one address. The key is sent and never shown."""

    def __init__(self, url: str, key: str, silence_s: float) -> None:
        """Prepare to ask.

        Args:
            url: of the server.
            key: its bearer token; empty for none.
            silence_s: how long a reply may send no bytes.
        """
        import httpx  # 60 ms

        self.url = url
        self._silence_s = silence_s
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(_ASK_S),
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )

    async def ask(
        self, path: str, body: Mapping[str, object] | None = None, *, patient: bool = False
    ) -> Mapping[str, object]:
        """The JSON answer to a GET, or to a POST of ``body``.

        Raises:
            EngineDied: nobody answers.
            RequestRefused: it says no, or nothing in time, or what it says is no JSON.
        """
        import httpx

        method = "GET" if body is None else "POST"
        timeout = httpx.Timeout(_ASK_S, read=None) if patient else httpx.Timeout(_ASK_S)
        data = bytearray()
        try:
            async with self._http.stream(method, path, json=body, timeout=timeout) as response:
                async for piece in response.aiter_bytes():
                    data += piece
                    if len(data) > _MOST_BYTES:
                        raise _garbage()
        except httpx.ReadTimeout as error:
            raise RequestRefused("Ollama does not answer in time.", "Wait, try again.") from error
        except httpx.HTTPError as error:
            raise self._gone(error) from error
        if response.status_code != 200:
            raise refused(response.status_code, data, response.headers.get("retry-after", ""))
        try:
            return table(json.loads(data))
        except (ValueError, RecursionError) as error:
            raise _garbage() from error

    async def lines(self, path: str, body: bytes) -> AsyncGenerator[bytes, None]:
        """The lines of a streaming answer; closing the generator hangs up.

        Raises:
            EngineDied: nobody answers, or it hangs up.
            RequestRefused: it says no, or sends nothing for too long.
        """
        import httpx

        reader = LineReader()
        timeout = httpx.Timeout(_ASK_S, read=self._silence_s)
        headers = {"Content-Type": "application/json"}
        try:
            async with self._http.stream(
                "POST", path, content=body, headers=headers, timeout=timeout
            ) as response:
                if response.status_code != 200:
                    said = (await response.aread())[:_MOST_BYTES]
                    after = response.headers.get("retry-after", "")
                    raise refused(response.status_code, said, after)
                async for chunk in response.aiter_bytes():
                    for line in reader.feed(chunk):
                        yield line
        except httpx.ReadTimeout as error:
            raise RequestRefused(
                f"Ollama has sent nothing for {self._silence_s:g} s.",
                "Wait till it has less to do and send again, or unload the model.",
            ) from error
        except httpx.HTTPError as error:
            raise self._gone(error) from error
        except ValueError as error:
            raise _garbage() from error

    async def identify(self) -> str:
        """The version of the Ollama that answers.

        Others answer ``/api/tags`` too; only Ollama greets so (``server/routes.go``).

        Raises:
            EngineDied: nobody answers.
            RequestRefused: it says no, or it is something else.
        """
        import httpx

        try:
            greeting = await self._http.get("/")
        except httpx.HTTPError as error:
            raise self._gone(error) from error
        if greeting.status_code in (401, 429):
            raise refused(greeting.status_code, greeting.content)
        if greeting.text.strip() != "Ollama is running":
            raise _garbage()
        return clean_line(text((await self.ask("/api/version")).get("version")), 60)

    async def loaded(self) -> Mapping[str, Mapping[str, object]]:
        """What it holds in memory (``GET /api/ps``). Raises EngineDied, RequestRefused."""
        return loaded_in(await self.ask("/api/ps"))

    async def chat(
        self, name: str, plan: Plan, request: ChatRequest, keep_alive: str
    ) -> AsyncGenerator[ChatEvent, None]:
        """Stream one reply. Raises EngineDied, RequestRefused."""
        fresh = not any(message.role == "assistant" for message in request.messages)
        reply, begun = ReplyReader(fresh=fresh), False
        # Megabytes, when images are large.
        body = await asyncio.to_thread(chat_body, name, plan, request, keep_alive)
        async with contextlib.aclosing(self.lines("/api/chat", body)) as lines:
            try:
                async for line in lines:
                    begun = True
                    for event in reply.read(line):
                        if isinstance(event, Done):
                            _require_whole(reply.prompt_tokens, request)
                        yield event
            except StreamFailed as error:
                raise failed(error.args[0]) from error
            except ValueError as error:
                raise _garbage() from error
        if not begun:
            raise _garbage()
        if not reply.ended:
            raise EngineDied(
                "Ollama broke off in the middle of the answer.", "Load the model again, and send."
            )

    def _gone(self, error: Exception) -> EngineDied:
        reason = clean_line(str(error) or "no answer in time", 120)
        return EngineDied(
            f"Ollama at {clean_line(self.url, 80)} does not answer ({reason}).",
            "Start it (ollama serve) and load the model again.",
        )

    async def close(self) -> None:
        """Let go of the connections. Safe to call twice."""
        await self._http.aclose()


def refused(status: int, data: bytes | bytearray, retry_after: str = "") -> EngineError:
    """What an answer other than 200 means."""
    try:
        said = text(table(json.loads(data)).get("error"))
    except (ValueError, RecursionError):
        said = ""
    reason = clean_line(said or data[:300].decode(errors="replace"), 300) or f"HTTP {status}"
    if status == 401:
        return RequestRefused(
            "Ollama wants a key, or another one (401).",
            "Name the environment variable that holds it: api_key_env under [engines.ollama].",
        )
    if status == 429:
        wait = f" for {clean_line(retry_after, 40)} s" if retry_after else ""
        return RequestRefused(
            f"Ollama has too much to do (429): {reason}.", f"Wait{wait}, send again."
        )
    if status == 503:
        return RequestRefused(f"Ollama's queue is full (503): {reason}.", "Wait, send again.")
    return failed(reason)


def failed(reason: str) -> EngineError:
    """What an error in words means: the model's process ended, or Ollama said no."""
    said = clean_line(reason, 300)
    if any(words in said for words in _DEAD):
        return EngineDied(
            f"Ollama lost the model: {said}.", "Load it again; Ollama's own log says more."
        )
    if "context" in said and ("exceed" in said or "longer" in said):
        return RequestRefused(
            f"The conversation is longer than the context: {said}.",
            "Begin a new conversation, or load the model with a larger context.",
        )
    return RequestRefused(f"Ollama refused: {said}.", "Change the message or the model.")


def _require_whole(prompt_tokens: int, request: ChatRequest) -> None:
    """Raises RequestRefused when Ollama has read less than it was sent and did not say so."""
    fewest = fewest_tokens(request.messages)
    if 0 < prompt_tokens < fewest:
        raise RequestRefused(
            f"Ollama read {prompt_tokens} tokens of a conversation of at least {fewest}: "
            "it dropped the rest, so the answer knows only a part.",
            "Begin a new conversation, or load the model with a larger context.",
        )


def _garbage() -> RequestRefused:
    return RequestRefused(
        "What answers is not the Ollama that is documented: its answer cannot be read.",
        "Check url under [engines.ollama], and what listens there.",
    )
