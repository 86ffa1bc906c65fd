"""One of a mixed fleet: counts with kazoo's Counter.

Usage: counters.py HOSTS NAME ROUNDS FLOAT... Prints "ready" when it is connected, continues when it reads
a line, and prints "done" last. Writes each FLOAT to a counter of its own, /golden/0 and so on. If NAME is
victim, it sets /victim to the number of its rounds after each.
"""

import sys

from kazoo.client import KazooClient

hosts, name, rounds = sys.argv[1:4]
floats = sys.argv[4:]

zk = KazooClient(hosts, timeout=60.0)
zk.start(24 * 60 * 60)

text = zk.Counter("/text")
half = zk.Counter("/half", default=0.0)
bytes4 = zk.Counter("/bytes4", support_curator=True)

print("ready", flush=True)
sys.stdin.readline()
for number, value in enumerate(floats):
    golden = zk.Counter("/golden/%d" % number, default=0.0)
    golden += float(value)
for number in range(int(rounds)):
    text += 1
    half += 0.5
    bytes4 += 1
    assert text.post_value == text.pre_value + 1
    if name == "victim":
        zk.set("/victim", b"%d" % (number + 1))
zk.stop()
print("done", flush=True)
