# Cortex-M0: the micro:bit, whose MicroPython has native code off.
include boards/MICROBIT/mpconfigboard.mk

CFLAGS += -isystem /usr/include/newlib -DMICROPY_EMIT_THUMB=1 -DMICROPY_EMIT_THUMB_ARMV7M=0
