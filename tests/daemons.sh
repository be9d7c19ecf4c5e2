#!/bin/bash
# Unpacks Debian packages and the libraries that this host lacks into a folder, and installs
# nothing: daemons.sh [--alone] FOLDER PACKAGE... The folder then has usr/ and etc/, and `.ready`.
# With --alone no libraries come along.
set -euo pipefail
alone=
if [ "$1" = --alone ]; then
    alone=1
    shift
fi
folder=$1
shift
[ -e "$folder/.ready" ] && exit 0
rm -rf "$folder"
mkdir -p "$folder/debs" "$folder/usr"

# A machine that never asked its mirror knows no package.
apt-cache show "$1" >/dev/null 2>&1 || apt-get -qq update

# What the packages need, and what of it is not here already.
mapfile -t all < <(
    [ -n "$alone" ] || apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
        --no-replaces --no-enhances "$@" | grep -E '^[a-z0-9]' | sort -u
)
missing=("$@")
for package in "${all[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    case $status:$package in
    installed:*) ;;
    *:*systemd* | *:sysv* | *:init | *:*-sysvinit | *:runit*) ;;
    *:lib* | *:*-common | *:*-core | *:*-bin | *:*-base | *:*-daemon | *:*-tools) missing+=("$package") ;;
    esac
done
# A name may stand for an alternative that the mirror does not carry.
mapfile -t there < <(
    apt-cache policy "${missing[@]}" |
        awk '/^[^ ]/ { sub(":$", "", $1); name = $1 } /Candidate: [^(]/ { print name }' | sort -u
)
cd "$folder/debs"
apt-get -qq download "${there[@]}"
for file in *.deb; do
    dpkg -x "$file" "$folder"
done
cd "$folder"
rm -r debs
# Older packages still name /bin, /lib and /sbin; on a merged system these are in /usr.
for name in bin lib lib64 sbin; do
    if [ -d "$name" ]; then
        mkdir -p "usr/$name"
        cp -a "$name/." "usr/$name/"
        rm -r "$name"
    fi
done
touch .ready
