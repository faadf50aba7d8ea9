# Cortex-M7 with a floating-point unit for single precision.
QEMU_ARCH = arm
QEMU_MACHINE = mps2-an500

CFLAGS += -mthumb -mcpu=cortex-m7 -mfpu=fpv5-sp-d16 -mfloat-abi=hard -isystem /usr/include/newlib
CFLAGS += -DQEMU_SOC_MPS2 -DMICROPY_HW_MCU_NAME='"Cortex-M7"'

LDSCRIPT = mcu/arm/mps2.ld
# MicroPython's start-up code leaves the unit off.
LDFLAGS += -Wl,--wrap=main

SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o fpu.o
vpath fpu.c $(BOARD_DIR)
