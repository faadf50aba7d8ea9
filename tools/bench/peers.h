// Other people's ways of doing the same work, written anew for comparison: the technique only.
#ifndef MODWEBSOCKET_BENCH_PEERS_H
#define MODWEBSOCKET_BENCH_PEERS_H

#include <stddef.h>
#include <stdint.h>

// Like ws_mask().
typedef void (*mask_t)(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key,
    uint32_t offset);
void byte_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key, uint32_t offset);
void nodemcu_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key, uint32_t offset);
void upy_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key, uint32_t offset);
void wslay_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key, uint32_t offset);
void pyws_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key, uint32_t offset);

// Like ws_utf8() for a whole text: 0 if it is good.
typedef uint32_t (*utf8_t)(uint32_t state, const uint8_t *data, size_t len);
uint32_t naive_utf8(uint32_t state, const uint8_t *data, size_t len);
uint32_t hoehrmann_utf8(uint32_t state, const uint8_t *data, size_t len);
uint32_t upy_utf8(uint32_t state, const uint8_t *data, size_t len);
void peers_init(void); // makes hoehrmann_utf8()'s tables

// Header parsing byte by byte; returns the header's length.
typedef struct {
    uint32_t state, to_recv, have, len, opcode, mask_pos;
    uint8_t buf[10];
    uint8_t mask[4];
} upy_header_t;
typedef size_t (*peer_header_t)(upy_header_t *self, const uint8_t *data, size_t len);
size_t upy_header(upy_header_t *self, const uint8_t *data, size_t len);
size_t byte_header(upy_header_t *self, const uint8_t *data, size_t len);

#endif
