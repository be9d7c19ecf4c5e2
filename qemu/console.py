"""A board in QEMU and the root shell on its serial console.

Starts boot.sh, reads lines, runs commands in the shell. Knows nothing of units.
"""

import collections
import json
import os
import re
import selectors
import signal
import subprocess
import time


# What the console's shell becomes: no line editing, no job control, no echo, and no
# kernel messages in between. Each command has a number, and is done once.
LOOP = (
    "stty -echo; dmesg -n 1; last=0; "
    "while read -r number command; do "
    'case $number in @[1-9]*) ;; *) continue ;; esac; '
    '[ "${number#@}" -gt "$last" ] || continue; '
    'last=${number#@}; eval "$command"; echo "@end $last $?"; '
    "done"
)


class BoardError(Exception):
    """The board did not do what it should have; the text says what."""


class Board:
    """QEMU as a child process. `on_event` gets each JSON object that the board
    prints on a line of its own, from whichever process."""

    def __init__(self, command, log_path, on_event, scale=1.0):
        self.scale = scale
        self.on_event = on_event
        self.tail = collections.deque(maxlen=60)
        self.log = open(log_path, "wb")
        self.pending = b""
        self.number = 0
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            start_new_session=True,
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)

    def wait_for_line(self, pattern, seconds, what):
        """Reads until a line matches; returns the match."""
        return self.wait_until(lambda line: re.search(pattern, line), seconds, what)

    def wait_until(self, accept, seconds, what, again=None, every=1):
        """Reads lines until `accept(line)` is true; returns what it returned.
        `again` is called first, and every so many seconds. The empty line is offered
        first, so that something that is so already is not waited for."""
        found = accept("")
        deadline = time.monotonic() + seconds * self.scale
        repeat = time.monotonic()
        while not found:
            now = time.monotonic()
            if now > deadline:
                raise BoardError(f"not within {seconds * self.scale:.0f} s: {what}")
            if again and now >= repeat:
                again()
                repeat = now + every
            # The empty line again: what was read may have no line end yet.
            wake = min(deadline, repeat) if again else deadline
            for line in [*self._read_lines(min(1, wake - now)), ""]:
                found = found or accept(line)
        return found

    def open_shell(self, seconds):
        """Waits for the console's shell and makes it fit for a program."""
        # Nothing is typed before the prompt is there: what reaches a serial port
        # that nobody has opened can leave it deaf.
        self.wait_until(
            lambda _: re.search(rb"# (\x1b\[6n)?$", self.pending),
            seconds,
            "a shell's prompt on the console",
        )
        # The sum is the shell's, so the echo of the question is no answer.
        self.wait_until(
            lambda line: "@ready 42" in line,
            seconds,
            "a shell that answers on the console",
            again=lambda: self.type("echo @ready $((40+2))"),
        )
        self.type(f"exec sh -c '{LOOP}'")
        self.run("true", seconds)

    def run(self, command, seconds=60):
        """Runs one command, once; returns its exit code and its lines of output."""
        self.number += 1
        line = f"@{self.number} {command}"
        output = []

        def accept(text):
            end = re.search(rf"@end {self.number} (\d+)$", text)
            if end:
                return (int(end.group(1)),)
            output.append(text)
            return None

        # A byte may get lost on the way; what arrives twice is done once.
        (code,) = self.wait_until(
            accept, seconds, f"the end of: {command}", again=lambda: self.type(line), every=5
        )
        return code, [text for text in output if text and not text.startswith("@")]

    def spawn(self, command):
        """Starts a command in the background; its output goes to on_event."""
        self.run(f"{command} &")

    def start(self, command):
        """Types a command whose end may never be heard of."""
        self.number += 1
        self.type(f"@{self.number} {command}")

    def wait_end(self, seconds):
        """Waits until QEMU ends, as it does when the board powers off."""
        deadline = time.monotonic() + seconds * self.scale
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise BoardError(f"still on after {seconds * self.scale:.0f} s")
            self._read_lines(0.2)

    def pause(self, seconds):
        """Lets the board go on, and hands on what it says."""
        self._read_lines(seconds)

    def close(self):
        """Ends QEMU, whatever it does."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def type(self, text):
        """Types one line into the console."""
        if self.process.poll() is not None:
            raise BoardError("QEMU has ended")
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def _read_lines(self, seconds):
        for _ in self.selector.select(max(0, seconds)):
            data = self.process.stdout.read()
            if data == b"":
                if self.process.wait() is not None:
                    self.selector.unregister(self.process.stdout)
                    return ["@qemu ended"]
            self.log.write(data or b"")
            self.log.flush()
            self.pending += data or b""
        *whole, self.pending = re.split(rb"\r*\n", self.pending)
        lines = [self._clean(line) for line in whole]
        for line in lines:
            self.tail.append(line)
            self._hand_on(line)
        return lines

    def last_words(self):
        """What the console said last, for people."""
        return [*self.tail, self._clean(self.pending)][-30:]

    def _hand_on(self, line):
        start = line.find("{")
        if start >= 0:
            try:
                self.on_event(json.loads(line[start:]))
            except ValueError:
                pass

    @staticmethod
    def _clean(line):
        # What a shell says to a terminal, not to us.
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line.decode(errors="replace")).rstrip()
