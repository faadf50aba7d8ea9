# `_wscore` as a user C module of the ports that build with make:
#   make -C ports/PORT USER_C_MODULES=.../modwebsocket
WSCORE_DIR := $(USERMOD_DIR)

SRC_USERMOD_C += $(WSCORE_DIR)/modwscore.c
SRC_USERMOD_LIB_C += $(WSCORE_DIR)/wscore.c
CFLAGS_USERMOD += -I$(WSCORE_DIR)

# esp8266 places unlisted code in scarce IRAM.
ifeq ($(notdir $(CURDIR)),esp8266)
CFLAGS_USERMOD += -DWS_CODE='__attribute__((section(".irom0.text")))'
endif
