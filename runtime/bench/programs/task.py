"""A program in Python, so many rounds: dictionaries, strings, objects, big integers, sorting."""

import sys
import time

print(f"start_ns={time.time_ns()}", flush=True)


class Node:
    """A node of a binary tree."""

    def __init__(self, key):
        self.key = key
        self.left = self.right = None

    def insert(self, key):
        """Puts a key into the tree."""
        node = self
        while True:
            side = "left" if key < node.key else "right"
            below = getattr(node, side)
            if below is None:
                setattr(node, side, Node(key))
                return
            node = below

    def depth(self):
        """The length of the longest branch."""
        sides = [side.depth() for side in (self.left, self.right) if side is not None]
        return 1 + max(sides, default=0)


def work(rounds):
    """A checksum that depends on the number of rounds alone."""
    state, checksum = 12345, 0
    for round_number in range(rounds):
        words, tree = {}, Node(1 << 30)
        for _ in range(300):
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF
            word = f"w{state % 97}-{state % 13}"
            words[word] = words.get(word, 0) + 1
            tree.insert(state)
        common = sorted(words.items(), key=lambda item: (-item[1], item[0]))[:10]
        text = ",".join(f"{word}={count}" for word, count in common)
        number = pow(3, 500 + round_number, 1 << 521)
        checksum = (checksum * 31 + sum(text.encode()) + tree.depth() + number) & (1 << 64) - 1
    return checksum


begin = time.monotonic_ns()
result = work(int(sys.argv[1]))
print(f"duration_ns={time.monotonic_ns() - begin}")
print(f"checksum={result:016x}")
