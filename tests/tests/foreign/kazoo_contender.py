"""One of a mixed fleet: goes through critical sections under kazoo's recipes.

Usage: kazoo_contender.py HOSTS KIND NAME SECTIONS [PATTERN...]. Prints "ready" when it is connected,
continues when it reads a line, and prints "done" last. KIND is lock, rw, semaphore or election; with
patterns, kazoo also sees the contenders with these marks in their names. The session of the contender whose
NAME is victim is short.
"""

import sys

from kazoo.client import KazooClient

hosts, kind, name, sections = sys.argv[1:5]
patterns = sys.argv[5:]
MAX_LEASES = 2

zk = KazooClient(hosts, timeout=4.0 if name == "victim" else 60.0)
zk.start(24 * 60 * 60)


def exclusive():
    count = int(zk.get("/counter")[0])
    zk.set("/counter", str(count + 1).encode())
    zk.create("/log/e-", name.encode(), sequence=True)


def writing():
    assert zk.get("/writing")[0] == b"no", "somebody else is writing"
    zk.set("/writing", name.encode())
    exclusive()
    assert zk.get("/writing")[0] == name.encode(), "somebody else is writing"
    zk.set("/writing", b"no")


def reading():
    before = zk.get("/counter")[0]
    assert zk.get("/writing")[0] == b"no", "somebody is writing"
    assert zk.get("/counter")[0] == before, "somebody has written"
    zk.create("/log/e-", name.encode(), sequence=True)


def permitted():
    own = zk.create("/inside/i-", name.encode(), ephemeral=True, sequence=True)
    inside = zk.get_children("/inside")
    assert len(inside) <= MAX_LEASES, inside
    zk.create("/log/e-", name.encode(), sequence=True)
    zk.delete(own)


def lock(number):
    with zk.Lock("/shared", name, extra_lock_patterns=patterns):
        exclusive()


def rw(number):
    if number % 3 == 0:
        extra = patterns
        with zk.WriteLock("/shared", name, extra_lock_patterns=extra):
            writing()
    else:
        extra = [pattern for pattern in patterns if "READ" not in pattern]
        with zk.ReadLock("/shared", name, extra_lock_patterns=extra):
            reading()


def semaphore(number):
    with zk.Semaphore("/shared", name, max_leases=MAX_LEASES):
        permitted()


def election(number):
    zk.Election("/shared", name).run(exclusive)


section = {"lock": lock, "rw": rw, "semaphore": semaphore, "election": election}[kind]
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sections)):
    section(number)
zk.stop()
print("done", flush=True)
