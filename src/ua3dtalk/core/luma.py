"""How much red, green and blue add to brightness."""

from __future__ import annotations

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601, as OpenCV's grey pictures have it."""
