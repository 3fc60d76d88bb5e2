"""The one exception users see."""

from __future__ import annotations


class UserError(Exception):
    """Bad input or usage: one sentence that says what, where, and what to do. The command line exits with 2.

    Args:
        what: What is wrong, with the name and the value it has.
        cure: What the user can do about it.
    """

    def __init__(self, what: str, cure: str = "") -> None:
        self.what = what
        self.cure = cure
        super().__init__(f"{what} {cure}".strip())
