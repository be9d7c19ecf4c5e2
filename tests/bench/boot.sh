#!/bin/bash
# The boot benchmark: boot.sh [--rounds N] [BOARD…], pi-zero and pi-2 unless told otherwise.
# Builds what it boots; about fifteen minutes.
. "$(dirname "$0")/../../qemu/lib.sh"
cd "$root"
need python3 qemu-system-arm
qemu/cross.sh armv6 ettan-init ettan ettan-fakes
mkdir -p "$target/bench"
ZIG_GLOBAL_CACHE_DIR=$cache/zig "$tools/bin/python" -m ziglang cc -target arm-linux-musleabihf \
    -mcpu=arm1176jzf_s -static -Os -s -Wall -Wextra -Werror -o "$target/bench/runs" tests/bench/runs.c
exec /usr/bin/python3 -B tests/bench/boot.py "$@"
