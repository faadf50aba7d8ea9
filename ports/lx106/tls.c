// What mbedTLS asks of the board.
#include <time.h>
#include "py/mpconfig.h"
#include "mbedtls/platform_time.h"
#include "mbedtls/platform_util.h"
#include "mbedtls/ssl.h"
#include "board.h"
#include "shared/timeutils/timeutils.h"

// A server that agrees (RFC 6066 section 4) sends records of at most 1 KiB.  MicroPython does not
// ask for that.
int __real_mbedtls_ssl_config_defaults(mbedtls_ssl_config *conf, int endpoint, int transport,
    int preset);
int __wrap_mbedtls_ssl_config_defaults(mbedtls_ssl_config *conf, int endpoint, int transport,
    int preset) {
    int result = __real_mbedtls_ssl_config_defaults(conf, endpoint, transport, preset);
    return result ? result : mbedtls_ssl_conf_max_frag_len(conf, MBEDTLS_SSL_MAX_FRAG_LEN_1024);
}

int mbedtls_hardware_poll(void *unused, unsigned char *buf, size_t len, size_t *got) {
    (void)unused;
    board_entropy(buf, len);
    *got = len;
    return 0;
}

mbedtls_time_t tls_time(mbedtls_time_t *seconds) {
    return board_clock();
}

mbedtls_ms_time_t mbedtls_ms_time(void) {
    return (mbedtls_ms_time_t)board_clock() * 1000;
}

// t: what tls_time() returned.
struct tm *mbedtls_platform_gmtime_r(const mbedtls_time_t *t, struct tm *tm) {
    timeutils_struct_time_t now;
    timeutils_seconds_since_2000_to_struct_time(*t, &now);
    *tm = (struct tm) {
        .tm_year = now.tm_year - 1900, .tm_mon = now.tm_mon - 1, .tm_mday = now.tm_mday,
        .tm_hour = now.tm_hour, .tm_min = now.tm_min, .tm_sec = now.tm_sec,
    };
    return tm;
}
