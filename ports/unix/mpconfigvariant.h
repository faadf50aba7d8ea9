// As much as MicroPython gives to its bigger boards, and nothing that only a PC has.
#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

// A user of the built-in class `websocket`, which must go on working beside ours.
#define MICROPY_PY_WEBREPL (1)

#include "variants/mpconfigvariant_common.h"
