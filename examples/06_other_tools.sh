#!/usr/bin/env bash
# The head as standard 3D Gaussian splats for other viewers, and another system's video measured with the same metrics.
set -euo pipefail

ua3dtalk export me-avatar --out head.ply --frame 25
ua3dtalk evaluate-video --reference me.mp4 --video theirs.mp4 --out theirs-report
