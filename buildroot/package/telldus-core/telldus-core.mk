################################################################################
#
# telldus-core
#
################################################################################

# The last commit there is; no release has it.
TELLDUS_CORE_VERSION = 2598bbed16ffd701f2a07c99582f057a3decbaf3
TELLDUS_CORE_SITE = https://github.com/telldus/telldus.git
TELLDUS_CORE_SITE_METHOD = git
TELLDUS_CORE_SUBDIR = telldus-core
TELLDUS_CORE_LICENSE = LGPL-2.1
TELLDUS_CORE_LICENSE_FILES = telldus-core/LICENSE
TELLDUS_CORE_INSTALL_STAGING = YES
TELLDUS_CORE_DEPENDENCIES = libconfuse libftdi

# It asks for a CMake of 2006. tdadmin is for the rules of a udev.
TELLDUS_CORE_CONF_OPTS = \
	-DFORCE_COMPILE_FROM_TRUNK=ON \
	-DCMAKE_POLICY_VERSION_MINIMUM=3.5 \
	-DBUILD_TDADMIN=OFF \
	-DSTATE_INSTALL_DIR=/var/lib/telldus

$(eval $(cmake-package))
