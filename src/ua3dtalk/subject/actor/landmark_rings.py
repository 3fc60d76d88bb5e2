"""Rings of the 468-point face topology that the actor's surface is built on."""

from __future__ import annotations

OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""Outline of the face, from the forehead over the subject's left."""

LIP_RINGS = (
    (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
    (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 408, 304, 303, 302, 11, 72, 73, 74, 184),
    (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 407, 272, 271, 268, 12, 38, 41, 42, 183),
    (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
)
"""Rings from the outer to the inner border of the lips; entry 0 is the right corner, 10 the left, 1-9 lie below."""

RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
"""Eye contours: entry 0 is the outer corner, 8 the inner; 1-7 the lower lid, 9-15 the upper lid (inner to outer)."""

RIGHT_BROW = ((46, 53, 52, 65, 55), (70, 63, 105, 66, 107))
LEFT_BROW = ((276, 283, 282, 295, 285), (300, 293, 334, 296, 336))
"""Lower and upper border of each brow, from outside to inside."""

UPPER_LIP_MIDDLE, LOWER_LIP_MIDDLE = 13, 14
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263
CHIN, NOSE_TIP, FOREHEAD = 152, 1, 10
