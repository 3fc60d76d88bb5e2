"""Asks a public database whether weaknesses are known in the versions of a lock, where it can be reached.

Run: make audit           (or: python scripts/audit.py LOCK)

pip-audit is installed into a folder of its own, build/audit. Where it cannot be installed or the database cannot be
reached, one line says so, and the exit code is 0: no check depends on a machine elsewhere. 1: weaknesses are known.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "build" / "audit"
PATIENCE_S = 300


def main() -> int:
    """Audit the lock named on the command line."""
    lock = Path(sys.argv[1])
    try:
        text = audited(lock)
    except (subprocess.SubprocessError, OSError) as error:
        return _say(f"not audited: pip-audit could not be run ({type(error).__name__}).", 0)
    if text is None:
        return _say("not audited: the database of weaknesses cannot be reached from here.", 0)
    found = weaknesses(text)
    return _say("\n".join([f"{len(found)} weaknesses are known in {lock.name}.", *found]), 1 if found else 0)


def audited(lock: Path) -> str | None:
    """What pip-audit says of a lock, JSON; None where it got no answer."""
    tool = PLACE / "bin" / "pip-audit"
    if not tool.exists():
        venv.create(PLACE, with_pip=True)
        install = [str(PLACE / "bin" / "pip"), "install", "-qq", "--disable-pip-version-check", "pip-audit"]
        subprocess.run(install, check=True, capture_output=True, timeout=PATIENCE_S)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        what = ["--requirement", str(lock), "--no-deps", "--disable-pip"]
        how = ["--vulnerability-service", "osv", "--timeout", "10", "--format", "json", "--output", str(out)]
        subprocess.run([str(tool), *what, *how], capture_output=True, timeout=PATIENCE_S)
        return out.read_text() if out.is_file() else None


def weaknesses(text: str) -> list[str]:
    """One line for each weakness in what pip-audit wrote."""
    return [
        f"  {package['name']} {package['version']}: {weak['id']}, mended in {', '.join(weak['fix_versions']) or 'none'}"
        for package in json.loads(text)["dependencies"]
        for weak in package.get("vulns", [])
    ]


def _say(text: str, code: int) -> int:
    sys.stdout.write(f"audit: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
