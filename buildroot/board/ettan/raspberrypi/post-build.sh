#!/bin/sh
# Refuses a root file system whose PID 1 the board could not execute.
# Buildroot gives the target directory as first argument; HOST_DIR is in the environment.
set -eu

init=$1/sbin/ettan-init
readelf=$(find "$HOST_DIR/bin" -name '*-readelf' | head -n 1)

if "$readelf" -lW "$init" | grep -q INTERP; then
	echo "$init asks for an interpreter: PID 1 must be static" >&2
	exit 1
fi
case $(basename "$BR2_CONFIG")$(sed -n 's/^BR2_ARM_CPU_ARMV6=y/ armv6/p' "$BR2_CONFIG") in
*armv6)
	"$readelf" -A "$init" | grep -qE 'Tag_CPU_arch: v(4|4T|5T|5TE|5TEJ|6|6KZ|6K)$' || {
		echo "$init: built for more than ARMv6; a Pi Zero cannot execute it" >&2
		exit 1
	}
	;;
esac

# What a box wants that nobody sits at: a light that says how it stands, a restart when its card no longer
# answers, and a word when that fills up or has errors. A unit of that name from an overlay, or a link to /dev/null, is left, and so is the name of a start script.
for unit in led pulse disks; do
	for taken in "$1/etc/units/$unit.toml" "$1/etc/init.d"/S[0-9][0-9]"$unit"; do
		if [ -e "$taken" ] || [ -L "$taken" ]; then
			continue 2
		fi
	done
	ln -s "/usr/lib/units/$unit.toml" "$1/etc/units/$unit.toml"
done

# A place for the data partition, and for units and settings on the boot partition.
mkdir -p "$1/data" "$1/boot"
grep -q '[[:blank:]]/data[[:blank:]]' "$1/etc/fstab" || cat >>"$1/etc/fstab" <<'FSTAB'
/dev/mmcblk0p1	/boot		vfat	ro,nofail	0	0
/dev/mmcblk0p3	/data		ext4	rw,noatime,nofail	0	2
/data/lib	/var/lib	none	bind,nofail	0	0
/data/log	/var/log	none	bind,nofail	0	0
FSTAB
