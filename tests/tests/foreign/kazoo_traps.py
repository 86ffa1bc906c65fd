"""Shows that kazoo behaves as the guide says to its users; prints the name of each behaviour.

    kazoo_traps.py HOSTS
"""

import queue
import socket
import sys

from kazoo.client import KazooClient, KazooState

HOSTS = sys.argv[1]


def started():
    client = KazooClient(hosts=HOSTS)
    states = queue.Queue()
    assert client.state == KazooState.LOST, "a client that has not started"
    client.add_listener(states.put)
    client.start()
    assert states.get() == KazooState.CONNECTED
    return client, states


def end_session(client, states):
    """Ends it as an expiry does, by another client, and waits until the first has the next one."""
    last = KazooClient(hosts=HOSTS, client_id=client.client_id)
    last.start()
    last.stop()
    while states.get() != KazooState.LOST:
        pass
    while states.get() != KazooState.CONNECTED:
        pass


def lost_lock_is_acquired():
    client, states = started()
    lock = client.Lock("/lost")
    lock.acquire()
    end_session(client, states)
    assert client.get_children("/lost") == []
    assert lock.is_acquired
    client.stop()


def member_does_not_rejoin():
    client, states = started()
    party = client.Party("/party", "member")
    party.join()
    assert list(party) == ["member"]
    end_session(client, states)
    assert list(party) == []
    client.stop()


def watch_ends_with_connection():
    client, states = started()
    client.create("/watched", b"")
    first, second = queue.Queue(), queue.Queue()
    client.get("/watched", watch=first.put)
    client._connection._socket.shutdown(socket.SHUT_RDWR)
    assert first.get().type == "NONE"
    while states.get() != KazooState.CONNECTED:
        pass
    client.get("/watched", watch=second.put)
    client.set("/watched", b"changed")
    # Both would be called for the same event, and the first one first.
    assert second.get().type == "CHANGED"
    assert first.empty()
    client.stop()


def children_watch_of_nothing_stops():
    client, _ = started()
    first, second = queue.Queue(), queue.Queue()
    client.ChildrenWatch("/later", first.put)
    client.create("/later")
    client.ChildrenWatch("/later", second.put)
    assert second.get() == []
    client.create("/later/child")
    assert second.get() == ["child"]
    assert first.empty()
    client.stop()


def paths_are_normalized():
    client, _ = started()
    client.create("relative", b"")
    assert client.exists("//relative/")
    client.stop()


for behaviour in (
    lost_lock_is_acquired,
    member_does_not_rejoin,
    watch_ends_with_connection,
    children_watch_of_nothing_stops,
    paths_are_normalized,
):
    behaviour()
    print(behaviour.__name__)
