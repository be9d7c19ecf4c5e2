#!/bin/bash
# The boot benchmark: boot.sh [--rounds N] [BOARD…], pi-zero and pi-2 unless told otherwise.
# Builds what it boots; about fifteen minutes.
. "$(dirname "$0")/../../qemu/lib.sh"
cd "$root"
need python3 qemu-system-arm
qemu/cross.sh armv6 ettan-init ettan ettan-fakes
exec /usr/bin/python3 -B tests/bench/boot.py "$@"
