"""The rendered actor, shared by the tests of the report."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # made_subject, for the tests beside it
from made_subject import MadeActor


@pytest.fixture(scope="session")
def made() -> MadeActor:
    """Four seconds of the actor."""
    return MadeActor()
