# Cortex-M3.
include boards/MPS2_AN385/mpconfigboard.mk

CFLAGS += -isystem /usr/include/newlib
