#!/bin/bash
# Makes a card with Debian on it as somebody has it at home, systemd and all, and nothing of Ettan: debian.sh
# FOLDER. Result: FOLDER/{vmlinuz,initramfs,sd.img} for the board virt. nginx, sshd, cron and an application of
# CherryPy are enabled. The card: 1 is what a Pi boots from (FAT), 2 the root (ext4); root's password is "ettan".
# What the packages' own scripts would do takes an emulated CPU half an hour, so `set_up` does it from outside.
# The folder qemu/debian is laid over the root.
. "$(dirname "$0")/lib.sh"
. "$root/qemu/boards.sh"
. "$root/qemu/kernel.sh"

out=${1:?usage: debian.sh FOLDER}
board virt
# What every Debian has, its init with what it comes with, and what is to run.
packages=base-files,base-passwd,bash,coreutils,dash,e2fsprogs,findutils,grep,hostname,init-system-helpers,libpam-modules
packages+=,libpam-runtime,login,mawk,mount,passwd,sed,sysvinit-utils,util-linux,util-linux-extra
packages+=,systemd-sysv,udev,dbus,kmod,procps,iproute2,netbase,ifupdown,isc-dhcp-client
packages+=,nginx-light,openssh-server,cron,python3-cherrypy3
# In MiB.
boot_at=1 boot_size=8 root_at=9 card_size=512

need mmdebstrap e2fsprogs fdisk dosfstools mtools kmod cpio python3.11 ca-certificates systemd openssh-client openssl
mkdir -p "$out" "$cache"

unpack() {
    say "download Debian $arch: $packages"
    mmdebstrap --quiet --variant=extract --architectures="$arch" --include="$packages" \
        --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr bookworm "$debian" "$source_line"
    rm -rf "$debian"/usr/share/{doc,man,locale,info,lintian} "$debian"/var/{cache,lib}/apt
    /usr/bin/python3.11 -m compileall -q -j 0 --invalidation-mode unchecked-hash \
        -s "$debian" -p / "$debian/usr/lib/python3.11" "$debian/usr/lib/python3" || true
}

# What the scripts of the packages do when they are installed, one after the other.
set_up() {
    local name number kind
    cd "$debian"
    # base-passwd, passwd, systemd, dbus, openssh-server, cron
    cp usr/share/base-passwd/passwd.master etc/passwd
    cp usr/share/base-passwd/group.master etc/group
    sed -i 's/:\*:/:x:/' etc/passwd
    echo 'sshd:x:105:65534::/run/sshd:/usr/sbin/nologin' >>etc/passwd
    echo 'crontab:x:105:' >>etc/group
    cut -d: -f1 etc/passwd | sed 's/$/:*:19000:0:99999:7:::/' >etc/shadow
    sed -i "s#^root:\*#root:$(openssl passwd -6 -salt ettan ettan)#" etc/shadow
    chmod 640 etc/shadow && chgrp 42 etc/shadow
    systemd-sysusers --root="$debian"
    install -d -m 1730 -g 105 var/spool/cron/crontabs
    # base-files, libc-bin, mawk
    cp usr/share/base-files/profile etc/profile
    cp usr/share/base-files/dot.profile root/.profile
    cp usr/share/base-files/dot.bashrc root/.bashrc
    printf '%s\n' 'passwd: files' 'group: files' 'shadow: files' 'hosts: files dns' >etc/nsswitch.conf
    ln -s mawk usr/bin/awk
    rm -rf var/run var/lock && ln -s /run var/run && ln -s /run/lock var/lock
    # libpam-runtime
    for kind in auth account password session; do
        printf '%s required pam_unix.so\n' $kind >etc/pam.d/common-$kind
        cp etc/pam.d/common-$kind etc/pam.d/common-$kind-noninteractive
    done
    # openssh-server, nginx-common
    cp usr/share/openssh/sshd_config etc/ssh/sshd_config
    ssh-keygen -q -A -f "$debian"
    ln -s /etc/nginx/sites-available/default etc/nginx/sites-enabled/default
    mkdir -p var/www/html && echo '<title>Welcome to nginx!</title>' >var/www/html/index.html
    # update-rc.d, which comes before systemctl(1)
    for name in kmod procps udev networking hwclock.sh; do ln -s ../init.d/$name etc/rcS.d/S01$name; done
    for name in cron dbus nginx ssh; do
        for number in 2 3 4 5; do ln -s ../init.d/$name etc/rc$number.d/S01$name; done
    done
    # And what somebody does who sets such a machine up.
    echo debian >etc/hostname
    printf '127.0.0.1 localhost\n127.0.1.1 debian\n' >etc/hosts
    echo 9b9f5b0fd1b04cbc8e6a9a8a21d3e6e5 >etc/machine-id
    printf '%s\n' '/dev/vda2 / ext4 defaults 0 1' '/dev/vda1 /boot/firmware vfat defaults 0 2' >etc/fstab
    printf '%s\n' 'auto lo eth0' 'iface lo inet loopback' 'iface eth0 inet dhcp' >etc/network/interfaces
    mkdir -p boot/firmware
    cp -R "$root/qemu/debian/." .
    chown -R 0:0 srv etc/systemd/system/app.service
    SYSTEMCTL_SKIP_SYSV=1 systemctl --root="$debian" -q enable getty@tty1 remote-fs.target systemd-pstore e2scrub_reap fstrim.timer \
        networking ssh nginx cron app
    cd "$root"
}

make_card() {
    truncate -s ${card_size}M "$debian.img"
    sfdisk -q "$debian.img" <<TABLE
label: dos
start=${boot_at}MiB, size=${boot_size}MiB, type=c, bootable
start=${root_at}MiB, type=83
TABLE
    mkfs.vfat -F 16 -s 1 -n BOOTFS --offset $((boot_at << 11)) "$debian.img" $((boot_size << 10)) >/dev/null 2>&1
    # As Raspberry Pi OS has it.
    echo "console=ttyAMA0,115200 root=/dev/vda2 rootwait" | mcopy -i "$debian.img@@${boot_at}M" - ::cmdline.txt
    mke2fs -q -F -t ext4 -L rootfs -E offset=$((root_at << 20)) -d "$debian" "$debian.img" \
        $((card_size - root_at))M
    rm -rf "$debian"
}

cd "$root"
stamp=$(printf %s "$packages" | cat - "$0" qemu/debian/srv/app/* qemu/debian/etc/systemd/system/* | sha256sum | cut -c1-8)
ready=$cache/debian-$arch-$stamp.img
find_mirror
fetch_kernel
make_initramfs
if [ ! -e "$ready" ]; then
    debian=$cache/debian-$arch.new
    as_root rm -rf "$debian" "$debian.img"
    # Files on the card belong to root and others, so root lays them out.
    as_root env -u APT_CONFIG bash -euc "$(declare -p PATH ETTAN_T0 root arch packages debian source_line boot_at \
        boot_size root_at card_size)
        $(declare -f say unpack set_up make_card)
        unpack
        set_up
        make_card"
    as_root chown "$(id -u):$(id -g)" "$debian.img"
    mv "$debian.img" "$ready"
fi
cp --sparse=always "$ready" "$out/sd.img"
say "Debian: ${out#"$root"/}/sd.img"
