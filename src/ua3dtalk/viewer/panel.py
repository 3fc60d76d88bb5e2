"""The page's controls. They are shared by all windows; each calls the session, and errors go to who caused them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import viser

from ua3dtalk.avatar.avatar import ORDER
from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.speech_features import SpeechEncoder
from ua3dtalk.synthesis.options import AUTO
from ua3dtalk.viewer.errands import Errands
from ua3dtalk.viewer.scene import COLOURS, Look
from ua3dtalk.viewer.session import Session, Shot
from ua3dtalk.viewer.sound import clock_html, sound_html
from ua3dtalk.viewer.speech import inside, load_speech, load_upload, plain_name

SPLATS, RENDERED = "splats", "rendered"
TIMELINE = "timeline"
_SLIDER_EVERY = 5
_REST = "No speech: the head rests. Load a recording to let it talk."


class Panel:
    """Controls for one session.

    Args:
        gui: Where to put them.
        session: What they steer.
        encoder: For new speech.
        errands: Does what takes long.
        folder: Files in it can be named in the page; None where the page may name none.
        wake: Called when the picture must be drawn anew.
    """

    def __init__(
        self,
        gui: viser.GuiApi,
        session: Session,
        encoder: SpeechEncoder,
        errands: Errands,
        folder: Path | None,
        wake: Callable[[], None],
    ) -> None:
        self._gui, self._session, self._encoder, self._errands = gui, session, encoder, errands
        self._folder, self._wake = folder, wake
        self.rendered = False
        """Whether our own rasterizer draws the picture."""
        self._clock = gui.add_html("")
        with gui.add_folder("Speech"):
            self._add_transport()
            self._add_speech()
        with gui.add_folder("Emotion"):
            self._add_emotion()
        with gui.add_folder("View"):
            self._add_view()
        self.save_folder = gui.add_folder("Save")
        """Where the server puts what saves things."""
        self.show_speech()

    def show_clock(self, shot: Shot, shown_fps: float, note: str = "") -> None:
        """Say where we are; to be sent together with the picture of that frame."""
        player = self._session.player
        playing = player.playing
        said = self._session.speech.name or _REST
        text = note or f"{self._session.emotion(shot)} · {said}"
        self._clock.content = clock_html(
            shot.frame, len(shot.drive), player.fps, playing, shown_fps=shown_fps, note=text
        )
        self._play.visible, self._pause.visible = not playing, playing
        if not playing or shot.frame % _SLIDER_EVERY == 0:
            self._position.value = shot.frame

    def show_speech(self) -> None:
        """Fit the controls to the session's speech and emotions."""
        session = self._session
        self._position.value = 0
        self._position.max = max(1, session.player.num_frames - 1)
        self._sound.content = sound_html(session.speech.samples)
        self._timeline.value = session.timeline
        if self._emotion.value == TIMELINE:
            self._emotion.value = AUTO

    def later(self, kind: str, event: Any, do: Callable[[], None]) -> None:
        """Do something in turn; a user's error is shown in the window that asked."""

        def careful() -> None:
            try:
                do()
            except UserError as error:
                tell(event.client, str(error))

        self._errands.ask(kind, careful)

    def _add_transport(self) -> None:
        gui, player = self._gui, self._session.player
        self._play = gui.add_button("Play", icon=viser.Icon.PLAYER_PLAY)
        self._pause = gui.add_button("Pause", icon=viser.Icon.PLAYER_PAUSE, visible=False)
        self._position = gui.add_slider("Frame", 0, max(1, player.num_frames - 1), 1, 0)
        step = gui.add_button_group("Step", ("|<", "-1", "+1", ">|"))
        loop = gui.add_checkbox("Loop", player.looping)

        @self._play.on_click
        def _(_: Any) -> None:
            player.play()
            self._wake()

        @self._pause.on_click
        def _(_: Any) -> None:
            player.pause()
            self._wake()

        @self._position.on_update
        def _(event: Any) -> None:
            if event.client_id is not None:  # the user's hand, not our own
                player.pause()
                player.seek(int(self._position.value))
                self._wake()

        @step.on_click
        def _(_: Any) -> None:
            whole = player.num_frames
            player.step({"|<": -whole, "-1": -1, "+1": 1, ">|": whole}[step.value])
            self._wake()

        @loop.on_update
        def _(_: Any) -> None:
            player.looping = loop.value

    def _add_speech(self) -> None:
        gui = self._gui
        upload = gui.add_upload_button(
            "Load a recording",
            color="gray",
            icon=viser.Icon.MICROPHONE,
            mime_type="audio/*,video/*",
            hint="Or drop it on the page.",
        )

        @upload.on_upload
        def _(event: Any) -> None:
            file = upload.value
            upload._impl.value = viser.UploadedFile("", b"")  # else it stays in memory
            note = tell(event.client, f"Reading {plain_name(file.name)} …", loading=True)
            self.later("speech", event, lambda: self._say(lambda: self._uploaded(file), note))

        if self._folder is not None:
            folder = self._folder
            named = gui.add_text("File", "", hint=f"A recording in {folder}, then press Open.")
            open_ = gui.add_button("Open", color="gray", icon=viser.Icon.FOLDER_OPEN)

            @open_.on_click
            def _(event: Any) -> None:
                typed = named.value
                note = tell(event.client, f"Reading {plain_name(typed)} …", loading=True)
                self.later(
                    "speech", event, lambda: self._say(lambda: load_speech(inside(folder, typed), self._encoder), note)
                )

        self._sound = gui.add_html("")

    def _uploaded(self, file: viser.UploadedFile) -> Any:
        return load_upload(file.name, file.content, self._encoder)

    def _say(self, load: Callable[[], Any], note: Any) -> None:
        try:
            self._session.say(load())
            self.show_speech()
            self._wake()
        finally:
            if note is not None:
                note.remove()

    def _add_emotion(self) -> None:
        gui, session = self._gui, self._session
        names = (AUTO, *session.askable(borrow=False), TIMELINE)
        self._emotion = gui.add_dropdown(
            "Emotion", names, initial_value=AUTO, hint="auto: from the voice. timeline: from the lines below."
        )
        intensity = gui.add_slider("Intensity", 0.0, 1.0, 0.05, 1.0)
        borrow = gui.add_checkbox(
            "Borrow", False, hint="Also emotions that the subject never showed, with the motion of other people."
        )
        self._timeline = gui.add_text("Timeline", "", multiline=True, hint="What is felt when; edit it and apply.")
        apply = gui.add_button("Apply the timeline", color="gray", icon=viser.Icon.TIMELINE)

        def follow() -> None:
            session.follow(self._timeline.value, borrow.value)
            self._emotion.value = TIMELINE

        def feel() -> None:
            if self._emotion.value == TIMELINE:
                follow()
                return
            session.feel(self._emotion.value, float(intensity.value), borrow.value)
            self._timeline.value = session.timeline

        def chosen(event: Any) -> None:
            if event.client_id is not None:  # the user's hand, not our own
                self.later("emotion", event, feel)

        self._emotion.on_update(chosen)
        intensity.on_update(chosen)
        apply.on_click(lambda event: self.later("emotion", event, follow))

        @borrow.on_update
        def _(event: Any) -> None:
            names = (AUTO, *session.askable(borrow.value), TIMELINE)
            kept = self._emotion.value if self._emotion.value in names else AUTO
            self._emotion.options, self._emotion.value = names, kept
            self.later("emotion", event, feel)

    def _add_view(self) -> None:
        gui, session = self._gui, self._session
        self.source_camera = gui.add_button("Source camera", color="gray", icon=viser.Icon.CAMERA)
        drawn = gui.add_dropdown(
            "Drawn by",
            (SPLATS, RENDERED),
            initial_value=SPLATS,
            hint="splats: the browser, smooth to orbit. rendered: the picture that a video shows.",
        )
        colour = gui.add_dropdown("Colour", COLOURS, initial_value=COLOURS[0])
        points = gui.add_checkbox("Points", False, hint="Every Gaussian as a small point.")
        layers = {name: gui.add_checkbox(name.capitalize(), True) for name in ORDER if name in session.scene.names}
        torso = gui.add_checkbox("Torso", True, hint="Torso and room behind the head.")
        moves = gui.add_checkbox("Head moves", True)

        def look(event: Any) -> None:
            chosen = Look(
                colour=colour.value,
                points=points.value,
                layers=frozenset(name for name, box in layers.items() if box.value),
                torso=torso.value,
            )
            self.later("look", event, lambda: session.show(chosen))

        for control in (colour, points, torso, *layers.values()):
            control.on_update(look)
        moves.on_update(lambda event: self.later("pose", event, lambda: session.move(moves.value)))

        @drawn.on_update
        def _(_: Any) -> None:
            self.rendered = drawn.value == RENDERED
            self._wake()


def tell(client: viser.ClientHandle | None, text: str, *, loading: bool = False) -> Any:
    """A note in one window: what is being done, or what went wrong."""
    if client is None:
        return None
    if loading:
        return client.add_notification(text, "", loading=True, with_close_button=False)
    return client.add_notification("That did not work", text, color="red", auto_close_seconds=12.0)
