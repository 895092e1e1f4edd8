"""Checks the includes of the product's C files: none goes to a layer above its own, and no more than
two modules (a module is NAME.c with NAME.h) include each other in a circle. Prints each violation;
exits 1 if there is one. docs/architecture.md shows the layers."""

from __future__ import annotations

import os
import re
import sys

# Folder: the folders that it may include from, beside its own. A missing folder may include all.
LAYERS = {
    "daemon/base": "",
    "daemon/os": "base",
    "daemon/region": "base",
    "daemon/store": "region base",
    "daemon/leases": "store os base",
    "daemon/trace": "base",
    "daemon/rings": "store region trace base",
    "daemon/requests": "rings trace leases store region base",
    "daemon/net": "requests os base",
    "client/lib/util": "",
    "client/lib/shm": "util",
    "client/lib/conn": "shm util",
    "client/lib/api": "conn shm util",
    "client/lib/admin": "api conn shm util",
    "proto/shm": "",
    "proto/wire": "",
}
ROOTS = ("proto", "daemon", "client")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
SEARCHED = (".", "client/include", "client/python/src")


def includes() -> dict[str, set[str]]:
    """The files that each C file includes, as paths from the root."""
    graph = {}
    for root in ROOTS:
        for folder, _, names in os.walk(root):
            for name in names:
                if name.endswith((".c", ".h")):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as file:
                        wanted = INCLUDE.findall(file.read())
                    found = (
                        os.path.normpath(os.path.join(base, w))
                        for w in wanted
                        for base in (folder, *SEARCHED)
                        if os.path.exists(os.path.join(base, w))
                    )
                    graph[path] = set(found)
    return graph


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
                # The files of proto/ itself (limits, errors, keys) lie below both of its folders.
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
        print(f"only {len(graph)} C files found: run this in the project's root")
        return 1
    bad = upward(graph) + circles(graph)
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
