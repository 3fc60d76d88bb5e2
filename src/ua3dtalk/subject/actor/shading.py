"""Light: a warm key, a cool fill, a rim and soft surroundings, on skin, eyes, teeth, hair and cloth."""

from __future__ import annotations

from typing import no_type_check

import numba
import numpy as np

from ua3dtalk.subject.actor.raster import hash01

SKIN, EYE, TEETH, MOUTH, HAIR, CLOTH = 0, 1, 2, 3, 4, 5
KEY = np.array([-0.42, 0.50, 0.76]) / np.linalg.norm([-0.42, 0.50, 0.76])
FILL = np.array([0.75, 0.10, 0.65]) / np.linalg.norm([0.75, 0.10, 0.65])
RIM = np.array([0.60, 0.45, -0.66]) / np.linalg.norm([0.60, 0.45, -0.66])
KEY_COLOUR, FILL_COLOUR, RIM_COLOUR = (1.62, 1.50, 1.34), (0.34, 0.38, 0.46), (0.50, 0.52, 0.58)
_jit = numba.njit(cache=True, fastmath=True, nogil=True)


@_jit
@no_type_check
def _wrap(cosine, width):
    value = (cosine + width) / (1.0 + width)
    return value * value if value > 0.0 else 0.0


@_jit
@no_type_check
def _eye_colour(local, gaze, iris, out):
    """Sclera, limbal ring, iris with radial fibres and pupil at the unit direction ``local`` of the eyeball."""
    cosine = local[0] * gaze[0] + local[1] * gaze[1] + local[2] * gaze[2]
    angle = np.arccos(min(1.0, max(-1.0, cosine)))
    white = (0.72, 0.66, 0.62)
    blood = min(1.0, max(0.0, (angle - 0.6) / 0.7))
    for c in range(3):
        out[c] = white[c] * (1.0 - blood * (0.10, 0.32, 0.32)[c])
    if angle < 0.50:
        turn = np.arctan2(local[1] - gaze[1] * cosine, local[0] - gaze[0] * cosine)
        fibre = 0.75 + 0.5 * hash01(int((turn + 3.2) * 11.0), 5)
        ring = min(1.0, max(0.0, (0.50 - angle) / 0.05))
        limb = min(1.0, max(0.0, (0.46 - angle) / 0.09))
        pupil = min(1.0, max(0.0, (angle - 0.165) / 0.04))
        glow = 0.75 + 0.6 * max(0.0, -(local[1] - gaze[1]) * 2.0)  # the lower half catches the key light
        for c in range(3):
            colour = iris[c] * fibre * glow * (0.25 + 0.75 * limb) * pupil + 0.004
            out[c] = out[c] * (1.0 - ring) + colour * ring
    return angle


@_jit
@no_type_check
def _alike(owner, material, top, left):
    """Whether the four samples of a picture's pixel show one smooth surface, so that two of them say enough."""
    first = owner[top, left]
    if first < 0:
        return False
    kind = material[first]
    if kind in (HAIR, EYE):
        return False
    for dy in range(2):
        for dx in range(2):
            other = owner[top + dy, left + dx]
            if other < 0 or material[other] != kind:
                return False
    return True


@_jit
@no_type_check
def _mix(corners, w1, w2, source, out):
    """Attribute of a point inside a triangle."""
    w0 = 1.0 - w1 - w2
    for c in range(out.shape[0]):
        out[c] = w0 * source[corners[0], c] + w1 * source[corners[1], c] + w2 * source[corners[2], c]


@_jit
@no_type_check
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@_jit
@no_type_check
def _unit(vector):
    scale = 1.0 / (np.sqrt(_dot(vector, vector)) + 1e-12)
    for c in range(3):
        vector[c] *= scale


@_jit
@no_type_check
def _light_hair(albedo, normal, tangent, halfway, extra, strand, lights, out):
    """Kajiya and Kay's fibres over a softly lit shell; ``strand`` is 0..1 by strand, below 0 for the cap."""
    vary, gleam = 1.0, 1.0
    if strand >= 0.0:
        vary = (0.60 + 0.5 * extra[3]) * (0.72 + 0.56 * strand)
        gleam = 0.6 + 0.8 * strand
    along, across = _dot(tangent, lights[0]), _dot(tangent, halfway)
    lit = np.sqrt(max(0.0, 1.0 - along * along))
    ring = np.sqrt(max(0.0, 1.0 - (across - 0.10) ** 2))
    shell = _wrap(_dot(normal, lights[0]), 0.45)
    spec = (ring**48 * 0.22 + ring**10 * 0.05) * (0.25 + 0.75 * shell) * extra[2] * gleam
    key = (0.35 * lit + 0.65) * shell * extra[1]
    fill, rim = _wrap(_dot(normal, lights[1]), 0.4), _wrap(_dot(normal, lights[2]), 0.1)
    around = extra[0] * (0.42 + 0.20 * _dot(normal, lights[3]))
    for c in range(3):
        out[c] = albedo[c] * (vary * (KEY_COLOUR[c] * key + FILL_COLOUR[c] * fill) + around)
        out[c] += RIM_COLOUR[c] * rim * (0.35 * albedo[c] + 0.05) * extra[0]
        out[c] += spec * extra[1] * (0.55 + 0.45 * albedo[c] / (albedo[0] + 1e-6)) * KEY_COLOUR[c] * 0.5


