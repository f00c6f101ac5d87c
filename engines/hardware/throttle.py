"""Why a card's clocks are held down, in words. Pure."""

from __future__ import annotations

from typing import Final

# nvml.h, nvmlClocksEventReason*; the last two nvmlClocksThrottleReasonBoardLimit and -Reliability.
# Idle (0x1), clocks set by an application (0x2), sync boost (0x10) and the display's clocks (0x100)
# are no trouble.
_REASONS: Final = (
    (0x0000_0004, "the power limit"),
    (0x0000_0008, "a hardware slowdown"),
    (0x0000_0020, "heat"),
    (0x0000_0040, "heat, in hardware"),
    (0x0000_0080, "the power supply"),
    (0x0000_0200, "the board's limit"),
    (0x0000_0400, "the reliability voltage"),
)


def throttle_words(bits: int) -> tuple[str, ...]:
    """What holds the clocks down; empty when nothing does. Unknown bits say nothing."""
    return tuple(words for bit, words in _REASONS if bits & bit)
