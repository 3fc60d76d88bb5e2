"""The same sentence, half happy and wholly happy.

Run: python examples/03_emotions.py AVATAR SPEECH
"""

import sys

import ua3dtalk

avatar, speech = sys.argv[1:]
for intensity in (0.5, 1.0):
    out = f"happy_{intensity}.mp4"
    ua3dtalk.synthesize(avatar, speech, out, emotion="happy", intensity=intensity)
    print(out)
