#!/usr/bin/env bash
# From a portrait video, me.mp4, and a recording, speech.wav, to a talking avatar and a report on it.
set -euo pipefail

ua3dtalk prepare me.mp4 --out me # asks once whether the person in it agreed
ua3dtalk train me --out me-avatar --resume # also goes on where it was stopped
ua3dtalk synthesize me-avatar --audio speech.wav --out talk.mp4
ua3dtalk evaluate me-avatar --out report
