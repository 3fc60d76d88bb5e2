"""Progress on a terminal and in a log file; results as text."""

from __future__ import annotations

import io

from rich.console import Console

from ua3dtalk.cli.console import RichProgress, make_progress
from ua3dtalk.cli.results import grid, table
from ua3dtalk.core.progress import Silent
from ua3dtalk.core.progress_lines import LineProgress, duration_text, rate_text


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_bars_show_name_count_and_note() -> None:
    console = terminal()
    with RichProgress(console).task("training", 10) as task:
        task.advance(4, "loss 0.12")
        task.advance(6)
    text = shown(console)
    assert "training" in text
    assert "10/10" in text
    assert "loss 0.12" in text


def test_bars_nest_and_can_be_used_again() -> None:
    progress = RichProgress(terminal())
    for _ in range(2):
        with progress.task("outer", 2) as outer:
            with progress.task("inner", None) as inner:
                inner.advance()
            outer.advance(2)


def test_the_terminal_is_given_back_after_an_error() -> None:
    console = terminal()
    try:
        with RichProgress(console).task("work", 1):
            raise ValueError
    except ValueError:
        pass
    assert shown(console).rstrip().endswith("\x1b[?25h")  # the cursor is shown again


def test_a_log_file_gets_a_line_now_and_then() -> None:
    lines: list[str] = []
    now = 0.0
    with LineProgress(lines.append, every_s=10.0, clock=lambda: now).task("tracking", 100) as task:
        for _ in range(100):
            now += 0.5
            task.advance(note="yaw 3")
    assert lines == [
        "tracking: 20/100 (2/s, 40 s left) yaw 3",
        "tracking: 40/100 (2/s, 30 s left) yaw 3",
        "tracking: 60/100 (2/s, 20 s left) yaw 3",
        "tracking: 80/100 (2/s, 10 s left) yaw 3",
        "tracking: 100/100 (2/s, 0 s left) yaw 3",
        "tracking: done in 50.0 s (yaw 3)",
    ]


def test_a_slow_first_step_forecasts_nothing() -> None:
    lines: list[str] = []
    now = 0.0
    with LineProgress(lines.append, every_s=10.0, clock=lambda: now).task("train", 1000) as task:
        for seconds in (50.0, 50.0):
            now += seconds
            task.advance()
    assert lines == ["train: 1/1000", "train: 2/1000 (50.0 s each, 13.9 h left)", "train: done in 100.0 s"]


def test_what_is_used_where() -> None:
    assert isinstance(make_progress(terminal(), silent=True), Silent)
    assert isinstance(make_progress(terminal(), silent=False), RichProgress)
    assert isinstance(make_progress(Console(file=io.StringIO()), silent=False), LineProgress)


def test_rates_read_well() -> None:
    assert rate_text(31.4) == "31/s"
    assert rate_text(0.25) == "4.0 s each"


def test_times_read_well() -> None:
    assert [duration_text(s) for s in (90.2, 1500.0, 12600.0)] == ["90 s", "25 min", "3.5 h"]


def test_nested_results_become_a_table() -> None:
    values = {"psnr": 30.12345, "mouth": {"gain_db": 2.5, "lag": 1}, "frames": list(range(100)), "pair": [1, 2.5]}
    assert table(values).splitlines() == [
        "psnr           30.12",
        "mouth.gain_db  2.5",
        "mouth.lag      1",
        "frames         100 values",
        "pair           1, 2.5",
    ]


def test_rows_of_results_become_a_grid() -> None:
    rows = {"static": {"psnr": {"mean": 28.512}, "r": None}, "driven": {"psnr": {"mean": 30.2}, "r": 0.6213}}
    assert grid(rows, {"head PSNR": "psnr.mean", "opening r": "r", "lag": "gone"}).splitlines() == [
        "        head PSNR  opening r  lag",
        "static      28.51          -    -",
        "driven       30.2     0.6213    -",
    ]
