"""The codec of messages: whatever is sent arrives, however the stream is cut."""

from __future__ import annotations

import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver import messages
from devserver.messages import (
    AdoptConnections,
    Configure,
    ConnectionsHandedOver,
    Drain,
    Framing,
    LoadFailed,
    Message,
    Noticed,
    ProtocolError,
    ResumeCheckpoint,
    Serve,
    ServingBegan,
    decode,
    encode,
    fds_of,
)
from devserver.options import Options
from devserver.record import Record
from devserver.report import ErrorInfo, Frame, Local, Occasion, Report, SourceLine
from devserver.target import Target

EVERY: tuple[type[Message], ...] = typing.get_args(Message)

# Surrogates too: undecodable bytes of a file name (PEP 383), and any that a program made up.
TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
st.register_type_strategy(str, TEXT)
st.register_type_strategy(float, st.floats(allow_nan=False))


_R = typing.TypeVar("_R", bound=Record)


def records(cls: type[_R], **given: st.SearchStrategy[object]) -> st.SearchStrategy[_R]:
    """What has no default is made by its annotation."""
    hints = {name: hint for name, hint in typing.get_type_hints(cls).items() if not hasattr(cls, name)}
    return st.builds(cls, **{name: st.from_type(hint) for name, hint in hints.items()} | given)


def pairs(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(strategy, max_size=2).map(tuple)


def reports() -> st.SearchStrategy[Report]:
    frames = records(Frame, source=pairs(records(SourceLine)), locals=pairs(records(Local)))
    return records(Report, errors=pairs(records(ErrorInfo, frames=pairs(frames))))


for record in Record.__subclasses__():
    st.register_type_strategy(record, reports() if record is Report else records)


MESSAGES = st.one_of([records(cls) for cls in EVERY])


@given(MESSAGES)
def test_what_is_decoded_is_what_was_encoded(message: Message) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    decoded = decode(line)
    assert decoded == message
    assert type(decoded) is type(message)
    hash(decoded)  # frozen through and through: no list took the place of a tuple


@given(st.lists(MESSAGES, max_size=5), st.data())
def test_a_stream_may_be_cut_anywhere(sent: list[Message], data: st.DataObject) -> None:
    stream = b"".join(encode(message) for message in sent)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8).map(sorted))
    framing = Framing()
    received: list[Message] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += framing.feed(stream[start:end])
    assert received == sent


def test_every_message_has_a_name_of_its_own() -> None:
    assert len({cls.__name__ for cls in EVERY}) == len(EVERY)
    named = [cls for cls in vars(messages).values() if isinstance(cls, type) and cls.__module__ == messages.__name__]
    assert set(named) - set(EVERY) == {
        messages.Interface,
        messages.Plan,
        messages.HoistLevel,
        ProtocolError,
        Framing,
    }


def test_enums_come_back_as_enums() -> None:
    message = decode(encode(LoadFailed(Report(Occasion.LOAD, "title"), 1.5)))
    assert isinstance(message, LoadFailed)
    assert isinstance(message.report.occasion, Occasion)


def test_a_plan_comes_back_in_its_message() -> None:
    message = ResumeCheckpoint(3, plan=messages.Plan(True, ("/app/a.py",), 120.5))
    assert decode(encode(message)) == message


def test_options_come_back_whole() -> None:
    options = Options(target="a:b", port=1, reload_exclude=("x", "y"), grace=0.5, reload=False)
    configure = Configure(options, Target(**_target_fields()), ("argv",), ("127.0.0.1",))
    assert decode(encode(configure)) == configure


def _target_fields() -> dict[str, typing.Any]:
    hints = typing.get_type_hints(Target)
    return {name: next(iter(hint)) if hasattr(hint, "__members__") else "x" for name, hint in hints.items()}


@pytest.mark.parametrize(
    ("message", "count"),
    [
        (Serve(2), 2),
        (AdoptConnections(1, ("",)), 1),
        (ConnectionsHandedOver(0, ()), 0),
        (Drain(1.0), 0),
        (ServingBegan(), 0),
    ],
)
def test_descriptors_are_counted(message: Message, count: int) -> None:
    assert fds_of(message) == count


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"[]\n",
        b"null\n",
        b"{}\n",
        b'{"type": "Nonsense"}\n',
        b'{"type": "Drain"}\n',
        b'{"type": "Drain", "grace": 1}\n',
        b'{"type": ["Drain"]}\n',
        b'{"type": "Drain", "grace_s": 1',
        b"\xff\n",
        b'{"type": "ReadsRecorded", "reads": 1}\n',
        b'{"type": "LoadFailed", "report": {"occasion": "nonsense", "title": ""}, "load_ms": 1}\n',
    ],
)
def test_what_is_no_message_is_an_error(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="not a message"):
        decode(line)


def test_an_error_shows_the_line_but_not_all_of_it() -> None:
    with pytest.raises(ProtocolError) as raised:
        decode(b"x" * 10_000_000)
    assert len(str(raised.value)) < 1000


def test_a_long_message_in_small_pieces() -> None:
    """Each piece is looked at once, not all of them again with each new one."""
    message = Noticed("x" * 8_000_000)
    line = encode(message)
    framing = Framing()
    received: list[Message] = []
    for start in range(0, len(line), 256):
        received += framing.feed(line[start : start + 256])
    assert received == [message]
