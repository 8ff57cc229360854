"""Takes memory, as memory.c: touches every page of N MiB, says so, and waits to be stopped."""

import time

print(f"start_ns={time.time_ns()}", flush=True)

import _signal  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402


def stop(_number, _frame):
    """Ends the process with status 0, out of pause()."""
    sys.exit(0)


# PID 1 gets no signal that it has no handler for.
_signal.signal(_signal.SIGTERM, stop)
_signal.signal(_signal.SIGINT, stop)
text = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("MEMORY_MIB", "16")
if not (text.isascii() and text.isdigit() and int(text) <= 4095):
    print(f"{text}: is no number of MiB from 0 to 4095", file=sys.stderr)
    sys.exit(2)
blocks = []
for _ in range(int(text)):
    block = bytearray(1 << 20)
    block[::4096] = b"\x01" * 256
    blocks.append(block)
print(f"touched_mib={text}", flush=True)
while True:
    _signal.pause()
