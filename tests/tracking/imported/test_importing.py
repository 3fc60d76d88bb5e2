"""What ``import`` makes of a folder, against the truth it was made from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
from made_folder import INTENSITIES, RGB, SCALE, MadeFolder, write_sound
from scipy.spatial.transform import Rotation

from ua3dtalk.cli.main import main
from ua3dtalk.core.progress import Silent
from ua3dtalk.subject.labels import HEAD_LABELS, Label
from ua3dtalk.subject.split import make_split
from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking.expression import activation
from ua3dtalk.tracking.imported import stages
from ua3dtalk.tracking.imported.layout import read_layout
from ua3dtalk.tracking.prepare_config import PrepareConfig
from ua3dtalk.tracking.stage_io import save_arrays


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def test_the_subject_is_whole(subject: Subject, made: MadeFolder) -> None:
    assert (subject.num_frames, subject.width, subject.height) == (80, 192, 192)
    assert subject.source.name == "the actor, prepared"
    for i in (0, 79):
        theirs = made.folder / "ori_imgs" / f"{i}.jpg"
        assert (subject.folder / "frames" / f"{i:06d}.jpg").read_bytes() == theirs.read_bytes(), "the files themselves"
    assert not subject.has_audio and subject.facts("speech")["speech"] == "none"


def test_nothing_pickled_is_opened(imported: tuple[Subject, list[str]], made: MadeFolder) -> None:
    _, opened = imported
    assert (made.folder / "track_params.pt").is_file()
    assert any(path.endswith("transforms_train.json") for path in opened), "what is opened is seen"
    assert not [path for path in opened if path.endswith(".pt")]
    assert not Path("exploded").exists()


def test_poses_are_near_the_truth_and_fit_better_than_exact_ones(subject: Subject, made: MadeFolder) -> None:
    truth = made.actor.body.viewmats[:, :3, :3]
    relative = subject.track().viewmats[:, :3, :3].transpose(0, 2, 1) @ truth
    u, _, vt = np.linalg.svd(relative.mean(0))
    error = np.degrees(Rotation.from_matrix((u @ vt).T @ relative).magnitude())
    assert np.median(error) < 1.5, "measured 0.4 degrees at 256 px"
    facts = subject.facts("pose")
    theirs = facts["imported_poses"]
    assert theirs["frames"] == 80
    # The folder's poses are the truth here, so the recorded difference is our own error.
    assert abs(theirs["rotation_difference_median_deg"] - np.median(error)) < 0.05
    assert abs(theirs["head_scale"] / SCALE - 1) < 0.06
    assert facts["reprojection_px_at_512"] < theirs["reprojection_px_at_512"] < 3


def test_masks_are_theirs_with_our_parts_of_the_face(subject: Subject, made: MadeFolder) -> None:
    scores: dict[Label, list[float]] = {label: [] for label in Label}
    for i in range(0, 80, 8):
        found, truth = subject.parsing(i), made.actor.render_labels(i)
        for label in (Label.BACKGROUND, Label.TORSO, Label.NECK):
            assert (found == label)[truth == label].mean() > 0.995
        for label in Label:
            if (truth == label).sum() > 20:
                scores[label].append(iou(found == label, truth == label))
    means = {label.name: round(float(np.mean(values)), 2) for label, values in scores.items()}
    least = {"HAIR": 0.95, "SKIN": 0.9, "BROWS": 0.4, "EYES": 0.5, "LIPS": 0.6, "INNER_MOUTH": 0.55}
    assert not {name: means[name] for name, value in least.items() if means[name] <= value}


def test_layers_are_theirs(subject: Subject, made: MadeFolder) -> None:
    layer, truth = subject.torso(40), made.actor.render_labels(40)
    below = (truth == Label.TORSO) | (truth == Label.NECK)
    assert (layer[..., 3] == np.where(below, 255, 0)).all()
    assert np.abs(layer[below][:, :3].astype(int) - made.actor.render(40)[below]).max() == 0
    behind = cv2.cvtColor(cv2.imread(str(made.folder / "bc.jpg")), cv2.COLOR_BGR2RGB)
    assert (subject.background() == behind).all()


def test_expression_follows_the_truth(subject: Subject, made: MadeFolder) -> None:
    truth, track = made.actor.truth(), subject.track()
    assert np.corrcoef(track.opening, truth.opening)[0, 1] > 0.9
    blink = track.upper[:, 0]
    assert np.corrcoef(blink, truth.weights[:, truth.expressions.index("blink")])[0, 1] > 0.75


def test_action_units_are_openfaces_where_it_has_them(subject: Subject, made: MadeFolder) -> None:
    truth, track = made.actor.truth(), subject.track()
    train = np.array(make_split(80).train)
    for name, weight in INTENSITIES.items():
        column = np.round(5 * truth.weights[:, truth.expressions.index(weight)], 2)
        stored = track.action_units[:, track.au_names.index(name)]
        assert np.allclose(stored, activation(column, train), atol=1e-5), name
    recorded = subject.facts("expression")["action_units_imported"]
    assert set(recorded) == set(INTENSITIES)
    assert recorded["AU25"] > 0.85 and recorded["AU45"] > 0.75


def older(folder: Path) -> None:
    """Makes it RAD-NeRF's: one colour for the whole head, no units, oblong, counted from 5, sound from 7."""
    (folder / "au.csv").unlink()
    for path in [*folder.glob("ori_imgs/*.jpg"), *folder.glob("*/*.png"), folder / "bc.jpg"]:
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:176]
        if path.parent.name == "parsing":
            for label in (Label.HAIR, Label.INNER_MOUTH):
                picture[(picture == RGB[label]).all(-1)] = RGB[Label.SKIN][::-1]
        cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 98] if path.suffix == ".jpg" else [])
    for kind in ("ori_imgs", "parsing", "torso_imgs"):
        for path in sorted((folder / kind).iterdir(), key=lambda p: -int(p.stem)):
            path.rename(path.with_stem(str(int(path.stem) + 5)))
    for name in ("train", "val"):
        path = folder / f"transforms_{name}.json"
        plain = json.loads(path.read_text())
        plain["cy"] = 88.0
        for frame in plain["frames"]:
            frame |= {"img_id": frame["img_id"] + 5, "aud_id": frame["img_id"] + 7}
        path.write_text(json.dumps(plain))