@_jit
@no_type_check
def _light_solid(kind, albedo, normal, view, halfway, extra, lights, out):
    """Wrapped diffuse light (red bleeds furthest through skin), a highlight and a faint sheen at grazing angles."""
    wrap, gloss, power = 0.12, extra[2], 22.0
    if kind == EYE:
        wrap, gloss, power = 0.5, 1.6, 240.0
    towards_key = _dot(normal, lights[0])
    fill = _wrap(_dot(normal, lights[1]), 0.3) * (0.4 + 0.6 * extra[0])
    rim = _wrap(_dot(normal, lights[2]), 0.05) * extra[0]
    ground = extra[0] * (0.43 + 0.13 * _dot(normal, lights[3]))
    grazing = (1.0 - max(0.0, _dot(normal, view))) ** 3
    facing = _dot(normal, halfway)
    spec = gloss * facing**power if facing > 0.75 else 0.0
    for c in range(3):
        bleed, around = wrap, ground * (1.0, 0.99, 0.98)[c]
        if kind == SKIN:
            bleed = (0.34, 0.16, 0.10)[c]
            around = ground * (1.0 + (0.15, -0.05, -0.12)[c] * (1.0 - extra[0]))
        diffuse = KEY_COLOUR[c] * _wrap(towards_key, bleed) * extra[1] + FILL_COLOUR[c] * fill
        out[c] = albedo[c] * (diffuse + around + RIM_COLOUR[c] * rim)
        out[c] += spec * extra[1] * KEY_COLOUR[c] * 0.5 + grazing * extra[0] * 0.05 * gloss


@_jit
@no_type_check
def shade(
    owner, weights, triangles, material, cutout, vertices, normals, tangents, uv, colours, extra, lights, eyes, image
):
    """Linear colour of every covered pixel, written to ``image`` [H, W, 3]; uncovered pixels stay as they are.

    ``extra`` [V, 4]: openness to the surroundings, key light that arrives, gloss, position along a strand.
    ``lights`` [5, 3]: towards key, fill, rim, up; the camera's position — all in the head frame.
    ``eyes`` [4, 3]: right and left centre, gaze direction, iris colour.
    """
    height, width = owner.shape
    p, n, a, t, e, across = np.empty(3), np.empty(3), np.empty(3), np.empty(3), np.empty(4), np.empty(2)
    view, halfway, out = np.empty(3), np.empty(3), np.empty(3)
    for block in range((height // 2) * (width // 2)):
        top, left = 2 * (block // (width // 2)), 2 * (block % (width // 2))
        alike = _alike(owner, material, top, left)
        for sample in range(4):
            # Corner, opposite corner, and the two between: on smooth surfaces these are copies.
            y, x = top + (0, 1, 0, 1)[sample], left + (0, 1, 1, 0)[sample]
            if alike and sample > 1:
                for c in range(3):
                    image[y, x, c] = image[y, left + y - top, c]
                continue
            f = owner[y, x]
            if f < 0:
                continue
            corners, w1, w2, kind = triangles[f], weights[y, x, 0], weights[y, x, 1], material[f]
            _mix(corners, w1, w2, vertices, p)
            _mix(corners, w1, w2, normals, n)
            _mix(corners, w1, w2, colours, a)
            _mix(corners, w1, w2, extra, e)
            _unit(n)
            for c in range(3):
                view[c] = lights[4, c] - p[c]
            _unit(view)
            for c in range(3):
                halfway[c] = view[c] + lights[0, c]
            _unit(halfway)
            if kind == HAIR:
                _mix(corners, w1, w2, tangents, t)
                _unit(t)
                _mix(corners, w1, w2, uv, across)
                strand = hash01(int(across[0] * 14.0), cutout[f]) if cutout[f] >= 0 else -1.0
                _light_hair(a, n, t, halfway, e, strand, lights, out)
            else:
                if kind == EYE:
                    for c in range(3):
                        t[c] = p[c] - eyes[0 if p[0] < 0.0 else 1, c]
                    _unit(t)
                    _eye_colour(t, eyes[2], eyes[3], a)
                _light_solid(kind, a, n, view, halfway, e, lights, out)
            for c in range(3):
                image[y, x, c] = out[c]


@_jit
@no_type_check
def develop(image, encoding, output):
    """Average 2 × 2 linear samples, roll off the highlights, encode to 8-bit sRGB.

    ``encoding`` [4096] uint8: the code of a value whose square root is index / 4095.
    """
    height, width = output.shape[:2]
    for y in range(height):
        for x in range(width):
            for c in range(3):
                value = 0.0
                for dy in range(2):
                    for dx in range(2):
                        sample = image[2 * y + dy, 2 * x + dx, c]
                        value += sample / (1.0 + 0.18 * sample)
                value = max(0.0, min(1.0, value * 0.25 * 1.06))
                output[y, x, c] = encoding[int(np.sqrt(value) * 4095.0)]
