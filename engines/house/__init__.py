"""Keeping house: what the models take on the disk, what is stored twice, and what can go."""
