# Shared by the scripts here: paths, progress lines with elapsed time, and what
# has to be installed. Sourced by bash; does nothing by itself.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
cache=$target/cache
tools=$target/tools
export CARGO_TARGET_DIR=$target

# Debian's toolchain wins over any other that is on PATH; sbin holds mke2fs.
export PATH=$tools/bin:/usr/bin:$PATH:/usr/sbin:/sbin

# Scripts that call each other count from the same start.
export ETTAN_T0=${ETTAN_T0:-$(date +%s)}

say() {
    printf '[%4ds] %s\n' "$(($(date +%s) - ETTAN_T0))" "$*"
}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need PACKAGE…: installs those Debian packages that are missing.
need() {
    local package missing=()
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null |
            grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    say "install ${missing[*]}"
    apt update
    apt install -y --no-install-recommends "${missing[@]}"
}

# apt-get, once nobody else's is at work: a Debian that has just booted looks for updates by itself.
apt() {
    local said tries
    for ((tries = 0; tries < 60; tries++)); do
        said=$(as_root env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" 2>&1 >/dev/null) && return
        case $said in *"lock"*"held by process"*) ;; *) break ;; esac
        [ $tries -gt 0 ] || say "wait for another apt-get to end"
        sleep 5
    done
    die "apt-get $1: $said"
}

need_rust() {
    need rustc-web cargo-web rust-web-clippy rustfmt-web gcc libc6-dev make
}

# The linker and musl for every target come from Zig, in a virtual environment.
need_zig() {
    need python3-venv rust-web-src binutils
    [ -x "$tools/bin/cargo-zigbuild" ] && [ -e "$tools/.ready" ] && return
    say "install ziglang and cargo-zigbuild into ${tools#"$root"/}"
    /usr/bin/python3 -m venv "$tools"
    "$tools/bin/pip" install -q 'ziglang==0.17.0' 'cargo-zigbuild==0.24.0' ||
        "$tools/bin/pip" install -q ziglang cargo-zigbuild
    touch "$tools/.ready"
}

# stamp_of FILE…: a short checksum, for naming what was built from them.
stamp_of() {
    cat "$@" | sha256sum | cut -c1-16
}
