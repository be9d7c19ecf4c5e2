#!/bin/bash
# Makes what a board boots from: image.sh BOARD [OVERLAY]
# Result: target/image/BOARD/{vmlinuz,board.dtb,initramfs,sd.img}. The folder OVERLAY,
# if given, is laid over the card's root last; the result is then in OVERLAY.image.
# The card is partitioned: 1 is what a Pi boots from (FAT, bootfs), 2 the root (ext4,
# rootfs), 3 what must survive (ext4, data). ROOT=ro: the root is never written to;
# the result is then in target/image/BOARD-ro.
# PACKAGES names more of Debian's packages for the root.
. "$(dirname "$0")/lib.sh"
. "$root/qemu/boards.sh"
. "$root/qemu/kernel.sh"

board "${1:?usage: image.sh BOARD [OVERLAY]}"
overlay=${2:-}
out=${overlay:+${overlay%/}.image}
out=${out:-$target/image/$folder}
packages="libc6,busybox-static,python3-cherrypy3,e2fsprogs${PACKAGES:+,$PACKAGES}"

need mmdebstrap e2fsprogs fdisk dosfstools mtools kmod cpio python3.11 ca-certificates
mkdir -p "$out" "$cache"
find_mirror

# Debian's part of the root. CherryPy's byte code is compiled here: on an emulated
# Pi Zero that saves most of a minute at the first start.
fetch_root() {
    debian=$cache/root-$arch-$(printf %s "$packages" | sha256sum | cut -c1-8)
    [ -e "$debian/.ready" ] && return
    say "download Debian $arch root: $packages"
    as_root rm -rf "$debian"
    as_root env -u APT_CONFIG mmdebstrap --quiet --variant=extract --architectures="$arch" \
        --include="$packages" bookworm "$debian" "$source_line"
    for junk in usr/share/doc usr/share/man usr/share/locale usr/share/info \
        usr/share/lintian var/cache/apt var/lib/apt; do
        as_root rm -rf "${debian:?}/$junk"
    done
    say "compile Python byte code on this machine"
    as_root /usr/bin/python3.11 -m compileall -q -j 0 --invalidation-mode unchecked-hash \
        -s "$debian" -p / "$debian/usr/lib/python3.11" "$debian/usr/lib/python3" || true
    as_root touch "$debian/.ready"
}

# Modules for devices that are found, or come, once the card is the root.
carry_modules() {
    local folder module file
    ln -sf /bin/busybox "$card/sbin/modprobe"
    [ -n "$carried" ] || return 0
    folder=$(echo "$unpacked"/lib/modules/*)
    for module in $carried; do
        /sbin/modprobe -d "$unpacked" -S "${folder##*/}" --show-depends "$module"
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u | while read -r file; do
        install -D -m 644 "$file" "$card/${file#"$unpacked"/}"
    done
    cp "$folder"/modules.{order,builtin,builtin.modinfo} "$card/${folder#"$unpacked"/}"
    /sbin/depmod -b "$card" "${folder##*/}"
}

