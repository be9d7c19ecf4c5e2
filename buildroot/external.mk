include $(sort $(wildcard $(BR2_EXTERNAL_ETTAN_PATH)/package/*/*.mk))
