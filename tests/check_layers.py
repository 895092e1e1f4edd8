"""Checks the includes of the product's C files, and their names.

A file includes from its own directory and from the layers below it. The three products do not include each other,
except that daemon and client include proto. No more than two modules (a module is NAME.c with NAME.h) include each
other in a circle. The parts of the daemon without input and output do not include libuv. No two files have the same
name. Prints each violation, and exits with 1 if there is one. docs/architecture.md shows the layers."""

from __future__ import annotations

import collections
import os
import re
import sys

# Directory: the directories beside its own that it may include from. daemon, client/ctl and client/python may include
# everything of their product. A directory of daemon, client/lib or proto that is missing here is a violation.
LAYERS = {
    "daemon/base": "",
    "daemon/os": "base",
    "daemon/region": "base",
    "daemon/store": "region base",
    "daemon/leases": "store os base",
    "daemon/trace": "base",
    "daemon/watch": "base",
    "daemon/snapshot": "store region base",
    "daemon/config": "store region base",
    "daemon/usage": "base",
    "daemon/rings": "store region trace usage watch base",
    "daemon/latency": "base",
    "daemon/fleet": "leases store region base",
    "daemon/tier": "fleet config os base",
    "daemon/requests": "fleet rings trace usage watch snapshot leases latency store region base",
    "daemon/net": "requests latency os base",
    "client/lib/util": "",
    "client/lib/shm": "util",
    "client/lib/conn": "shm util",
    "client/lib/api": "conn shm util",
    "client/lib/admin": "api conn shm util",
    "client/lib/doctor": "admin api conn shm util",
    "proto/cli": "",
    "proto/image": "wire",
    "proto/shm": "",
    "proto/stats": "",
    "proto/wire": "",
}
ROOTS = ("proto", "daemon", "client")
# What each product must not include.
FOREIGN = {
    "proto": r"daemon/|client/|fcache\.h|uv\.h",
    "daemon": r"client/|fcache\.h",
    "client": r"daemon/|uv\.h",
}
WITHOUT_LOOP = (
    "base",
    "fleet",
    "latency",
    "leases",
    "region",
    "requests",
    "rings",
    "store",
    "usage",
)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
ANY_INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.M)
SEARCHED = (".", "client/include", "client/python/src")


def includes() -> dict[str, set[str]]:
    """The files that each C file includes, as paths from the root."""
    graph = {}
    for root in ROOTS:
        for directory, _, names in os.walk(root):
            for name in names:
                if name.endswith((".c", ".h")):
                    path = os.path.join(directory, name)
                    with open(path, encoding="utf-8") as file:
                        wanted = INCLUDE.findall(file.read())
                    found = (
                        os.path.normpath(os.path.join(base, w))
                        for w in wanted
                        for base in (directory, *SEARCHED)
                        if os.path.exists(os.path.join(base, w))
                    )
                    graph[path] = set(found)
    return graph


def foreign(paths: list[str]) -> list[str]:
    bad = []
    for path in paths:
        product, directory = path.split("/")[0], os.path.dirname(path)
        pattern = FOREIGN[product]
        if product == "daemon" and os.path.basename(directory) in WITHOUT_LOOP:
            pattern += r"|uv\.h"
        with open(path, encoding="utf-8") as file:
            found = ANY_INCLUDE.findall(file.read())
        bad += [f"{path} includes {name}" for name in found if re.match(pattern, name)]
    return bad


def unknown(paths: list[str]) -> list[str]:
    """Directories without a layer."""
    directories = {os.path.dirname(path) for path in paths}
    return [
        f"{directory}/ is not in LAYERS of tests/check_layers.py"
        for directory in sorted(directories)
        if re.match(r"(daemon|client/lib|proto)/", directory) and directory not in LAYERS
    ]


def same_names() -> list[str]:
    """Base names that more than one file of the tree has."""
    found = collections.defaultdict(list)
    for root in (*ROOTS, "tests"):
        for directory, _, names in os.walk(root):
            for name in names:
                if name.endswith((".c", ".h")):
                    found[name].append(f"{directory}/{name}")
    return [
        f"two files are called {n}: {', '.join(p)}" for n, p in sorted(found.items()) if len(p) > 1
    ]


def upward(graph: dict[str, set[str]]) -> list[str]:
    bad = []
    for path, targets in sorted(graph.items()):
        layer = os.path.dirname(path)
        if layer not in LAYERS:
            continue
        parent = os.path.dirname(layer)
        allowed = {layer, *(f"{parent}/{name}" for name in LAYERS[layer].split())}
        for target in sorted(targets):
            if target.startswith(parent + "/") and os.path.dirname(target) not in allowed:
                # The files of proto itself (limits, errors, keys) are below both of its directories.
                if parent != "proto" or os.path.dirname(target) != "proto":
                    bad.append(f"{path} includes {target}, which is not in a layer below {layer}")
    return bad


def circles(graph: dict[str, set[str]]) -> list[str]:
    """The strongly connected groups of more than two modules, by reachability."""
    modules: dict[str, set[str]] = {}
    for path, targets in graph.items():
        module = os.path.splitext(path)[0]
        modules.setdefault(module, set()).update(os.path.splitext(t)[0] for t in targets)
    reach: dict[str, set[str]] = {}
    for module in modules:
        seen: set[str] = set()
        todo = [module]
        while todo:
            for target in modules.get(todo.pop(), set()) - seen:
                seen.add(target)
                todo.append(target)
        reach[module] = seen
    groups = {
        frozenset(m for m in reach[module] if module in reach.get(m, set()))
        for module in modules
        if module in reach[module]
    }
    return [f"a circle of {len(g)} modules: {', '.join(sorted(g))}" for g in groups if len(g) > 2]


def main() -> int:
    graph = includes()
    if len(graph) < 100:
        print(f"only {len(graph)} C files found: run this in the root of the source tree")
        return 1
    paths = sorted(graph)
    bad = foreign(paths) + unknown(paths) + upward(graph) + circles(graph) + same_names()
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
