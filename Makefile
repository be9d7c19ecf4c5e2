# The front door. Every target installs what it needs; see `make help`.
BOARD ?= pi-zero

help:           ## this list
	@sed -n 's/^\([a-z-]*\): .*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12
	@echo "BOARD is pi-zero (the default), pi-1, pi-2 or virt."

image:          ## an SD-card image for BOARD, in target/image/BOARD
	qemu/cross.sh armv6 ettan-init ettan ettan-fakes
	qemu/image.sh $(BOARD)

cross:          ## static programs for ARMv6 and aarch64, in target/musl
	qemu/cross.sh armv6
	qemu/cross.sh aarch64

host-musl:      ## static programs for this machine, in target/musl/x86_64
	qemu/cross.sh x86_64 ettan-init ettan ettan-fakes

bench: host-musl ## against a bare C floor and other supervisors, in ten minutes
	tests/bench/run

clean:          ## remove everything built and downloaded
	rm -rf $(or $(CARGO_TARGET_DIR),target)

.PHONY: help image cross host-musl clean
