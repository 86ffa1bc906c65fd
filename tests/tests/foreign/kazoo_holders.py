"""kazoo's recipes, each with a holder and a contender that waits, until standard input ends.

Usage: kazoo_holders.py HOSTS. Prints "ready" when the holders have what they hold.
"""

import sys
import threading

from kazoo.client import KazooClient


def client():
    zk = KazooClient(hosts=sys.argv[1], timeout=60)
    zk.start(timeout=24 * 60 * 60)
    return zk


def in_background(work):
    threading.Thread(target=work, daemon=True).start()


first, second = client(), client()
holders = [
    first.Lock("/lock", "first"),
    first.ReadLock("/rw", "first"),
    second.ReadLock("/rw", "second"),
    first.Semaphore("/semaphore", "first", max_leases=2),
    second.Semaphore("/semaphore", "second", max_leases=2),
]
for holder in holders:
    holder.acquire()
election = first.Election("/election", "first")
leads = threading.Event()
ended = threading.Event()


def lead():
    leads.set()
    ended.wait()


in_background(lambda: election.run(lead))
leads.wait()
waiting = [
    second.Lock("/lock", "waits"),
    second.WriteLock("/rw", "waits"),
    second.Semaphore("/semaphore", "waits", max_leases=2),
]
for contender in waiting:
    in_background(contender.acquire)
print("ready", flush=True)
sys.stdin.readline()
