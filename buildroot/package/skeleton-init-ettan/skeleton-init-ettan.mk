################################################################################
#
# skeleton-init-ettan
#
################################################################################

SKELETON_INIT_ETTAN_LICENSE = MIT or Apache-2.0

# A skeleton is there before everything else.
SKELETON_INIT_ETTAN_ADD_TOOLCHAIN_DEPENDENCY = NO
SKELETON_INIT_ETTAN_ADD_SKELETON_DEPENDENCY = NO

SKELETON_INIT_ETTAN_DEPENDENCIES = skeleton-init-common

SKELETON_INIT_ETTAN_PROVIDES = skeleton

# What changes while the machine runs lies below /run; /var/lib and /var/log/ettan
# are for a partition of their own. On a root that stays read-only the machine's id
# is laid over an empty file.
define SKELETON_INIT_ETTAN_INSTALL_TARGET_CMDS
	$(call SYSTEM_RSYNC,$(SKELETON_INIT_ETTAN_PKGDIR)/skeleton,$(TARGET_DIR))
	mkdir -p $(TARGET_DIR)/var/lib $(TARGET_DIR)/var/log
	for name in cache lock spool tmp; do \
		ln -sfn ../tmp $(TARGET_DIR)/var/$$name || exit 1; \
	done
	ln -sfn ../run $(TARGET_DIR)/var/run
	touch $(TARGET_DIR)/etc/machine-id
endef

$(eval $(generic-package))
