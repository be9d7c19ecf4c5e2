#!/bin/bash
# Runs Buildroot's own make over this tree, from the installation of packages to rootfs.tar, without a
# download and without a compiler for the target: rehearse.sh BUILDROOT-CHECKOUT
# Stand-ins: packages that would be downloaded count as built and install nothing; BusyBox is Debian's static one,
# in place of each other program there is a copy of it, and the package standin has daemons with start scripts.
# Real: this tree's rules, Buildroot's, the start scripts of Buildroot's packages, and the command `ettan` of this host.
. "$(dirname "$0")/../qemu/lib.sh"
tree=$(cd "$(dirname "$0")" && pwd)
buildroot=${1:-${BUILDROOT:-}}

if [ -z "$buildroot" ]; then
    echo "skipped: no Buildroot checkout (buildroot/rehearse.sh PATH)"
    exit 0
fi
need make gcc g++ binutils flex bison rsync cpio bc file unzip fakeroot busybox-static
need_rust
cargo build --quiet --locked --manifest-path "$root/Cargo.toml" -p ettan

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=$work/out overlay=$work/overlay
static=$(command -v busybox)

# Buildroot wants a tar that writes some bytes of an archive as of 1.35; no archive is compared here.
mkdir "$work/bin"
cat >"$work/bin/tar" <<'TAR'
#!/bin/sh
[ "$*" != --version ] || { echo "tar (GNU tar) 1.35"; exit; }
exec /usr/bin/tar "$@"
TAR
chmod +x "$work/bin/tar"
export PATH=$work/bin:$PATH

in_buildroot() {
    make -s -C "$buildroot" O="$out" BR2_EXTERNAL="$tree:$tree/standin" BR2_DL_DIR="$work/dl" "$@"
}

# ask VARIABLE…: fills `value` with what Buildroot makes of them, all in one go, as it takes seconds.
declare -A value
ask() {
    local name
    while IFS='=' read -r name content; do
        value[$name]=$content
    done < <(in_buildroot --no-print-directory printvars VARS="$*")
}

# variable PACKAGE: the name that Buildroot's makefiles give it.
variable() {
    tr a-z.- A-Z__ <<<"$1"
}

configure() {
    cat >"$work/defconfig" <<CONFIG
BR2_x86_64=y
BR2_TOOLCHAIN_EXTERNAL=y
BR2_TOOLCHAIN_EXTERNAL_BOOTLIN=y
BR2_INIT_ETTAN=y
# BR2_TARGET_GENERIC_REMOUNT_ROOTFS_RW is not set
BR2_SYSTEM_DHCP="eth0"
BR2_ROOTFS_OVERLAY="$overlay"
BR2_ROOTFS_POST_BUILD_SCRIPT="\$(BR2_EXTERNAL_ETTAN_PATH)/board/ettan/raspberrypi/post-build.sh"
BR2_PACKAGE_BUSYBOX_CONFIG_FRAGMENT_FILES="\$(BR2_EXTERNAL_ETTAN_PATH)/board/ettan/busybox.fragment"
BR2_PACKAGE_BUSYBOX_SHOW_OTHERS=y
BR2_PACKAGE_DROPBEAR=y
BR2_PACKAGE_ETTAN_WEB=y
BR2_PACKAGE_ETTAN_DEMO=y
BR2_PACKAGE_STANDIN=y
CONFIG
    in_buildroot BR2_DEFCONFIG="$work/defconfig" defconfig >"$work/log" 2>&1 || fail
    lost=$(grep -vxFf "$out/.config" "$work/defconfig" || true)
    [ -z "$lost" ] || die "Buildroot drops
$lost"
}

fail() {
    # What `ettan` has against a unit stands far above the end.
    { grep -A 8 '^error' "$work/log" || true; tail -n 20 "$work/log"; } >&2
    die "${1:-make failed}"
}

