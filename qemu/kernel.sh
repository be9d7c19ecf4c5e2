# What a board starts with, from Debian: its kernel, unpacked into the cache, and an initramfs that mounts
# the card. Sourced after boards.sh, once `board NAME` was said; needs kmod and cpio. `find_mirror` first,
# then `fetch_kernel`, then `make_initramfs`, which puts vmlinuz, board.dtb and initramfs into the folder $out.
# shellcheck disable=SC2154,SC2164 # set, and set -e, by who sources it

# Sets mirror, keyring and source_line. The mirror is the one this machine's own apt uses.
find_mirror() {
    mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' |
        awk '$2 == "bookworm" { print $1; exit }')
    [ -n "$mirror" ] || die "apt on this machine knows no bookworm; see sources.list(5)"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    source_line="deb $([ -e $keyring ] && echo "[signed-by=$keyring]") $mirror bookworm main"
}

# An apt of its own for the board's architecture; the machine's is left alone.
private_apt() {
    local home=$cache/apt-$arch
    mkdir -p "$home/lists/partial" "$home/archives/partial"
    echo "$source_line" >"$home/sources.list"
    cat >"$home/apt.conf" <<CONF
Dir::State "$home";
Dir::State::status "/dev/null";
Dir::Cache "$home";
Dir::Etc::sourcelist "$home/sources.list";
Dir::Etc::sourceparts "-";
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
CONF
    export APT_CONFIG=$home/apt.conf
    apt-get -qq update
}

# Kernel, device trees, modules and a static busybox, unpacked and not installed.
fetch_kernel() {
    unpacked=$cache/kernel-$arch
    [ -e "$unpacked/.ready" ] && return
    say "download $kernel for $arch"
    rm -rf "$unpacked" && mkdir -p "$unpacked/debs"
    (
        private_apt
        image=$(apt-cache depends --no-recommends --no-suggests "$kernel" |
            sed -n 's/.*Depends: \(linux-image-.*\)/\1/p')
        cd "$unpacked/debs"
        apt-get -qq download "$image" busybox-static
    )
    for deb in "$unpacked"/debs/*.deb; do dpkg -x "$deb" "$unpacked"; done
    rm -r "$unpacked/debs"
    /sbin/depmod -b "$unpacked" "$(basename "$unpacked"/lib/modules/*)"
    touch "$unpacked/.ready"
}

make_initramfs() {
    local work=$out/initramfs.dir version file
    version=$(basename "$unpacked"/lib/modules/*)
    rm -rf "$work" && mkdir -p "$work"/{bin,dev,proc,modules,root}
    cp "$unpacked/bin/busybox" "$work/bin/busybox" 2>/dev/null ||
        cp "$unpacked/usr/bin/busybox" "$work/bin/busybox"
    install -m 755 "$root/qemu/initramfs-init" "$work/init"
    echo "${disk}2" >"$work/disk"
    for module in $modules; do
        /sbin/modprobe -d "$unpacked" -S "$version" --show-depends "$module"
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' |
        while read -r file; do
            cp "$file" "$work/modules/" && basename "$file"
        done >"$work/modules/order"
    (cd "$work" && find . | cpio --quiet -o -H newc --owner 0:0 | gzip -1) >"$out/initramfs"
    rm -r "$work"
    cp "$unpacked"/boot/vmlinuz-* "$out/vmlinuz"
    if [ -n "$dtb" ]; then cp "$unpacked"/usr/lib/linux-image-*/"$dtb" "$out/board.dtb"; fi
}
