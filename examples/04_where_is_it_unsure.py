"""The moments of a speech at which the avatar is least sure, and a video that shows where on the face.

Run: python examples/04_where_is_it_unsure.py AVATAR SPEECH
"""

import json
import sys
from pathlib import Path

import ua3dtalk

avatar, speech = sys.argv[1:]
ua3dtalk.synthesize(avatar, speech, "talk.mp4", confidence="heat.mp4", report="talk.json")
report = json.loads(Path("talk.json").read_text())["per_frame"]
errors = report["expected_error"]
least_sure_first = sorted(range(len(errors)), key=lambda i: -(errors[i] or 0.0))
for i in least_sure_first[:5]:
    print(f"{i / 25:6.2f} s  expected error {errors[i]}  {', '.join(report['why'][i])}")
