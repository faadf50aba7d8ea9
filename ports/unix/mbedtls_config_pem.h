// The port's own configuration, and certificates as PEM: what users have in files.
#define MBEDTLS_BASE64_C
#define MBEDTLS_PEM_PARSE_C
#include "mbedtls/mbedtls_config_port.h"
// What a PC's CPU can do for TLS.
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_AESNI_C
