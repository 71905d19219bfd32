"""The mounts that a user asks for: `--static /url=dir` and a folder as the target.

Pure but for one look whether the folder exists; imports nothing of the web stack, so that the command line can refuse
a wrong option before a server is started. Runs in the supervisor and in the server.
"""

from __future__ import annotations

import os
from pathlib import Path

from devserver.errors import UsageError
from devserver.server.integration import StaticMount

_EXAMPLE = "--static /assets=build/assets"


def folder_mount(folder: Path) -> StaticMount:
    """A folder as a site of its own."""
    return StaticMount(url="/", roots=(folder,), index=True)


def parse_static_option(text: str, cwd: Path) -> StaticMount:
    """The mount that `/url=dir` asks for; `dir` is relative to `cwd`. Raises UsageError.

    The URL is text as people write it, not percent-encoded.
    """
    url, equals, folder = text.partition("=")
    if not equals or not url or not folder:
        raise UsageError(f"--static {text!r} is not of the form /url=dir", hint=f"for example  {_EXAMPLE}")
    if not url.startswith("/"):
        raise UsageError(f"--static {text!r}: the URL does not begin with /", hint=f"write  --static /{text}")
    parts = url.strip("/").split("/")
    if parts == [""]:
        raise UsageError(
            f"--static {text!r} would hide the whole app behind a folder",
            hint=f"take a URL below /, for example  {_EXAMPLE}, or serve the folder alone:  devserver run {folder}",
        )
    if url.startswith("//") or any(part == "" or part.startswith(".") for part in parts) or set(url) & set("\0\\?#"):
        raise UsageError(f"--static {text!r}: {url} is not a URL path that can be asked for", hint=f"like  {_EXAMPLE}")
    if parts[0] == "__devserver__":
        raise UsageError(f"--static {text!r}: /__devserver__/ is devserver's own", hint="choose another URL")
    root = Path(os.path.abspath(cwd / Path(folder).expanduser()))
    if not root.is_dir():
        wrong = "is not a folder" if root.exists() else "does not exist"
        raise UsageError(
            f"--static {text!r}: {root} {wrong}", hint="relative folders begin where you started devserver"
        )
    return StaticMount(url=f"/{'/'.join(parts)}/", roots=(root,), index=True)