# Ettan's part: programs, units, the application, and what a root must have.
fill_root() {
    local applet
    mkdir -p "$card"/{bin,sbin,dev,proc,sys,run,root,tmp,mnt,etc/units,usr/bin,usr/sbin,var/log}
    chmod 1777 "$card/tmp" && rm -rf "$card/var/run" && ln -s /run "$card/var/run"
    for applet in sh ls cat ps ip kill mount umount dmesg grep sed sleep killall5 setsid usleep echo cut \
        head tail wc mkdir rm ln cp mv chmod chown stat stty sync id date awk find tr env \
        true false touch logger hostname free df vi less pidof sort uniq test seq; do
        [ -e "$card/bin/$applet" ] || [ -e "$card/usr/bin/$applet" ] ||
            ln -s /bin/busybox "$card/bin/$applet"
    done
    cp -R "$root/qemu/rootfs/." "$card/"
    cp "$root"/units/*.toml "$card/etc/units/"
    /usr/bin/python3.11 -m compileall -q --invalidation-mode unchecked-hash \
        -s "$card" -p / "$card/usr/local/bin/setup"
    install -m 755 "$target/musl/$cross/ettan-init" "$card/sbin/init"
    install -m 755 "$target/musl/$cross/ettan" "$card/usr/bin/ettan"
    install -m 755 "$target/musl/$cross/telldusd" "$card/usr/sbin/telldusd"
    install -m 755 "$target/musl/$cross/fake-daemon" "$card/usr/bin/fake-daemon"
    # Where it was built: no test on a board wants it.
    if [ -e "$target/musl/$cross/ettan-web" ]; then
        install -m 755 "$target/musl/$cross/ettan-web" "$card/usr/bin/ettan-web"
        install -D -m 644 "$root/units/web/ettan-web.toml" "$card/usr/lib/units/ettan-web.toml"
    fi
    for applet in reboot poweroff halt shutdown; do
        ln -sf ../usr/bin/ettan "$card/sbin/$applet"
    done
    for applet in svc svstat svok setuidgid envdir softlimit tai64nlocal; do
        ln -sf ettan "$card/usr/bin/$applet"
    done
    carry_modules
    [ "$mode" = rw ] || make_read_only
    [ -z "$overlay" ] || cp -R --preserve=timestamps "$overlay/." "$card/"
    chown -R -h 0:0 "$card"
}

# A root that is never written to, as docs/makers-guide.md has it.
make_read_only() {
    local link
    mkdir -p "$card"/{usr/lib/units,usr/lib/ettan,data,boot/firmware,var/lib}
    install -m 0755 "$root"/units/lib/* "$card/usr/lib/ettan/"
    cp -R "$root/qemu/rootfs-ro/." "$card/"
    for link in "$root"/qemu/rootfs-ro/etc/units/*.toml; do
        cp "$root/units/system/${link##*/}" "$card/usr/lib/units/"
    done
    : >"$card/etc/machine-id"
    ln -sf /proc/self/mounts "$card/etc/mtab"
}

# In MiB. The root takes what the others leave of the card. FAT32 has 65,525 clusters at least.
boot_at=1 boot_size=40 data_size=16

make_card() {
    local size root_at=$((boot_at + boot_size)) root_size
    say "fill the card"
    rm -rf "$card" && cp -a "$debian" "$card" && rm "$card/.ready"
    fill_root
    # An SD card's size is a power of two, or QEMU refuses it.
    size=128
    while root_size=$((size - root_at - data_size)) &&
        [ "$(du -sBM "$card" | cut -dM -f1)" -gt $((root_size * 4 / 5)) ]; do size=$((size * 2)); done
    rm -f "$out/sd.img" && truncate -s ${size}M "$out/sd.img"
    sfdisk -q "$out/sd.img" <<TABLE
label: dos
start=${boot_at}MiB, size=${boot_size}MiB, type=c, bootable
start=${root_at}MiB, size=${root_size}MiB, type=83
start=$((root_at + root_size))MiB, type=83
TABLE
    make_boot
    mke2fs -q -F -t ext4 -L rootfs -E offset=$((root_at << 20)) -d "$card" "$out/sd.img" ${root_size}M
    rm -rf "$card"
    make_data $((root_at + root_size))
}

# What a Pi's firmware reads, in FAT32 as Raspberry Pi OS has it. QEMU gets the kernel by itself, so it is
# here for whoever looks.
make_boot() {
    local said
    # It warns of the small letters of a name that Raspberry Pi OS has, too.
    said=$(mkfs.vfat -F 32 -s 1 -n bootfs --offset $((boot_at << 11)) "$out/sd.img" $((boot_size << 10)) 2>&1) || {
        echo "$said" >&2
        return 1
    }
    echo "$append" | mcopy -i "$out/sd.img@@${boot_at}M" - ::cmdline.txt
}

# Its folders become /var/lib and /var/log where the root is read-only.
make_data() {
    mkdir -p "$card"/{lib,log}
    mke2fs -q -F -t ext4 -L data -E offset=$(($1 << 20)) -d "$card" "$out/sd.img" ${data_size}M
    rm -rf "$card"
}

fetch_kernel
fetch_root
make_initramfs
# Files on the card belong to root and others, so root lays them out. What it needs
# goes along as text: sudo passes on no functions, and few variables.
card=$out/card
as_root bash -euc "$(declare -p PATH ETTAN_T0 card root target cross overlay debian out mode \
    carried unpacked append boot_at boot_size data_size)
    $(declare -f say carry_modules make_read_only fill_root make_card make_boot make_data)
    make_card"
as_root chown "$(id -u):$(id -g)" "$out/sd.img"
say "image: ${out#"$root"/}/sd.img ($(du -sh --apparent-size "$out/sd.img" | cut -f1))"
