"""kazoo's side of a barrier: waits until the other side opens it, then closes one itself."""

import sys

from kazoo.client import KazooClient
from kazoo.recipe.barrier import Barrier

server, path = sys.argv[1:]
zk = KazooClient(hosts=server)
zk.start(timeout=24 * 60 * 60)
barrier = Barrier(zk, path)
print("waiting", flush=True)
print("passed" if barrier.wait(60) else "stuck", flush=True)
barrier.create()
print("closed", flush=True)
sys.stdin.readline()
barrier.remove()
zk.stop()
print("opened", flush=True)
