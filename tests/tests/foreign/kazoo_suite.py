"""What kazoo can do, done to a server: every call's result is asserted.

Usage: kazoo_suite.py HOST:PORT. Prints the name of each part when it is through, and "done" last.
"""

import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadVersionError,
    InvalidACLError,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
    RuntimeInconsistency,
)
from kazoo.protocol.states import EventType, KazooState
from kazoo.retry import KazooRetry
from kazoo.security import ACL, OPEN_ACL_UNSAFE, Id, make_acl, make_digest_acl

# No limit: what hangs is ended by the tests that start this.
TIMEOUT = 24 * 60 * 60
HOSTS = sys.argv[1]


def client(**options):
    options.setdefault("timeout", 40.0)
    zk = KazooClient(HOSTS, **options)
    zk.start(TIMEOUT)
    return zk


def raises(kind, call, *args, **kwargs):
    try:
        got = call(*args, **kwargs)
    except kind:
        return
    raise AssertionError("%s expected, not %r" % (kind.__name__, got))


class Seen:
    """A list that can be waited for."""

    def __init__(self):
        self.items = []
        self.changed = threading.Condition()

    def __call__(self, item, *_):
        with self.changed:
            self.items.append(item)
            self.changed.notify_all()

    def wait(self, condition):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self.items), TIMEOUT), self.items
            return list(self.items)


def run(target):
    """Runs a function beside this one; joining raises what it raised."""
    failure = []

    def body():
        try:
            target()
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()

    def join():
        thread.join(TIMEOUT)
        assert not thread.is_alive(), "it hangs"
        if failure:
            raise failure[0]

    return join


def nodes(zk, other, root):
    assert zk.create(root, b"top") == root
    raises(NodeExistsError, zk.create, root)
    raises(NoNodeError, zk.create, root + "/x/y")
    assert zk.create(root + "/x/y/z", b"deep", makepath=True) == root + "/x/y/z"
    assert other.get(root + "/x/y/z")[0] == b"deep"
    path, stat = zk.create(root + "/stat", b"12345", include_data=True)
    assert (path, stat.dataLength, stat.version) == (root + "/stat", 5, 0)
    assert stat.czxid == stat.mzxid == stat.pzxid and stat.ctime == stat.mtime
    assert zk.set(root, b"new").version == 1
    raises(BadVersionError, zk.set, root, b"newer", version=0)
    data, stat = other.get(root)
    assert (data, stat.version, stat.numChildren) == (b"new", 1, 2)
    assert sorted(zk.get_children(root)) == ["stat", "x"]
    names, stat = zk.get_children(root, include_data=True)
    assert sorted(names) == ["stat", "x"] and stat.children_count == 2
    raises(NotEmptyError, zk.delete, root + "/x")
    raises(BadVersionError, zk.delete, root + "/stat", version=7)
    zk.delete(root + "/stat")
    raises(NoNodeError, zk.get, root + "/stat")
    assert zk.exists(root + "/stat") is None
    numbers = [zk.create(root + "/n-", sequence=True)[-10:] for _ in range(3)]
    assert [int(n) - int(numbers[0]) for n in numbers] == [0, 1, 2]
    brief = client()
    brief.create(root + "/brief", ephemeral=True)
    stat = zk.exists(root + "/brief")
    assert stat.ephemeralOwner == brief.client_id[0] == stat.owner_session_id
    brief.stop()
    brief.close()
    assert zk.exists(root + "/brief") is None
    assert zk.sync(root) == root
    pending = [zk.get_async(root) for _ in range(500)]
    assert all(p.get(timeout=TIMEOUT)[0] == b"new" for p in pending)
    assert zk.ensure_path(root + "/x/y/z")
    zk.delete(root + "/x", recursive=True)
    assert zk.exists(root + "/x") is None
    big = bytes(1_000_000)
    zk.set(root, big)
    assert other.get(root)[0] == big


def watches(zk, other, root):
    zk.create(root)
    seen = Seen()
    assert zk.exists(root + "/a", watch=seen) is None
    other.create(root + "/a", b"1")
    assert seen.wait(len)[0][:1] == (EventType.CREATED,)
    for act, kind in (
        (lambda: other.set(root + "/a", b"2"), EventType.CHANGED),
        (lambda: other.delete(root + "/a"), EventType.DELETED),
    ):
        seen = Seen()
        zk.get(root + "/a", watch=seen)
        act()
        assert seen.wait(len)[0].type == kind
    seen = Seen()
    zk.get_children(root, watch=seen)
    other.create(root + "/b")
    event = seen.wait(len)[0]
    assert (event.type, event.path) == (EventType.CHILD, root)
    data, children = Seen(), Seen()
    zk.DataWatch(root + "/d")(lambda value, stat: data(value))
    zk.ChildrenWatch(root)(lambda names: children(sorted(names)))
    data.wait(lambda items: items == [None])
    other.create(root + "/d", b"one")
    data.wait(lambda items: items[-1] == b"one")
    other.set(root + "/d", b"two")
    data.wait(lambda items: items[-1] == b"two")
    children.wait(lambda items: items[-1] == ["b", "d"])
    other.delete(root + "/d")
    data.wait(lambda items: items[-1] is None)
    children.wait(lambda items: items[-1] == ["b"])


