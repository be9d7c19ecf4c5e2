#!/bin/bash
# Writes the manual pages to target/man: man1, man5 and man8, as man(1) wants them.
. "$(dirname "$0")/../qemu/lib.sh"

need_rust
need lowdown
cd "$root"
rm -rf "$target/man"
cargo run --locked -q -p ettan --example man -- "$target/man"
