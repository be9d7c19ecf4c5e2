"""The loggers: ours against multilog, svlogd and s6-log, all fed the same lines through one pipe, all stamping and
rotating on the same tmpfs, one after the other in each round.

usage: logs.py --init FILE [--mb N] [--rounds N] (in a mount namespace of its own: it mounts over /run)
"""

import argparse
import mmap
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

LINE = 100
BLOCK_LINES = 640
SIZE, FILES = 1_000_000, 10
KILLS = 20
SERVICES = 100
RUN = "/run/log/ettan"


def lines(first, count):
    """Numbered lines of 100 bytes, their ends included."""
    return b"".join(b"%012d %s\n" % (n, b"x" * (LINE - 14)) for n in range(first, first + count))


def feed(write_end, data):
    view = memoryview(data)
    while view:
        view = view[os.write(write_end, view[:65536]):]


class Filter:
    """A logger that reads standard input until its end."""

    def __init__(self, name, package, words, prepare=lambda folder: None):
        self.name, self.package, self.words, self.prepare = name, package, words, prepare

    def run(self, data):
        """Seconds, processor seconds."""
        with tempfile.TemporaryDirectory(dir="/run") as folder:
            os.chmod(folder, 0o755)
            self.prepare(folder)
            read_end, write_end = os.pipe()
            words = [word.replace("DIR", folder) for word in self.words]
            started = time.monotonic()
            logger = subprocess.Popen(words, stdin=read_end, stderr=subprocess.DEVNULL)
            os.close(read_end)
            feed(write_end, data)
            os.close(write_end)
            _, status, usage = os.wait4(logger.pid, 0)
            took = time.monotonic() - started
            logger.returncode = status
            if status:
                sys.exit(f"{self.name}: ended with {status}")
            kept = [open(os.path.join(folder, name), "rb").read() for name in os.listdir(folder) if name[0] in "@c"]
            check_newest(self.name, kept, len(data) // LINE)
            return took, usage.ru_utime + usage.ru_stime


class Ours:
    """The logger as PID 1 runs it: the pipe's read end comes over a socket."""

    name = "ettan"

    def __init__(self, program):
        self.program = program
        self.logger = self.control = None

    def start(self):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        number = theirs.fileno()
        os.set_inheritable(number, True)
        # The shell is gone once the logger runs.
        command = f'exec "$0" log 3<&{number}' + (f" {number}<&-" if number != 3 else "")
        self.logger = subprocess.Popen(["/bin/bash", "-c", command, self.program], pass_fds=[number])
        theirs.close()

    def open(self, name, read_end, size=SIZE, files=FILES):
        socket.send_fds(self.control, [f"open {name} {size} {files}".encode()], [read_end])

    def end(self):
        """Processor seconds."""
        self.control.close()
        _, status, usage = os.wait4(self.logger.pid, 0)
        self.logger.returncode = status
        if status:
            sys.exit(f"ettan: ended with {status}")
        return usage.ru_utime + usage.ru_stime

    def run(self, data):
        clear()
        read_end, write_end = os.pipe()
        started = time.monotonic()
        self.start()
        self.open("bench", read_end)
        feed(write_end, data)
        used = self.end()
        took = time.monotonic() - started
        os.close(read_end)
        os.close(write_end)
        check_newest(self.name, files_of("bench"), len(data) // LINE)
        return took, used

    def killed(self, data):
        """Killed in the middle, again and again: lines lost, doubled or out of place."""
        clear()
        read_end, write_end = os.pipe()
        self.start()
        self.open("bench", read_end, files=100_000)
        writer = threading.Thread(target=feed, args=(write_end, data))
        writer.start()
        for _ in range(KILLS):
            time.sleep(0.02)
            self.logger.kill()
            self.logger.wait()
            self.control.close()
            self.start()
            self.open("bench", read_end, files=100_000)
        writer.join()
        self.end()
        # A line that a new logger went on in.
        text = re.sub(rb"\n(?:.{24}[=*][^\n]*\n)*.{24}\+", b"", b"".join(files_of("bench")))
        numbers = numbers_in(text)
        wrong = sum(number != place for place, number in enumerate(numbers))
        return abs(len(data) // LINE - len(numbers)) + wrong

    def fair(self, seconds=3):
        """The least and the largest share of 100 writers at once, by the mean; and PSS in KiB."""
        clear()
        pipes = [os.pipe() for _ in range(SERVICES)]
        self.start()
        for number, (read_end, _) in enumerate(pipes):
            self.open(f"unit{number}", read_end)
        program = (
            "import os,sys,time\nline=b'x'*99+b'\\n'\nfds=[int(a) for a in sys.argv[1:]]\nn=[0]*len(fds)\n"
            "for fd in fds: os.set_blocking(fd, False)\nend=time.monotonic()+%d\n" % seconds
            + "import select\np=select.poll()\nfor fd in fds: p.register(fd, select.POLLOUT)\nat={fd:i for i,fd in enumerate(fds)}\n"
            "block=line*600\nwhile time.monotonic()<end:\n"
            "  for fd,_ in p.poll(1000):\n    try: n[at[fd]]+=os.write(fd,block)\n    except BlockingIOError: pass\n"
            "print(*n)\n"
        )
        ends = [str(write_end) for _, write_end in pipes]
        writer = subprocess.Popen(
            [sys.executable, "-c", program, *ends], pass_fds=[int(end) for end in ends], stdout=subprocess.PIPE, text=True
        )
        time.sleep(seconds / 2)
        pss = pss_kb(self.logger.pid)
        amounts = [int(word) for word in writer.communicate()[0].split()]
        self.end()
        for ends in pipes:
            for end in ends:
                os.close(end)
        mean = statistics.mean(amounts)
        return min(amounts) / mean, max(amounts) / mean, pss


def pss_kb(pid):
    text = open(f"/proc/{pid}/smaps_rollup").read()
    return int(re.search(r"^Pss: +(\d+)", text, re.M).group(1))


def clear():
    subprocess.run(["rm", "-rf", RUN], check=True)


def files_of(name):
    folder = os.path.join(RUN, name)
    return [open(os.path.join(folder, file), "rb").read() for file in sorted(os.listdir(folder))]


def numbers_in(text):
    return [int(n) for n in re.findall(rb"(?:^|[ *])(\d{12}) x", text, re.M)]


def check_newest(name, kept, count):
    """What is kept must be the newest, without a gap."""
    numbers = sorted(n for text in kept for n in numbers_in(text))
    if not numbers or numbers != list(range(numbers[0], count)):
        sys.exit(f"{name}: lines are missing: {len(numbers)} from {numbers[:1]} to {numbers[-1:]} of {count}")


def svlogd_config(folder):
    with open(os.path.join(folder, "config"), "w") as config:
        config.write(f"s{SIZE}\nn{FILES}\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--init", required=True)
    options = parser.parse_args()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", "/run"], check=True)
    ours = Ours(options.init)
    peers = [
        Filter("multilog", "daemontools", ["multilog", "t", f"s{SIZE}", f"n{FILES}", "DIR"]),
        Filter("svlogd", "runit", ["svlogd", "-ttt", "DIR"], svlogd_config),
        Filter("s6-log", "s6", ["s6-log", "T", f"s{SIZE}", f"n{FILES}", "DIR"]),
    ]
    data = mmap.mmap(-1, options.mb * 1_000_000)
    count = options.mb * 1_000_000 // LINE
    for first in range(0, count, BLOCK_LINES):
        data.write(lines(first, min(BLOCK_LINES, count - first)))
    result = {}
    for _ in range(options.rounds):
        for contender in [ours, *peers]:
            result.setdefault(contender.name, []).append(contender.run(data))
    print(f"\n{options.mb} MB of {LINE}-byte lines through one pipe, stamped, files of 1 MB, {FILES} kept")
    print(f"{'':10}{'MB/s':>8}{'CPU ms/MB':>12}   (middle of {options.rounds} rounds)")
    speed = {name: options.mb / statistics.median(took for took, _ in runs) for name, runs in result.items()}
    cost = {name: 1000 * statistics.median(used for _, used in runs) / options.mb for name, runs in result.items()}
    for name in result:
        print(f"{name:10}{speed[name]:8.0f}{cost[name]:12.2f}")
    best = max(speed[peer.name] for peer in peers)
    cheapest = min(cost[peer.name] for peer in peers)
    print(f"ettan is {speed['ettan'] / best:.1f} times as fast as the fastest, for {cost['ettan'] / cheapest:.2f} of the least CPU")
    wrong = ours.killed(data)
    print(f"killed {KILLS} times in the middle of {options.mb} MB: {wrong} lines lost, doubled or out of order")
    least, most, pss = ours.fair()
    print(f"{SERVICES} services writing at once: shares of {least:.2f} to {most:.2f} of the mean; the logger's PSS is {pss} KiB")


if __name__ == "__main__":
    main()
