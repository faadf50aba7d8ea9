# RV32IMAC, as the ESP32-C3's.  Debian's compiler has a libgcc for 32 bits under the older name of
# the processor only.
include boards/VIRT_RV32/mpconfigboard.mk

RV32_ARCH = rv32imac -misa-spec=2.2
CFLAGS += -isystem /usr/include/newlib
LDFLAGS += -nostdlib
LIBS = $(shell $(CC) $(CFLAGS) -print-libgcc-file-name)
