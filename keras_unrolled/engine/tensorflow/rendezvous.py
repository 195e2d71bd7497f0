"""Waiting for other workers: at the start of a run, while they compute, and at its end."""

import hashlib
import os
import re
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress

from keras_unrolled import checks

GO = b"go"


def wait_for_workers(workers, index, timeout):
    """Waits until every worker has started; TensorFlow itself would wait forever and silently.

    Worker 0 listens where TensorFlow will listen afterwards; the others send it a greeting that
    only a worker of the same cluster can know. Anything else that connects is turned away.

    Args:
        workers: list of "host:port", one per worker.
        index: int, which of them this process is.
        timeout: seconds.

    Raises:
        InputError: if some workers do not join in time, or the port is in use.
    """
    end = time.monotonic() + timeout
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

    host, port = split_address(workers[0])
    if index:
        return _join(host, port, make_greeting(workers, index), time_left)
    greetings = {make_greeting(workers, i): i for i in range(1, len(workers))}
    with _listen(port) as server:
        while len(joined) < len(workers) - 1:
            server.settimeout(time_left())
            with suppress(OSError):
                guest, _ = server.accept()
                number = greetings.get(_receive(guest, len(next(iter(greetings)))))
                if number is None:  # a browser, a scanner, a worker of another run
                    guest.close()
                    continue
                if number in joined:  # it was started again
                    joined[number].close()
                joined[number] = guest
        for guest in joined.values():
            with suppress(OSError), guest:
                guest.sendall(GO)
                guest.recv(1)  # they hang up first, so that the port is free at once


def make_greeting(workers, index):
    """What a worker sends to the chief: 36 bytes that depend on the cluster and its index."""
    return hashlib.sha256(f"keras-unrolled {workers}".encode()).digest() + index.to_bytes(4, "big")


def split_address(address):
    """Host and port of "host:port".

    Raises:
        InputError: if it is something else.
    """
    host, _, port = str(address).rpartition(":")
    is_port = port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65_536
    try:
        is_host = re.search(r"[\s/@]", host) is None and bool(host.encode("idna"))
    except UnicodeError:
        is_host = False
    if not is_host or not is_port:
        raise checks.InputError(
            f"Expected the address of a worker, such as host1:1234. Received: {str(address)[:200]!r}. Correct "
            "TF_CONFIG."
        )
    return host, int(port)


def _join(host, port, greeting, time_left):
    while True:
        with (
            suppress(OSError),
            socket.create_connection((host, port), timeout=time_left()) as chief,
        ):
            chief.sendall(greeting)
            reply = b""
            while reply == b"":
                chief.settimeout(time_left())
                with suppress(TimeoutError):
                    reply = chief.recv(len(GO)) or b"closed"
            if reply == GO:
                return
        time_left()
        time.sleep(0.1)


def _listen(port):
    try:
        return socket.create_server(("", port))
    except OSError as error:
        raise checks.InputError(
            f"Expected port {port} of this machine to be free for worker 0. It is not ({error}). End "
            "the other program, or choose another port in TF_CONFIG."
        ) from error


def _receive(guest, length):
    """The bytes that a guest sends within a second, up to a length."""
    end, content = time.monotonic() + 1, b""
    with suppress(OSError):
        while len(content) < length and (seconds := end - time.monotonic()) > 0:
            guest.settimeout(seconds)
            part = guest.recv(length - len(content))
            if not part:
                break
            content += part
    return content


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