def test_a_folder_of_the_older_kind_made_smaller(
    spoiled: Path, subject: Subject, made: MadeFolder, tmp_path: Path
) -> None:
    older(spoiled)
    write_sound(spoiled, made.actor)
    layout, config = read_layout(spoiled), PrepareConfig(size=144)
    small = Subject.create(tmp_path / "small", subject.source)
    files, facts = stages.run_frames(layout, small, config, Silent())
    small.finish_stage("frames", files, facts)
    assert (small.num_frames, small.width, small.height, facts["first_number"]) == (80, 144, 132, 5)
    assert stages.stored_box(layout, 144).principal_point == (72, 66)
    save_arrays(small.folder / "landmarks.npz", landmarks=subject.track().landmarks * np.float32(0.75))
    _, facts = stages.run_parsing(layout, small, config, Silent())
    truth = cv2.resize(made.actor.render_labels(40)[:176], (144, 132), interpolation=cv2.INTER_NEAREST_EXACT)
    found, head = small.parsing(40), [int(label) for label in HEAD_LABELS]
    assert iou(np.isin(found, head), np.isin(truth, head)) > 0.98
    assert iou(found == Label.HAIR, truth == Label.HAIR) > 0.5, "what is outside the mesh"
    assert not facts["hair_told_apart"]
    stages.run_layers(layout, small, config, Silent())
    layer = small.torso(40)
    cloth = cv2.resize(made.actor.render(40)[:176], (144, 132), interpolation=cv2.INTER_AREA)
    edge = (layer[..., 3] > 60) & (layer[..., 3] < 250) & (truth == Label.TORSO)
    assert edge.any() and np.abs(layer[edge][:, :3].astype(int) - cloth[edge]).mean() < 25, "no dark rim"
    stages.run_audio(layout, small, config, Silent())
    sound = np.pad(made.actor.speech.audio[7 * 640 :], (0, 7 * 640))
    assert np.abs(small.audio() - sound).max() < 1e-3, "from the seventh frame on, padded with silence"
    assert layout.action_units == {}


def test_finished_stages_are_kept(subject: Subject, spoiled: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(subject.folder, tmp_path / "again"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}
    assert main(["import", str(spoiled), "--out", str(out), "--quiet"]) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")} == before, "a copy is the same folder"
