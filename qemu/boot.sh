#!/bin/bash
# Starts QEMU on an image: boot.sh BOARD [IMAGE-FOLDER [PORT]]
# The serial console is on stdin and stdout. Port 8080 of the board is on
# 127.0.0.1:PORT of this machine. QEMU ends when the board reboots or powers off.
. "$(dirname "$0")/lib.sh"
. "$root/qemu/boards.sh"

board "${1:?usage: boot.sh BOARD [IMAGE-FOLDER [PORT]]}"
image=${2:-$target/image/$folder}
forward=${3:+,hostfwd=tcp:127.0.0.1:$3-:8080}

need qemu-system-arm >&2
if [ "$name" = virt ]; then
    card="-drive if=none,id=card,format=raw,file=$image/sd.img -device virtio-blk-device,drive=card,bus=virtio-mmio-bus.0"
else
    card="-drive if=sd,format=raw,file=$image/sd.img"
fi
# At a terminal, Ctrl-A x ends QEMU; a program gets the bare console.
serial="-serial stdio"
# Tests add hardware here, and a monitor to act on it.
case ${ETTAN_QEMU:-} in *-monitor*) ;; *) serial+=" -monitor none" ;; esac
[ ! -t 0 ] || serial="-serial mon:stdio"
# shellcheck disable=SC2086 # the board's options are words
exec "$qemu" $machine -kernel "$image/vmlinuz" -initrd "$image/initramfs" \
    ${dtb:+-dtb "$image/board.dtb"} -append "$append${ETTAN_APPEND:+ $ETTAN_APPEND}" $card \
    -netdev "user,id=n0$forward" $net -display none $serial ${ETTAN_QEMU:-} -no-reboot
