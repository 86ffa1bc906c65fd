"""A member of a partitioned set, under kazoo's SetPartitioner.

Usage: kazoo_partition.py HOSTS NAME ITEMS. ITEMS is a number. Prints "ready" when it is connected, and
joins when it reads a line. While it has an item, it has the znode /owned/<item>, of which there is one;
it creates /log/e- for each. It leaves when its input ends, and prints "done" last.
"""

import os
import sys
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError

hosts, name, items = sys.argv[1:4]
ITEMS = ["item-%02d" % number for number in range(int(items))]

zk = KazooClient(hosts, timeout=10.0)
zk.start(24 * 60 * 60)
print("ready", flush=True)
sys.stdin.readline()

leaving = threading.Event()


def wait_for_end():
    sys.stdin.read()
    leaving.set()


threading.Thread(target=wait_for_end, daemon=True).start()

partitioner = zk.SetPartitioner(
    "/partition", ITEMS, identifier=name, time_boundary=0.2, max_reaction_time=0.2
)
owned = []


def give_back():
    for item in owned:
        try:
            zk.retry(zk.delete, "/owned/" + item)
        except NoNodeError:
            pass  # An attempt whose reply was lost.
    owned.clear()


while not leaving.is_set():
    if partitioner.failed:
        os.abort()
    elif partitioner.release:
        give_back()
        partitioner.release_set()
    elif partitioner.acquired:
        if not owned:
            for item in partitioner:
                zk.create("/owned/" + item, name.encode(), ephemeral=True)
                owned.append(item)
                zk.retry(zk.create, "/log/e-", name.encode(), sequence=True)
        partitioner.state_change_event.clear()
        if partitioner.acquired:
            partitioner.state_change_event.wait(0.02)
    elif partitioner.allocating:
        partitioner.wait_for_acquire(0.02)
give_back()
partitioner.finish()
zk.stop()
print("done", flush=True)
