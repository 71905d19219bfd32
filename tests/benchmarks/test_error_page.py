"""The page of a deep error stays small, whatever is in it."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.error_page import CALLS, failing, page


def test_size(tmp_path: Path) -> None:
    body = page(failing(tmp_path), tmp_path)
    assert len(body) < 500_000
    assert body.count(b'<details class="frame own') > CALLS - 10
