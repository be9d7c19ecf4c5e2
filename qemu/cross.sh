#!/bin/bash
# Builds static musl programs: cross.sh ARCH [PACKAGE…]
# ARCH is armv6, aarch64 or x86_64; the packages default to ettan-init, ettan and ettan-web.
# FEATURES names a feature to build them with.
# The programs land in target/musl/ARCH, or target/musl/ARCH-FEATURES, after the gate below has looked at them.
. "$(dirname "$0")/lib.sh"

arch=${1:?usage: cross.sh armv6|aarch64|x86_64 [PACKAGE…]}
shift
packages=("${@:-ettan-init}")
[ $# = 0 ] && packages+=(ettan ettan-web)

# The address of a static program is fixed, so code need not be able to run at any other; and as a panic
# aborts, nobody ever reads how to unwind a stack. Both are a good part of a file, and of each start of it.
flags="-C link-self-contained=no -C relocation-model=static -C force-unwind-tables=no"
case $arch in
# The processor of Pi 1 and Zero. Every other Pi runs this too.
armv6) triple=arm-unknown-linux-musleabihf flags+=" -C target-cpu=arm1176jzf-s" ;;
aarch64) triple=aarch64-unknown-linux-musl ;;
x86_64) triple=x86_64-unknown-linux-musl ;;
*) die "$arch: no such architecture; armv6, aarch64 or x86_64" ;;
esac

# gate FILE: refuses what would not run on the smallest board of this kind.
gate() {
    local file=$1 attributes
    if readelf -lW "$file" | grep -q INTERP; then
        die "$file: asks for an interpreter, so it is not static"
    fi
    if [ "$arch" = armv6 ]; then
        attributes=$(readelf -A "$file")
        grep -qE 'Tag_CPU_arch: v(4|4T|5T|5TE|5TEJ|6|6KZ|6K)$' <<<"$attributes" ||
            die "$file: $(grep Tag_CPU_arch: <<<"$attributes"), newer than a Pi Zero"
        if grep -q Tag_Advanced_SIMD <<<"$attributes"; then
            die "$file: uses NEON, which a Pi Zero has not"
        fi
        grep -q 'Tag_ABI_VFP_args: VFP registers' <<<"$attributes" ||
            die "$file: not hard-float"
    fi
    printf '        %s: %d bytes (%d KiB), static%s\n' "${file#"$root"/}" \
        "$(stat -c %s "$file")" "$((($(stat -c %s "$file") + 1023) / 1024))" \
        "$([ "$arch" = armv6 ] && sed -n 's/ *Tag_CPU_arch: \(.*\)/, \1/p;s/ *Tag_FP_arch: \(.*\)/, \1/p' <<<"$attributes" | tr -d '\n')"
}

need_rust
need_zig
cd "$root"
messages=$target/cross-$arch.json
: >"$messages"
# One package at a time: built together they would share the features of their
# libraries, and a file would differ with the company it was built in.
for package in "${packages[@]}"; do
    say "build $package for $triple"
    # -Zbuild-std is the one thing here that wants RUSTC_BOOTSTRAP. Naming the
    # features of std leaves out its backtraces, which say nothing in a stripped
    # file and are 200 KiB of it; panics keep their message and place.
    RUSTC_BOOTSTRAP=1 RUSTFLAGS=$flags \
        ZIG_GLOBAL_CACHE_DIR=$cache/zig CARGO_ZIGBUILD_CACHE_DIR=$cache/zigbuild \
        cargo zigbuild --release --locked --target "$triple" -p "$package" \
        ${FEATURES:+--features "$FEATURES"} -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size \
        --message-format=json-render-diagnostics >>"$messages"
done

out=$target/musl/$arch${FEATURES:+-$FEATURES}
mkdir -p "$out"
sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$messages" | while read -r file; do
    gate "$file"
    # A new name moved into place: a running program is not disturbed.
    cp "$file" "$out/.new" && mv "$out/.new" "$out/$(basename "$file")"
done
