"""Reading any video at 25 frames per second and writing H.264 + AAC, both with constant memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.error
import numpy as np
from jaxtyping import Float32, UInt8

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import atomic_path
from ua3dtalk.media.probe import FPS, probe_video

AUDIO_CHUNK = 1024  # samples of one AAC frame


class VideoReader:
    """A video file, read as 25 upright RGB frames per second.

    Frames are chosen by time stamp: frame k shows the source picture nearest to k/25 s after the first one.

    Args:
        path: The video.
        start_s: Skip this much of the video, seconds.
        max_seconds: Read at most this much, seconds; None reads to the end.
        size: Width and height of the frames, pixels; None leaves them as they are.

    Raises:
        UserError: no such file, not a video, or too damaged to be opened.
    """

    def __init__(
        self,
        path: Path,
        start_s: float = 0.0,
        max_seconds: float | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        if not path.is_file():
            raise UserError(f"{path} does not exist.", "Check the path of the video.")
        self.path = path
        self._skip_s = start_s
        self._limit = None if max_seconds is None else max(1, round(max_seconds * FPS))
        self.facts = probe_video(path)
        self._size = size

    @property
    def parts(self) -> Sequence[VideoReader]:
        """The videos that this one is joined of: itself alone."""
        return (self,)

    @property
    def expected_frames(self) -> int | None:
        """How many frames to expect, from the container; None where it does not say."""
        if self.facts.duration_s <= 0:
            return self._limit
        left = max(0, round((self.facts.duration_s - self._skip_s) * FPS))
        return left if self._limit is None else min(left, self._limit)

    @property
    def start_s(self) -> float:
        """Container time of the first frame that is read, seconds: where its sound starts."""
        return self.facts.start_s + self._skip_s

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Frames, uint8 RGB.

        Raises:
            UserError: the file ends or breaks before the end that its header promises.
        """
        emitted = 0
        previous: av.VideoFrame | None = None
        previous_s, last_s = -1.0, 0.0
        for picture, time_s in self._pictures():
            # Every output instant up to the middle between two pictures belongs to the earlier one.
            while previous is not None and emitted / FPS < (previous_s + time_s) / 2:
                yield self._to_rgb(previous)
                emitted += 1
                if emitted == self._limit:
                    return
            previous, previous_s, last_s = picture, time_s, time_s
        if previous is None:
            if self._skip_s > 0:
                raise UserError(f"{self.path} has no picture after {self._skip_s:g} s.", "Choose an earlier start.")
            raise UserError(f"{self.path} holds no picture that can be decoded.", "It is damaged; get another copy.")
        frame_s = 1 / self.facts.fps if self.facts.fps > 0 else 1 / FPS
        while emitted < round((last_s + frame_s) * FPS) and emitted != self._limit:
            yield self._to_rgb(previous)
            emitted += 1
        expected = self.expected_frames
        if expected is not None and emitted < expected - max(5, 0.02 * expected):
            raise UserError(
                f"{self.path} is truncated: it ends after {emitted / FPS:.1f} s of {expected / FPS:.1f} s.",
                "Get a whole copy, or read less of it with --max-seconds.",
            )

    def _pictures(self) -> Iterator[tuple[av.VideoFrame, float]]:
        """Decoded pictures with their time after the start, seconds, never going back."""
        try:
            with av.open(self.path) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                if self._skip_s > 1:
                    container.seek(int((self.start_s - 0.5) * 1e6))
                first_s: float | None = None
                newest_s = -1.0
                for picture in container.decode(stream):
                    if picture.pts is None or picture.time_base is None:
                        time_s = newest_s + 1 / (self.facts.fps or FPS)
                    else:
                        time_s = float(picture.pts * picture.time_base) - self.start_s
                    if first_s is None and time_s < -0.02:
                        continue
                    if self._skip_s == 0:  # a container's start time may be that of the sound
                        first_s = time_s if first_s is None else first_s
                        time_s -= first_s
                    if time_s > newest_s:
                        newest_s = time_s
                        first_s = 0.0 if first_s is None else first_s
                        yield picture, time_s
        except av.error.FFmpegError as error:
            raise UserError(f"{self.path} is damaged ({error.strerror}).", "Get another copy of the video.") from error

    def _to_rgb(self, picture: av.VideoFrame) -> np.ndarray:
        rotation = self.facts.rotation
        if self._size is None or self._size == (self.facts.width, self.facts.height):
            rgb = picture.to_ndarray(format="rgb24")
        else:
            width, height = self._size if rotation in (0, 180) else self._size[::-1]
            rgb = picture.reformat(width=width, height=height, format="rgb24").to_ndarray()
        return np.ascontiguousarray(np.rot90(rgb, -rotation // 90)) if rotation else rgb


class VideoWriter:
    """An MP4 file with H.264 pictures and, if given, AAC sound; a context manager.

    The file appears under its name only when the ``with`` block ends without an error.

    Args:
        path: Target, ``.mp4``.
        fps: Frames per second.
        size: Width and height of the frames, pixels. Odd sizes are padded by one pixel (H.264 needs even ones).
        audio: Mono samples in [-1, 1], or None; cut to the length of the picture.
        sample_rate_hz: Rate of ``audio``.
        metadata: Container tags, e.g. ``{"comment": "AI-generated"}``.
        crf: H.264 quality, 0 (lossless) .. 51; 16 is visually lossless.
    """

    def __init__(
        self,
        path: Path,
        fps: float | int,
        size: tuple[int, int],
        audio: Float32[np.ndarray, " s"] | None = None,
        sample_rate_hz: int = 16000,
        metadata: Mapping[str, str] | None = None,
        crf: int = 16,
    ) -> None:
        self._path = path
        self._fps = Fraction(fps).limit_denominator(1001)
        self._size = size
        self._audio = audio
        self._rate = sample_rate_hz
        self._metadata = dict(metadata or {})
        self._crf = crf
        self._stack = ExitStack()
        self._written = 0
        self._heard = 0

    def __enter__(self) -> VideoWriter:
        self._stack.__enter__()
        partial = self._stack.enter_context(atomic_path(self._path))
        options = {"movflags": "+faststart+use_metadata_tags"}
        self._container = self._stack.enter_context(av.open(partial, "w", format="mp4", container_options=options))
        self._container.metadata.update(self._metadata)
        width, height = self._size
        video = self._container.add_stream("libx264", rate=self._fps, options={"crf": str(self._crf)})
        video.width, video.height = width + width % 2, height + height % 2
        video.pix_fmt = "yuv420p"
        # Say which matrix is used, else players guess and colours shift.
        video.codec_context.colorspace, video.codec_context.color_range = 5, 1
        self._video = video
        if self._audio is not None:
            self._sound = self._container.add_stream("aac", rate=self._rate, layout="mono")
        return self

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        """Append one RGB frame and the sound that goes with it.

        Raises:
            ValueError: the frame has another size than the writer.
        """
        width, height = self._size
        if frame.shape != (height, width, 3):
            raise ValueError(f"frame must be {(height, width, 3)}, got {frame.shape}.")
        if width % 2 or height % 2:
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture.pts = self._written
        picture.time_base = 1 / self._fps
        self._container.mux(self._video.encode(picture))
        self._written += 1
        self._write_sound(last=False)

    def _write_sound(self, last: bool) -> None:
        if self._audio is None:
            return
        until = min(len(self._audio), int(self._written / self._fps * self._rate))
        while self._heard < until and (last or until - self._heard >= AUDIO_CHUNK):
            chunk = self._audio[self._heard : min(self._heard + AUDIO_CHUNK, until)]
            sound = av.AudioFrame.from_ndarray(np.ascontiguousarray(chunk[None]), format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = self._rate, self._heard, Fraction(1, self._rate)
            self._container.mux(self._sound.encode(sound))
            self._heard += len(chunk)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._written:
            self._write_sound(last=True)
            self._container.mux(self._video.encode(None))
            if self._audio is not None:
                self._container.mux(self._sound.encode(None))
        if kind is None and not self._written:
            error = ValueError(f"{self._path}: no frame was written.")
            self._stack.__exit__(ValueError, error, None)
            raise error
        self._stack.__exit__(kind, error, trace)
