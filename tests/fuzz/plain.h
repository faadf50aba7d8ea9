// A decoder as plain as possible, to judge the core by: it takes one byte after the other, so it
// knows after how many of them an error shows.  (tests/core/model.py is the same in Python.)
#ifndef MODWEBSOCKET_TESTS_PLAIN_H
#define MODWEBSOCKET_TESTS_PLAIN_H

#include <stddef.h>
#include <stdint.h>

// A text, byte by byte (RFC 3629 §4): what the next byte has to be.
typedef struct {
    unsigned left;              // bytes of the character that are to come
    unsigned low, high;         // the next one
} plain_text_t;

// Returns 0 if no text can have this byte here.
static inline int plain_text(plain_text_t *t, unsigned byte) {
    if (t->left != 0) {
        if (byte < t->low || byte > t->high) {
            return 0;
        }
        t->left--;
    } else if (byte >= 0x80) {
        if (byte < 0xc2 || byte > 0xf4) {
            return 0;
        }
        t->left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
        t->low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
        t->high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
        return 1;
    }
    t->low = 0x80;
    t->high = 0xbf;
    return 1;
}

// kind: the opcode of a message, or 0 for an error.  code: of a close frame or an error, else 0.
typedef void (*plain_event_t)(void *to, int kind, unsigned code, const uint8_t *data, size_t len);

// Decodes a wire and calls event(to, ...).  server: the role.  scratch: as long as the wire.
// *whole: bytes up to the end of the last whole frame.  Returns after how many bytes an error
// shows, 0 if there is none.
static inline size_t plain_decode(int server, uint32_t limit, const uint8_t *wire, size_t len,
    uint8_t *scratch, plain_event_t event, void *to, size_t *whole) {
    #define BYTE(byte) \
    do { \
        if (at == len) { \
            return 0; \
        } \
        byte = wire[at++]; \
    } while (0)
    #define REQUIRE(ok, error) \
    do { \
        if (!(ok)) { \
            event(to, 0, error, NULL, 0); \
            return at; \
        } \
    } while (0)
    size_t at = 0;
    unsigned opcode = 0;        // of the message in progress
    size_t message_len = 0;
    plain_text_t text = { 0, 0, 0 };
    for (;;) {
        *whole = at;
        unsigned first, second, byte;
        BYTE(first);
        unsigned kind = first & 0x7f;
        unsigned fin = first >> 7;
        REQUIRE(kind <= 2 || (kind >= 8 && kind <= 10), 1002);
        REQUIRE(kind >= 8 ? fin : (kind == 0) == (opcode != 0), 1002);
        BYTE(second);
        REQUIRE(second >> 7 == (server ? 1 : 0), 1002);
        uint64_t frame_len = second & 0x7f;
        REQUIRE(kind < 8 || frame_len <= 125, 1002);
        if (frame_len > 125) {
            unsigned size = frame_len == 126 ? 2 : 8;
            frame_len = 0;
            for (unsigned i = 0; i < size; i++) {
                BYTE(byte);
                REQUIRE(size == 2 || i != 0 || byte < 0x80, 1002);
                frame_len = frame_len << 8 | byte;
            }
            REQUIRE(frame_len >= (size == 2 ? 126 : 0x10000), 1002);
        }
        if (kind == 1 || kind == 2) {
            opcode = kind;
            message_len = 0;
            text.left = 0;
        }
        REQUIRE(kind >= 8 || message_len + frame_len <= limit, 1009);
        uint8_t key[4] = { 0, 0, 0, 0 };
        for (unsigned i = 0; server && i < 4; i++) {
            BYTE(key[i]);
        }
        if (kind < 8) {
            for (uint64_t i = 0; i < frame_len; i++) {
                BYTE(byte);
                byte ^= key[i & 3];
                REQUIRE(opcode != 1 || plain_text(&text, byte), 1007);
                scratch[message_len++] = (uint8_t)byte;
            }
            if (fin) {
                REQUIRE(text.left == 0, 1007);
                event(to, (int)opcode, 0, scratch, message_len);
                opcode = 0;
            }
            continue;
        }
        uint8_t data[125];
        unsigned code = kind == 8 && frame_len == 0 ? 1005 : 0;
        plain_text_t reason = { 0, 0, 0 };
        REQUIRE(kind != 8 || frame_len != 1, 1002);
        for (unsigned i = 0; i < frame_len; i++) {
            BYTE(byte);
            data[i] = (uint8_t)(byte ^ key[i & 3]);
            if (kind == 8 && i < 2) {
                code = code << 8 | data[i];
                REQUIRE(i == 0 || (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014)
                    || (code >= 3000 && code <= 4999), 1002);
            } else if (kind == 8) {
                REQUIRE(plain_text(&reason, data[i]), 1007);
            }
        }
        REQUIRE(reason.left == 0, 1007);
        unsigned skip = kind == 8 && frame_len != 0 ? 2 : 0;
        event(to, (int)kind, code, data + skip, (size_t)frame_len - skip);
        if (kind == 8) {
            // Whatever follows is ignored.
            *whole = at;
            return 0;
        }
    }
    #undef BYTE
    #undef REQUIRE
}

#endif
