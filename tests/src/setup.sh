# Process 1 of a fresh namespace until Ettan takes its place: builds a root file system that
# shares nothing writable with the host, moves into it, says `ready`, waits for `go`, and
# executes the program given as arguments.
# Arguments: ROOT (an empty directory) STAGE (holds usr/sbin/init, usr/bin/ettan) LAYER (a folder
# with more programs, or empty) OPTIONS COMMAND...
set -e
# Whatever else the tests' caller had open is none of Ettan's business.
for descriptor in /proc/self/fd/*; do
    number=${descriptor##*/}
    if [ "$number" -gt 2 ]; then
        eval "exec $number>&-"
    fi
done
root=$1 stage=$2 layer=$3 options=$4
shift 4
has() { case " $options " in *" $1 "*) true ;; *) false ;; esac }

mount -t tmpfs -o mode=755 root "$root"
cd "$root"
mkdir -p etc/units usr proc dev sys run tmp var/log var/lib root home mnt .old
chmod 1777 tmp
ln -s /run var/run

# The host's programs, through an overlay: a file system of its own, so that a remount inside
# never reaches the host's. Two lower layers and no upper one make it read-only.
mount -t overlay overlay -o "lowerdir=$stage/usr${layer:+:$layer/usr}:/usr" usr
for name in bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$name" ]; then
        cp -P "/$name" "$name"
    elif [ -d "/$name" ]; then
        mkdir "$name"
        mount -t overlay overlay -o "lowerdir=$stage/usr/$name:/$name" "$name"
    fi
done
cp -P /etc/ld.so.conf /etc/ld.so.cache etc/ 2>/dev/null || true
cp -RP /etc/alternatives etc/ 2>/dev/null || true
if [ -n "$layer" ] && [ -d "$layer/etc" ]; then
    cp -R "$layer/etc/." etc/
fi
cp "$stage"/etc/* etc/

if ! has bare; then
    mount -t proc proc proc
    # What is one per kernel stays out of reach.
    mount --bind proc/sys proc/sys
    mount -o remount,bind,ro proc/sys
    mount -t tmpfs -o mode=755 dev dev
    mknod -m 666 dev/null c 1 3
    mknod -m 666 dev/zero c 1 5
    mknod -m 666 dev/full c 1 7
    mknod -m 444 dev/random c 1 8
    mknod -m 444 dev/urandom c 1 9
    mknod -m 666 dev/tty c 5 0
    ln -s pts/ptmx dev/ptmx
    if ! has no-console; then
        : >dev/console
        : >dev/kmsg
    fi
    if [ -e proc/sysrq-trigger ]; then
        mount --bind dev/null proc/sysrq-trigger
    fi
fi
# As on a kernel with cgroup v1 only: the place is taken, and there is no cgroup2 in it.
if has no-cgroup; then
    mount -t sysfs sys sys
    mount -t tmpfs -o ro,mode=555 v1 sys/fs/cgroup
fi

# umount(8) wants a /proc to look at.
if has bare; then
    mount -t proc proc proc
fi
pivot_root . .old
umount -l .old
rmdir .old
cd /
if has bare; then
    umount -l proc
fi
echo ready
read -r word
[ "$word" = go ]
if has closed; then
    exec "$@" <&- >&- 2>&-
elif has bare; then
    exec "$@" </tmp >/tmp/console 2>&1
else
    exec "$@" </dev/console >/dev/console 2>&1
fi
