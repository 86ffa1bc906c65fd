"""kazoo, measured by the same rules.

Usage: with_kazoo.py WORKLOAD IN_FLIGHT HOSTS SECONDS. Prints operations a second; for `handoff`, the
median of its time in seconds.
"""

import logging
import sys
import threading
import time
from collections import deque

from kazoo.client import KazooClient

workload, in_flight, hosts, seconds = sys.argv[1:5]
in_flight, seconds = int(in_flight), float(seconds)
PATH, LOCK, DATA = "/a", "/bench/kazoo", b"x" * 100

logging.disable(logging.CRITICAL)


def connected():
    zk = KazooClient(hosts, timeout=10.0)
    zk.start(60)
    return zk


def pipelined(submit):
    def run(operations):
        pending = deque()
        for _ in range(operations):
            if len(pending) == in_flight:
                pending.popleft().get()
            pending.append(submit())
        for reply in pending:
            reply.get()

    return run


def connecting(operations):
    for _ in range(operations):
        zk = connected()
        zk.stop()
        zk.close()


def watching(zk):
    # It has no lasting watches: each is set again, as its recipes do.
    told = threading.Semaphore(0)

    def run(operations):
        for _ in range(operations):
            zk.get(PATH, watch=lambda event: told.release())
            told.acquire()

    return run


def locking(zk):
    def run(operations):
        for _ in range(operations):
            with zk.Lock(LOCK):
                pass

    return run


def rate(run):
    operations, took = 16, 0.0
    while True:
        started = time.perf_counter()
        run(operations)
        took = time.perf_counter() - started
        if took >= seconds / 2:
            return operations / took
        operations *= 2


def handoff():
    times, released = [], [None]
    end = time.monotonic() + seconds

    def contend(zk):
        while time.monotonic() < end:
            lock = zk.Lock(LOCK)
            lock.acquire()
            now = time.perf_counter()
            if released[0] is not None:
                times.append(now - released[0])
            released[0] = time.perf_counter()
            lock.release()

    sessions = [connected() for _ in range(in_flight)]
    threads = [threading.Thread(target=contend, args=(zk,)) for zk in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for zk in sessions:
        zk.stop()
    times.sort()
    return times[len(times) // 2]


if workload == "handoff":
    print(handoff())
elif workload == "connect":
    print(rate(connecting))
else:
    zk = connected()
    workloads = {
        "set64": lambda: pipelined(lambda: zk.set_async(PATH, DATA)),
        "create64": lambda: pipelined(lambda: zk.create_async(PATH, DATA)),
        "events": lambda: watching(zk),
        "lock": lambda: locking(zk),
    }
    if workload == "real64" and not zk.exists(PATH):
        zk.create(PATH, DATA)
    getting = lambda: pipelined(lambda: zk.get_async(PATH))
    print(rate(workloads.get(workload, getting)()))
    zk.stop()
