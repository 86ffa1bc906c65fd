"""One of a mixed fleet: joins and leaves parties under kazoo's recipes.

Usage: parties.py HOSTS NAME ROUNDS TIMEOUT. TIMEOUT is that of the session, in seconds. Prints "ready" when
it is connected, continues when it reads a line, and prints "done" last, after ROUNDS rounds and the end of
its input. Each round it joins both parties as NAME-<round>, finds itself and the members "rust" and "mortal"
in them, and leaves.
"""

import sys
import threading

from kazoo.client import KazooClient

hosts, own, rounds, timeout = sys.argv[1:5]

zk = KazooClient(hosts, timeout=float(timeout))
zk.start(24 * 60 * 60)
ended = threading.Event()


def wait_for_end():
    sys.stdin.read()
    ended.set()


def listed(party, identifier):
    return identifier in list(party)


print("ready", flush=True)
sys.stdin.readline()
threading.Thread(target=wait_for_end, daemon=True).start()
number = 0
while number < int(rounds) or not ended.is_set():
    name = "%s-%d" % (own, number)
    for kind, path in ((zk.Party, "/party"), (zk.ShallowParty, "/shallow")):
        party = kind(path, name)
        party.join()
        assert listed(party, name), (path, list(party))
        # They are away for a moment after a deletion or the end of a session.
        while not (listed(party, "rust") and listed(party, "mortal")):
            pass
        party.leave()
        assert not listed(party, name), (path, list(party))
    number += 1
zk.stop()
print("done", flush=True)
