"""Waiting for other workers: at the start of a run, and while they compute."""

import os
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress

from keras_unrolled import checks


def wait_for_workers(workers, index, timeout):
    """Waits until every worker has started; TensorFlow itself would wait forever and silently.

    Worker 0 listens where TensorFlow will listen afterwards; the others send it their index.

    Args:
        workers: list of "host:port", one per worker.
        index: int, which of them this process is.
        timeout: seconds.

    Raises:
        InputError: if some workers do not join in time.
    """
    end = time.monotonic() + timeout
    host, port = workers[0].rsplit(":", 1)
    joined: dict[int, socket.socket] = {}

    def time_left():
        seconds = end - time.monotonic()
        if seconds <= 0:
            present = {0, index, *joined}
            missing = [w for i, w in enumerate(workers) if i not in present] or workers[:1]
            raise checks.InputError(
                f"Expected every worker to join within {timeout:g} seconds. Worker {index} waited "
                f"for {', '.join(missing)}. Check that they run and can be reached, and start all "
                "of them again."
            )
        return min(seconds, 1.0)

    if index:
        while True:
            pause = time_left()
            with (
                suppress(OSError),
                socket.create_connection((host, int(port)), timeout=pause) as chief,
            ):
                chief.sendall(index.to_bytes(4, "big"))
                chief.settimeout(max(0.1, end - time.monotonic()))
                if chief.recv(2) == b"go":
                    return
            time.sleep(0.1)
    with socket.create_server(("", int(port))) as server:
        while len(joined) < len(workers) - 1:
            server.settimeout(time_left())
            with suppress(OSError):
                guest, _ = server.accept()
                guest.settimeout(1)
                joined[int.from_bytes(guest.recv(4), "big")] = guest
        for guest in joined.values():
            with suppress(OSError), guest:
                guest.sendall(b"go")
                guest.recv(1)  # they hang up first, so that the port is free at once


@contextmanager
def watchdog(seconds, what, code=3):
    """Ends the process if the code inside hangs, as it does when another worker is gone.

    Args:
        seconds: how long to wait; None or 0 waits forever.
        what: string, what is waited for, for the message.
        code: int, the exit code.
    """
    if not seconds:
        yield
        return

    def end():
        print(
            f"Expected {what} within {seconds:g} seconds. It did not happen. Check that the other "
            "processes run and can be reached; the last checkpoint is intact, and the same command "
            "resumes from it.",
            file=sys.stderr,
            flush=True,
        )
        os._exit(code)  # nothing less ends a thread that waits inside TensorFlow

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
