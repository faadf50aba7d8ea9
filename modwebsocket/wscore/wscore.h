// WebSocket hot path (RFC 6455 §5): header parsing, masking, UTF-8 validation, and the
// SHA-1 that the opening handshake and the masking keys need.
//
// This part knows nothing of MicroPython, sockets or memory management: C99, no allocation,
// no globals, no float, no division.  The caller owns every byte; `ws_decoder_t` and
// `ws_random_t` are the whole state and may be copied, moved or thrown away at any time.
//
// Decoding one frame takes two calls, so that the caller decides where a payload lives:
//
//     ws_decoder_init(&d, WS_CLIENT, 1 << 20);
//     ...                                           // bytes arrive in data[0..len)
//     r = ws_decode_header(&d, data, len, &used);   // WS_MORE: all used, feed the next bytes
//     ...                                           // WS_DONE: d.opcode, d.frame_len are set
//     r = ws_decode_payload(&d, data + used, n);    // unmasks in place and validates;
//     ...                                           // WS_DONE: the frame is complete
//
// Both resume at any byte.  A negative result is minus the close code to send (RFC 6455
// §7.4.1): -1002, -1007 or -1009.  It is sticky until ws_decoder_init().
#ifndef MODWEBSOCKET_WSCORE_H
#define MODWEBSOCKET_WSCORE_H

#include <stddef.h>
#include <stdint.h>

// Put in front of every function definition.  Empty, except on ports whose linker would
// place our code in scarce RAM (ESP8266: a section attribute that keeps it in flash).
#ifndef WS_CODE
#define WS_CODE
#endif

// Put in front of every declaration: `static` where wscore.c is included by its only user.
#ifndef WS_API
#define WS_API
#endif

// 1: fewer bytes of code and constants instead of fewer instructions, for the ESP8266's native
// module, which is compiled without -mforce-l32 then: see ws_byte().
#ifndef WS_SMALL
#define WS_SMALL (0)
#endif

// Roles.  A client requires unmasked frames from its peer, a server masked ones (§5.1).
#define WS_CLIENT (0)
#define WS_SERVER (1)

// Opcodes (§5.2).
#define WS_CONTINUATION (0)
#define WS_TEXT (1)
#define WS_BINARY (2)
#define WS_CLOSE (8)
#define WS_PING (9)
#define WS_PONG (10)

// The FIN bit, to be or-ed to an opcode for ws_encode_header().
#define WS_FIN (0x80)

// Results of ws_decode_header() and ws_decode_payload(); errors are negative.
#define WS_MORE (0)
#define WS_DONE (1)

// Longest header (14) and longest control frame (§5.5), in bytes.
#define WS_HEADER_MAX (14)
#define WS_CONTROL_MAX (125)

// Close code of a close frame without payload (§7.4.1).
#define WS_NO_STATUS (1005)

// UTF-8 validation states; all other values are positions inside a character.
#define WS_UTF8_ACCEPT (0)

// Words throughout: on ESP8266 a byte that is read costs seven instructions.
typedef struct {
    // Read by the caller after ws_decode_header() returned WS_DONE.
    uint32_t frame_len;         // payload length of this frame, bytes
    uint32_t frame_left;        // payload bytes that ws_decode_payload() has yet to see
    uint32_t message_len;       // payload length of the data message in progress including this
                                // frame, bytes; a control frame leaves it alone
    uint32_t key;               // masking key, byte i of the wire in bits 8i..8i+7; 0 if unmasked
    uint32_t opcode;            // of the message for data frames (TEXT or BINARY, also in its
                                // continuations), else CLOSE, PING or PONG
    uint32_t first;             // 1: first frame of its message (always, for a control frame)
    uint32_t fin;               // 1: last frame of its message (always, for a control frame)

    // Set while a close frame's payload is decoded.
    uint32_t close_code;        // 1000..4999, or WS_NO_STATUS

    uint32_t masked;            // 1: the peer's frames have to be masked, and so ours must not

    // Private.
    int32_t state;              // header bytes collected, or closed, or the error (negative)
    uint32_t message_opcode;    // of the fragmented message in progress, 0: none
    uint32_t text_state;        // UTF-8 state of the text message or close reason in progress
    uint32_t max_message_len;
    uint32_t head[4];           // header bytes collected
} ws_decoder_t;

