"""How the speech gets into the page and stays in step with the picture.

The page holds one audio element, outside the panel. The server writes the frame that it shows into a small element, the
*clock*, in the same message as the picture. A script reads off it how far the picture's time is ahead of the page's own
clock: the largest value of the last seconds counts, because a late picture only ever looks further behind. The sound
follows that time: by a slightly other speed where they are a little apart, by a jump where they are far apart.
"""

from __future__ import annotations

import base64
import html
import io

import numpy as np
import soundfile
from jaxtyping import Float32

from ua3dtalk.media.audio import SAMPLE_RATE_HZ

CLOCK_ID = "ua3dtalk-clock"
SOUND_ID = "ua3dtalk-sound"
AUDIO_ID = "ua3dtalk-audio"
JUMP_S = 0.25
"""Further apart than this, the sound jumps."""
EVEN_S = 0.025
"""Closer than this counts as in step."""

KEEP_S = 4.0
"""For so long a reading of the picture's time counts."""

_SCRIPT = """
(() => {
  let audio = document.getElementById('%(audio)s');
  if (!audio) {
    audio = document.createElement('audio');
    audio.id = '%(audio)s';
    document.body.append(audio);
    const state = {seen: '', due: 0, readings: [], blocked: false, off: 0};
    audio.ua3dtalk = state;
    const start = () => audio.play().then(
      () => { state.blocked = false; },
      (e) => { state.blocked = e.name === 'NotAllowedError'; });
    const jump = (to) => { audio.currentTime = to; audio.playbackRate = 1; };
    const follow = () => {
      requestAnimationFrame(follow);
      const clock = document.getElementById('%(clock)s');
      if (!clock || !audio.src) return;
      const box = document.getElementById('%(sound)s-on');
      audio.muted = !!box && !box.checked;
      const d = clock.dataset;
      const seen = d.playing + ':' + d.frame + ':' + audio.src.length;
      if (seen === state.seen) return;
      state.seen = seen;
      const due = (Number(d.frame) + 0.5) / Number(d.fps);
      if (d.playing !== '1' || due < state.due) state.readings = [];
      state.due = due;
      if (d.playing !== '1') {
        audio.pause();
        jump(Math.min(due, audio.duration || due));
        return;
      }
      const now = performance.now() / 1000;
      state.readings = state.readings.filter((r) => r[0] > now - %(keep)s);
      state.readings.push([now, due - now]);
      const target = now + Math.max(...state.readings.map((r) => r[1]));
      if (state.blocked || target >= (audio.duration || Infinity)) return;
      if (audio.paused) { jump(target); start(); return; }
      state.off = audio.currentTime - target;
      if (Math.abs(state.off) > %(jump)s) jump(target);
      else audio.playbackRate = Math.abs(state.off) > %(even)s ? 1 - Math.max(-0.08, Math.min(0.08, state.off)) : 1;
    };
    follow();
    document.addEventListener('pointerdown', () => { if (state.blocked) start(); });
    document.addEventListener('dragover', (e) => e.preventDefault());
    document.addEventListener('drop', (e) => {
      const input = document.querySelector('input[type=file]');
      if (!input || !e.dataTransfer.files.length) return;
      e.preventDefault();
      input.files = e.dataTransfer.files;
      input.dispatchEvent(new Event('change', {bubbles: true}));
    });
  }
  audio.src = document.getElementById('%(sound)s').dataset.src;
})();
"""


def sound_html(samples: Float32[np.ndarray, " s"]) -> str:
    """The panel's element that brings the speech: a switch for this window's sound, the data, and the script.

    Args:
        samples: 16 kHz mono.
    """
    out = io.BytesIO()
    soundfile.write(out, np.clip(samples, -1, 1), SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    data = base64.b64encode(out.getvalue()).decode("ascii")
    names = {"audio": AUDIO_ID, "clock": CLOCK_ID, "sound": SOUND_ID, "jump": JUMP_S, "even": EVEN_S, "keep": KEEP_S}
    # Scripts in inserted HTML do not run; the handler of a picture that cannot be loaded does.
    return (
        f'<label style="display:block;margin:0 0.75em 0.5em;font-size:0.875em">'
        f'<input type="checkbox" id="{SOUND_ID}-on" checked style="vertical-align:middle"> Sound in this window</label>'
        f'<span id="{SOUND_ID}" hidden data-src="data:audio/flac;base64,{data}"></span>'
        f'<img hidden alt="" src="data:," onerror="{html.escape(_SCRIPT % names)}">'
    )


def clock_html(frame: int, num_frames: int, fps: float, playing: bool, *, shown_fps: float, note: str) -> str:
    """The panel's status line, which is also what the sound follows.

    Args:
        frame: The frame whose picture goes out with it.
        num_frames: T.
        fps: Frames per second of the speech.
        playing: Whether time runs.
        shown_fps: Pictures per second that went out lately.
        note: What else to say, plain text.
    """
    speed = f"{shown_fps:.0f} frames/s" if playing else "paused"
    return (
        f'<div id="{CLOCK_ID}" data-frame="{frame}" data-fps="{fps:g}" data-playing="{int(playing)}" '
        f'style="margin:0.4em 0.75em;font-size:0.875em;font-variant-numeric:tabular-nums;line-height:1.5">'
        f"<b>{frame / fps:.2f} s</b> of {num_frames / fps:.2f} s · frame {frame} of {num_frames} · {speed}"
        f'<br><span style="opacity:0.7">{html.escape(note)}</span></div>'
    )
