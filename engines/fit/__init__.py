"""Does it fit, and how fast will it be."""
