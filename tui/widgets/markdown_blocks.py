"""Markdown source in, blocks out: plain data that can be laid out at any width.

Model output is data. HTML is shown as written, links show their true address, entities cannot
bring a control character back in, and nothing is ever parsed as console markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

from textual.content import Content, Span
from textual.style import Style

from modeldeck.engines.text import clean

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

Align = Literal["left", "center", "right"]

STYLES = frozenset(
    {
        "markdown--heading",
        "markdown--code",
        "markdown--link",
        "markdown--mark",
        "markdown--keyword",
        "markdown--string",
        "markdown--number",
        "markdown--comment",
    }
)
"""Component classes that the widget showing the blocks must have."""

HIGHLIGHT_LIMIT = 40_000
URL_META = "url"
_MARK = ".markdown--mark"
_SPACES = re.compile(r"\s+")
_NOTHING = Content()


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document that is laid out on its own.

    Attributes:
        kind: ``text`` wraps at words, ``code`` is cut at the edge, ``table`` has ``rows``,
            ``rule`` has nothing.
        text: of ``text`` and ``code``; may hold newlines.
        first: what stands before the first line (a bullet, say).
        rest: what stands before the other lines; as wide as ``first``.
        gap: the blank line above, with the bars of the quotes it is in; None for no gap.
        language: of ``code``, as the fence names it.
        rows: of ``table``, the header first; every row has as many cells.
        aligns: of ``table``, one per column.
    """

    kind: Literal["text", "code", "table", "rule"]
    text: Content = _NOTHING
    first: Content = _NOTHING
    rest: Content = _NOTHING
    gap: Content | None = None
    language: str = ""
    rows: tuple[tuple[Content, ...], ...] = ()
    aligns: tuple[Align, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed piece of source.

    Attributes:
        blocks: in order.
        settled: how many of them no further text can change (all but the last top-level one).
        settled_lines: source lines those stand for.
    """

    blocks: tuple[Block, ...]
    settled: int
    settled_lines: int


@dataclass(slots=True)
class _Container:
    """A list item or a quote that encloses blocks.

    Attributes:
        rest: stands before each of its lines.
        first: stands before its first line instead, until that line is placed.
        tight: its blocks have no blank line between them.
        opens: it is a quote or the first item of its list: what is around it decides the gap.
    """

    rest: Content
    first: Content | None
    tight: bool = False
    opens: bool = True


@dataclass(slots=True)
class _List:
    number: int | None
    digits: int
    tight: bool
    fresh: bool = True


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # 25 ms to import: only when the first answer is shown.
    from markdown_it import MarkdownIt

    # Without references: a definition would vanish from the text, and could change what is settled.
    markdown = MarkdownIt("commonmark", {"html": False})
    return markdown.enable(["table", "strikethrough"]).disable(["reference"])


def parse(source: str, *, flowing: bool = False) -> Parsed:
    """Cut Markdown into blocks. Any text is valid Markdown: never raises.

    In a ``flowing`` text a line break in the source is a space, as in a browser.
    """
    tokens = _parser().parse(source)
    for token in tokens if flowing else ():
        for child in token.children or ():
            if child.type == "softbreak":
                child.type, child.content = "text", " "
    last, line = 0, 0
    for index, token in enumerate(tokens):
        if token.level == 0 and token.map is not None:
            last, line = index, token.map[0]
    settled = _Builder().build(tokens[:last])
    return Parsed((*settled, *_Builder().build(tokens[last:])), len(settled), line)


@dataclass(slots=True)
class _Builder:
    """Walks tokens and makes blocks; knows the lists and quotes it is in."""

    inside: list[_Container] = field(default_factory=list[_Container])
    lists: list[_List] = field(default_factory=list[_List])

    def build(self, tokens: Sequence[Token]) -> list[Block]:
        """The blocks of ``tokens``."""
        blocks: list[Block] = []
        index = 0
        while index < len(tokens):
            token = tokens[index]
            match token.type:
                case "bullet_list_open" | "ordered_list_open":
                    self.lists.append(_list_at(tokens, index))
                case "bullet_list_close" | "ordered_list_close":
                    self.lists.pop()
                case "list_item_open":
                    self._enter_item()
                case "blockquote_open":
                    bar = Content.styled("▎ ", _MARK)
                    self.inside.append(_Container(bar, bar))
                case "list_item_close" | "blockquote_close":
                    if self.inside[-1].first is not None:
                        blocks.append(self._placed(Block("text")))
                    self.inside.pop()
                case "inline":
                    text = inline(token.children or ())
                    if tokens[index - 1].type == "heading_open":
                        text = text.stylize(".markdown--heading")
                    blocks.append(self._placed(Block("text", text)))
                case "fence" | "code_block":
                    code = Content(clean(token.content).rstrip("\n").expandtabs(4))
                    words = token.info.split(maxsplit=1)
                    block = Block("code", code, language=words[0] if words else "")
                    blocks.append(self._placed(block))
                case "hr":
                    blocks.append(self._placed(Block("rule")))
                case "table_open":
                    start = index
                    while tokens[index].type != "table_close":
                        index += 1
                    blocks.append(self._placed(_table(tokens[start:index])))
                case _:
                    pass
            index += 1
        return blocks

    def _enter_item(self) -> None:
        own = self.lists[-1]
        if own.number is None:
            depth = sum(1 for entry in self.lists if entry.number is None)
            mark = "•◦▪"[(depth - 1) % 3]
        else:
            mark = f"{own.number}.".rjust(own.digits + 1)
            own.number += 1
        self.inside.append(
            _Container(
                rest=Content(" " * (len(mark) + 1)),
                first=Content.styled(f"{mark} ", _MARK),
                tight=own.tight,
                opens=own.fresh,
            )
        )
        own.fresh = False

    def _placed(self, block: Block) -> Block:
        """``block`` with the marks of what it is in."""
        gap = None
        if self._gap_above(len(self.inside)):
            gap = _joined(c.rest for c in takewhile(lambda c: c.first is None, self.inside))
        first = _joined(c.rest if c.first is None else c.first for c in self.inside)
        rest = _joined(c.rest for c in self.inside)
        for container in self.inside:
            container.first = None
        return replace(block, first=first, rest=rest, gap=gap)

    def _gap_above(self, depth: int) -> bool:
        if depth == 0:
            return True
        container = self.inside[depth - 1]
        if container.first is not None and container.opens:
            return self._gap_above(depth - 1)
        return not container.tight


def _joined(parts: Iterable[Content]) -> Content:
    return Content("").join(list(parts))


def _list_at(tokens: Sequence[Token], index: int) -> _List:
    """The list that opens at ``index``: looks ahead for its length and whether it is tight."""
    opening = tokens[index]
    items = 0
    tight = True
    for token in tokens[index + 1 :]:
        if token.level == opening.level:
            break
        if token.level == opening.level + 1 and token.type == "list_item_open":
            items += 1
        if token.level == opening.level + 2 and token.type == "paragraph_open":
            tight = tight and token.hidden
    if opening.type == "bullet_list_open":
        return _List(None, 0, tight)
    start = int(opening.attrs.get("start", 1))
    # Two digits at least: the tenth item of a list being written must not move the other nine.
    return _List(start, max(2, len(str(start + items - 1))), tight)


def _table(tokens: Sequence[Token]) -> Block:
    rows: list[tuple[Content, ...]] = []
    row: list[Content] = []
    aligns: list[Align] = []
    for token in tokens:
        match token.type:
            case "th_open":
                aligns.append(_align(str(token.attrs.get("style", ""))))
            case "inline":
                row.append(inline(token.children or ()))
            case "tr_close":
                rows.append(tuple(row))
                row = []
            case _:
                pass
    return Block("table", rows=tuple(rows), aligns=tuple(aligns))


def _align(style: str) -> Align:
    if style.endswith("right"):
        return "right"
    return "center" if style.endswith("center") else "left"


_SPAN_STYLES = {"em": "italic", "strong": "bold", "s": "strike"}


@dataclass(slots=True)
class _Text:
    """Text and its spans, being gathered."""

    parts: list[str] = field(default_factory=list[str])
    spans: list[Span] = field(default_factory=list[Span])
    length: int = 0

    def add(self, text: str, *styles: str | Style) -> None:
        self.parts.append(text)
        self.spans += [Span(self.length, self.length + len(text), style) for style in styles]
        self.length += len(text)

    def content(self) -> Content:
        return Content("".join(self.parts), self.spans)


def inline(tokens: Iterable[Token]) -> Content:
    """Inline tokens as styled text. Line breaks of the source are kept."""
    text = _Text()
    opened: list[tuple[int, Token]] = []
    for token in tokens:
        match token.type:
            case "text" | "text_special":
                text.add(_SPACES.sub(" ", clean(token.content)))
            case "softbreak" | "hardbreak":
                text.add("\n")
            case "code_inline":
                text.add(_SPACES.sub(" ", clean(token.content)), ".markdown--code")
            case "image":
                text.add(clean(token.content) or "image")
                text.add(f" ({_address(token, 'src')})", _MARK)
            case "em_open" | "strong_open" | "s_open" | "link_open":
                opened.append((text.length, token))
            case "em_close" | "strong_close" | "s_close":
                start, _ = opened.pop()
                style = _SPAN_STYLES[token.type.removesuffix("_close")]
                text.spans.append(Span(start, text.length, style))
            case "link_close":
                start, opening = opened.pop()
                address = _address(opening, "href")
                meta = Style.from_meta({URL_META: address})
                text.spans += [
                    Span(start, text.length, style) for style in (".markdown--link", meta)
                ]
                if opening.markup != "autolink":
                    text.add(f" ({address})", _MARK, meta)
            case _:
                text.add(clean(token.content))
    return text.content()


def _address(token: Token, attribute: str) -> str:
    return _SPACES.sub(" ", clean(str(token.attrs.get(attribute, ""))))


def highlighted(block: Block) -> Block:
    """``block`` with its code coloured, when its language is known and it is not enormous."""
    if block.kind != "code" or not block.language or len(block.text.plain) > HIGHLIGHT_LIMIT:
        return block
    # 15 ms to import, and each lexer a few more: only for finished code.
    from modeldeck.tui.widgets.code_colours import coloured

    return replace(block, text=coloured(block.text.plain, block.language))