// role: WS_CLIENT or WS_SERVER, of this end.  max_message_len: bytes, 0..2^31-1; a message
// that announces more ends in -1009 as soon as its header is read.
WS_API void ws_decoder_init(ws_decoder_t *d, int role, uint32_t max_message_len);

// Reads one frame header from data[0..len), or the next part of one; *used tells how many
// bytes it took.  Returns WS_MORE (all taken, header incomplete), WS_DONE (the fields above
// are set), -1002 (RSV bit, reserved opcode, wrong masking, fragmented or long control frame,
// continuation out of order, length not minimal or with its top bit set) or -1009.  After a
// close frame everything that follows is taken and ignored (§5.5.1).
WS_API int ws_decode_header(ws_decoder_t *d, const uint8_t *data, size_t len, size_t *used);

// Unmasks and validates the next `len` payload bytes in place; len <= d->frame_left.  To be
// called at least once for every frame, with len 0 for an empty one.  Returns WS_MORE, WS_DONE
// (frame complete), -1007 (text or close reason is not UTF-8; in the call that holds the first
// byte that no valid text can have there) or -1002 (close payload of 1 byte, close code that
// must not be on the wire: §7.4).
WS_API int ws_decode_payload(ws_decoder_t *d, uint8_t *data, size_t len);

// Writes a header to out[0..WS_HEADER_MAX) and returns its length, 2..14 bytes.
// first: opcode, with WS_FIN or-ed in.  key: NULL for an unmasked frame, else the masking key.
WS_API size_t ws_encode_header(uint8_t *out, int first, uint32_t payload_len, const uint32_t *key);

// dst[0..len) = src[0..len) with the masking key applied (§5.3).  dst == src masks in place;
// otherwise they must not overlap.  key: as in ws_decoder_t.  offset: position of src[0] in
// the frame's payload.  Fastest where dst and src are equal modulo 4.
WS_API void ws_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key, uint32_t offset);

// Advances a UTF-8 state over data[0..len).  Start with WS_UTF8_ACCEPT; the text so far is
// complete iff the state is WS_UTF8_ACCEPT again; ws_utf8_rejects(state) tells that no
// continuation can be valid.  Refuses overlong forms, surrogates and code points above
// U+10FFFF (RFC 3629).
WS_API uint32_t ws_utf8(uint32_t state, const uint8_t *data, size_t len);
WS_API int ws_utf8_rejects(uint32_t state);

// 1 if a close code may appear in a close frame: 1000..1003, 1007..1014, 3000..4999 (§7.4).
WS_API int ws_close_code_valid(uint32_t code);

// Sec-WebSocket-Accept (28 characters, no terminator) for a Sec-WebSocket-Key (§4.2.2).
WS_API void ws_accept_key(uint8_t accept[28], const uint8_t *key, size_t key_len);

// Masking keys that the peer cannot predict (§5.3, §10.3): SHA-1 over a secret seed and a
// counter.  seed: 20 bytes of the system's random generator, once per connection.
typedef struct {
    uint32_t seed[5];
    uint32_t counter;
    uint32_t out[5];
    uint32_t left;              // words of `out` not yet handed out
} ws_random_t;

// Reads a byte of the user's, which may be a constant of the firmware: the ESP8266's flash is read
// by words only.
static inline uint32_t ws_byte(const uint8_t *p) {
    #if WS_SMALL && defined(__xtensa__)
    typedef uint32_t __attribute__((may_alias)) word_t;
    uintptr_t at = (uintptr_t)p;
    return *(const word_t *)(at & ~(uintptr_t)3) >> (at & 3) * 8 & 0xff;
    #else
    return *p;
    #endif
}

WS_API void ws_random_init(ws_random_t *r, const uint8_t seed[20]);
WS_API uint32_t ws_random(ws_random_t *r);

#endif
