"""The embedded actor written in the folder layout of TalkingGaussian, ER-NeRF and RAD-NeRF, with their conventions.

Colours are stated as a PNG reader sees them (RGB). Those tools write through OpenCV (BGR), which is why their own
sources name blue what is red here.
"""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import soundfile
from scipy.spatial.transform import Rotation

from ua3dtalk.subject.actor.config import ActorConfig, Cue
from ua3dtalk.subject.actor.generate import Actor
from ua3dtalk.subject.labels import Label

RGB = {
    Label.BACKGROUND: (255, 255, 255),
    Label.TORSO: (255, 0, 0),
    Label.NECK: (0, 255, 0),
    Label.SKIN: (0, 0, 255),
    Label.HAIR: (0, 0, 0),
    Label.INNER_MOUTH: (100, 100, 100),
}
"""TalkingGaussian's; its predecessors paint hair and mouth like skin. Brows, eyes and lips are skin in all of them."""

# Their head frame in ours, x' = SCALE TURN x + SHIFT: another face, another middle, another idea of upright.
SCALE, TURN, SHIFT = 1.12, Rotation.from_euler("xyz", [6, -1.5, 0.5], degrees=True).as_matrix(), (0.001, -0.012, -0.04)
OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
INTENSITIES = {"AU45": "blink", "AU25": "jaw_open", "AU12": "smile", "AU01": "brow_inner_up", "AU04": "brow_lower"}
"""OpenFace units and the actor's weights that they are made of, 0..5."""


@dataclass(frozen=True)
class MadeFolder:
    """The folder and what is true."""

    folder: Path
    actor: Actor

    def copy(self, to: Path) -> MadeFolder:
        """The same folder again, for a test to spoil."""
        return MadeFolder(Path(shutil.copytree(self.folder, to, symlinks=True)), self.actor)


def made_folder(folder: Path, seconds: float = 3.2, size: int = 192, noise_deg: float = 0.0) -> MadeFolder:
    """Write it, without sound: learning to hear would take longer than everything else.

    Args:
        folder: Where.
        seconds: Length, half neutral, half happy.
        size: Width and height of the pictures, pixels.
        noise_deg: Jitter of the poses' rotations per axis, standard deviation.
    """
    plan = tuple(Cue(label=k, intensity=v, seconds=seconds / 2) for k, v in (("neutral", 0.0), ("happy", 1.0)))
    actor = Actor(ActorConfig(seed=3, size=size, plan=plan))
    for name in ("ori_imgs", "gt_imgs", "parsing", "torso_imgs", "teeth_mask"):
        (folder / name).mkdir(parents=True)
    seen, total = np.zeros((size, size, 3)), np.zeros((size, size, 1))
    for i in range(actor.num_frames):
        picture, labels = actor.render(i), actor.render_labels(i)
        _write(folder / "ori_imgs" / f"{i}.jpg", picture)
        _write(folder / "parsing" / f"{i}.png", painted(labels))
        below = np.isin(labels, [Label.TORSO, Label.NECK])[..., None]
        _write(folder / "torso_imgs" / f"{i}.png", np.where(below, np.dstack([picture, np.full_like(labels, 255)]), 0))
        wall = (labels == Label.BACKGROUND)[..., None]
        seen, total = seen + picture * wall, total + wall
    wall = (seen / np.maximum(total, 1)).astype(np.uint8)
    _write(folder / "bc.jpg", cv2.inpaint(wall, (total[..., 0] == 0).astype(np.uint8), 3, cv2.INPAINT_TELEA))
    for name in ("gt_imgs/0.jpg", "ori_imgs/0.lms", "teeth_mask/0.npy"):  # of every frame in a real folder; never read
        (folder / name).touch()
    write_transforms(folder, actor, noise_deg)
    write_units(folder / "au.csv", actor)
    return MadeFolder(folder, actor)


def write_sound(folder: Path, actor: Actor) -> None:
    """``aud.wav``."""
    soundfile.write(folder / "aud.wav", actor.speech.audio, 16000)


def painted(labels: np.ndarray) -> np.ndarray:
    """Labels as colours."""
    table = np.array([RGB.get(label, RGB[Label.SKIN]) for label in Label], np.uint8)
    return table[labels]


def write_transforms(folder: Path, actor: Actor, noise_deg: float) -> None:
    """Camera to head, OpenGL axes; the last eleventh is for validation."""
    rng = np.random.default_rng(5)
    count = actor.num_frames
    to_theirs = np.eye(4)
    to_theirs[:3, :3], to_theirs[:3, 3] = SCALE * TURN, SHIFT
    frames = []
    for i, viewmat in enumerate(actor.body.viewmats):
        theirs = viewmat @ np.linalg.inv(to_theirs)
        theirs[:3] *= SCALE
        theirs[:3, :3] = (
            Rotation.from_rotvec(np.radians(noise_deg) * rng.standard_normal(3)).as_matrix() @ (theirs[:3, :3])
        )
        camera = np.linalg.inv(OPENGL @ theirs)
        frames.append({"img_id": i, "aud_id": i, "transform_matrix": camera.tolist()})
    first = int(count * 10 / 11)
    for name, part in (("train", frames[:first]), ("val", frames[first:])):
        plain = {"focal_len": float(actor.K[0, 0]), "cx": actor.K[0, 2], "cy": actor.K[1, 2], "frames": part}
        (folder / f"transforms_{name}.json").write_text(json.dumps(plain))


def write_units(path: Path, actor: Actor, space: str = " ") -> None:
    """OpenFace's table: on some systems every column name but the first begins with a space."""
    truth = actor.truth()
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["frame", *(space + name for name in ("success", *(f"{k}_r" for k in INTENSITIES)))])
        for i, weights in enumerate(truth.weights):
            values = [5 * weights[truth.expressions.index(name)] for name in INTENSITIES.values()]
            writer.writerow([i + 1, " 1", *(f" {value:.2f}" for value in values)])


def _write(path: Path, picture: np.ndarray) -> None:
    code = cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
    options = [cv2.IMWRITE_JPEG_QUALITY, 98] if path.suffix == ".jpg" else []
    cv2.imwrite(str(path), cv2.cvtColor(np.ascontiguousarray(picture, np.uint8), code), options)
