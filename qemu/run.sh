#!/bin/bash
# make run, make shell, make image: run.sh run|shell|image BOARD. ROOT=ro takes the card with a
# read-only root.
. "$(dirname "$0")/lib.sh"
. "$root/qemu/boards.sh"

board "${2:?usage: run.sh run|shell|image BOARD}"
need python3 qemu-system-arm e2fsprogs
cd "$root"

make_image() {
    qemu/cross.sh "$cross" ettan-init ettan ettan-web ettan-fakes
    qemu/image.sh "$name"
}

case $1 in
run) exec /usr/bin/python3 -B qemu/drive.py "$name" "$cross" ;;
image) make_image ;;
shell)
    make_image
    say "boot $name; Ctrl-A x ends QEMU, ettan poweroff ends it properly"
    exec qemu/boot.sh "$name" "$target/image/$folder" "${PORT:-8080}"
    ;;
*) die "$1: run, shell or image" ;;
esac
