"""Phones of American English (ARPAbet): how long they last, how they sound, how they look; and a small lexicon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ua3dtalk.core.errors import UserError

VOWELS = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])
CLOSED_LIPS = frozenset(["M", "B", "P"])
LIP_TO_TEETH = frozenset(["F", "V"])
ROUNDED = frozenset(["UW", "OW", "OY", "AO", "W", "R", "SH", "CH", "JH", "ZH", "UH"])


@dataclass(frozen=True, kw_only=True)
class Phone:
    """One phone in time."""

    symbol: str
    """ARPAbet without stress, or ``SIL``."""
    stressed: bool
    """Carries the word's main stress."""
    start_s: float
    """Start, seconds."""
    end_s: float
    """End, seconds, exclusive."""


# Formants F1-F3 in Hz at the start and (for diphthongs) at the end; voices scale them.
FORMANTS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "IY": ((280, 2290, 3010),),
    "IH": ((400, 1990, 2550),),
    "EH": ((540, 1840, 2480),),
    "AE": ((680, 1720, 2410),),
    "AH": ((620, 1220, 2450),),
    "AA": ((740, 1100, 2460),),
    "AO": ((580, 860, 2420),),
    "UH": ((440, 1020, 2240),),
    "UW": ((310, 900, 2240),),
    "ER": ((480, 1330, 1680),),
    "EY": ((500, 1900, 2540), (330, 2220, 2900)),
    "AY": ((720, 1180, 2480), (390, 2000, 2650)),
    "OY": ((560, 870, 2420), (390, 1950, 2600)),
    "AW": ((720, 1250, 2450), (420, 920, 2300)),
    "OW": ((520, 980, 2400), (380, 840, 2300)),
    "L": ((360, 1050, 2850),),
    "R": ((340, 1180, 1550),),
    "W": ((300, 640, 2250),),
    "Y": ((270, 2250, 3050),),
    "M": ((260, 950, 2200),),
    "N": ((270, 1600, 2550),),
    "NG": ((280, 2050, 2650),),
    "B": ((220, 850, 2200),),
    "P": ((220, 850, 2200),),
    "D": ((230, 1750, 2650),),
    "T": ((230, 1750, 2650),),
    "G": ((230, 2050, 2350),),
    "K": ((230, 2050, 2350),),
    "F": ((300, 1000, 2300),),
    "V": ((280, 1000, 2300),),
    "TH": ((300, 1400, 2600),),
    "DH": ((280, 1400, 2600),),
    "S": ((300, 1700, 2650),),
    "Z": ((280, 1700, 2650),),
    "SH": ((300, 1850, 2500),),
    "ZH": ((280, 1850, 2500),),
    "CH": ((280, 1800, 2550),),
    "JH": ((260, 1800, 2550),),
    "HH": ((500, 1500, 2500),),
    "SIL": ((500, 1500, 2500),),
}

# Noise of the constriction: centre and width of the band in Hz, level. Plosives use it as their burst.
NOISE: dict[str, tuple[float, float, float]] = {
    "S": (6200, 1900, 0.50),
    "Z": (6200, 1900, 0.30),
    "SH": (3300, 1500, 0.60),
    "ZH": (3300, 1500, 0.32),
    "CH": (3500, 1700, 0.66),
    "JH": (3400, 1700, 0.45),
    "F": (5200, 7000, 0.15),
    "V": (5000, 6500, 0.07),
    "TH": (6400, 5000, 0.11),
    "DH": (6000, 5000, 0.05),
    "P": (1100, 1400, 0.55),
    "B": (900, 1200, 0.38),
    "T": (4600, 2600, 0.75),
    "D": (4200, 2600, 0.50),
    "K": (2100, 1100, 0.75),
    "G": (2000, 1100, 0.50),
}

