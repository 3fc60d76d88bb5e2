"""The mark that generated media carry: its words, and how to read it back from a video's tags or a PLY's comments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import av.error

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.provenance import AI_GENERATED

SAYS_SO = "ai-generated"
"""What a mark contains, in any case of its letters."""
SUBJECT = "subject sha256 "
"""What the hash of the video stands behind, that the subject was learnt from."""
UNMARKED = "--no-provenance: {} does not say that it was made by a machine. Say so yourself wherever you show it."
"""What is logged where the mark is left out."""
_HEADER_BYTES = 65_536
_CURE = "Give a video or a .ply file."
_TAGS = ("title", "comment", "description", "digitalsourcetype", "synopsis", "copyright")


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What a file says of its making."""

    ai_generated: bool
    """Whether it says that it was made by a machine."""
    says: dict[str, str]
    """Everything that it says, by tag."""
    source_type: str | None
    """IPTC digital source type, a URL."""
    subject_sha256: str | None
    """Hash of the video that the person was learnt from."""


def mark_text(subject_sha256: str | None) -> str:
    """What generated media say of their making, on one line, with the hash of the subject's video where it is known."""
    return AI_GENERATED if subject_sha256 is None else f"{AI_GENERATED}; {SUBJECT}{subject_sha256}"


def read_mark(path: Path) -> Mark:
    """What a video or a PLY says of its making. A missing mark proves nothing: metadata is easily lost.

    Raises:
        UserError: no such file, or neither a video nor a PLY.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist.", _CURE)
    says = _ply_comments(path) if path.suffix.lower() == ".ply" else _container_tags(path)
    words = " ".join(says.values())
    source = next((word for word in words.split() if "digitalsourcetype/" in word), None)
    after = words.partition(SUBJECT)[2].split()
    return Mark(
        ai_generated=SAYS_SO in words.lower(),
        says=says,
        source_type=source,
        subject_sha256=after[0].strip(".;,") if after else None,
    )


def _container_tags(path: Path) -> dict[str, str]:
    try:
        with av.open(path) as container:
            return {key: value for key, value in container.metadata.items() if key.lower() in _TAGS}
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(
            f"{path} cannot be read as a video ({error.strerror}).", "Give a video or a .ply file."
        ) from error


def _ply_comments(path: Path) -> dict[str, str]:
    with path.open("rb") as handle:
        start = handle.read(_HEADER_BYTES)
    header = start.partition(b"end_header")[0].decode("ascii", "replace").splitlines()
    if not header or header[0].strip() != "ply":
        raise UserError(f"{path} is not a PLY file.", _CURE)
    comments = [line.removeprefix("comment").strip() for line in header if line.startswith("comment")]
    return {"comment": " ".join(comments)} if comments else {}
