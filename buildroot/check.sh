#!/bin/bash
# Holds this tree to Buildroot's own rules: check.sh BUILDROOT-CHECKOUT
# Style by its check-package; then every defconfig is resolved, and each of its lines must have
# survived: a symbol that was renamed, or whose dependencies are not met, is dropped silently.
# Without a checkout it says so and does nothing. Builds nothing.
. "$(dirname "$0")/../qemu/lib.sh"
tree=$(cd "$(dirname "$0")" && pwd)
buildroot=${1:-${BUILDROOT:-}}

if [ -z "$buildroot" ]; then
    echo "skipped: no Buildroot checkout (buildroot/check.sh PATH)"
    exit 0
fi
[ -x "$buildroot/utils/check-package" ] || {
    die "$buildroot: no Buildroot checkout (it has no utils/check-package)"
}
need python3 python3-magic python3-flake8 shellcheck make gcc g++ flex bison
buildroot=$(cd "$buildroot" && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "check-package"
cd "$tree"
find . -type f ! -name check.sh ! -name rehearse.sh ! -name README.md -print0 | sort -z |
    xargs -0 /usr/bin/python3 "$buildroot/utils/check-package" -b

for defconfig in "$tree"/configs/*_defconfig; do
    name=$(basename "$defconfig")
    make -s -C "$buildroot" O="$work/$name" BR2_EXTERNAL="$tree" "$name" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        exit 1
    }
    lost=$(grep -vxFf "$work/$name/.config" "$defconfig" || true)
    [ -z "$lost" ] || die "$name: Buildroot drops
$lost"
    echo "$name: every symbol resolves"
done