def transactions(zk, other, root):
    zk.create(root)
    t = zk.transaction()
    t.create(root + "/a", b"1")
    t.create(root + "/s-", b"", sequence=True)
    t.set_data(root + "/a", b"2")
    t.check(root + "/a", 1)
    results = t.commit()
    assert results[0] == root + "/a" and results[1].startswith(root + "/s-"), results
    assert results[2].version == 1 and results[3] is True, results
    t = zk.transaction()
    t.create(root + "/b")
    t.check(root + "/a", 9)
    t.delete(root + "/a")
    kinds = [type(result) for result in t.commit()]
    assert kinds == [RolledBackError, BadVersionError, RuntimeInconsistency], kinds
    assert other.exists(root + "/b") is None and other.exists(root + "/a")
    with zk.transaction() as t:
        t.delete(root + "/a", version=1)
    assert other.exists(root + "/a") is None


def acls(zk, other, root):
    zk.create(root)
    mine = make_digest_acl("ann", "secret", all=True)
    ann = client(auth_data=[("digest", "ann:secret")])
    ann.create(root + "/mine", b"x", acl=[mine])
    for call in (zk.get, zk.get_children, zk.delete, lambda p: zk.set(p, b"")):
        # A deletion needs the permission of the parent, which is open.
        if call != zk.delete:
            raises(NoAuthError, call, root + "/mine")
    assert ann.get(root + "/mine")[0] == b"x"
    assert ann.get_acls(root + "/mine")[0] == [mine]
    late = client()
    raises(NoAuthError, late.get, root + "/mine")
    late.add_auth("digest", "ann:secret")
    assert late.get(root + "/mine")[0] == b"x"
    reader = ACL(1, Id("world", "anyone"))
    stat = ann.set_acls(root + "/mine", [mine, reader])
    assert stat.aversion == 1 and zk.get(root + "/mine")[0] == b"x"
    raises(BadVersionError, ann.set_acls, root + "/mine", [mine], version=0)
    hidden = [a.id.id for a in zk.get_acls(root + "/mine")[0] if a.id.scheme == "digest"]
    assert hidden == ["ann:x"], hidden
    raises(InvalidACLError, zk.create, root + "/auth", acl=[make_acl("auth", "", all=True)])
    ann.create(root + "/auth", acl=[make_acl("auth", "", all=True)])
    assert ann.get_acls(root + "/auth")[0] == [mine]
    here = make_acl("ip", "127.0.0.1", all=True)
    zk.create(root + "/ip", acl=[here])
    assert other.get(root + "/ip")[0] == b"" and other.get_acls(root + "/ip")[0] == [here]
    assert zk.get_acls(root)[0] == OPEN_ACL_UNSAFE
    for each in (ann, late):
        each.stop()
        each.close()


def locks(zk, other, root):
    mine, theirs = zk.Lock(root, "mine"), other.Lock(root, "theirs")
    assert mine.acquire(timeout=TIMEOUT) and not theirs.acquire(blocking=False)
    assert other.Lock(root).contenders() == ["mine"]
    held = threading.Event()

    def wait():
        assert theirs.acquire(timeout=TIMEOUT)
        held.set()

    join = run(wait)
    waiting = Seen()
    zk.ChildrenWatch(root)(lambda names: waiting(len(names)))
    waiting.wait(lambda items: items[-1] == 2)
    assert not held.is_set()
    mine.release()
    join()
    assert held.is_set()
    theirs.release()
    with zk.ReadLock(root + "-rw", "r1"), other.ReadLock(root + "-rw", "r2"):
        assert not zk.WriteLock(root + "-rw", "w").acquire(blocking=False)
    with zk.WriteLock(root + "-rw", "w"):
        assert not other.ReadLock(root + "-rw", "r").acquire(blocking=False)


def semaphores(zk, other, root):
    first, second, third = (c.Semaphore(root, max_leases=2) for c in (zk, other, zk))
    assert first.acquire(timeout=TIMEOUT) and second.acquire(timeout=TIMEOUT)
    assert not third.acquire(blocking=False)
    assert len(first.lease_holders()) == 2
    first.release()
    assert third.acquire(timeout=TIMEOUT)
    second.release()
    third.release()


def elections(zk, other, root):
    order, leave = Seen(), threading.Event()

    def lead():
        order("first")
        assert leave.wait(TIMEOUT)

    first = zk.Election(root, "first")
    second = other.Election(root, "second")
    join_first = run(lambda: first.run(lead))
    order.wait(lambda items: items == ["first"])
    join_second = run(lambda: second.run(order, "second"))
    waiting = Seen()
    zk.ChildrenWatch(root)(lambda names: waiting(len(names)))
    waiting.wait(lambda items: items[-1] == 2)
    assert second.contenders() == ["first", "second"]
    assert order.items == ["first"]
    leave.set()
    join_first()
    join_second()
    assert order.items == ["first", "second"]


