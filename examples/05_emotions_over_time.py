"""A speech that begins neutral, brightens, and calms down again: a timeline of emotions.

Run: python examples/05_emotions_over_time.py AVATAR SPEECH
"""

import sys
from pathlib import Path

import ua3dtalk

avatar, speech = sys.argv[1:]
Path("timeline.csv").write_text("""time_s,label,intensity
0.0,neutral,0.0
0.5,happy,1.0
1.5,neutral,0.0
""")
print(ua3dtalk.synthesize(avatar, speech, "over_time.mp4", timeline="timeline.csv", blink="generated"))
