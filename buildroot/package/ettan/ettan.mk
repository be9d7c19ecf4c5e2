################################################################################
#
# ettan
#
################################################################################

ETTAN_VERSION = 0.1.0
# The source that this external tree is part of.
ETTAN_SITE = $(BR2_EXTERNAL_ETTAN_PATH)/..
ETTAN_SITE_METHOD = local
# Not what is built in it: by Cargo, and by Buildroot where O= is in there.
ETTAN_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude target \
	$(patsubst $(realpath $(ETTAN_SITE))/%,--exclude /%, \
		$(filter $(realpath $(ETTAN_SITE))/%,$(CANONICAL_O) $(DL_DIR)))
ETTAN_LICENSE = MIT or Apache-2.0
ETTAN_LICENSE_FILES = LICENSE-APACHE LICENSE-MIT

# Whatever else is installed, /sbin/init is ours in the end.
ETTAN_DEPENDENCIES = $(if $(BR2_PACKAGE_BUSYBOX),busybox)

# PID 1 depends on no other file of the root, so it is static with every C
# library. The second flag is Buildroot's own, which this variable replaces.
ETTAN_CARGO_ENV = \
	CARGO_TARGET_$(call UPPERCASE,$(RUSTC_TARGET_NAME))_RUSTFLAGS="-Ctarget-feature=+crt-static -Crelocation-model=static -Clink-arg=-Wl,--allow-multiple-definition" \
	CARGO_PROFILE_RELEASE_PANIC=abort \
	CARGO_PROFILE_RELEASE_LTO=fat \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
	CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true

ETTAN_OUTPUT = target/$(RUSTC_TARGET_NAME)/$(if $(BR2_ENABLE_DEBUG),debug,release)

# What is not downloaded as an archive is not vendored at the download either.
# Cargo.lock says exactly what is fetched, with checksums.
define ETTAN_VENDOR
	mkdir -p $(@D)/.cargo
	cd $(@D) && \
		$(PKG_COMMON_CARGO_ENV) $(HOST_DIR)/bin/cargo vendor \
			--locked --quiet VENDOR > .cargo/config.toml
endef
ETTAN_PRE_BUILD_HOOKS += ETTAN_VENDOR

ETTAN_PROGRAMS = ettan-init ettan $(if $(BR2_PACKAGE_ETTAN_WEB),ettan-web)

# One package at a time: built together, PID 1 would get the features that the
# command wants of a library.
define ETTAN_BUILD_CMDS
	cd $(@D) && for package in $(ETTAN_PROGRAMS); do \
		$(TARGET_MAKE_ENV) $(TARGET_CONFIGURE_OPTS) \
			$(PKG_CARGO_ENV) $(ETTAN_CARGO_ENV) \
			cargo build --offline --locked \
				$(if $(BR2_ENABLE_DEBUG),,--release) \
				-p $$package || exit 1; \
	done
endef

# The command for the build host, which looks at the root and makes units for it.
ETTAN_HOST = $(ETTAN_DIR)/host/release/ettan
ifneq ($(BR2_PACKAGE_ETTAN_CHECK)$(BR2_PACKAGE_ETTAN_SYSV),)
define ETTAN_BUILD_HOST
	cd $(@D) && $(HOST_MAKE_ENV) $(HOST_CONFIGURE_OPTS) \
		$(HOST_PKG_CARGO_ENV) CARGO_TARGET_DIR=$(@D)/host \
		cargo build --offline --locked --release -p ettan
endef
ETTAN_POST_BUILD_HOOKS += ETTAN_BUILD_HOST
endif