# seed PACKAGE STEP…: these steps are done.
seed() {
    local directory
    directory=${value[$(variable "$1")_DIR]}
    mkdir -p "$directory"
    for step in "${@:2}"; do
        touch "$directory/.stamp_$step"
    done
    # What was there before its installation, and what that brought.
    for kind in '' -host -images -staging; do
        : >"$directory/.files-list$kind.before"
        : >"$directory/.files-list$kind.txt"
    done
    echo "$directory"
}

until_built=(downloaded extracted rsynced patched dotconfig kconfig_fixup_done configured built)

# Everything but what has no source, which is built as ever.
stand_in() {
    local package packages
    ask PACKAGES TARGET_CROSS BUSYBOX_KCONFIG_FILE PYTHON3_VERSION_MAJOR
    packages=$(tr ' ' '\n' <<<"${value[PACKAGES]}")
    # shellcheck disable=SC2046 # words
    ask $(variable "$packages" | sed 's/$/_FINAL_RECURSIVE_DEPENDENCIES/')
    for package in $packages; do
        packages+=$'\n'$(tr ' ' '\n' <<<"${value[$(variable "$package")_FINAL_RECURSIVE_DEPENDENCIES]}")
    done
    packages=$(sort -u <<<"$packages")
    # shellcheck disable=SC2046 # words
    ask $(variable "$packages" | sed 's/$/_DIR/')
    for package in $packages; do
        case $package in
        skeleton* | host-skeleton | host-makedevs | host-mkpasswd | ifupdown-scripts | standin | ettan-demo) ;;
        ettan) stand_in_for_ettan ;;
        busybox) stand_in_for_busybox ;;
        dropbear) cp "$static" "$(seed dropbear "${until_built[@]}")/dropbearmulti" ;;
        *)
            seed "$package" "${until_built[@]}" host_installed staging_installed \
                images_installed target_installed installed >"$work/log"
            ;;
        esac
    done
    mkdir -p "$out/host/bin"
    for tool in patchelf "python${value[PYTHON3_VERSION_MAJOR]}"; do
        printf '#!/bin/sh\n' >"$out/host/bin/$tool"
        chmod +x "$out/host/bin/$tool"
    done
    ln -s "$(command -v fakeroot)" "$out/host/bin/fakeroot"
    for tool in readelf strip; do
        ln -s "$(command -v $tool)" "${value[TARGET_CROSS]}$tool"
    done
}

stand_in_for_ettan() {
    local directory
    directory=$(seed ettan)
    mkdir -p "$directory/target/x86_64-unknown-linux-gnu/release" "$directory/host/release"
    cp -r "$root/units" "$directory"
    for program in ettan-init ettan ettan-web; do
        cp "$static" "$directory/target/x86_64-unknown-linux-gnu/release/$program"
    done
    ln -s "$target/debug/ettan" "$directory/host/release/ettan"
    seed ettan "${until_built[@]}" >"$work/log"
}

# Its scripts depend on what is configured; a makefile installs Debian's binary with its links.
stand_in_for_busybox() {
    local directory
    directory=$(seed busybox)
    cat "$buildroot/${value[BUSYBOX_KCONFIG_FILE]}" "$tree/board/ettan/busybox.fragment" >"$directory/.config"
    cat >"$directory/Makefile" <<MAKEFILE
install-noclobber:
	install -D -m 0755 $static \$(CONFIG_PREFIX)/bin/busybox
	($static --list-full; echo sbin/ifup; echo sbin/getty; echo usr/sbin/crond) | \\
		grep -vxE 'linuxrc|sbin/(init|halt|poweroff|reboot)' | while read -r name; do \\
			mkdir -p \$(CONFIG_PREFIX)/\$\$(dirname \$\$name); \\
			[ -e \$(CONFIG_PREFIX)/\$\$name ] || ln -s /bin/busybox \$(CONFIG_PREFIX)/\$\$name; \\
		done
MAKEFILE
    mkdir -p "$directory/examples"
    seed busybox "${until_built[@]}" >"$work/log"
}

