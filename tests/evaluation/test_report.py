"""The report: complete, self-contained, and true to the numbers; one real clip where there is one."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ua3dtalk.evaluation.image import through_jpeg
from ua3dtalk.evaluation.protocol import Reference
from ua3dtalk.evaluation.regions import REGIONS
from ua3dtalk.evaluation.report import ReportInputs, write_report
from ua3dtalk.media.marks import read_mark
from ua3dtalk.media.video import VideoReader
from ua3dtalk.subject.labels import Label
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks


@pytest.fixture(scope="module")
def report(face: Any, openings_px: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("with space") / "report"

    def real(i: int) -> np.ndarray:
        return face.draw(openings_px[i])

    inputs = ReportInputs(
        reference=Reference(frames=range(4, 58), picture=real, parsing=lambda *_: face.parsing()),
        rows={
            "real": lambda i: through_jpeg(real(i)),
            "static": lambda i: face.draw(5.0),
            "driven": lambda i: real(i - 1),
            "audio-only": lambda i: np.full_like(real(i), 80),  # no face at all
        },
        make_detector=face.Detector,
        audio=np.zeros(54 * 640, np.float32),
        uncertainty={"driven": lambda i: float(openings_px[i])},
        facts={"avatar": "<b>bold</b>", "preset": "quick", "subject_sha256": "ab" * 32},
        seed=3,
    )
    return out, write_report(out, inputs)


def test_json_holds_everything(report: tuple[Path, dict[str, Any]]) -> None:
    out, returned = report
    stored = json.loads((out / "metrics.json").read_text())
    assert stored == returned
    assert stored["schema"] == 2 and set(stored["rows"]) == {"real", "static", "driven", "audio-only"}
    driven = stored["rows"]["driven"]
    assert set(driven["regions"]) == set(REGIONS) == set(stored["settings"]["regions"])
    assert driven["opening"]["lag_frames"] == 1 and driven["missed"] == 0
    assert driven["mouth_gain_db"] == pytest.approx(
        driven["regions"]["mouth"]["psnr_db"]["mean"] - stored["rows"]["static"]["regions"]["mouth"]["psnr_db"]["mean"]
    )
    assert driven["risk"]["mouth_psnr"]["frames"] == 54 and stored["rows"]["static"]["risk"] is None
    assert stored["rows"]["audio-only"]["missed"] == 54
    assert stored["rows"]["audio-only"]["opening"]["correlation"] is None
    settings = stored["settings"]
    assert settings["seed"] == 3 and settings["given"]["preset"] == "quick" and settings["landmarks"] == "red-mouth"
    assert settings["frames"] == {
        "first": 4, "last": 57, "count": 54, "width": 96, "height": 96,
        "scored": "as rendered, before any video coding",
    }  # fmt: skip
    assert {"ua3dtalk", "commit", "torch"} <= set(stored["provenance"]["software"]) and stored["provenance"]["hardware"]
    assert len(stored["curves"]["driven"]["opening"]) == 54
    assert read_mark(out / "side_by_side.mp4").subject_sha256 == "ab" * 32


def test_page_needs_nothing_else_and_says_which_mask(report: tuple[Path, dict[str, Any]]) -> None:
    out, metrics = report
    page = (out / "index.html").read_text()
    assert not re.search(r"(src|href)=['\"]?(https?:|//|/)", page), "nothing is fetched"
    assert page.count("data:image/") == 5 and "src='data:video/mp4;base64," in page
    assert "width=device-width" in page
    for meaning in REGIONS.values():
        assert escape(meaning) in page
    mean = metrics["rows"]["driven"]["regions"]["head"]["psnr_db"]["mean"]
    assert f"{mean:.2f}" in page
    assert "54 of 54" in page  # missed faces
    assert "<b>bold</b>" not in page and "&lt;b&gt;bold" in page


def test_video_shows_all_rows(report: tuple[Path, dict[str, Any]]) -> None:
    out, _ = report
    with av.open(out / "side_by_side.mp4") as container:
        assert "AI-generated" in container.metadata["comment"]
        assert len(container.streams.audio) == 1
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert len(frames) == 54 and frames[0].shape == (96 + 22, 5 * 96, 3)
    red = [f[22:, :96, 0].astype(int).sum() for f in frames]
    assert np.ptp(red) > 0


def test_a_broken_row_leaves_no_result(face: Any, tmp_path: Path) -> None:
    def broken(i: int) -> np.ndarray:
        if i == 3:
            raise OSError("disk")
        return face.draw(5.0)

    inputs = ReportInputs(
        reference=Reference(frames=range(6), picture=lambda i: face.draw(5.0), parsing=lambda *_: face.parsing()),
        rows={"static": broken},
        make_detector=face.Detector,
    )
    with pytest.raises(OSError, match="disk"):
        write_report(tmp_path / "out", inputs)
    assert not list((tmp_path / "out").iterdir())


def test_a_real_clip_against_itself(shared: Path, tmp_path: Path) -> None:
    """One second of a real speaker: the detector works on it, JPEG costs little, and one frame of delay is seen."""
    frames = list(VideoReader(shared / "data" / "clips" / "lieu_60s_256.mp4", start_s=50.0, max_seconds=1.4))
    head = np.full(frames[0].shape[:2], Label.SKIN, np.uint8)
    inputs = ReportInputs(
        reference=Reference(frames=range(4, 30), picture=lambda i: frames[i], parsing=lambda *_: head),
        rows={
            "real": lambda i: through_jpeg(frames[i]),
            "static": lambda i: frames[4],
            "late": lambda i: frames[i - 2],
        },
        make_detector=FaceMeshLandmarks,
    )
    rows = write_report(tmp_path, inputs)["rows"]
    assert all(row["missed"] == 0 for row in rows.values())
    assert rows["real"]["regions"]["full"]["psnr_db"]["mean"] > 35
    assert rows["real"]["opening"]["correlation"] > 0.97
    assert rows["late"]["opening"]["lag_frames"] == 2
    assert rows["late"]["opening"]["correlation_at_lag"] > rows["late"]["opening"]["correlation"]
    assert rows["real"]["lmd"]["mean"] < rows["late"]["lmd"]["mean"]