# How each phone looks: jaw, pucker, wide, upper lip up, lower lip down, lower lip tucked, tongue up (all 0..1).
VISEMES: dict[str, tuple[float, float, float, float, float, float, float]] = {
    "AA": (0.66, 0.00, 0.10, 0.18, 0.25, 0.0, 0.0),
    "AE": (0.58, 0.00, 0.38, 0.25, 0.30, 0.0, 0.0),
    "AH": (0.44, 0.00, 0.08, 0.12, 0.20, 0.0, 0.0),
    "AO": (0.54, 0.48, 0.00, 0.08, 0.15, 0.0, 0.0),
    "AW": (0.58, 0.35, 0.05, 0.12, 0.20, 0.0, 0.0),
    "AY": (0.56, 0.00, 0.22, 0.18, 0.25, 0.0, 0.1),
    "EH": (0.44, 0.00, 0.30, 0.20, 0.28, 0.0, 0.0),
    "ER": (0.28, 0.38, 0.00, 0.10, 0.18, 0.0, 0.3),
    "EY": (0.36, 0.00, 0.48, 0.20, 0.30, 0.0, 0.2),
    "IH": (0.28, 0.00, 0.34, 0.16, 0.26, 0.0, 0.2),
    "IY": (0.20, 0.00, 0.66, 0.22, 0.34, 0.0, 0.3),
    "OW": (0.40, 0.72, 0.00, 0.05, 0.12, 0.0, 0.0),
    "OY": (0.44, 0.55, 0.05, 0.08, 0.15, 0.0, 0.1),
    "UH": (0.28, 0.52, 0.00, 0.05, 0.15, 0.0, 0.0),
    "UW": (0.22, 0.92, 0.00, 0.00, 0.08, 0.0, 0.0),
    "W": (0.14, 0.92, 0.00, 0.00, 0.05, 0.0, 0.0),
    "R": (0.20, 0.52, 0.00, 0.10, 0.18, 0.0, 0.3),
    "L": (0.30, 0.00, 0.14, 0.14, 0.22, 0.0, 1.0),
    "Y": (0.18, 0.00, 0.46, 0.16, 0.26, 0.0, 0.3),
    "M": (0.00, 0.04, 0.00, 0.00, 0.00, 0.0, 0.0),
    "B": (0.00, 0.04, 0.00, 0.00, 0.00, 0.0, 0.0),
    "P": (0.00, 0.04, 0.00, 0.00, 0.00, 0.0, 0.0),
    "F": (0.08, 0.00, 0.12, 0.42, 0.00, 1.0, 0.0),
    "V": (0.08, 0.00, 0.12, 0.42, 0.00, 1.0, 0.0),
    "TH": (0.22, 0.00, 0.14, 0.16, 0.25, 0.0, 0.9),
    "DH": (0.22, 0.00, 0.14, 0.16, 0.25, 0.0, 0.9),
    "T": (0.16, 0.00, 0.20, 0.18, 0.26, 0.0, 0.9),
    "D": (0.18, 0.00, 0.18, 0.18, 0.26, 0.0, 0.9),
    "N": (0.18, 0.00, 0.16, 0.14, 0.24, 0.0, 0.9),
    "S": (0.10, 0.00, 0.30, 0.24, 0.34, 0.0, 0.5),
    "Z": (0.10, 0.00, 0.28, 0.24, 0.34, 0.0, 0.5),
    "SH": (0.14, 0.60, 0.00, 0.28, 0.30, 0.0, 0.4),
    "ZH": (0.14, 0.58, 0.00, 0.28, 0.30, 0.0, 0.4),
    "CH": (0.14, 0.58, 0.00, 0.26, 0.30, 0.0, 0.6),
    "JH": (0.14, 0.56, 0.00, 0.26, 0.30, 0.0, 0.6),
    "K": (0.28, 0.00, 0.12, 0.14, 0.20, 0.0, 0.2),
    "G": (0.28, 0.00, 0.12, 0.14, 0.20, 0.0, 0.2),
    "NG": (0.26, 0.00, 0.12, 0.14, 0.20, 0.0, 0.2),
    "HH": (0.32, 0.00, 0.08, 0.12, 0.16, 0.0, 0.0),
    "SIL": (0.02, 0.00, 0.00, 0.00, 0.00, 0.0, 0.0),
}

