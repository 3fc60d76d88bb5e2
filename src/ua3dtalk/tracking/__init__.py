"""From video to landmarks, head pose, parsing, expression, background and torso."""
