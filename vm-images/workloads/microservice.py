"""The service under test in Python: says when it started, then waits to be stopped."""

import time

print(f"start_ns={time.time_ns()}", flush=True)

# After the stamp: nothing may come before it. `signal` would wrap the same functions in enums, at
# 0.8 MB of private memory; Python is measured without that.
import _signal  # noqa: E402
import sys  # noqa: E402


def stop(_number, _frame):
    """Ends the process with status 0, out of its sleep."""
    sys.exit(0)


# PID 1 gets no signal that it has no handler for.
_signal.signal(_signal.SIGTERM, stop)
_signal.signal(_signal.SIGINT, stop)
while True:
    # Not pause(), which WASI lacks; the handler ends the sleep as well.
    time.sleep(3600)
