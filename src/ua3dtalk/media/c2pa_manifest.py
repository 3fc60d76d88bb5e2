"""C2PA manifests in videos: how they were made, under a signature that shows later changes. Needs ``c2pa-python``.

Source: C2PA specification 2.2, claim version 2; the digital source types are IPTC's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import atomic_path
from ua3dtalk.core.progress import log
from ua3dtalk.core.version import VERSION
from ua3dtalk.media.certificate import ALGORITHM, own_identity

SUBJECT_LABEL = "org.ua3dtalk.subject"
"""Assertion with the hash of the video that the person was learnt from."""
BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""Type of the box that holds a manifest in an MP4."""
SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "core": {"backing_store_memory_threshold_in_mb": 16},
}
"""A file may name an address to get its manifest from: nothing is fetched. Long videos go through a temporary file."""
_TYPE = "video/mp4"
_BEGINNING = 1 << 20
_SELF_SIGNED = {"signingCredential.untrusted"}
_ODD = (KeyError, TypeError, AttributeError, ValueError)
"""What a manifest of an unexpected form leads to."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a signed video says."""

    intact: bool | None
    """Whether the file is as it was when it was signed; None: not looked at, because ``c2pa-python`` is missing."""
    signed_by: str = ""
    """Organisation in the certificate: anybody may write any name into a certificate of their own."""
    generator: str = ""
    """Program and version that made the claim."""
    source_type: str = ""
    """IPTC digital source type of what was done, a URL."""
    subject_sha256: str = ""
    """Hash of the video that the person was learnt from."""
    problems: tuple[str, ...] = ()
    """What does not hold, C2PA's codes; a certificate that nobody vouches for is not among them."""

    @property
    def ai_generated(self) -> bool:
        """Whether it says that a trained model took part."""
        return "trainedalgorithmicmedia" in self.source_type.lower()


def sign_video(path: Path, source_type: str, subject_sha256: str | None) -> bool:
    """Put a manifest into a finished MP4, in one atomic step; pictures, sound and tags stay as they are.

    Args:
        path: The video.
        source_type: IPTC digital source type, a URL.
        subject_sha256: Hash of the video that the person was learnt from.

    Returns:
        Whether it was signed: False where ``c2pa-python`` is not installed, or cannot sign here, which is logged.
    """
    c2pa = _library()
    if c2pa is None:
        return False
    try:
        identity = own_identity()
        info = c2pa.C2paSignerInfo(ALGORITHM, identity.chain.encode(), identity.key.encode(), None)
        claim = json.dumps(_claim(path.name, source_type, subject_sha256))
        with (
            c2pa.Signer.from_info(info) as signer,
            c2pa.Context.from_dict(SETTINGS) as context,
            c2pa.Builder(claim, context=context) as builder,
            atomic_path(path) as partial,
            path.open("rb") as source,
            partial.open("w+b") as target,
        ):
            builder.sign(signer, _TYPE, source, target)
    except (UserError, OSError, c2pa.C2paError) as error:
        log.warning("%s has no C2PA signature: %s", path, error)
        return False
    return True


def read_manifest(path: Path) -> Manifest | None:
    """The manifest of a video, checked against the file; None where it has none. Nothing is fetched.

    Raises:
        UserError: the manifest cannot be read.
    """
    c2pa = _library()
    if c2pa is None:
        with path.open("rb") as handle:
            return Manifest(intact=None) if BOX in handle.read(_BEGINNING) else None
    try:
        with c2pa.Context.from_dict(SETTINGS) as context, path.open("rb") as handle:
            reader = c2pa.Reader.try_create(None, handle, None, context)
            if reader is None:
                return None
            with reader:
                return _said(json.loads(reader.json()))
    except c2pa.C2paError.NotSupported:  # a kind of file that has no manifests
        return None
    except (c2pa.C2paError, *_ODD) as error:
        what = f"{path}: its C2PA manifest cannot be read ({str(error)[:200]})."
        raise UserError(what, "It is damaged, or was made by a program that follows another version.") from error


def _claim(title: str, source_type: str, subject_sha256: str | None) -> dict[str, Any]:
    agent = {"name": "UA-3DTalk", "version": VERSION}
    action = {"action": "c2pa.created", "digitalSourceType": source_type, "softwareAgent": agent}
    assertions: list[dict[str, Any]] = [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}]
    if subject_sha256 is not None:
        assertions.append({"label": SUBJECT_LABEL, "data": {"sha256": subject_sha256}})
    return {"claim_generator_info": [agent], "title": title, "assertions": assertions}


def _said(found: Mapping[str, Any]) -> Manifest:
    active = found["manifests"][found["active_manifest"]]
    data = {assertion["label"]: assertion["data"] for assertion in active.get("assertions", [])}
    actions = data.get("c2pa.actions.v2", data.get("c2pa.actions", {})).get("actions", [])
    agent = next(iter(active.get("claim_generator_info", [])), {})
    codes = [status["code"] for status in found.get("validation_status", [])]
    problems = tuple(dict.fromkeys(code for code in codes if code not in _SELF_SIGNED))
    return Manifest(
        intact=not problems and found.get("validation_state") in ("Valid", "Trusted"),
        signed_by=str(active.get("signature_info", {}).get("issuer", "")),
        generator=f"{agent.get('name', '')} {agent.get('version', '')}".strip(),
        source_type=next((str(a["digitalSourceType"]) for a in actions if "digitalSourceType" in a), ""),
        subject_sha256=str(data.get(SUBJECT_LABEL, {}).get("sha256", "")),
        problems=problems,
    )


def _library() -> Any:
    """The optional library, or None where it is not installed or does not load here."""
    try:
        return import_module("c2pa")
    except (ImportError, OSError, RuntimeError) as error:
        if not isinstance(error, ModuleNotFoundError):
            log.warning("c2pa-python does not work here (%s).", error)
        return None
