"""The story of `make run`: build, boot a board, see its units come up, fetch the
web page, kill the daemons, see them come back, power off, check the card.

drive.py BOARD ARCH, as boards.sh has them. Ends in a table and exit code 0 or 1. With
ROOT=ro the card's root is read-only, and must be the same to the byte afterwards.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from card import Card
from console import Board, BoardError

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ["CARGO_TARGET_DIR"])
START = float(os.environ["ETTAN_T0"])
# Slow machines stretch every time limit.
SCALE = float(os.environ.get("ETTAN_TEST_SLOW", "1"))
KILLS = 3
# Partitions of the card.
ROOT, DATA = 2, 3


def say(text):
    print(f"[{time.time() - START:4.0f}s] {text}", flush=True)


class Table:
    """What was done, how long it took, how it went."""

    def __init__(self):
        self.rows = []

    def add(self, step, took, result):
        self.rows.append((step, took, result))

    def show(self, board, good):
        width = max(len(step) for step, _, _ in self.rows)
        print(f"\n{board}\n{'step':<{width}}  {'time':>9}  result")
        for step, took, result in self.rows:
            print(f"{step:<{width}}  {took:>9}  {result}")
        print(f"\nmake run {board}: {'good' if good else 'FAILED'}", flush=True)


class Story:
    def __init__(self, board_name, arch, read_only):
        self.name = board_name
        self.arch = arch
        self.read_only = read_only
        self.image = TARGET / "image" / (board_name + ("-ro" if read_only else ""))
        self.card = Card(self.image / "sd.img")
        self.root_before = None
        folders = [HERE.parent / "units"] + ([HERE / "rootfs-ro/etc/units"] if read_only else [])
        self.units = sorted(file.stem for folder in folders for file in folder.glob("*.toml"))
        self.table = Table()
        self.states = {}
        self.events = []
        self.port = free_port()
        self.board = None

    def build(self):
        self.step("build", ["qemu/cross.sh", self.arch, "ettan-init", "ettan", "ettan-fakes"])
        for program in ("ettan-init", "ettan"):
            size = (TARGET / "musl" / self.arch / program).stat().st_size
            self.table.add(f"  {program}", "", f"{size} bytes ({size / 1024:.0f} KiB), {self.arch}")
        self.step("image", ["qemu/image.sh", self.name])
        self.root_before = self.card.sha256(ROOT)

    def step(self, name, command):
        began = time.monotonic()
        if subprocess.run(command, cwd=HERE.parent).returncode != 0:
            self.table.add(name, seconds_since(began), "FAILED")
            raise BoardError(f"{name} failed")
        self.table.add(name, seconds_since(began), "ok")

    def boot(self):
        say(f"boot {self.name} in QEMU; port 8080 of the board is 127.0.0.1:{self.port}")
        self.began = time.monotonic()
        command = [str(HERE / "boot.sh"), self.name, str(self.image), str(self.port)]
        log = TARGET / f"run-{self.name}.log"
        self.board = Board(command, log, self.on_event, SCALE)
        self.board.wait_for_line("going to /sbin/init", 120, "the kernel and its first root")
        self.done("kernel, then /sbin/init", self.began)
        self.board.open_shell(60)
        self.done("shell on the console", self.began)

    def follow_units(self):
        """Follows the events, then asks for what was before them."""
        self.board.spawn("ettan events --recent --json")
        self.board.run("ettan list --json")
        for unit in self.units:
            self.wait_up(unit, 60)
            self.done(f"{unit} up", self.began)

    def wait_up(self, unit, seconds):
        self.board.wait_until(
            lambda _: self.states.get(unit) == "up", seconds, f"{unit} up; {self.known()}"
        )

    def known(self):
        return "known: " + ", ".join(f"{unit} {state}" for unit, state in self.states.items())

    def on_event(self, event):
        unit, state = event.get("unit"), event.get("state")
        if unit in self.units and state:
            if self.states.get(unit) != state and "at_ms" in event:
                say(f"board {event['at_ms'] / 1000:7.2f} s  {unit} {state}")
            self.states[unit] = state
        if "at_ms" in event:
            self.events.append(event)

    def fetch(self, seconds=180):
        """The page, once it comes and telldusd answers on it."""
        deadline = time.monotonic() + seconds * SCALE
        while time.monotonic() < deadline:
            page = self.try_page()
            # CherryPy serves for a moment before it has dropped its rights.
            if "runs as telldus" in page and "telldusd answers" in page:
                return page
            self.board.pause(0.2)
        problem = page or "no answer"
        raise BoardError(f"not within {seconds * SCALE:.0f} s: the page; last: {problem}")

    def try_page(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, OSError):
            return ""

    def show_page(self):
        page = self.fetch()
        self.done("page over the USB network", self.began)
        for line in page.splitlines():
            say(f"  {line}")

    def main_pid(self, unit):
        for line in self.board.run(f"ettan status --json {unit}")[1]:
            found = parse(line)
            if found.get("unit") == unit and found.get("main_pid"):
                return found["main_pid"]
        raise BoardError(f"{unit} has no main process")

    def kill(self, unit, count):
        # A run of less than min-uptime-sec would be met with a delay.
        self.board.run("sleep 2")
        old = self.main_pid(unit)
        seen = len(self.events)
        # Builtins only, so that nothing but the kill lies between clock and death.
        line = self.board.run(f"read now rest </proc/uptime; kill -9 {old}; echo now $now")[1]
        killed_ms = next(float(text.split()[1]) for text in line if text.startswith("now ")) * 1000

        def up_again(_):
            return next(
                (
                    event
                    for event in self.events[seen:]
                    if event.get("unit") == unit and event.get("state") == "up"
                ),
                None,
            )

        up = self.board.wait_until(up_again, 60, f"{unit} up again after kill -9 of {old}")
        new = self.main_pid(unit)
        if new == old:
            raise BoardError(f"{unit}: the main process is still {old}")
        took = up["at_ms"] - killed_ms
        self.table.add(f"kill -9 {unit} #{count}", f"{took:.0f} ms", f"pid {old} -> {new}, up")
        say(f"kill -9 {unit} #{count}: pid {old} -> {new}, up after {took:.0f} ms")

    def kill_all(self):
        for unit in ("telldusd", "cherrytelldus"):
            for count in range(1, KILLS + 1):
                self.kill(unit, count)
                began = time.monotonic()
                self.fetch()
                self.table.add("  page again", seconds_since(began), "ok")

    def read_words(self):
        """telldusd closes its streams and speaks by syslog(3) only."""
        began = time.monotonic()
        words = self.board.run("ettan logs telldusd")[1]
        if not any("telldusd daemon starting up" in line for line in words):
            raise BoardError("ettan logs telldusd: " + " / ".join(words))
        self.done("ettan logs telldusd", began)

    def power_off(self):
        say("power off")
        began = time.monotonic()
        self.board.start("ettan poweroff")
        self.board.wait_end(60)
        self.done("power off", began)

    def check_card(self):
        began = time.monotonic()
        for number in (ROOT, DATA):
            problem = self.card.problem(number)
            if problem:
                raise BoardError(f"partition {number} of the card is not clean:\n{problem}")
        self.done("e2fsck -fn: clean", began)

    def try_to_write(self):
        if self.board.run("touch /etc/written 2>/dev/null")[0] == 0:
            raise BoardError("the root can be written to")

    def check_root(self):
        """Nothing has written to it, and what was said is on the data partition."""
        began = time.monotonic()
        after = self.card.sha256(ROOT)
        if after != self.root_before:
            raise BoardError(f"the root partition has changed: {self.root_before} -> {after}")
        self.done(f"root partition: sha256 {after[:16]}… as before", began)
        if "telldusd daemon starting up" not in self.card.text(DATA, "log/ettan/telldusd/current"):
            raise BoardError("telldusd's log is not on the data partition")

    def done(self, step, began):
        self.table.add(step, seconds_since(began), "ok")
        say(f"{step}")

    def tell(self):
        self.build()
        self.boot()
        self.follow_units()
        self.show_page()
        if self.read_only:
            self.try_to_write()
        self.kill_all()
        self.read_words()
        self.power_off()
        self.check_card()
        if self.read_only:
            self.check_root()


def seconds_since(began):
    return f"{time.monotonic() - began:.1f} s"


def parse(line):
    try:
        return json.loads(line[line.index("{") :])
    except ValueError:
        return {}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    # However it ends, QEMU must not be left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    read_only = os.environ.get("ROOT") == "ro"
    story = Story(*sys.argv[1:], read_only)
    good = False
    try:
        story.tell()
        good = True
    except (BoardError, KeyboardInterrupt) as problem:
        say(f"error: {problem or 'interrupted'}")
        story.table.add("error", "", str(problem).splitlines()[0] if str(problem) else "")
        if story.board:
            print("the last lines of the console:")
            for line in story.board.last_words():
                print(f"  {line}")
    finally:
        if story.board:
            story.board.close()
    story.table.show(f"BOARD={story.name}" + (" ROOT=ro" if read_only else ""), good)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
