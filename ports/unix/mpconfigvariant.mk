# Nothing that would need another library than mbedTLS.
MICROPY_PY_BTREE = 0
MICROPY_PY_FFI = 0

MBEDTLS_CONFIG_FILE = \"mbedtls_config_pem.h\"

# extmod/modwebrepl.c compares signed with unsigned on 64-bit machines.
CFLAGS += -Wno-sign-compare

# As on the ESP8266; with threads every look-up would first ask which one it is in.
MICROPY_PY_THREAD = 0