_LEXICON_TEXT = """
the DH AH0|a AH0|my M AY1|your Y UH1 R|our AW1 ER0|this DH IH1 S|every EH1 V R IY0|small S M AO1 L
happy HH AE1 P IY0|blue B L UW1|warm W AO1 R M|brave B R EY1 V|quiet K W AY1 AH0 T|golden G OW1 L D AH0 N
early ER1 L IY0|perfect P ER1 F IH0 K T|famous F EY1 M AH0 S|yellow Y EH1 L OW0|simple S IH1 M P AH0 L
fresh F R EH1 SH|boat B OW1 T|garden G AA1 R D AH0 N|music M Y UW1 Z IH0 K|paper P EY1 P ER0|window W IH1 N D OW0
river R IH1 V ER0|mother M AH1 DH ER0|village V IH1 L IH0 JH|apple AE1 P AH0 L|summer S AH1 M ER0
picture P IH1 K CH ER0|voice V OY1 S|table T EY1 B AH0 L|house HH AW1 S|baby B EY1 B IY0|father F AA1 DH ER0
world W ER1 L D|bridge B R IH1 JH|moon M UW1 N|family F AE1 M AH0 L IY0|book B UH1 K|teacher T IY1 CH ER0
coffee K AO1 F IY0|shoe SH UW1|thing TH IH1 NG|vision V IH1 ZH AH0 N|found F AW1 N D|remembers R IH0 M EH1 M B ER0 Z
moves M UW1 V Z|follows F AA1 L OW0 Z|gave G EY1 V|opened OW1 P AH0 N D|believes B IH0 L IY1 V Z|brought B R AO1 T
watches W AA1 CH AH0 Z|loves L AH1 V Z|makes M EY1 K S|keeps K IY1 P S|built B IH1 L T|today T AH0 D EY1
again AH0 G EH1 N|before B IH0 F AO1 R|together T AH0 G EH1 DH ER0|maybe M EY1 B IY0|now N AW1|away AH0 W EY1
over OW1 V ER0|above AH0 B AH1 V|behind B IH0 HH AY1 N D|from F R AH1 M|with W IH1 DH|and AH0 N D|we W IY1
they DH EY1|hello HH AH0 L OW1|speak S P IY1 K|good G UH1 D|morning M AO1 R N IH0 NG|people P IY1 P AH0 L|who HH UW1
you Y UW1|are AA1 R
"""


def _lexicon() -> dict[str, tuple[str, ...]]:
    entries = (entry.split() for line in _LEXICON_TEXT.strip().splitlines() for entry in line.split("|"))
    return {entry[0]: tuple(entry[1:]) for entry in entries}


LEXICON: dict[str, tuple[str, ...]] = _lexicon()
"""Pronunciations with stress digits on vowels."""

_ROLES_TEXT = """
determiner the my your our this every
adjective small happy blue warm brave quiet golden early perfect famous yellow simple fresh
noun boat garden music paper window river mother village apple summer picture voice table house baby father
noun world bridge moon family book teacher coffee shoe vision morning
verb found remembers moves follows gave opened believes brought watches loves makes keeps built
adverb today again before together maybe now away
link over above behind from with and
"""


def _words_by_role() -> dict[str, list[str]]:
    roles: dict[str, list[str]] = {}
    for line in _ROLES_TEXT.strip().splitlines():
        role, *words = line.split()
        roles.setdefault(role, []).extend(words)
    return roles


_WORDS_BY_ROLE = _words_by_role()
_PATTERNS = (
    "determiner adjective noun verb determiner noun",
    "determiner noun verb determiner adjective noun adverb",
    "adverb determiner noun verb determiner noun",
    "determiner noun link determiner noun verb adverb",
    "determiner adjective noun verb adverb",
)


def invent_sentence(generator: np.random.Generator) -> list[str]:
    """A grammatical sentence of words of the lexicon."""
    pattern = _PATTERNS[generator.integers(len(_PATTERNS))].split()
    words: list[str] = []
    for role in pattern:
        fresh = [word for word in _WORDS_BY_ROLE[role] if word not in words]
        words.append(fresh[generator.integers(len(fresh))])
    return words


def pronounce(word: str) -> tuple[tuple[str, bool], ...]:
    """Phones of a word with their stress.

    Raises:
        UserError: the word is not in the lexicon.
    """
    phones = LEXICON.get(word.lower())
    if phones is None:
        known = ", ".join(sorted(LEXICON)[:8])
        raise UserError(f"The synthetic voice does not know the word {word!r}.", f"Use words like {known} …")
    return tuple((phone.rstrip("012"), phone.endswith("1")) for phone in phones)


def base_duration_s(symbol: str, stressed: bool) -> float:
    """Length of a phone at a normal rate."""
    if symbol in VOWELS:
        long = 0.145 if len(FORMANTS[symbol]) == 2 or symbol in ("AA", "AO", "ER", "IY", "UW", "AE") else 0.110
        return long * (1.12 if stressed else 0.72)
    if symbol in ("P", "T", "K", "CH"):
        return 0.105
    if symbol in ("S", "SH", "F", "TH"):
        return 0.105
    return {"M": 0.085, "N": 0.070, "NG": 0.080, "B": 0.085, "D": 0.070, "G": 0.080}.get(symbol, 0.072)
