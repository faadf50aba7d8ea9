# An Xtensa processor with register windows, as the ESP32, S2 and S3 have: QEMU's simulator of a
# dc233c.  MicroPython's QEMU port has none: start.S and board.c are what it asks of a machine.
QEMU_ARCH = xtensa
QEMU_MACHINE = sim

CROSS_COMPILE ?= xtensa-esp32-elf-
CFLAGS += -mlongcalls -mtext-section-literals -isystem /usr/include/newlib -D_JBLEN=6
CFLAGS += -DMICROPY_EMIT_XTENSAWIN=1 -DMICROPY_NLR_SETJMP=1
CFLAGS += -DMICROPY_HW_MCU_NAME='"dc233c"'
LDFLAGS += -nostdlib -Wl,--no-warn-rwx-segments

LDSCRIPT = $(BOARD_DIR)/sim.ld

# Debian has libgcc for another ABI only.
SRC_BOARD_O = start.o board.o libgcc.o
$(BUILD)/libgcc.o: CFLAGS += -fno-builtin -O2
vpath %.S $(BOARD_DIR)
vpath board.c $(BOARD_DIR)
vpath libgcc.c $(BOARD_DIR)/../../lx106
