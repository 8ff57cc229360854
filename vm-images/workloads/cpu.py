"""Computes, as cpu.c: the same arithmetic and the same checksum, and the same arguments."""

import os
import signal
import sys
import time

WORDS = 4096
STEPS = 65536
MASK = (1 << 64) - 1


def compute(rounds):
    """The checksum after so many rounds."""
    table = [0] * WORDS
    state = 88172645463325252
    checksum = 0
    for _ in range(rounds):
        for _ in range(STEPS):
            state ^= state << 13 & MASK
            state ^= state >> 7
            state ^= state << 17 & MASK
            place = state % WORDS
            word = (table[place] * 6364136223846793005 + state) & MASK
            table[place] = word
            checksum = ((checksum << 1 | checksum >> 63) & MASK) ^ word
    return checksum


print(f"start_ns={time.time_ns()}", flush=True)
# PID 1 gets no signal that it has no handler for.
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: sys.exit(0))
numbers = [argument for argument in sys.argv[1:] if argument != "stay"]
text = numbers[-1] if numbers else os.environ.get("CPU_ROUNDS", "64")
if not (text.isascii() and text.isdigit()):
    print(f"{text}: is no number of rounds", file=sys.stderr)
    sys.exit(2)
begin = time.monotonic_ns()
result = compute(int(text))
print(f"duration_ns={time.monotonic_ns() - begin}")
print(f"checksum={result:016x}", flush=True)
while "stay" in sys.argv[1:]:
    time.sleep(3600)
