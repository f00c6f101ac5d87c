"""The engine room: everything headless. Imports neither Textual nor Rich."""
