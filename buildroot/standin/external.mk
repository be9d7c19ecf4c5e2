include $(sort $(wildcard $(BR2_EXTERNAL_STANDIN_PATH)/package/*/*.mk))
