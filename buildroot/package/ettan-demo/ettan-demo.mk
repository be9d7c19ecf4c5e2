################################################################################
#
# ettan-demo
#
################################################################################

ETTAN_DEMO_LICENSE = MIT or Apache-2.0

# Units and page are those that the card of `make run` has.
define ETTAN_DEMO_INSTALL_TARGET_CMDS
	$(INSTALL) -d $(TARGET_DIR)/etc/units
	$(INSTALL) -m 0644 $(ETTAN_SITE)/units/telldusd.toml \
		$(ETTAN_SITE)/units/cherrytelldus.toml $(TARGET_DIR)/etc/units
	$(INSTALL) -D -m 0644 $(ETTAN_DEMO_PKGDIR)/telldusd-state.toml \
		$(TARGET_DIR)/etc/units/telldusd.toml.d/state.toml
	$(INSTALL) -d $(TARGET_DIR)/usr/local/bin/setup
	$(INSTALL) -m 0644 $(ETTAN_SITE)/qemu/rootfs/usr/local/bin/setup/*.py \
		$(TARGET_DIR)/usr/local/bin/setup
endef

# Who the page runs as.
define ETTAN_DEMO_USERS
	telldus -1 telldus -1 * - - - Telldus web application
endef

$(eval $(generic-package))