# What a maker has: a program with a script, a unit in place of a script, a unit switched off, and
# what the demo runs.
lay_over() {
    mkdir -p "$overlay"/etc/{init.d,units} "$overlay"/usr/{bin,sbin}
    sed 's/plaind/mined/' "$tree/standin/package/standin/S70plaind" >"$overlay/etc/init.d/S80mined"
    chmod +x "$overlay/etc/init.d/S80mined"
    cp "$tree/standin/package/standin/daemon.sh" "$overlay/usr/sbin/mined"
    printf '[service]\nexec-start = "/usr/sbin/crond -f -l 5"\n' >"$overlay/etc/units/crond.toml"
    ln -s /dev/null "$overlay/etc/units/telnet.toml"
    ln -s /dev/null "$overlay/etc/units/led.toml"
    for name in sbin/telldusd bin/python3; do
        cp "$static" "$overlay/usr/$name"
    done
}

# build FOLDER: an image, unpacked.
build() {
    in_buildroot >"$work/log" 2>&1 || fail
    mkdir "$1"
    # Device nodes are root's to make.
    /usr/bin/tar -x -C "$1" --exclude='./dev/*' -f "$out/images/rootfs.tar"
}

# has FILE LINE: that unit, script or table says so.
has() {
    grep -qxF -- "$2" "$work/one/$1" || {
        cat "$work/one/$1" >&2
        die "$1 does not have the line: $2"
    }
}

lacks() {
    # A link leads out of the image.
    [ ! -e "$work/one/$1" ] && [ ! -L "$work/one/$1" ] || die "$1 is in the image"
}

lay_over
configure
stand_in
say "build an image"
build "$work/one"

say "look at it"
has etc/units/plaind.toml 'exec-start = "/usr/sbin/plaind"'
has etc/units/richd.toml 'exec-start = "/etc/init.d/S71richd start"'
has etc/units/richd.toml 'pid-file = "/run/richd.pid"'
has etc/units/richd.toml 'after = ["plaind"]'
has etc/units/mined.toml 'exec-start = "/usr/sbin/mined"'
has etc/units/dropbear.toml 'pid-file = "/run/dropbear.pid"'
has etc/units/dropbear.toml 'after = ["mounts", "seed", "sysctl", "devices", "hotplug", "modules", "ifup"]'
has etc/units/crond.toml 'exec-start = "/usr/sbin/crond -f -l 5"'
has etc/network/interfaces 'iface eth0 inet dhcp'
has etc/passwd 'ettan-web:x:992:992:status page:/nonexistent:/bin/false'
grep -q '^/dev/root[[:blank:]].*[[:blank:]]ro[[:blank:]]' "$work/one/etc/fstab" || die "the root is not read-only"
for name in telnet led; do
    [ "$(readlink "$work/one/etc/units/$name.toml")" = /dev/null ] || die "what was switched off is not"
done
[ -L "$work/one/etc/units/pulse.toml" ] || die "nothing looks after the card"
for name in S02sysctl S40network; do
    lacks "etc/init.d/$name"
done
lacks etc/systemd-was-asked-for
[ -e "$work/one/etc/machine-id" ] || die "a machine id has no place on a read-only root"
[ -L "$work/one/etc/units/ifup.toml" ] || die "nothing brings up the network"
[ ! -e "$out/target/etc/units/plaind.toml" ] || die "the target has what only an image is to have"

say "build it again"
build "$work/two"
diff -r --no-dereference "$work/one" "$work/two" || die "a second build gives something else"

say "build one with a network script and a unit that cannot start"
cp "$tree/standin/package/standin/S70plaind" "$overlay/etc/init.d/S40network"
printf '[service]\nexec-start = "/usr/bin/nowhere"\n' >"$overlay/etc/units/broken.toml"
! in_buildroot >"$work/log" 2>&1 || fail "a unit without a program passed"
grep -q /usr/bin/nowhere "$work/log" || fail
rm "$overlay/etc/units/broken.toml" "$out/target/etc/units/broken.toml"
rm -r "$work/one"
build "$work/one"
has etc/units/network.toml 'exec-start = "/usr/sbin/plaind"'
lacks etc/units/ifup.toml
say "rehearsed: rootfs.tar is as it should be"
