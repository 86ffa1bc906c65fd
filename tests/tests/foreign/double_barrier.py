"""One of a mixed fleet: passes kazoo's double barriers.

Usage: double_barrier.py HOSTS ROUNDS MEMBERS LAST TIMEOUT. TIMEOUT is that of the session, in seconds. Prints
"ready", continues when it reads a line, and passes the barrier of each round. Then it enters the barrier at
the path LAST, prints "inside", reads a line, leaves, and prints "done". It ends if its session does: kazoo's
wait would go on without its member.
"""

import os
import sys
import time

from kazoo.client import KazooClient, KazooState

hosts, rounds, members = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
last, timeout = sys.argv[4:6]
zk = KazooClient(hosts, timeout=float(timeout))
zk.start(24 * 60 * 60)


def end_with_session(state):
    if state == KazooState.LOST:
        os._exit(3)


zk.add_listener(end_with_session)


def those(step, number):
    names = zk.get_children("/" + step)
    return [name for name in names if name.startswith("%d-" % number)]


def together(step, number):
    there = those(step, number)
    assert len(there) == members, (step, number, there)


print("ready", flush=True)
sys.stdin.readline()
for number in range(rounds):
    barrier = zk.DoubleBarrier("/barrier-%d" % number, members)
    zk.create("/entering/%d-kazoo" % number)
    barrier.enter()
    assert barrier.participating
    together("entering", number)
    zk.create("/inside/%d-kazoo" % number)
    # kazoo's leave begins with the deletion of `ready`: a member that has not seen it waits for ever.
    while len(those("inside", number)) < members:
        time.sleep(0.02)
    zk.create("/leaving/%d-kazoo" % number)
    barrier.leave()
    together("leaving", number)
barrier = zk.DoubleBarrier(last, members)
barrier.enter()
print("inside", flush=True)
sys.stdin.readline()
barrier.leave()
zk.remove_listener(end_with_session)
zk.stop()
print("done", flush=True)
