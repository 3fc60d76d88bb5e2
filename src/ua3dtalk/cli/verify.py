"""``ua3dtalk verify``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from ua3dtalk.cli.command import Command, Report
from ua3dtalk.core.progress import Progress

if TYPE_CHECKING:
    from ua3dtalk.media.c2pa_manifest import Manifest

_SHOWN = 300
"""Characters of a foreign text."""


@dataclass(frozen=True, kw_only=True)
class Verify(Command):
    """Say whether a video or a PLY carries the mark of generated media, and what it says of its making."""

    file: Positional[Annotated[Path, arg(metavar="FILE")]]
    """A video, or a .ply file."""

    def run(self, progress: Progress) -> Report:
        from ua3dtalk.media.c2pa_manifest import read_manifest
        from ua3dtalk.media.marks import read_mark

        mark, manifest = read_mark(self.file), read_manifest(self.file)
        generated = mark.ai_generated or (manifest is not None and manifest.ai_generated)
        changed = manifest is not None and manifest.intact is False
        verdict = (
            f"{self.file} says that it was made by a machine."
            if generated
            else f"{self.file} says nothing about its making. That proves nothing: metadata is easily lost."
        )
        lines = [f"  {name}: {_plain(value)}" for name, value in mark.says.items()]
        lines += [] if manifest is None else [_sentence(manifest)]
        values = {"file": str(self.file), **asdict(mark), "ai_generated": generated}
        values["c2pa"] = None if manifest is None else asdict(manifest)
        return Report("\n".join([verdict, *lines]), values, ready=generated and not changed)


def _sentence(manifest: Manifest) -> str:
    """What a C2PA manifest is worth."""
    if manifest.intact is None:
        return "It has a C2PA signature, which was not checked: pip install 'ua3dtalk[provenance]'."
    if not manifest.intact:
        return f"Its C2PA signature does not hold ({_plain(', '.join(manifest.problems))}): it was changed since."
    says = "; ".join(_plain(text) for text in (manifest.generator, manifest.source_type) if text)
    return (
        f"Its C2PA signature holds, nothing was changed since: {says}. The certificate names "
        f"'{_plain(manifest.signed_by)}'; anybody can make one with any name."
    )


def _plain(text: str) -> str:
    """A text of a stranger without what would move a terminal's cursor."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
