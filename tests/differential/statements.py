"""What the modules of a random project do when they run: all kinds of statements, and their source.

Pure. Rules that hold for every kind: what a statement finds is bound to a name that begins with `x_`, which the module's
`value` is made of; what depends on the order of a folder is sorted; what is written is the same when it is written again,
and is read only after it was written, so that a second fresh start finds what the first one found.
"""

from __future__ import annotations

from tests.differential import effect_statements, import_statements
from tests.differential.statement import Place, Render, Statement

KINDS: dict[str, Render] = {**import_statements.KINDS, **effect_statements.KINDS}


def source_of(statement: Statement, place: Place) -> str:
    """The text, without the line end."""
    return KINDS[statement.kind](statement, place).strip("\n")
