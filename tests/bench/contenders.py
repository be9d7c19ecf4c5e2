"""Knows the contenders: where their files come from and what a root for each looks like. Starts and measures nothing.

A contender's populate(root, n) lays n trivial services into an otherwise finished root and returns PID 1's arguments.
Every service is the same file, /bin/stamp, executed directly by the supervisor.
"""

import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
WORK = TOP / "target" / "bench"
PEERS = WORK / "peers"
BIN = WORK / "bin"


class Missing(Exception):
    """This contender cannot run here; the text says why."""


def build_tools():
    """Compiles the C programs: the freestanding ones as small static files, enter against libc."""
    BIN.mkdir(parents=True, exist_ok=True)
    bare = ["-nostdlib", "-static", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-no-pie",
            "-fno-asynchronous-unwind-tables", "-Wl,--build-id=none"]
    for name, extra in [("stamp", bare), ("floor", bare), ("orphans", bare), ("enter", [])]:
        source, out = HERE / f"{name}.c", BIN / name
        newest = max(source.stat().st_mtime, (HERE / "raw.h").stat().st_mtime)
        if not out.exists() or out.stat().st_mtime < newest:
            subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", *extra, "-o", out, source], check=True)


def unpack(packages):
    """Debian packages, downloaded and unpacked below target/; nothing is installed."""
    trees = []
    for package in packages:
        tree = PEERS / package
        if not tree.exists():
            download(package, tree)
        trees.append(tree)
    return trees


def download(package, tree):
    spool = PEERS / "spool" / package
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(parents=True)
    get = ["apt-get", "-qq", "download", package]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if subprocess.run(get, cwd=spool, **quiet).returncode != 0:
        subprocess.run(["apt-get", "-qq", "update"], **quiet)
        if subprocess.run(get, cwd=spool, **quiet).returncode != 0:
            raise Missing(f"no package {package}")
    for deb in spool.glob("*.deb"):
        part = tree.with_suffix(".part")
        subprocess.run(["dpkg", "-x", deb, part], check=True)
        part.rename(tree)


def install(root, trees, programs):
    """Copies programs of the unpacked trees to the same place in root, and the libraries the trees bring to /opt/lib."""
    libraries = root / "opt/lib"
    for tree in trees:
        for program in programs:
            if (tree / program).is_file():
                put(tree / program, root / program)
        for library in tree.glob("**/*.so.*"):
            libraries.mkdir(parents=True, exist_ok=True)
            shutil.copy2(library, libraries / library.name, follow_symlinks=True)
    if libraries.exists():
        (root / "etc/ld.so.conf").write_text("/opt/lib\n")
        subprocess.run(["ldconfig", "-r", root], check=True, stderr=subprocess.DEVNULL)


def put(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def service_directories(root, n):
    """/service/NNNN/run for the daemontools family."""
    for i in range(n):
        directory = root / "service" / f"{i:04}"
        directory.mkdir(parents=True)
        os.symlink("/bin/stamp", directory / "run")
    os.utime(root / "service", (1, 1))  # runsvdir waits a second for a directory that changed just now


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class Floor:
    name, notes = "floor", []

    def prepare(self):
        pass

    def populate(self, root, n):
        put(BIN / "floor", root / "sbin/init")
        return ["/sbin/init", str(n), "/bin/stamp"]


class Ettan:
    name, notes = "ettan", []

    def prepare(self):
        machine = os.uname().machine
        built = TOP / "target" / "musl" / machine / "ettan-init"
        self.program = pathlib.Path(os.environ.get("ETTAN_INIT", built))
        if not self.program.is_file():
            raise Missing(f"no {self.program} (make host-musl)")

    def populate(self, root, n):
        put(self.program, root / "sbin/init")
        units = root / "etc/units"
        units.mkdir(parents=True)
        for i in range(n):
            (units / f"s{i:04}.toml").write_text('[service]\ntype = "simple"\nexec-start = "/bin/stamp"\n')
        return ["/sbin/init"]


class Runit:
    name, notes = "runit", []

    def prepare(self):
        self.trees = unpack(["runit", "busybox-static"])

    def populate(self, root, n):
        install(root, self.trees, ["sbin/runit", "usr/bin/runsvdir", "usr/bin/runsv", "bin/busybox"])
        script(root / "etc/runit/1", "#!/bin/busybox sh\nexit 0\n")
        script(root / "etc/runit/2", "#!/bin/busybox sh\nexec /usr/bin/runsvdir -P /service\n")
        script(root / "etc/runit/3", "#!/bin/busybox sh\nexit 0\n")
        service_directories(root, n)
        return ["/sbin/runit"]


class S6:
    name, notes = "s6", ["s6-supervise 2.11 waits 1 s before every restart"]

    def prepare(self):
        self.trees = unpack(["s6", "libs6-2.11", "execline", "libexecline2.9", "libskarnet2.13"])

    def populate(self, root, n):
        install(root, self.trees, ["usr/bin/s6-svscan", "usr/bin/s6-supervise", "usr/bin/s6-svscanctl"])
        service_directories(root, n)
        return ["/usr/bin/s6-svscan", "-c", "1000", "/service"]


class Daemontools:
    name, notes = "daemontools", ["svscan looks at its directory, and reaps, every 5 s"]

    def prepare(self):
        self.trees = unpack(["daemontools"])

    def populate(self, root, n):
        install(root, self.trees, ["usr/bin/svscan", "usr/bin/supervise"])
        service_directories(root, n)
        return ["/usr/bin/svscan", "/service"]


class Busybox:
    name, notes = "busybox", ["BusyBox init pauses 1 s before every respawn"]

    def prepare(self):
        self.trees = unpack(["busybox-static"])

    def populate(self, root, n):
        install(root, self.trees, ["bin/busybox"])
        (root / "sbin/init").symlink_to("/bin/busybox")
        # Two lines with the same command count as one: each gets a number, which the service ignores.
        (root / "etc/inittab").write_text("".join(f"::respawn:/bin/stamp {i}\n" for i in range(n)))
        return ["/sbin/init"]


class Finit:
    name, notes = "finit", []

    def prepare(self):
        self.trees = unpack(["finit", "libite5", "libuev3"])

    def populate(self, root, n):
        install(root, self.trees, ["sbin/finit"])
        lines = ["runlevel 2\n", "host bench\n"]
        lines += [f"service [2345] :{i} /bin/stamp -- service {i}\n" for i in range(n)]
        (root / "etc/finit.conf").write_text("".join(lines))
        for directory in ["etc/finit.d", "var/log"]:
            (root / directory).mkdir()
        (root / "var/run").symlink_to("/run")
        return ["/sbin/finit"]


ALL = [Floor, Ettan, Runit, S6, Daemontools, Busybox, Finit]
