"""How long the page of a deep error takes, and how large it is: 60 calls with 40 texts of a megabyte in each.

`python -m tests.benchmarks.error_page` prints both; `test_error_page.py` holds the size.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

from devserver.report import Occasion
from devserver.server.web import pages
from devserver.server.web.client import Edition
from devserver.server.web.tracebacks import examine

CALLS = 60
TEXTS = 40
ROUNDS = 9


def failing(folder: Path, megabyte: int = 1_000_000) -> Exception:
    """What the innermost of the calls raises. All texts of one call are one object: 2.4 GB would measure the machine."""
    texts = "".join(f"    text{number} = text\n" for number in range(TEXTS))
    source = "import json\n" + "".join(
        f"def call{number}(text):\n{texts}    return call{number + 1}(text)\n" for number in range(CALLS - 1)
    )
    source += f"def call{CALLS - 1}(text):\n{texts}    return json.loads('{{')\n"
    path = folder / "deep.py"
    path.write_text(source)
    module = ModuleType("deep")
    exec(compile(source, str(path), "exec"), vars(module))
    try:
        module.call0("x" * megabyte)
    except ValueError as error:
        return error
    raise AssertionError


def page(error: Exception, folder: Path) -> bytes:
    kept = examine(error, Occasion.REQUEST, user_roots=[str(folder)])
    return pages.render(kept.report, "text/html", edition=Edition(1)).body


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        error = failing(folder)
        spent = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            body = page(error, folder)
            spent.append((time.perf_counter() - began) * 1000)
        sys.stdout.write(
            f"the page of a deep error: median {statistics.median(spent):.0f} ms"
            f" ({min(spent):.0f} … {max(spent):.0f}, {ROUNDS} rounds), {len(body) / 1000:.0f} KB\n"
        )


if __name__ == "__main__":
    main()
