################################################################################
#
# standin
#
################################################################################

STANDIN_LICENSE = MIT or Apache-2.0

define STANDIN_INSTALL_TARGET_CMDS
	for name in plaind richd; do \
		$(INSTALL) -D -m 0755 $(STANDIN_PKGDIR)/daemon.sh \
			$(TARGET_DIR)/usr/sbin/$$name || exit 1; \
	done
endef

define STANDIN_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(STANDIN_PKGDIR)/S70plaind \
		$(TARGET_DIR)/etc/init.d/S70plaind
	$(INSTALL) -D -m 0755 $(STANDIN_PKGDIR)/S71richd \
		$(TARGET_DIR)/etc/init.d/S71richd
endef

# This is for no init but SysV and its kin.
define STANDIN_INSTALL_INIT_SYSTEMD
	touch $(TARGET_DIR)/etc/systemd-was-asked-for
endef

$(eval $(generic-package))
