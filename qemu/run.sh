#!/bin/bash
# make run and make shell: run.sh run|shell BOARD
. "$(dirname "$0")/lib.sh"
. "$root/qemu/boards.sh"

board "${2:?usage: run.sh run|shell BOARD}"
need python3 qemu-system-arm e2fsprogs
cd "$root"
case $1 in
run) exec /usr/bin/python3 -B qemu/drive.py "$name" ;;
shell)
    qemu/cross.sh armv6 ettan-init ettan ettan-fakes
    qemu/image.sh "$name"
    say "boot $name; Ctrl-A x ends QEMU, ettan poweroff ends it properly"
    exec qemu/boot.sh "$name" "$target/image/$name" "${PORT:-8080}"
    ;;
*) die "$1: run or shell" ;;
esac
