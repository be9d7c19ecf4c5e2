"""Asks telldusd, over its UNIX socket. Knows the protocol, serves no page."""

import socket

SOCKET = "/tmp/TelldusClient"


def ask(question):
    """Sends one question; returns the answer without its newline."""
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.settimeout(5)
        daemon.connect(SOCKET)
        daemon.sendall(question.encode())
        answer = b""
        while not answer.endswith(b"\n"):
            part = daemon.recv(256)
            if not part:
                break
            answer += part
    return answer.decode().rstrip("\n")


def text(value):
    """A string as the protocol writes it: its length, a colon, the string."""
    return f"{len(value)}:{value}"


def number(value):
    """A number as the protocol writes it."""
    return f"i{value}s"


def device_count():
    return int(ask(text("tdGetNumberOfDevices"))[1:-1])


def device_name(index):
    return ask(text("tdGetName") + number(index)).partition(":")[2]
