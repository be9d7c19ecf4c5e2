#!/bin/sh
# The loggers' benchmark: makes sure of its tools, then runs it in a mount namespace of its own.
# usage: tests/bench/logs.sh [--mb N] [--rounds N] (root; about two minutes)
set -eu
here=$(dirname "$(readlink -f "$0")")
target=${CARGO_TARGET_DIR:-$here/../../target}
[ "$(id -u)" = 0 ] || { echo "bench: needs root for its namespaces: sudo make bench" >&2; exit 2; }
missing=
command -v multilog >/dev/null || missing="$missing daemontools"
command -v svlogd >/dev/null || missing="$missing runit"
command -v s6-log >/dev/null || missing="$missing s6"
command -v python3 >/dev/null || missing="$missing python3"
if [ -n "$missing" ]; then
    echo "bench: installing$missing"
    apt-get -qq update && apt-get -qq install -y --no-install-recommends $missing
fi
exec unshare --mount --propagation private \
    python3 -B "$here/logs.py" --init "$target/musl/x86_64/ettan-init" "$@"
