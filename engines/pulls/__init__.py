"""Pulls: weights brought here over HTTP, resumed at any byte, checked, put where they belong."""