def queues(zk, other, root):
    queue = zk.Queue(root)
    for value in (b"a", b"b"):
        queue.put(value)
    queue.put(b"urgent", priority=1)
    assert len(queue) == 3
    assert [other.Queue(root).get() for _ in range(4)] == [b"urgent", b"a", b"b", None]
    locking, rival = zk.LockingQueue(root + "-l"), other.LockingQueue(root + "-l")
    locking.put_all([b"1", b"2"])
    assert locking.get(timeout=TIMEOUT) == b"1" and rival.get(timeout=TIMEOUT) == b"2"
    assert locking.holds_lock() and locking.consume()
    assert rival.release() and locking.get(timeout=TIMEOUT) == b"2" and locking.consume()
    assert len(locking) == 0


def barriers(zk, other, root):
    barrier = zk.Barrier(root)
    assert barrier.wait(timeout=0)
    barrier.create()
    assert not barrier.wait(timeout=0.1)
    join = run(lambda: raises_not(other.Barrier(root).wait(timeout=TIMEOUT)))
    assert barrier.remove() and not barrier.remove()
    join()
    steps = Seen()
    # One that enters and leaves before the other looks for it is missed by kazoo's barrier, and
    # the other waits for ever.
    entered = threading.Barrier(2)

    def both(c, name):
        barrier = c.DoubleBarrier(root + "-double", 2, identifier=name)
        barrier.enter()
        entered.wait()
        steps("in")
        barrier.leave()
        steps("out")

    joins = [run(lambda c=c, n=n: both(c, n)) for c, n in ((zk, "one"), (other, "two"))]
    for each in joins:
        each()
    assert sorted(steps.items) == ["in", "in", "out", "out"]


def raises_not(value):
    assert value


def counters(zk, other, root):
    def add(c):
        counter = c.Counter(root)
        counter.max_retry = -1
        for _ in range(50):
            counter.__add__(1)

    retry = KazooRetry(max_tries=-1, delay=0.001, max_delay=0.05)
    for c in (zk, other):
        c.retry = retry
    joins = [run(lambda c=c: add(c)) for c in (zk, other)]
    for each in joins:
        each()
    assert zk.Counter(root).value == 100
    counter = zk.Counter(root + "-f", default=1.5)
    counter -= 0.25
    assert counter.value == 1.25 and counter.pre_value == 1.5 and counter.post_value == 1.25


def parties(zk, other, root):
    one, two = zk.Party(root, "one"), other.Party(root, "two")
    one.join()
    two.join()
    assert sorted(one) == ["one", "two"] and len(two) == 2
    two.leave()
    assert list(one) == ["one"]
    shallow = zk.ShallowParty(root + "-s", "me")
    shallow.join()
    assert len(shallow) == 1 and shallow.participating
    one.leave()
    shallow.leave()


def commands(zk, other, root):
    assert zk.command(b"ruok") == "imok"
    assert "Mode: standalone" in zk.command(b"srvr")
    assert zk.server_version()[:2] in ((3, 8), (3, 9)), zk.server_version()
    assert "zk_znode_count" in zk.command(b"mntr")
    chrooted = KazooClient(HOSTS + root)
    zk.create(root)
    chrooted.start(TIMEOUT)
    chrooted.create("/inside", b"x")
    assert zk.get(root + "/inside")[0] == b"x" and chrooted.get_children("/") == ["inside"]
    chrooted.stop()
    chrooted.close()


def sessions(zk, other, root):
    """A connection that is lost is resumed in the same session; one that has expired is not."""
    zk.create(root)
    states = Seen()
    mine = KazooClient(HOSTS, timeout=40.0)
    mine.add_listener(states)
    mine.start(TIMEOUT)
    before = mine.client_id
    mine.create(root + "/e", ephemeral=True)
    seen = Seen()
    mine.get(root, watch=seen)
    mine._connection._socket.shutdown(2)
    states.wait(lambda items: items[-2:] == [KazooState.SUSPENDED, KazooState.CONNECTED])
    assert mine.client_id == before and zk.exists(root + "/e")
    # Another connection with the same session ends it, as an expiry would.
    thief = KazooClient(HOSTS, timeout=40.0, client_id=mine.client_id)
    mine._connection._socket.shutdown(2)
    thief.start(TIMEOUT)
    assert thief.client_id == before
    thief.stop()
    thief.close()
    states.wait(lambda items: KazooState.LOST in items and items[-1] == KazooState.CONNECTED)
    assert mine.client_id[0] != before[0] and zk.exists(root + "/e") is None
    mine.stop()
    mine.close()


PARTS = (
    nodes, watches, transactions, acls, locks, semaphores, elections, queues, barriers, counters,
    parties, commands, sessions,
)


def main():
    for part in PARTS:
        zk, other = client(), client()
        started = time.monotonic()
        part(zk, other, "/kazoo-" + part.__name__)
        for each in (zk, other):
            each.stop()
            each.close()
        print("%s %.1f s" % (part.__name__, time.monotonic() - started), flush=True)
    print("done", flush=True)


main()