define ETTAN_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/$(ETTAN_OUTPUT)/ettan-init \
		$(TARGET_DIR)/sbin/ettan-init
	$(INSTALL) -D -m 0755 $(@D)/$(ETTAN_OUTPUT)/ettan \
		$(TARGET_DIR)/usr/bin/ettan
	mkdir -p $(TARGET_DIR)/etc/units $(TARGET_DIR)/usr/lib/units
	$(INSTALL) -m 0644 $(@D)/units/system/*.toml $(TARGET_DIR)/usr/lib/units
	mkdir -p $(TARGET_DIR)/usr/lib/ettan
	$(INSTALL) -m 0755 $(@D)/units/lib/* $(TARGET_DIR)/usr/lib/ettan
endef

# Not by ETTAN_USERS, which refuses those that a skeleton brings with other numbers.
ifeq ($(BR2_PACKAGE_ETTAN_WEB),y)
define ETTAN_INSTALL_WEB
	$(INSTALL) -D -m 0755 $(@D)/$(ETTAN_OUTPUT)/ettan-web \
		$(TARGET_DIR)/usr/bin/ettan-web
	$(INSTALL) -D -m 0644 $(@D)/units/web/ettan-web.toml \
		$(TARGET_DIR)/usr/lib/units/ettan-web.toml
endef
ETTAN_POST_INSTALL_TARGET_HOOKS += ETTAN_INSTALL_WEB

define ETTAN_SET_WEB_USER
	grep -q '^ettan:' $(TARGET_DIR)/etc/group || \
		echo 'ettan:x:991:' \
			>> $(TARGET_DIR)/etc/group
	grep -q '^ettan-operator:' $(TARGET_DIR)/etc/group || \
		echo 'ettan-operator:x:992:' \
			>> $(TARGET_DIR)/etc/group
	grep -q '^ettan-web:' $(TARGET_DIR)/etc/passwd || \
		echo 'ettan-web:x:992:992:status page:/nonexistent:/bin/false' \
			>> $(TARGET_DIR)/etc/passwd
endef
ETTAN_TARGET_FINALIZE_HOOKS += ETTAN_SET_WEB_USER
endif

ifeq ($(BR2_PACKAGE_ETTAN_DAEMONTOOLS),y)
define ETTAN_INSTALL_DAEMONTOOLS
	for hand in svc svstat svok setuidgid envdir softlimit tai64nlocal; do \
		ln -sf ettan $(TARGET_DIR)/usr/bin/$$hand || exit 1; \
	done
endef
ETTAN_POST_INSTALL_TARGET_HOOKS += ETTAN_INSTALL_DAEMONTOOLS
endif

ifeq ($(BR2_INIT_ETTAN),y)
# init stays within its directory and the others are absolute: a merged /usr breaks neither.
define ETTAN_INSTALL_INIT
	ln -sf ettan-init $(TARGET_DIR)/sbin/init
	for verb in reboot poweroff halt shutdown; do \
		ln -sf /usr/bin/ettan $(TARGET_DIR)/sbin/$$verb || exit 1; \
	done
	for unit in root machine-id mounts swap tmpfiles clock last-end last-end-watchdog modules sysctl seed \
		devices hotplug; do \
		ln -sf /usr/lib/units/$$unit.toml \
			$(TARGET_DIR)/etc/units/$$unit.toml || exit 1; \
	done
endef
ETTAN_POST_INSTALL_TARGET_HOOKS += ETTAN_INSTALL_INIT

ifeq ($(BR2_TARGET_GENERIC_GETTY),y)
define ETTAN_SET_GETTY
	sed -e 's~@PORT@~$(SYSTEM_GETTY_PORT)~' \
		-e 's~@BAUDRATE@~$(SYSTEM_GETTY_BAUDRATE)~' \
		-e 's~@TERM@~$(SYSTEM_GETTY_TERM)~' \
		-e 's~@OPTIONS@~$(SYSTEM_GETTY_OPTIONS)~' \
		$(ETTAN_PKGDIR)/getty.toml.in \
		> $(TARGET_DIR)/etc/units/getty.toml
endef
ETTAN_TARGET_FINALIZE_HOOKS += ETTAN_SET_GETTY
endif

# ifupdown reads /etc/network/interfaces, which Buildroot writes for BR2_SYSTEM_DHCP.
# Without it the unit goes: the check below refuses one whose program is not there.
define ETTAN_SET_NETWORK
	if [ -x $(TARGET_DIR)/sbin/ifup ]; then \
		ln -sf /usr/lib/units/ifup.toml $(TARGET_DIR)/etc/units/ifup.toml; \
	else \
		rm -f $(TARGET_DIR)/usr/lib/units/ifup.toml; \
	fi
endef
ETTAN_TARGET_FINALIZE_HOOKS += ETTAN_SET_NETWORK

# PID 1's unit "root" makes of the root what fstab says of it.
define ETTAN_SET_ROOT
	$(SED) '\:^/dev/root[[:blank:]]:s/\<r[ow]\>/$(if $(BR2_TARGET_GENERIC_REMOUNT_ROOTFS_RW),rw,ro)/' \
		$(TARGET_DIR)/etc/fstab
endef
ETTAN_TARGET_FINALIZE_HOOKS += ETTAN_SET_ROOT

# Buildroot's rule that installs a package asks which init there is, and has
# start scripts installed for those that it knows. For this one rule it is SysV.
# The script of ifupdown-scripts comes with /etc/network/interfaces, in any case.
$(if $(BR2_PACKAGE_ETTAN_SYSV),$(BUILD_DIR)/%,$(IFUPDOWN_SCRIPTS_DIR))/.stamp_target_installed: private BR2_INIT_SYSV = y

# What PID 1 and vendor units do. This goes before the overlays are laid over
# the target, so that a script which an overlay has stays.
ETTAN_SYSV_DONE = \
	S01seedrng S01syslogd S01watchdogd S02klogd S02sysctl S11modules \
	S15watchdog S30cgroupfs S30cgroupfs2 S40network

define ETTAN_DROP_SYSV
	rm -f $(addprefix $(TARGET_DIR)/etc/init.d/,$(ETTAN_SYSV_DONE))
endef
ETTAN_TARGET_FINALIZE_HOOKS += ETTAN_DROP_SYSV

# In the copy of the target that becomes an image: overlays and post-build
# scripts have done their part by then, and nothing is left for the next build.
# A script for the network that an overlay has is in place of our unit.
ifeq ($(BR2_PACKAGE_ETTAN_SYSV),y)
define ETTAN_IMPORT_SYSV
	if [ -e $(TARGET_DIR)/etc/init.d/S40network ]; then
		rm -f $(TARGET_DIR)/etc/units/ifup.toml
	fi
	if ls $(TARGET_DIR)/etc/init.d/S[0-9][0-9]* >/dev/null 2>&1; then
		$(ETTAN_HOST) import --keep --root $(TARGET_DIR) /etc/init.d
	fi
endef
ETTAN_ROOTFS_PRE_CMD_HOOKS += ETTAN_IMPORT_SYSV
endif

# There, too: what an overlay brings is to be looked at, and users have been made.
ifeq ($(BR2_PACKAGE_ETTAN_CHECK),y)
define ETTAN_CHECK_UNITS
	$(ETTAN_HOST) check --root $(TARGET_DIR)
endef
ETTAN_ROOTFS_PRE_CMD_HOOKS += ETTAN_CHECK_UNITS
endif
endif

$(eval $(cargo-package))
