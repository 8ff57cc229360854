"""An HTTP server in Python, as http.c: answers every request with "ok", one after the other."""

import _signal
import os
import socket
import sys
import time

ANSWER = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/plain\r\n"
    b"Content-Length: 3\r\n"
    b"Connection: close\r\n"
    b"\r\n"
    b"ok\n"
)


def stop(_number, _frame):
    """Ends the process with status 0."""
    sys.exit(0)


def read_request(connection):
    """Whether the head of a request came before the client went away; long heads are cut."""
    head = b""
    while len(head) < 4095 and b"\r\n\r\n" not in head:
        part = connection.recv(4095 - len(head))
        if not part:
            return False
        head += part
    return True


# PID 1 gets no signal that it has no handler for.
_signal.signal(_signal.SIGTERM, stop)
_signal.signal(_signal.SIGINT, stop)
listener = socket.create_server(("0.0.0.0", int(os.environ.get("PORT") or 8080)), backlog=64)
print(f"start_ns={time.time_ns()}", flush=True)
while True:
    client, _ = listener.accept()
    with client:
        # A client that says nothing must not keep the others waiting for long.
        client.settimeout(2)
        try:
            if read_request(client):
                client.sendall(ANSWER)
        except OSError:
            pass
