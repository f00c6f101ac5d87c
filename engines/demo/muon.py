"""Muon: steps matrices along the nearest orthogonal matrix to their momentum. Needs torch.

Learns from far fewer tokens than Adam. The iteration and its coefficients are those of
K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). Matrices of
the same shape are stepped together, which matters for a model this small.
"""

# torch is absent where the project is checked, so its types are unknown there
# pyright: basic, reportMissingImports=false

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

NEWTON_SCHULZ_STEPS = 5
NEWTON_SCHULZ_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon:
    """The optimizer of ``matrices``, with Nesterov momentum."""

    def __init__(self, matrices: Iterable[nn.Parameter], momentum: float = 0.95) -> None:
        self._momentum = momentum
        self._groups: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for matrix in matrices:
            self._groups.setdefault(tuple(sorted(matrix.shape)), []).append(matrix)
        self._momenta = {
            shape: torch.zeros(len(group), *shape) for shape, group in self._groups.items()
        }

    def step(self, rate: float) -> None:
        """Step every matrix by its gradient, and forget the gradient."""
        with torch.no_grad():
            for shape, group in self._groups.items():
                gradients = torch.stack([_wide(weight.grad) for weight in group])
                momenta = self._momenta[shape].lerp_(gradients, 1 - self._momentum)
                updates = orthogonal(gradients.lerp(momenta, self._momentum))
                for weight, update in zip(group, updates, strict=True):
                    _add(weight, update, rate)
                    weight.grad = None


def _add(weight: nn.Parameter, update: Tensor, rate: float) -> None:
    rows, columns = weight.shape
    growth = max(1.0, rows / columns) ** 0.5
    weight.add_(update.T if rows > columns else update, alpha=-rate * growth)


def _wide(matrix: Tensor) -> Tensor:
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def orthogonal(matrices: Tensor) -> Tensor:
    """Near the orthogonal matrix closest to each of ``matrices`` (count, rows, more columns)."""
    a, b, c = NEWTON_SCHULZ_COEFFICIENTS
    x = matrices.bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.to(matrices.dtype)
