"""The demo model as a torch module: a llama (RMSNorm, rotary positions, grouped queries, SwiGLU).

Needs torch, which is not among the project's dependencies: only training imports this module.
Queries and keys are rotated in adjacent pairs, as llama.cpp does for the architecture ``llama``,
so no permutation of weights is needed on export.
"""

# torch is absent where the project is checked, so its types are unknown there
# mypy: disallow-subclassing-any=False
# pyright: basic, reportMissingImports=false

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

INIT_STD = 0.02


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a llama; ``embedding`` must be ``heads`` × ``head``."""

    vocabulary: int = 2048
    embedding: int = 256
    blocks: int = 4
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 640
    context: int = 2048
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-5

    @property
    def head(self) -> int:
        """Elements of one attention head."""
        return self.embedding // self.heads


class Block(nn.Module):
    """Attention and feed-forward, each behind its norm and beside a residual."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        wide, narrow = shape.embedding, shape.kv_heads * shape.head
        self.shape = shape
        self.attn_norm = nn.RMSNorm(wide, eps=shape.norm_epsilon)
        self.attn_q = nn.Linear(wide, wide, bias=False)
        self.attn_k = nn.Linear(wide, narrow, bias=False)
        self.attn_v = nn.Linear(wide, narrow, bias=False)
        self.attn_output = nn.Linear(wide, wide, bias=False)
        self.ffn_norm = nn.RMSNorm(wide, eps=shape.norm_epsilon)
        self.ffn_gate = nn.Linear(wide, shape.feed_forward, bias=False)
        self.ffn_up = nn.Linear(wide, shape.feed_forward, bias=False)
        self.ffn_down = nn.Linear(shape.feed_forward, wide, bias=False)

    def forward(self, x: Tensor, turns: Tensor) -> Tensor:
        """``x`` is (batch, tokens, embedding); ``turns`` the rotation of each position."""
        batch, tokens, wide = x.shape
        normed = self.attn_norm(x)
        q = rotated(self._heads(self.attn_q(normed)), turns)
        k = rotated(self._heads(self.attn_k(normed)), turns)
        v = self._heads(self.attn_v(normed))
        share = self.shape.heads // self.shape.kv_heads
        mixed = functional.scaled_dot_product_attention(
            q, k.repeat_interleave(share, 1), v.repeat_interleave(share, 1), is_causal=True
        )
        x = x + self.attn_output(mixed.transpose(1, 2).reshape(batch, tokens, wide))
        normed = self.ffn_norm(x)
        out: Tensor = x + self.ffn_down(
            functional.silu(self.ffn_gate(normed)) * self.ffn_up(normed)
        )
        return out

    def _heads(self, x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        return x.view(batch, tokens, -1, self.shape.head).transpose(1, 2)


class Llama(nn.Module):
    """The whole model; the embedding table serves as the output layer too."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.embedding)
        self.blk = nn.ModuleList([Block(shape) for _ in range(shape.blocks)])
        self.output_norm = nn.RMSNorm(shape.embedding, eps=shape.norm_epsilon)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                ends = name.endswith(("attn_output.weight", "ffn_down.weight"))
                shrink = (2 * shape.blocks) ** -0.5 if ends else 1.0
                nn.init.normal_(weight, std=INIT_STD * shrink)

    def forward(self, ids: Tensor) -> Tensor:
        """The hidden state behind each token of ``ids`` (batch, tokens)."""
        turns = rotations(ids.shape[1], self.shape)
        x: Tensor = self.token_embd(ids)
        for block in self.blk:
            x = block(x, turns)
        out: Tensor = self.output_norm(x)
        return out

    def scores(self, hidden: Tensor) -> Tensor:
        """Logits over the vocabulary for hidden states."""
        return functional.linear(hidden, self.token_embd.weight)


def parameter_count(model: Llama) -> int:
    """Weights in the model; the embedding table counts once."""
    return sum(weight.numel() for weight in model.parameters())


def rotations(tokens: int, shape: Shape) -> Tensor:
    """The complex rotation of each position (rows) and pair of elements (columns)."""
    pairs = torch.arange(0, shape.head, 2, dtype=torch.float32) / shape.head
    angles = torch.outer(torch.arange(tokens, dtype=torch.float32), shape.rope_base**-pairs)
    return torch.polar(torch.ones_like(angles), angles)


def rotated(x: Tensor, turns: Tensor) -> Tensor:
    """``x`` (batch, heads, tokens, head) with each adjacent pair of elements turned."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)
