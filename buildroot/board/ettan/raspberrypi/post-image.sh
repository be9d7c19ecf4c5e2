#!/bin/sh
# Puts boot files, root and a data partition on one card image, sdcard.img.
set -eu

here=$(dirname "$0")
kernel=$(sed -n 's/^kernel=//p' "$BINARIES_DIR/rpi-firmware/config.txt")
list=$(
	cd "$BINARIES_DIR"
	for file in *.dtb rpi-firmware/* "$kernel"; do
		[ ! -e "$file" ] || printf '\t\t\t"%s",\n' "$file"
	done
)
# The list goes in by file, since sed's replacement cannot have line breaks.
printf '%s\n' "$list" >"$BINARIES_DIR/boot-files"
sed -e "/@FILES@/{r $BINARIES_DIR/boot-files" -e 'd}' "$here/genimage.cfg.in" \
	>"$BINARIES_DIR/genimage.cfg"

# What is in the data partition from the start: /etc/fstab makes these /var/lib and /var/log.
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
mkdir "$data/lib" "$data/log"
rm -rf "$BUILD_DIR/genimage.tmp"
# They belong to root, whoever builds this.
fakeroot genimage --rootpath "$data" --tmppath "$BUILD_DIR/genimage.tmp" \
	--inputpath "$BINARIES_DIR" --outputpath "$BINARIES_DIR" \
	--config "$BINARIES_DIR/genimage.cfg"
