"""What the page is sent is what the avatar renders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import viser

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Silent
from ua3dtalk.geometry.rotation import matrices_to_quats, quats_to_matrices
from ua3dtalk.geometry.spherical_harmonics import rgb_to_sh0, sh0_to_rgb
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.render.types import Splats
from ua3dtalk.viewer.packing import UNITS_PER_M, pack, unpack
from ua3dtalk.viewer.picture import draw
from ua3dtalk.viewer.scene import COLOURS, NATURAL, Look, concatenated
from ua3dtalk.viewer.session import Session
from ua3dtalk.viewer.speech import Speech
from ua3dtalk.viewer.stage import View


@pytest.fixture
def session(avatar: Avatar, speech: Speech) -> Iterator[Session]:
    session = Session(avatar, speech, subject_sha256="5" * 64)
    yield session
    session.close()


def exact_view(session: Session) -> View:
    """The subject's camera without the margin that a window gets."""
    fov = 2 * np.arctan(session.avatar.height / 2 / session.avatar.K[1, 1])
    return replace(session.stage.source, fov_rad=float(fov))


def rendered(session: Session, frame: int) -> np.ndarray:
    drive = session.shot().drive
    return session.avatar.render(drive.conditions.frame(frame), drive.viewmats[frame], int(drive.torso[frame])).image


def test_the_packed_gaussians_are_those_that_the_avatar_renders(session: Session) -> None:
    session.player.seek(20)
    shot = session.shot()
    words = pack(concatenated(session.scene.layers(shot.drive.conditions.frame(20), shot.look, widen=False)))
    means, covariances, rgba = (torch.from_numpy(a) for a in unpack(words))
    values, vectors = torch.linalg.eigh(covariances.double())
    vectors[torch.linalg.det(vectors) < 0, :, 0] *= -1
    splats = Splats(
        means=means,
        quats=matrices_to_quats(vectors.float()),
        scales=values.clamp_min(1e-12).sqrt().float(),
        opacities=rgba[:, 3],
        sh=rgb_to_sh0(rgba[:, :3])[:, None],
    )
    layers, start = {}, 0
    for name, count in session.scene.counts.items():
        part = slice(start, start + count)
        layers[name] = Splats(*(getattr(splats, n)[part] for n in ("means", "quats", "scales", "opacities", "sh")))
        start += count
    behind = session.torso(int(shot.drive.torso[20]))
    picture = draw(session.avatar.rasterizer, layers, shot.drive.viewmats[20], session.avatar.K, behind)
    difference = np.abs(picture.astype(int) - rendered(session, 20))
    # 8-bit colours and half-float covariances; the mean is 0.1 here. A frame further on it is 0.6.
    assert difference.mean() < 0.3


def test_packing_is_that_of_viser(session: Session) -> None:
    splats = concatenated(session.scene.layers(session.shot().drive.conditions.frame(3), Look()))
    turned = quats_to_matrices(splats.quats) * splats.scales[:, None] * UNITS_PER_M
    server = viser.ViserServer(host="127.0.0.1", port=0, verbose=False)
    try:
        handle = server.scene.add_gaussian_splats(
            "/splats",
            centers=splats.means.numpy() * UNITS_PER_M,
            covariances=(turned @ turned.transpose(1, 2)).numpy(),
            rgbs=sh0_to_rgb(splats.sh[:, 0]).clamp(0, 1).numpy(),
            opacities=splats.opacities[:, None].numpy(),
        )
        theirs = handle.buffer
    finally:
        server.stop()
    ours = pack(splats)
    np.testing.assert_array_equal(ours[:, :4], theirs[:, :4])
    (_, covariances, rgba), (_, their_covariances, their_rgba) = unpack(ours), unpack(theirs)
    np.testing.assert_allclose(covariances, their_covariances, rtol=2e-3, atol=1e-11)  # half floats
    assert np.abs(rgba - their_rgba).max() < 1.5 / 255  # rounded here, cut off there


def test_the_rendered_picture_is_the_avatars(session: Session) -> None:
    session.player.seek(31)
    picture = session.picture(session.shot(), exact_view(session), session.avatar.width, session.avatar.height)
    assert np.abs(picture.astype(int) - rendered(session, 31)).max() <= 1


def test_a_larger_picture_is_not_sharper_than_the_trained_one(session: Session) -> None:
    """Small pixels must not open gaps between the Gaussians."""
    shot, (w, h) = session.shot(), (session.avatar.width, session.avatar.height)
    large = session.picture(shot, exact_view(session), 3 * w, 3 * h).astype(float)
    small = large.reshape(h, 3, w, 3, 3).mean((1, 3))
    assert np.abs(small - rendered(session, shot.frame)).mean() < 2.5


def test_every_colour_shows_the_head(session: Session) -> None:
    shot = session.shot()
    pictures = {}
    for colour in COLOURS:
        session.show(Look(colour=colour))
        pictures[colour] = session.picture(session.shot(), exact_view(session), 64, 64).astype(float)
    for colour in COLOURS[1:]:
        assert np.abs(pictures[colour] - pictures[NATURAL]).mean() > 2
    assert session.shot().change > shot.change
    with pytest.raises(ValueError, match="`colour` must be one of"):
        Look(colour="mauve")


def test_layers_can_be_left_out(session: Session) -> None:
    session.show(Look(layers=frozenset(), torso=False))
    picture = session.picture(session.shot(), exact_view(session), 64, 64)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1
    whole = len(session.words(session.shot()))
    session.show(Look(layers=frozenset({"face"}), points=True))
    assert len(session.words(session.shot())) == whole  # the browser keeps its buffers


def test_emotion_moves_the_face_and_a_timeline_is_read_back(session: Session) -> None:
    session.feel("neutral", 1.0)
    calm = session.words(session.shot())
    session.feel("happy", 1.0)
    glad = session.words(session.shot())
    assert (calm[:, :3] != glad[:, :3]).any()
    assert session.emotion(session.shot()) == "happy 1.00"
    session.follow("time_s,label,intensity\n0,neutral,0\n1,happy,1")
    assert "neutral" in session.timeline and session.timeline.splitlines()[-1].endswith("happy,1.00")
    with pytest.raises(UserError, match="The timeline, line 2: emotion 'mauve' is not known"):
        session.follow("time_s,label\n0,mauve")
    assert "neutral" in session.timeline  # what was there stays


def test_what_the_subject_never_showed_is_borrowed_or_refused(session: Session) -> None:
    lent = [name for name in session.askable(borrow=True) if name not in session.askable(borrow=False)]
    assert session.askable(borrow=False) == ("neutral", "happy") and lent
    with pytest.raises(UserError, match=f"never showed '{lent[0]}'"):
        session.feel(lent[0], 0.5)
    session.feel(lent[0], 0.5, borrow=True)
    assert session.emotion(session.shot()) == f"{lent[0]} 0.50"
    session.follow(f"time_s,label\n0,{lent[0]}", borrow=True)
    session.feel("auto", 0.5, borrow=True)  # the voice decides: there is nothing to borrow


def test_a_saved_video_is_the_speech(session: Session, encoder: PhoneEncoder, tmp_path: Path) -> None:
    samples = session.speech.samples[:6400]
    session.say(Speech("short", samples, encoder.encode(samples)))
    session.write_video(tmp_path / "talk.mp4", Silent())
    with av.open(str(tmp_path / "talk.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == session.player.num_frames == 10
        assert "5" * 64 in container.metadata["comment"]  # whose likeness it is
