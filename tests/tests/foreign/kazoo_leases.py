"""Attempts at leases, with kazoo.

Usage: kazoo_leases.py HOSTS. Prints "ready" when it is connected. For each line "PATH COUNT HOLDER NOW
DURATION" it makes one attempt, with times in seconds since 1970, and prints "obtained" or "refused"; COUNT
is 0 for a NonBlockingLease, otherwise the number of leases of a MultiNonBlockingLease.
"""

import datetime
import sys

from kazoo.client import KazooClient

zk = KazooClient(sys.argv[1], timeout=60.0)
zk.start(24 * 60 * 60)
print("ready", flush=True)
for line in sys.stdin:
    path, count, holder, now, duration = line.split(" ")
    time = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=float(now))
    duration = datetime.timedelta(seconds=float(duration))
    options = {"identifier": holder, "utcnow": lambda: time}
    if int(count):
        lease = zk.MultiNonBlockingLease(int(count), path, duration, **options)
    else:
        lease = zk.NonBlockingLease(path, duration, **options)
    print("obtained" if lease else "refused", flush=True)
zk.stop()
