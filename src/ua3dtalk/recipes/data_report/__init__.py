"""The report with which ``prepare`` ends: what the video is good for, in numbers, pictures and plain words."""
