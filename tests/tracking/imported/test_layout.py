"""Folders that are not whole: one sentence with names and numbers, and nothing is written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_folder import RGB, MadeFolder, write_sound, write_units

from ua3dtalk.cli.main import main
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Silent
from ua3dtalk.subject.labels import Label
from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking.imported import stages
from ua3dtalk.tracking.imported.action_units import read_action_units
from ua3dtalk.tracking.imported.layout import read_layout
from ua3dtalk.tracking.prepare_config import PrepareConfig


def edit(folder: Path, change: Callable[[dict[str, Any]], object], name: str = "train") -> None:
    path = folder / f"transforms_{name}.json"
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))


def edit_both(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    edit(folder, change)
    edit(folder, change, "val")


def drop(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def units(folder: Path, change: Callable[[list[str]], list[str]]) -> None:
    lines = (folder / "au.csv").read_text().splitlines()
    (folder / "au.csv").write_text("\n".join(change(lines)))


def resized(path: Path, size: tuple[int, int] = (64, 64)) -> None:
    cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), size))


def first_frame(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda plain: plain["frames"][0].__setitem__(key, value)


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no lists": (lambda f: drop(f, "transforms_train.json"), "holds no transforms_train.json"),
    "one list": (lambda f: drop(f, "transforms_val.json"), "holds no transforms_val.json"),
    "no json": (lambda f: (f / "transforms_val.json").write_text("{"), "transforms_val.json is not valid JSON"),
    "no frames": (lambda f: edit_both(f, lambda p: p.update(frames=[])), "list no frames"),
    "frames of another kind": (
        lambda f: edit(f, lambda p: p.update(frames={})),
        "transforms_train.json lists no frames",
    ),
    "frames that are numbers": (lambda f: edit(f, lambda p: p.update(frames=[1])), "frames that are no objects"),
    "few frames": (lambda f: edit(f, lambda p: p.update(frames=p["frames"][30:])), "holds 50 frames, at least 75"),
    "no focal length": (lambda f: edit(f, lambda p: p.pop("focal_len")), "focal_len is None"),
    "two focal lengths": (lambda f: edit(f, lambda p: p.update(focal_len=900)), "have different focal_len"),
    "number as text": (lambda f: edit(f, first_frame("img_id", "0")), "img_id '0', a number"),
    "number twice": (lambda f: edit(f, first_frame("img_id", 1)), "img_id 1 is listed twice"),
    "far number": (lambda f: edit(f, first_frame("img_id", 10**15)), "only 80 of the frames 1 to 1000000000000000"),
    "three rows": (lambda f: edit(f, first_frame("transform_matrix", [[1, 0], [0, 1]])), "img_id 0 is not a 4x4"),
    "words": (lambda f: edit(f, first_frame("transform_matrix", "none")), "img_id 0 is not a 4x4"),
    "no rotation": (lambda f: edit(f, first_frame("transform_matrix", (np.eye(4) * 2).tolist())), "is not a rotation"),
    "sound that jumps": (lambda f: edit(f, first_frame("aud_id", 9)), "not the same for all frames (0 to 9)"),
    "gap": (lambda f: drop(f, "ori_imgs/40.jpg", "ori_imgs/41.jpg"), "ori_imgs lacks 2 of 80 pictures (.jpg): 40, 41."),
    "no masks": (lambda f: drop(f, "parsing"), "parsing lacks 80 of 80 pictures (.png): 0, 1, 2, 3, 4, ...."),
    "no torso": (lambda f: drop(f, "torso_imgs"), "torso_imgs lacks 80 of 80"),
    "no background": (lambda f: drop(f, "bc.jpg"), "holds no bc.jpg"),
    "other pictures": (lambda f: resized(f / "ori_imgs/0.jpg"), "has cx 96.0, but the pictures are 64x64"),
    "damaged picture": (lambda f: (f / "ori_imgs/0.jpg").write_bytes(b"x"), "0.jpg cannot be read as an RGB picture"),
    "rows": (lambda f: units(f, lambda rows: rows[:-3]), "au.csv has 77 rows for 80 pictures"),
    "no units": (lambda f: units(f, lambda rows: ["frame"] * len(rows)), "has no column such as AU45_r"),
    "words in units": (
        lambda f: units(f, lambda rows: [*rows[:9], rows[9].replace("0.", "o."), *rows[10:]]),
        "au.csv, line 10: AU45_r is not a number",
    ),
    "short row": (lambda f: units(f, lambda rows: [*rows[:9], "9, 1", *rows[10:]]), "line 10: AU45_r is not a number"),
    "nan": (lambda f: units(f, lambda rows: [*rows[:9], "9, 1" + ", nan" * 5, *rows[10:]]), "not finite"),
    "no table": (lambda f: (f / "au.csv").write_bytes(b"\xff\xfe"), "is not a table"),
    # Found only while the stages run.
    "frame of another size": (lambda f: resized(f / "ori_imgs/44.jpg"), "44.jpg is 64x64, other pictures are 192x192"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_folder_is_one_sentence(
    name: str, spoiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, sentence = SPOILED[name]
    spoil(spoiled)
    monkeypatch.chdir(tmp_path)
    assert main(["import", spoiled.name, "--out", "a subject", "--quiet", "--i-have-consent"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and sentence in err
    assert len(err.strip().splitlines()) == 1
    assert os.listdir(tmp_path) == [spoiled.name], "nothing half-written"


def test_nothing_to_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path / "gone", Path(__file__)):
        assert main(["import", str(folder), "--out", str(tmp_path / "s")]) == 2
        assert f"{folder} does not exist or is no folder" in capsys.readouterr().err
    assert main(["import", str(tmp_path), "--out", str(tmp_path / "s"), "--size", "9"]) == 2
    assert "--size 9 is out of range" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_a_folder_is_not_written_into(spoiled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(spoiled.rglob("*"))
    assert main(["import", str(spoiled), "--out", str(spoiled)]) == 2
    assert "not empty and not a subject folder" in capsys.readouterr().err
    assert sorted(spoiled.rglob("*")) == before


def half_done(subject: Subject, folder: Path) -> Subject:
    """A subject whose masks and layers are still to be made."""
    folder.mkdir()
    shutil.copy(subject.folder / "landmarks.npz", folder)
    (folder / "frames").symlink_to(subject.folder / "frames")
    return Subject.create(folder, subject.source)


@pytest.mark.parametrize(
    ("name", "spoil", "sentence"),
    [
        (
            "parsing/7.png",
            lambda p: cv2.imwrite(p, np.full((192, 192, 3), 60, np.uint8)),
            "7.png has the colour (60, 60, 60)",
        ),
        ("parsing/7.png", lambda p: cv2.imwrite(p, np.zeros((192, 192), np.uint8)), "7.png cannot be read as an RGB"),
        ("parsing/7.png", lambda p: resized(Path(p)), "7.png is 64x64, other pictures are 192x192"),
        ("torso_imgs/7.png", lambda p: cv2.imwrite(p, np.zeros((192, 192, 3), np.uint8)), "with transparency"),
        ("bc.jpg", lambda p: resized(Path(p)), "bc.jpg is 64x64, other pictures are 192x192"),
    ],
)
def test_spoiled_pictures(
    name: str, spoil: Callable[[str], object], sentence: str, spoiled: Path, subject: Subject, tmp_path: Path
) -> None:
    spoil(str(spoiled / name))
    layout, target = read_layout(spoiled), half_done(subject, tmp_path / "half")
    run = stages.run_parsing if "parsing" in name else stages.run_layers
    with pytest.raises(UserError) as refused:
        run(layout, target, PrepareConfig(), Silent())
    assert sentence in str(refused.value)
    assert not [path for path in target.folder.iterdir() if "pars" in path.name or ".partial" in path.name]


def test_masks_with_red_and_blue_swapped_are_seen(spoiled: Path, subject: Subject, tmp_path: Path) -> None:
    for path in (spoiled / "parsing").iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path))[..., ::-1])
    with pytest.raises(UserError, match="the masks call only .% of the face head"):
        stages.run_parsing(read_layout(spoiled), half_done(subject, tmp_path / "half"), PrepareConfig(), Silent())


def test_a_frame_without_a_pose_is_no_gap(spoiled: Path) -> None:
    edit(spoiled, lambda plain: plain["frames"].pop(30))
    layout = read_layout(spoiled)
    assert layout.num_frames == 80
    assert np.flatnonzero(np.isnan(layout.cameras[:, 0, 0])).tolist() == [30]


def test_any_change_of_what_is_used_is_another_folder(spoiled: Path, made: MadeFolder) -> None:
    marks = {read_layout(made.folder).fingerprint(), read_layout(spoiled).fingerprint()}
    assert len(marks) == 1
    (spoiled / "track_params.pt").write_bytes(b"")
    for name in ("gt_imgs", "teeth_mask"):
        shutil.rmtree(spoiled / name)
    assert read_layout(spoiled).fingerprint() in marks, "these are not used"
    for change in (
        lambda: edit(spoiled, lambda plain: plain.update(cx=96.5)),
        lambda: cv2.imwrite(str(spoiled / "parsing/5.png"), np.full((192, 192, 3), RGB[Label.SKIN], np.uint8)),
        lambda: write_sound(spoiled, made.actor),
    ):
        change()
        mark = read_layout(spoiled).fingerprint()
        assert mark not in marks
        marks.add(mark)


def test_units_with_and_without_spaces_are_the_same(made: MadeFolder, tmp_path: Path) -> None:
    write_units(tmp_path / "au.csv", made.actor, space="")
    ours, theirs = read_action_units(tmp_path / "au.csv", 80), read_action_units(made.folder / "au.csv", 80)
    assert list(ours) == list(theirs)
    assert all((ours[name] == theirs[name]).all() for name in ours)
