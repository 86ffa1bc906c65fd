"""Prints the public API of kazoo: a class or `-`, and a name of its own, a line each.

Options count as names: they are the parameters of methods and constructors.

    kazoo_names.py
"""

import enum
import importlib
import inspect

from kazoo.client import KazooClient

# Those of kazoo's documentation, but for `kazoo.handlers.utils`, of which it shows a result's methods.
# `kazoo.testing` needs a ZooKeeper to be imported, and handlers need what they handle.
MODULES = [
    "kazoo.client",
    "kazoo.exceptions",
    "kazoo.handlers.threading",
    "kazoo.interfaces",
    "kazoo.protocol.paths",
    "kazoo.protocol.states",
    "kazoo.recipe.barrier",
    "kazoo.recipe.cache",
    "kazoo.recipe.counter",
    "kazoo.recipe.election",
    "kazoo.recipe.lease",
    "kazoo.recipe.lock",
    "kazoo.recipe.partitioner",
    "kazoo.recipe.party",
    "kazoo.recipe.queue",
    "kazoo.recipe.watchers",
    "kazoo.retry",
    "kazoo.security",
]

# What has one counterpart or none as a whole, so that its members are not named.
WHOLE = {"IHandler", "SequentialThreadingHandler", "TreeNode"}

# Of every class, or not meant for callers.
PLAIN = {"self", "args", "kwargs", "cls", "code", "make", "func", "handle_exception"}


def parameters(function):
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return []
    return [name for name in signature.parameters if name not in PLAIN and name[0] != "_"]


def members(name, kind):
    yield from parameters(kind.__init__)
    for member, value in vars(kind).items():
        if member.startswith("_") or member in PLAIN:
            continue
        yield member
        if inspect.isfunction(value) or isinstance(value, (classmethod, staticmethod)):
            yield from parameters(getattr(kind, member))


def names():
    for module in map(importlib.import_module, MODULES):
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(value):
                yield name, "-"
                if name not in WHOLE:
                    for member in members(name, value):
                        yield name, member
            elif inspect.isfunction(value) and name not in PLAIN:
                yield "-", name
                for parameter in parameters(value):
                    yield name, parameter
        for name, value in vars(module).items():
            if name.isupper() and module.__name__ == "kazoo.security":
                yield "-", name
    # What the constructor of a client puts there.
    for attribute in vars(KazooClient()):
        if not attribute.startswith("_"):
            yield "KazooClient", attribute


if __name__ == "__main__":
    for line in sorted(set(names())):
        print(*line)
