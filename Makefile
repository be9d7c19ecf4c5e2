# The front door. Every target installs what it needs; see `make help`.
BOARD ?= pi-zero
ROOT ?= rw

help:           ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 16
	@echo "BOARD is pi-zero (the default), pi-1, pi-2, pi-3 or virt; ROOT=ro takes a card with a read-only root."

run:            ## boot BOARD, kill its daemons, see them come back, power off
	ROOT=$(ROOT) qemu/run.sh run $(BOARD)

shell:          ## boot BOARD and leave its console here
	ROOT=$(ROOT) qemu/run.sh shell $(BOARD)

image:          ## a card image for the emulated BOARD (no firmware on it: not for a real Pi), in target/image/BOARD
	ROOT=$(ROOT) qemu/run.sh image $(BOARD)

cross:          ## static programs for ARMv6 and aarch64, in target/musl
	qemu/cross.sh armv6
	qemu/cross.sh aarch64

host-musl:      ## static programs for this machine (x86-64), in target/musl/x86_64
	qemu/cross.sh x86_64 ettan-init ettan ettan-web ettan-fakes

man:            ## manual pages, in target/man
	docs/man.sh

check:          ## format, lints, documentation, scripts: what a change must pass first
	tests/run check

test:           ## everything: units, namespaces, boards
	tests/run units namespace qemu

test-units:     ## simulation and kernel wrappers
	tests/run units

test-namespace: ## the real init as PID 1 of a namespace
	tests/run namespace

test-qemu:      ## the story of `make run` and scenarios on a Pi Zero and a Pi 2
	tests/run qemu

test-install:   ## `ettan install` on a whole Debian, which boots with systemd, with Ettan, with systemd
	tests/run install

fuzz:           ## ten million hostile inputs for each reader of bytes from outside
	tests/run fuzz

libfuzzer:      ## the same readers, a million inputs each that lead to new code
	tests/run libfuzzer

soak:           ## a million kills, crashes, floods, simulated hours: docs/soak.md
	tests/run soak

bench: host-musl ## against a bare C floor, other supervisors, other inits; half an hour
	tests/bench/run
	tests/bench/logs.sh
	tests/bench/boot.sh

clean:          ## remove everything built and downloaded below target; crates in ~/.cargo and Debian's packages stay
	rm -rf $(or $(CARGO_TARGET_DIR),target) 2>/dev/null || sudo rm -rf $(or $(CARGO_TARGET_DIR),target)

.PHONY: help run shell image cross host-musl man check test test-units test-namespace \
	test-qemu test-install fuzz libfuzzer soak bench clean
