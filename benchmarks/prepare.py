"""How long ``prepare`` takes, stage by stage, report included.

    python benchmarks/prepare.py VIDEO... [--size 512] [--seconds 20] [--json]

Every video is prepared once, from nothing, into a temporary folder. A stage lasts from its bar's beginning to its end;
what no bar covers is *other*. CPU time is that of all threads. Peak memory is that of the process, so that of a later
video is at least that of those before it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ua3dtalk.core.provenance import provenance
from ua3dtalk.recipes.prepare import prepare_subject
from ua3dtalk.tracking.prepare_config import PrepareConfig


class Stopwatch:
    """Collects the seconds that every stage of the outermost level lasts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._depth = 0

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Stopwatch]:
        """A stage."""
        started, self._depth = time.perf_counter(), self._depth + 1
        try:
            yield self
        finally:
            self._depth -= 1
            if self._depth == 0:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Nothing to show."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = {video.stem: prepared(video, options.size, options.seconds) for video in options.videos}
    result = {"size": options.size, "videos": rows, "load_average": os.getloadavg()[0], **provenance()}
    print(json.dumps(result) if options.json else json.dumps(result, indent=1))


def prepared(video: Path, size: int, seconds: float | None) -> dict[str, Any]:
    """Prepare one video and say what it took."""
    watch = Stopwatch()
    started = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        config = PrepareConfig(size=size, max_seconds=seconds)
        subject = prepare_subject(video, Path(folder) / "subject", config, progress=watch)
    wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
    stages = watch.seconds | {"other": wall - sum(watch.seconds.values())}
    return {
        "frames": subject.num_frames,
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
        "frames_per_s": round(subject.num_frames / wall, 2),
        "stages_s": {name: round(value, 2) for name, value in stages.items()},
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 3),
    }


if __name__ == "__main__":
    main()
