"""Which of MediaPipe's 478 face points the metrics use."""

from __future__ import annotations

OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
LIPS = OUTER_LIPS + INNER_LIPS
UPPER_LIP, LOWER_LIP = 13, 14
RIGHT_CORNER, LEFT_CORNER = 61, 291
RIGHT_EYE, LEFT_EYE = 33, 263
"""Outer eye corners; their distance is the yardstick of every lip measure."""
