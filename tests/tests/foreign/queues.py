"""One of a mixed fleet: puts and takes items of kazoo's queues.

Usage: queues.py HOSTS KIND NAME ITEMS TOTAL. Puts the item "golden" and prints "ready", continues when it
reads a line, puts ITEMS items, and takes items until TOTAL are done. Prints "done" last. KIND is locking
or plain. If NAME is victim, it has a short session, puts no "golden", and creates a znode below /served for
each item.
"""

import sys

from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError

hosts, kind, name, items, total = sys.argv[1:6]
is_victim = name == "victim"
zk = KazooClient(hosts, timeout=4.0 if is_victim else 60.0)
zk.start(24 * 60 * 60)
queue = zk.LockingQueue("/q") if kind == "locking" else zk.Queue("/q")


def process(item):
    try:
        zk.create("/done/" + item.decode(), b"kazoo")
    except NodeExistsError:
        zk.create("/twice/e-", item, sequence=True)
    if is_victim:
        zk.create("/served/e-", sequence=True)


def take():
    if kind == "locking":
        item = queue.get(0.02)
        if item is not None:
            process(item)
            assert queue.consume()
    else:
        item = queue.get()
        if item is not None:
            process(item)


if not is_victim:
    queue.put(b"golden", 7)
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(items)):
    queue.put(b"them-%d" % number, number % 3)
    take()
while len(zk.get_children("/done")) < int(total):
    take()
zk.stop()
print("done", flush=True)
