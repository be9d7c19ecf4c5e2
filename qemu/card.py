"""The image of a card, when no board has it: its partitions, and whether they are well.

Reads, and changes nothing. Knows nothing of boards.
"""

import hashlib
import struct
import subprocess

SECTOR = 512


class Card:
    def __init__(self, path):
        self.path = path

    def place(self, number):
        """Offset and length of a partition, in bytes, from the table in the first sector."""
        with open(self.path, "rb") as image:
            table = image.read(SECTOR)[446:510]
        start, count = struct.unpack_from("<II", table, 16 * (number - 1) + 8)
        return start * SECTOR, count * SECTOR

    def sha256(self, number):
        offset, left = self.place(number)
        digest = hashlib.sha256()
        with open(self.path, "rb") as image:
            image.seek(offset)
            while left:
                part = image.read(min(left, 1 << 20))
                digest.update(part)
                left -= len(part)
        return digest.hexdigest()

    def problem(self, number):
        """What e2fsck finds to do on a partition; empty if nothing."""
        where = f"{self.path}?offset={self.place(number)[0]}"
        check = subprocess.run(["e2fsck", "-fn", where], capture_output=True, text=True)
        clean = check.returncode == 0 and "recover" not in check.stdout
        return "" if clean else check.stdout + check.stderr

    def text(self, number, path):
        """A file on a partition; empty if there is none."""
        where = f"{self.path}?offset={self.place(number)[0]}"
        read = subprocess.run(["debugfs", "-R", f"cat {path}", where], capture_output=True)
        return read.stdout.decode(errors="replace")
