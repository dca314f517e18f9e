"""Frames: reading and writing them, and the rules of their headers."""
