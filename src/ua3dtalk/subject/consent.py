"""That the person in a video agreed to an avatar: who said so, when, to which version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

from ua3dtalk.core.version import VERSION

How = Literal["typed", "flag", "synthetic"]


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What a subject remembers of it."""

    how: How
    """``typed`` at the question, said by the ``flag``, or ``synthetic``: there is no person."""
    at: str
    """When, UTC, ISO 8601."""
    version: str
    """The version of this package."""

    def sentence(self) -> str:
        """For people, one sentence."""
        if self.how == "synthetic":
            return "The person is synthetic: nobody had to agree."
        by = "typed" if self.how == "typed" else "given by --i-have-consent"
        return f"The person agreed to an avatar: {by}, {self.at}."


Asker = Callable[[], Consent]
"""Asks, or knows already; raises UserError where nobody agreed."""


def consent_now(how: How) -> Consent:
    """Consent given at this moment, to this version."""
    return Consent(how=how, at=datetime.now(timezone.utc).isoformat(timespec="seconds"), version=VERSION)


def synthetic() -> Consent:
    """For a face that was generated."""
    return consent_now("synthetic")
