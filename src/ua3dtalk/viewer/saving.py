"""Saves what is shown as a video and hands it to the window that asked; stops when that window is gone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import viser

from ua3dtalk.core.errors import UserError
from ua3dtalk.viewer.errands import Errands
from ua3dtalk.viewer.panel import tell
from ua3dtalk.viewer.session import Session

_EVERY = 10


class _Abandoned(Exception):
    """The window that asked is gone."""


class _Watched:
    """Progress that is shown in a window, and ends the work when there is no window."""

    def __init__(self, note: Any, wanted: Callable[[], bool]) -> None:
        self._note, self._wanted = note, wanted
        self._done, self._total = 0, 1

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[_Watched]:
        self._done, self._total = 0, total or 1
        yield self

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._done += steps
        if self._done % _EVERY == 0:
            if not self._wanted():
                raise _Abandoned
            self._note.body = f"Frame {self._done} of {self._total}"


class VideoSaver:
    """Writes one video at a time.

    Args:
        session: What is shown.
        connected: Whether a window, by its number, is still there.
    """

    def __init__(self, session: Session, connected: Callable[[int], bool]) -> None:
        self._session, self._connected = session, connected
        self._errands = Errands("viewer-video")
        self._open = True

    def save(self, client: viser.ClientHandle) -> None:
        """Write the video and send it to the window."""
        number = client.client_id
        note = client.add_notification("Writing the video", "Waiting", loading=True, with_close_button=False)
        wanted = lambda: self._open and self._connected(number)  # noqa: E731

        def do() -> None:
            with tempfile.TemporaryDirectory(prefix="ua3dtalk-") as folder:
                out = Path(folder) / "talk.mp4"
                try:
                    self._session.write_video(out, _Watched(note, wanted))
                    if wanted():
                        name = Path(self._session.speech.name or "rest").stem
                        client.send_file_download(f"{name}-talk.mp4", out.read_bytes(), save_immediately=True)
                except _Abandoned:
                    return
                except UserError as error:
                    tell(client, str(error))
                finally:
                    if wanted():
                        note.remove()

        self._errands.ask(f"video-{number}", do)

    def close(self) -> None:
        """Stop what is being written."""
        self._open = False
        self._errands.close()
