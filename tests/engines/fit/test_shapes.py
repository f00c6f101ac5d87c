"""Kept shapes: made once for a header, anew for another, and no more than the list has."""

from __future__ import annotations

from modeldeck.engines.fit.shape import shape_of
from modeldeck.engines.fit.shapes import Shapes
from tests.support.fit_headers import llama


def test_a_shape_is_made_once_for_a_header_and_anew_for_another() -> None:
    shapes, header = Shapes(), llama()
    first = shapes.of("a", header)
    assert first == shape_of(header)
    assert shapes.of("a", header) is first
    other = shapes.of("a", llama(layers=20))
    assert other == shape_of(llama(layers=20))
    assert other != first


def test_models_that_are_gone_are_forgotten() -> None:
    shapes, header = Shapes(), llama()
    kept = shapes.of("a", header)
    shapes.of("b", header)
    shapes.keep_only({"a"})
    assert len(shapes) == 1
    assert shapes.of("a", header) is kept
