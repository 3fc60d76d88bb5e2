"""A certificate of one's own to sign videos with: made on first use, kept where only its owner can read it.

It says nothing of who signed: whoever has a program can make one. It shows that a file is as it was when it was signed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import log

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.x509 import Certificate

FOLDER_VARIABLE = "UA3DTALK_CONFIG"
"""Environment variable that names the folder of settings."""
DEFAULT_FOLDER = "~/.config/ua3dtalk"
FILE = "signing.pem"
ALGORITHM = "es256"
_DAYS = 3650
_KEY_END = "-----END PRIVATE KEY-----\n"


@dataclass(frozen=True)
class Identity:
    """What signs."""

    key: str
    """Private key, PEM."""
    chain: str
    """Its certificate, then that of the authority that signed it, PEM."""


def config_folder() -> Path:
    """Where settings are kept: ``$UA3DTALK_CONFIG``, else ``~/.config/ua3dtalk``."""
    return Path(os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER).expanduser()


def own_identity() -> Identity:
    """The one in the folder of settings, made there if there is none.

    Raises:
        UserError: the file is damaged.
        OSError: it cannot be read or written.
    """
    path = config_folder() / FILE
    if not path.exists():
        _write_private(path, _new_identity())
        log.info("A certificate to sign videos with was made: %s", path)
    text = path.read_text(encoding="ascii", errors="replace")
    key, end, chain = text.partition(_KEY_END)
    if not end or chain.count("-----BEGIN CERTIFICATE-----") != 2:
        raise UserError(f"{path} is damaged.", "Delete it: a new one is made.")
    return Identity(key + end, chain)


def _write_private(path: Path, text: str) -> None:
    """Whole or not at all, readable for its owner alone; the first of two processes wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text)
        if not path.exists():
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _new_identity() -> str:
    """Key, certificate and the authority's certificate. The authority's key is not kept: it signs once.

    C2PA takes no certificate that signed itself, so that there are two.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    chain = [_certificate(own.public_key(), authority, False), _certificate(authority.public_key(), authority, True)]
    key = own.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    return b"".join([key, *(certificate.public_bytes(form.Encoding.PEM) for certificate in chain)]).decode("ascii")


def _certificate(key: EllipticCurvePublicKey, authority: EllipticCurvePrivateKey, ca: bool) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(name: str) -> x509.Name:
        own = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "UA-3DTalk, self-signed")
        return x509.Name([own, x509.NameAttribute(NameOID.COMMON_NAME, name)])

    # The day before, so that a clock that is late somewhere else does not refuse it.
    start = datetime.now(timezone.utc) - timedelta(days=1)
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    usage |= {"encipher_only": False, "decipher_only": False}
    made = (
        x509.CertificateBuilder(named("authority"), named("authority" if ca else "signer"), key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca, 0 if ca else None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
    )
    if not ca:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return made.sign(authority, hashes.SHA256())
