"""Continues a session, and leaves its own.

Usage: session.py HOSTS [ID PASSWORD]. With an id and a password, in hexadecimal, it resumes that session, prints
"resumed" if /ours is still there, and ends the session when it reads a line. Without them it creates /theirs,
prints "session ID PASSWORD", and waits until it is killed.
"""

import sys

from kazoo.client import KazooClient

hosts = sys.argv[1]
pair = (int(sys.argv[2]), bytes.fromhex(sys.argv[3])) if len(sys.argv) > 2 else None

zk = KazooClient(hosts, timeout=10.0, client_id=pair)
zk.start(24 * 60 * 60)
if pair:
    assert zk.client_id[0] == pair[0], (zk.client_id, pair)
    owner = zk.exists("/ours").ephemeralOwner
    assert owner == pair[0], (owner, pair)
    print("resumed", flush=True)
    sys.stdin.readline()
    zk.stop()
    print("done", flush=True)
else:
    zk.create("/theirs", ephemeral=True)
    number, password = zk.client_id
    print("session %d %s" % (number, password.hex()), flush=True)
    sys.stdin.readline()
