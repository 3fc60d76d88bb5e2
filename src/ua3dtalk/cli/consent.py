"""The question that ``prepare`` and ``import`` ask once: did the person agree?"""

from __future__ import annotations

import sys

from ua3dtalk.core.errors import UserError
from ua3dtalk.subject.consent import Asker, Consent, consent_now

RULE = "You may only make an avatar of a person who agreed to it."


def asking(what: str, agreed: bool) -> Asker:
    """A function that finds out whether the person agreed, when it is called.

    Args:
        what: What shows the person, e.g. the name of the video.
        agreed: ``--i-have-consent``.

    Returns:
        Says who agreed and when. Raises UserError where nobody did or nobody can be asked.
    """

    def ask() -> Consent:
        if agreed:
            return consent_now("flag")
        if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
            cure = "If the person in it agreed, give --i-have-consent (in Python: i_have_consent=True)."
            raise UserError(f"{what}: {RULE[0].lower()}{RULE[1:]}", cure)
        sys.stderr.write(f"{RULE} Did the person in {what} agree? Type yes: ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() != "yes":
            raise UserError(f"{what} is not prepared: the answer was not yes.", "Ask the person first.")
        return consent_now("typed")

    return ask


def _is_terminal(stream: object) -> bool:
    isatty = getattr(stream, "isatty", None)  # None where a program has no such stream
    return bool(isatty and isatty())
