"""What policies of a page let the client do: a table."""

from __future__ import annotations

import pytest

from devserver.server.web.csp import Permission, permission

ORIGIN = "http://localhost:8000"


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([], Permission()),
        ([""], Permission()),
        (["img-src 'none'; style-src 'self'"], Permission()),
        (["default-src 'self'"], Permission()),
        (["default-src 'none'"], Permission(forbidden="default-src")),
        (["script-src 'self'"], Permission()),
        (["SCRIPT-SRC 'SELF'"], Permission()),
        (["script-src *"], Permission()),
        (["script-src http:"], Permission()),
        (["script-src https:"], Permission(forbidden="script-src")),
        (["script-src localhost:8000"], Permission()),
        (["script-src http://localhost:8000/"], Permission()),
        (["script-src localhost:*"], Permission()),
        (["script-src http://localhost:*"], Permission()),
        (["script-src *:8000"], Permission()),
        (["script-src *:9000"], Permission(forbidden="script-src")),
        (["script-src localhost:9000"], Permission(forbidden="script-src")),
        (["script-src https://cdn.example"], Permission(forbidden="script-src")),
        (["script-src 'unsafe-inline'"], Permission(forbidden="script-src")),
        (["script-src 'nonce-abc'"], Permission("abc")),
        (["script-src 'nonce-abc' 'strict-dynamic'"], Permission("abc")),
        (["script-src 'strict-dynamic' 'self' 'sha256-x'"], Permission(forbidden="script-src")),
        (["script-src-elem 'nonce-elem'; script-src 'none'"], Permission("elem")),
        (["script-src 'self'; script-src 'none'"], Permission()),  # the first of a name counts
        # no worker, but a stream of its own
        (["script-src 'self'; worker-src 'none'"], Permission()),
        (["script-src 'self'; connect-src 'none'"], Permission()),
        (["script-src 'self'; worker-src 'none'; connect-src 'none'"], Permission(forbidden="connect-src")),
        (["default-src 'none'; script-src 'nonce-abc'"], Permission(forbidden="default-src")),
        (["default-src 'none'; script-src 'nonce-abc'; connect-src 'self'"], Permission("abc")),
        (["sandbox"], Permission(forbidden="sandbox")),
        (["sandbox allow-scripts"], Permission(forbidden="sandbox")),
        (["sandbox allow-scripts allow-same-origin"], Permission()),
        # all of several have to allow
        (["script-src 'self'", "script-src 'none'"], Permission(forbidden="script-src")),
        (["script-src 'self', script-src 'none'"], Permission(forbidden="script-src")),
        (["script-src 'nonce-a'", "script-src 'nonce-b'"], Permission(forbidden="script-src")),
        (["script-src 'nonce-a' 'nonce-b'", "script-src 'nonce-b'"], Permission("b")),
        (["script-src 'self'", "script-src 'nonce-b'"], Permission("b")),
    ],
)
def test_permission(policies: list[str], expected: Permission) -> None:
    assert permission(policies, ORIGIN) == expected
