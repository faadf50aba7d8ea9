// Connects to 127.0.0.1, shakes hands and tells what memory that took: see tls_memory.py.
//
// usage: tls_memory PORT CA.der
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "mbedtls/ctr_drbg.h"
#include "mbedtls/entropy.h"
#include "mbedtls/platform.h"
#include "mbedtls/ssl.h"

static size_t used, peak;

// As MicroPython's m_tracked_calloc(): three words before the data, blocks of 16 bytes.
static size_t cost(size_t size) {
    return (size + 12 + 15) / 16 * 16;
}

static void *tracked_calloc(size_t count, size_t size) {
    size_t *p = calloc(1, count * size + 16);
    p[0] = count * size;
    used += cost(p[0]);
    if (used > peak) {
        peak = used;
    }
    return (char *)p + 16;
}

static void tracked_free(void *data) {
    if (data != NULL) {
        size_t *p = (size_t *)((char *)data - 16);
        used -= cost(p[0]);
        free(p);
    }
}

static int send_to(void *fd, const unsigned char *buf, size_t len) {
    return write(*(int *)fd, buf, len);
}

static int receive_from(void *fd, unsigned char *buf, size_t len) {
    return read(*(int *)fd, buf, len);
}

static int random_bytes(void *unused, unsigned char *out, size_t len, size_t *out_len) {
    (void)unused;
    *out_len = len;
    return getentropy(out, len);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    unsigned char ca[4096];
    FILE *file = fopen(argv[2], "rb");
    size_t ca_len = fread(ca, 1, sizeof(ca), file);
    mbedtls_platform_set_calloc_free(tracked_calloc, tracked_free);

    // What MicroPython's SSLContext and SSLSocket hold.
    mbedtls_ssl_config conf;
    mbedtls_ssl_context ssl;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_x509_crt crt;
    size_t fixed = sizeof(conf) + sizeof(ssl) + sizeof(entropy) + sizeof(random)
        + 2 * sizeof(crt) + sizeof(mbedtls_pk_context);
    mbedtls_entropy_init(&entropy);
    mbedtls_entropy_add_source(&entropy, random_bytes, NULL, 32, MBEDTLS_ENTROPY_SOURCE_STRONG);
    mbedtls_ctr_drbg_init(&random);
    mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0);
    mbedtls_ssl_config_init(&conf);
    mbedtls_ssl_config_defaults(&conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
        MBEDTLS_SSL_PRESET_DEFAULT);
    mbedtls_ssl_conf_rng(&conf, mbedtls_ctr_drbg_random, &random);
    mbedtls_x509_crt_init(&crt);
    int result = mbedtls_x509_crt_parse_der(&crt, ca, ca_len);
    mbedtls_ssl_conf_ca_chain(&conf, &crt, NULL);
    mbedtls_ssl_conf_authmode(&conf, MBEDTLS_SSL_VERIFY_REQUIRED);
    #if IN_LEN == 1024
    mbedtls_ssl_conf_max_frag_len(&conf, MBEDTLS_SSL_MAX_FRAG_LEN_1024);
    #elif IN_LEN == 4096
    mbedtls_ssl_conf_max_frag_len(&conf, MBEDTLS_SSL_MAX_FRAG_LEN_4096);
    #endif

    mbedtls_ssl_init(&ssl);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(atoi(argv[1])),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    result = result || mbedtls_ssl_setup(&ssl, &conf) || mbedtls_ssl_set_hostname(&ssl, "localhost")
        || connect(fd, (void *)&address, sizeof(address));
    mbedtls_ssl_set_bio(&ssl, &fd, send_to, receive_from, NULL);
    if (result == 0) {
        result = mbedtls_ssl_handshake(&ssl);
    }
    printf("%zu %zu\n", fixed + peak, fixed + used);
    return result != 0;
}
