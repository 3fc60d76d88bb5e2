from __future__ import annotations

import pytest

from ua3dtalk.viewer.player import Player


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def player(clock: Clock) -> Player:
    return Player(50, 25.0, clock)


def test_it_stands_still_until_it_plays(player: Player, clock: Clock) -> None:
    clock.now += 5
    assert (player.frame, player.playing) == (0, False)


def test_frames_follow_the_clock_however_seldom_it_is_asked(player: Player, clock: Clock) -> None:
    player.play()
    clock.now += 0.999
    assert player.frame == 24
    clock.now += 0.001
    assert player.frame == 25
    clock.now += 0.9
    assert player.frame == 47


def test_pause_holds_the_frame(player: Player, clock: Clock) -> None:
    player.play()
    clock.now += 0.5
    player.pause()
    clock.now += 3
    assert (player.frame, player.playing) == (12, False)
    player.play()
    clock.now += 0.04
    assert player.frame == 13


def test_it_begins_again(player: Player, clock: Clock) -> None:
    player.seek(40)
    player.play()
    clock.now += 10 / 25
    assert player.frame == 0
    clock.now += 2 * 50 / 25 + 3 / 25
    assert (player.frame, player.playing) == (3, True)


def test_without_looping_it_stops_on_the_last_frame(player: Player, clock: Clock) -> None:
    player.looping = False
    player.play()
    clock.now += 60
    assert (player.frame, player.playing) == (49, False)
    player.play()
    assert (player.frame, player.playing) == (0, True)


def test_seeking_goes_on_playing_and_stepping_stops(player: Player, clock: Clock) -> None:
    player.play()
    player.seek(30)
    clock.now += 0.08
    assert (player.frame, player.playing) == (32, True)
    player.step(-1)
    clock.now += 1
    assert (player.frame, player.playing) == (31, False)
    player.step(1000)
    assert player.frame == 49
    player.seek(-3)
    assert player.frame == 0


def test_waiting_until_the_next_frame_reaches_it(player: Player, clock: Clock) -> None:
    player.play()
    clock.now += 0.05
    for expected in range(2, 30):
        clock.now += player.wait_s()
        assert player.frame == expected
    player.pause()
    assert player.wait_s() == 0


def test_another_speech_starts_at_its_beginning(player: Player) -> None:
    player.play()
    player.load(7)
    assert (player.frame, player.playing, player.num_frames) == (0, False, 7)
    with pytest.raises(ValueError, match="`num_frames` must be at least 1, got 0"):
        player.load(0)
