"""What lies in a project's folder, as far as edits have to know it. Changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

from tests.differential.model import Project


def found(root: Path) -> list[tuple[str, str]]:
    """What is there, without what the load wrote and bytecode: path → text; a link's text is none of the model's."""
    entries: list[tuple[str, str]] = []
    for folder, folders, files in os.walk(root):
        folders[:] = [
            name for name in folders if name != "__pycache__" and not (folder == str(root) and name == "made")
        ]
        if not folders and not files and folder != str(root):
            entries.append((os.path.relpath(folder, root), "\0folder"))
        for name in files:
            path = Path(folder, name)
            text = "\0link" if path.is_symlink() else path.read_text()
            entries.append((str(path.relative_to(root)), text))
    return sorted(entries)


def made(project: Project) -> list[str]:
    """What statements of the model may have written: by the model, not by the disk, where a load may be at it."""
    kinds = {"overwrite": "made/{}.txt", "create": "made/{}.txt", "append_once": "made/{}.txt"}
    kinds["write_module"] = "made/module_{}.py"
    return [kinds[each.kind].format(each.number) for _, _, each in project.statements() if each.kind in kinds]
