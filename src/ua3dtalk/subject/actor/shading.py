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
def shade(
    owner, weights, triangles, material, cutout, vertices, normals, tangents, uv, colours, extra, lights, eyes, image
):
    """Linear colour of every covered pixel, written to ``image`` [H, W, 3]; uncovered pixels stay as they are.

    ``extra`` [V, 4]: openness to the surroundings, key light that arrives, gloss, position along a strand.
    ``lights`` [5, 3]: towards key, fill, rim, up; the camera's position — all in the head frame.
    ``eyes`` [4, 3]: right and left centre, gaze direction, iris colour.
    """
    height, width = owner.shape
    p, n, a, t = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    e, view, local, out = np.empty(4), np.empty(3), np.empty(3), np.empty(3)
    key_colour = (1.62, 1.50, 1.34)
    fill_colour = (0.34, 0.38, 0.46)
    rim_colour = (0.50, 0.52, 0.58)
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
            i, j, k = triangles[f, 0], triangles[f, 1], triangles[f, 2]
            w1, w2 = weights[y, x, 0], weights[y, x, 1]
            w0 = 1.0 - w1 - w2
            m = material[f]
            for c in range(3):
                p[c] = w0 * vertices[i, c] + w1 * vertices[j, c] + w2 * vertices[k, c]
                n[c] = w0 * normals[i, c] + w1 * normals[j, c] + w2 * normals[k, c]
                a[c] = w0 * colours[i, c] + w1 * colours[j, c] + w2 * colours[k, c]
            for c in range(4):
                e[c] = w0 * extra[i, c] + w1 * extra[j, c] + w2 * extra[k, c]
            scale = 1.0 / (np.sqrt(n[0] ** 2 + n[1] ** 2 + n[2] ** 2) + 1e-12)
            length = 1e-12
            for c in range(3):
                n[c] *= scale
                view[c] = lights[4, c] - p[c]
                length += view[c] ** 2
            length = np.sqrt(length)
            for c in range(3):
                view[c] /= length
            gloss, power = e[2], 22.0
            wrap = 0.12
            if m == EYE:
                side = 0 if p[0] < 0.0 else 1
                scale = 0.0
                for c in range(3):
                    local[c] = p[c] - eyes[side, c]
                    scale += local[c] ** 2
                scale = 1.0 / np.sqrt(scale)
                for c in range(3):
                    local[c] *= scale
                _eye_colour(local, eyes[2], eyes[3], a)
                wrap, gloss, power = 0.5, 1.6, 240.0
            nk = n[0] * lights[0, 0] + n[1] * lights[0, 1] + n[2] * lights[0, 2]
            nf = n[0] * lights[1, 0] + n[1] * lights[1, 1] + n[2] * lights[1, 2]
            nr = n[0] * lights[2, 0] + n[1] * lights[2, 1] + n[2] * lights[2, 2]
            nu = n[0] * lights[3, 0] + n[1] * lights[3, 1] + n[2] * lights[3, 2]
            nv = n[0] * view[0] + n[1] * view[1] + n[2] * view[2]
            fresnel = (1.0 - max(0.0, nv)) ** 3
            spec = 0.0
            if m == HAIR:
                for c in range(3):
                    t[c] = w0 * tangents[i, c] + w1 * tangents[j, c] + w2 * tangents[k, c]
                scale = 1.0 / (np.sqrt(t[0] ** 2 + t[1] ** 2 + t[2] ** 2) + 1e-12)
                tk, th, hh = 0.0, 0.0, 0.0
                for c in range(3):
                    h = lights[0, c] + view[c]
                    hh += h * h
                    tk += t[c] * scale * lights[0, c]
                    th += t[c] * scale * h
                th /= np.sqrt(hh) + 1e-12
                lit = np.sqrt(max(0.0, 1.0 - tk * tk))
                ring = np.sqrt(max(0.0, 1.0 - (th - 0.10) ** 2))
                shell = _wrap(nk, 0.45)
                nk_diffuse = (0.35 * lit + 0.65) * shell
                vary, spec = 1.0, 1.0
                if cutout[f] >= 0:
                    across = w0 * uv[i, 0] + w1 * uv[j, 0] + w2 * uv[k, 0]
                    strand = hash01(int(across * 14.0), cutout[f])
                    vary = (0.60 + 0.5 * e[3]) * (0.72 + 0.56 * strand)
                    spec = 0.6 + 0.8 * strand
                spec = (ring**48 * 0.22 + ring**10 * 0.05) * (0.25 + 0.75 * shell) * gloss * spec
                for c in range(3):
                    out[c] = a[c] * vary * (key_colour[c] * nk_diffuse * e[1] + fill_colour[c] * _wrap(nf, 0.4))
                    out[c] += (
                        a[c] * e[0] * (0.42 + 0.20 * nu) + rim_colour[c] * _wrap(nr, 0.1) * (0.35 * a[c] + 0.05) * e[0]
                    )
                    out[c] += spec * e[1] * (0.55 + 0.45 * a[c] / (a[0] + 1e-6)) * key_colour[c] * 0.5
            else:
                for c in range(3):
                    h = lights[0, c] + view[c]
                    local[c] = h
                scale = 1.0 / (np.sqrt(local[0] ** 2 + local[1] ** 2 + local[2] ** 2) + 1e-12)
                nh = max(0.0, (n[0] * local[0] + n[1] * local[1] + n[2] * local[2]) * scale)
                spec = gloss * nh**power if nh > 0.75 else 0.0
                for c in range(3):
                    bleed = wrap
                    if m == SKIN:
                        bleed = (0.34, 0.16, 0.10)[c]
                    diffuse = key_colour[c] * _wrap(nk, bleed) * e[1] + fill_colour[c] * _wrap(nf, 0.3) * (
                        0.4 + 0.6 * e[0]
                    )
                    ground = 0.5 * (1.0 + nu)
                    around = e[0] * (0.30 + 0.26 * ground) * (1.0, 0.99, 0.98)[c]
                    if m == SKIN:
                        around = e[0] * (1.0 + (0.15, -0.05, -0.12)[c] * (1.0 - e[0])) * (0.30 + 0.26 * ground)
                    out[c] = a[c] * (diffuse + around + rim_colour[c] * _wrap(nr, 0.05) * e[0])
                    out[c] += spec * e[1] * key_colour[c] * 0.5 + fresnel * e[0] * 0.05 * gloss
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
