"""What `priors show` says."""

from __future__ import annotations

from ua3dtalk.priors.show import describe


def test_the_shipped_priors_are_described_with_figures() -> None:
    rows = {row.name: row for row in describe()}
    assert set(rows) == {"speech encoder", "content (lip expert)", "emotion teacher"}
    assert "22 speakers" in rows["content (lip expert)"].trained_on
    assert "?" not in "".join(row.trained_on + row.figures for row in rows.values())
