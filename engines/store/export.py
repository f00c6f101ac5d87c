"""A conversation as Markdown (the branch that is followed) and as JSON (the whole tree). Pure.

``docs/export.md`` says what stands in both; the keys of the JSON stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from modeldeck.engines.chat import Image, Sampling
from modeldeck.engines.images import SUFFIXES, data_uri
from modeldeck.engines.store.records import ConversationRecord, Record
from modeldeck.engines.text import clean_line

FORMAT: Final = "modeldeck conversation"
VERSION: Final = 1


def markdown(record: ConversationRecord, image_names: Sequence[str] = ()) -> str:
    """The branch that is followed, with the models, settings and speeds.

    Args:
        record: the conversation.
        image_names: files that stand beside it, in the order of ``branch_images``.
    """
    conversation, branch = record.conversation, record.branch
    names = iter(image_names)
    title = clean_line(conversation.title) or "Conversation"
    parts = [f"# {title}", "\n".join(_facts(record, branch))]
    if conversation.system_prompt.strip():
        parts += ["## system", conversation.system_prompt.strip()]
    for message in branch:
        parts += _turn(message, names)
    return "\n\n".join(parts) + "\n"


def branch_images(record: ConversationRecord) -> tuple[Image, ...]:
    """The images of the branch that is followed, in order."""
    return tuple(image for message in record.branch for image in message.images)


def image_file_name(stem: str, number: int, image: Image) -> str:
    """The name of the file beside the Markdown that takes the image of this number."""
    return f"{stem}-image-{number}{SUFFIXES.get(image.mime, '')}"


def _facts(record: ConversationRecord, branch: Sequence[Record]) -> Iterator[str]:
    models = dict.fromkeys(f"{m.model} ({m.engine})" for m in branch if m.model)
    if models:
        yield f"- model: {', '.join(models)}"
    if settings := _settings(record.conversation.sampling):
        yield f"- settings: {settings}"
    yield f"- begun: {_time(record.created)}"
    others = len(record.messages) - len(branch)
    more = f", and {others} in other branches" if others else ""
    yield f"- messages: {len(branch)}{more}"


def _settings(sampling: Sampling) -> str:
    return ", ".join(
        f"{name} {value}" for name, value in sampling._asdict().items() if value is not None
    )


def _turn(message: Record, image_names: Iterator[str]) -> Iterator[str]:
    yield f"## {message.model or 'model' if message.role == 'assistant' else 'you'}"
    for image in message.images:
        yield f"![{_bracketed(image.name)}](<{next(image_names, image.name)}>)"
    if message.reasoning.strip():
        quoted = "\n".join(f"> {line}".rstrip() for line in message.reasoning.strip().split("\n"))
        yield f"> *reasoning*\n>\n{quoted}"
    if message.text.strip():
        yield message.text.strip("\n")
    if message.role == "assistant":
        yield f"*{_speeds(message)}*"


def _bracketed(text: str) -> str:
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def _speeds(message: Record) -> str:
    parts = [message.engine] if message.engine else []
    if message.completion_tokens is not None:
        parts.append(f"{message.completion_tokens} tokens")
    source = message.timings.source if message.timings else ""
    for name, rate in (("decode", _decode(message)), ("prefill", _prefill(message))):
        if rate is not None:
            parts.append(f"{name} {rate:.1f} tok/s ({source})")
    if message.first_token_ns is not None:
        parts.append(f"first token {message.first_token_ns / 1e9:.2f} s")
    if message.state != "done":
        parts.append(" ".join(filter(None, (message.state, message.error.replace("*", "")))))
    return ", ".join(parts) or "no measurements"


def json_text(record: ConversationRecord) -> str:
    """The whole conversation, every branch, as JSON with stable keys."""
    return json.dumps(json_object(record), ensure_ascii=False, indent=2) + "\n"


def json_object(record: ConversationRecord) -> dict[str, object]:
    """The whole conversation as plain data."""
    conversation = record.conversation
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": conversation.title,
        "created": _time(record.created),
        "system_prompt": conversation.system_prompt,
        "sampling": conversation.sampling._asdict(),
        "leaf": conversation.leaf,
        "messages": [_message_object(message) for message in record.messages],
    }


def _message_object(message: Record) -> dict[str, object]:
    return {
        "id": message.id,
        "parent": message.parent,
        "role": message.role,
        "text": message.text,
        "reasoning": message.reasoning,
        "model": message.model,
        "engine": message.engine,
        "state": message.state,
        "error": message.error,
        "started": _time(message.started),
        "ended": None if message.ended is None else _time(message.ended),
        "prompt_tokens": message.prompt_tokens,
        "cached_tokens": message.cached_tokens,
        "completion_tokens": message.completion_tokens,
        "ttft_ms": _rounded(message.first_token_ns, 1e6),
        "prefill_tps": _rounded(_prefill(message)),
        "decode_tps": _rounded(_decode(message)),
        "source": message.timings.source if message.timings else None,
        "images": [
            {
                "name": image.name,
                "type": image.mime,
                "width": image.width,
                "height": image.height,
                "data": data_uri(image),
            }
            for image in message.images
        ],
    }


def _decode(message: Record) -> float | None:
    """Mean rate: n tokens are n - 1 steps, as the meter counts them."""
    timings = message.timings
    if timings is None or timings.decode_ns <= 0 or timings.decoded_tokens < 2:
        return None
    return (timings.decoded_tokens - 1) / timings.decode_ns * 1e9


def _prefill(message: Record) -> float | None:
    timings = message.timings
    if timings is None or timings.prefill_ns <= 0 or timings.prompt_tokens <= 0:
        return None
    return timings.prompt_tokens / timings.prefill_ns * 1e9


def _rounded(value: float | None, unit: float = 1) -> float | None:
    return None if value is None else round(value / unit, 3)


def _time(seconds: int) -> str:
    """ISO 8601 in UTC; a clock far off is no reason to fail."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return ""
