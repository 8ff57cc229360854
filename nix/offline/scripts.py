"""Checks testScripts, as JSON on standard input: Python that uses what NixOS' driver documents.

NixOS lints them when it builds the driver; this finds the same mistakes where it cannot be built.
Source: NixOS manual, "NixOS Tests", release 26.05.
"""

import ast
import builtins
import json
import sys

# What the driver puts into a script's scope.
GIVEN = {"machine", "start_all", "subtest"}
CALLS = {
    "copy_from_host",
    "copy_from_machine",
    "execute",
    "fail",
    "shutdown",
    "succeed",
    "wait_for_open_port",
    "wait_for_unit",
    "wait_until_succeeds",
}


def mistakes(text: str) -> list[str]:
    """What is wrong with a script, by line."""
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and is_stored(node)}
    for node in nodes:
        if isinstance(node, ast.Import):
            bound |= {alias.asname or alias.name for alias in node.names}
    known = bound | GIVEN | set(dir(builtins))
    found = []
    for node in nodes:
        if isinstance(node, ast.Name) and node.id not in known:
            found.append(f"line {node.lineno}: {node.id} is not defined")
        on_machine = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if on_machine and node.value.id == "machine" and node.attr not in CALLS:
            found.append(f"line {node.lineno}: machine.{node.attr} is no documented call")
    return found


def is_stored(node: ast.Name) -> bool:
    """True where a name gets a value."""
    return isinstance(node.ctx, ast.Store)


def main() -> int:
    """Prints what is wrong with any script; 1 if anything is."""
    scripts = json.load(sys.stdin)
    found = [f"{name}: {what}" for name, text in scripts.items() for what in mistakes(text)]
    print("\n".join(found))
    return int(bool(found) or not scripts)


if __name__ == "__main__":
    sys.exit(main())
