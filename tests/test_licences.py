"""What is installed may be used by everybody: permissive licences, and weak copyleft by name."""

from __future__ import annotations

import re
from importlib import metadata

FREE = re.compile(r"\b(MIT|BSD|0BSD|Apache|PSF|Python Software Foundation|ISC|Zlib|CC0|Unlicense|BSL-1\.0|HPND)", re.I)
STRONG = re.compile(r"\b(?<!L)A?GPL|GNU (Affero )?General Public|non-?commercial|CC[- ]BY[- ]NC", re.I)
WEAK = {"soxr": "LGPL-2.1", "certifi": "MPL-2.0", "tqdm": "MPL-2.0", "pathspec": "MPL-2.0", "hypothesis": "MPL-2.0"}
"""Files of their own that may be exchanged; used unchanged."""
SAID_ELSEWHERE = {"gsplat": "Apache-2.0, in its repository"}


def stated(found: metadata.Distribution) -> str:
    """What a distribution says of its licence: expression, classifiers, else the first line of the text."""
    meta = found.metadata
    classifiers = [c for c in meta.get_all("Classifier") or [] if c.startswith("License ::")]
    return " ".join([meta.get("License-Expression") or "", *classifiers, (meta.get("License") or "")[:100]])


def test_licences() -> None:
    findings = []
    for found in metadata.distributions():
        name, text = str(found.metadata["Name"]).lower(), stated(found)
        if name in WEAK or name in SAID_ELSEWHERE:
            continue
        if STRONG.search(text) or not FREE.search(text):
            findings.append(f"{name}: {text.strip() or 'says nothing'}")
    assert not findings, "\n".join(findings)
