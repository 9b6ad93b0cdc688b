"""Drives the official client for Python against a facade: python facade.py ADDRESS append|read-only|meaning"""

import json
import sys
from uuid import UUID, uuid4

from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.events import CaughtUp, Checkpoint
from kurrentdbclient.exceptions import (
    AccessDeniedError,
    KurrentDBClientError,
    NotFoundError,
    WrongCurrentVersionError,
)

address, mode = sys.argv[1:3]
client = KurrentDBClient(uri=f"kurrentdb://{address}?Tls=False")


def counted(number: int) -> NewEvent:
    return NewEvent(type="counted", data=json.dumps({"number": number}).encode(), metadata=b'{ "from":"python" }')


def numbers(events) -> list[int]:
    return [json.loads(event.data)["number"] for event in events]


def must_raise(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def appends_and_reads():
    batch = [counted(0), counted(1), counted(2)]
    at = client.append_to_stream("python-a", current_version=StreamState.NO_STREAM, events=batch)
    again = client.append_to_stream("python-a", current_version=StreamState.NO_STREAM, events=batch)
    assert at == again == 3, (at, again)
    one = counted(3)
    at = client.append_to_stream("python-a", current_version=2, events=one)
    again = client.append_to_stream("python-a", current_version=2, events=one)
    assert at == again == 4, (at, again)
    kept = NewEvent(type="kept", data=b"\0\xff", metadata=b"\xff\0", content_type="text/plain", id=uuid4())
    client.append_to_stream("python-b", current_version=StreamState.ANY, events=kept)

    assert numbers(client.get_stream("python-a")) == [0, 1, 2, 3]
    assert numbers(client.get_stream("python-a", backwards=True, limit=2)) == [3, 2]
    assert numbers(client.get_stream("python-a", stream_position=1, limit=2)) == [1, 2]
    (found,) = client.get_stream("python-b")
    assert (found.data, found.metadata, found.content_type, found.id) == (kept.data, kept.metadata, kept.content_type, kept.id)
    assert client.get_stream("python-a")[0].metadata == b'{ "from":"python" }'
    assert client.get_current_version("python-a") == 3


def reads_the_whole_log():
    forwards = [event.commit_position for event in client.read_all()]
    assert forwards == [1, 2, 3, 4, 5], forwards
    assert [event.commit_position for event in client.read_all(backwards=True)] == forwards[::-1]
    assert [event.commit_position for event in client.read_all(commit_position=4)] == [4, 5]
    assert [event.commit_position for event in client.read_all(commit_position=3, backwards=True)] == [2, 1]
    kept = client.read_all(filter_include=["kept"])
    assert [event.commit_position for event in kept] == [5]
    assert client.get_commit_position() == 5


def refuses_what_the_real_server_refuses():
    single = must_raise(WrongCurrentVersionError, lambda: client.append_to_stream("python-a", current_version=0, events=counted(9)))
    many = must_raise(WrongCurrentVersionError, lambda: client.append_to_stream("python-a", current_version=0, events=[counted(8), counted(9)]))
    assert "3" in str(single) and "3" in str(many), (single, many)
    must_raise(WrongCurrentVersionError, lambda: client.append_to_stream("python-x", current_version=StreamState.EXISTS, events=[counted(9)]))
    must_raise(NotFoundError, lambda: client.get_stream("python-nobody"))
    must_raise(AccessDeniedError, lambda: client.delete_stream("python-a", current_version=StreamState.ANY))
    error = must_raise(KurrentDBClientError, lambda: client.append_to_stream("no_category", current_version=StreamState.ANY, events=[counted(9)]))
    assert "category-name" in str(error), error


def follows():
    seen = []
    with client.subscribe_to_all(filter_include=["python-a"], filter_by_stream_name=True, include_checkpoints=True, include_caught_up=True) as subscription:
        for item in subscription:
            if isinstance(item, CaughtUp):
                seen.append("caught up")
                client.append_to_stream("python-b", current_version=0, events=counted(50))
                client.append_to_stream("python-a", current_version=3, events=counted(4))
            elif not isinstance(item, Checkpoint):
                seen += numbers([item])
                if seen[-1] == 4:
                    break
    assert seen == [0, 1, 2, 3, "caught up", 4], seen

    with client.subscribe_to_stream("python-a", stream_position=2) as subscription:
        rest = numbers([next(subscription), next(subscription)])
    assert rest == [3, 4], rest

    # By default the client leaves out system events, by an expression that looks ahead.
    with client.subscribe_to_all(from_end=True, filter_exclude=[r"\$.+", "kept"], include_checkpoints=True) as subscription:
        client.append_to_stream("python-c", current_version=StreamState.NO_STREAM, events=[NewEvent(type="kept", data=b""), counted(60)])
        item = next(subscription)
        while isinstance(item, Checkpoint):
            item = next(subscription)
        assert numbers([item]) == [60], item


def read_only():
    must_raise(AccessDeniedError, lambda: client.append_to_stream("python-a", current_version=StreamState.NO_STREAM, events=counted(0)))
    must_raise(AccessDeniedError, lambda: client.append_to_stream("python-a", current_version=StreamState.NO_STREAM, events=[counted(0)]))
    must_raise(NotFoundError, lambda: client.get_stream("python-a"))
    assert list(client.read_all()) == []


def meaning():
    """An event of Satpost says what happened in words that a person can read."""
    (event,) = client.read_all()
    about = json.loads(event.metadata)
    print(json.dumps({"type": event.type, "schema": about["schema"], "event": about["event"], "recorded_at": event.recorded_at.timestamp(), "id": UUID(bytes=event.id.bytes).hex}))


if mode == "append":
    appends_and_reads()
    reads_the_whole_log()
    refuses_what_the_real_server_refuses()
    follows()
elif mode == "meaning":
    meaning()
else:
    read_only()
client.close()
