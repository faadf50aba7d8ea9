// The Python module `_wscore`: binds wscore.c to MicroPython.
//
//     c = Codec(role, rx_len, tx_len, max_message_len, seed[, parts])
//
// One Codec is one end of one connection: a receive buffer, a transmit buffer, and the message
// under construction.  It allocates at construction and for what it hands to the caller, else
// only for a message that does not fit the receive buffer (once, exactly) or is fragmented.
//
//   c.fill(stream)       one read into the receive buffer: bytes read, 0 at the end of the
//                        stream, None if nothing is there; OSError as the stream raises it
//   c.readline()         handshake: the next line as bytes, without its end; None if incomplete;
//                        ValueError if it is longer than the receive buffer
//   c.read()             handshake: all unread bytes
//   c.next()             the next event: 0 (feed more), TEXT, BINARY, CLOSE, PING, PONG (their
//                        opcodes), minus a close code (-1002, -1007, -1009), or -1 and -2: no
//                        memory for a message of one frame, of several.  Errors are sticky,
//                        and what arrives after one is dropped.
//   c.part()             with parts: what has come of a data frame is an event of its own, always
//                        bytes (a text may be cut within a character), and this says of it
//                        (offset in the message, True if it is the last)
//   c.data()             of the last event: str, bytes, or for CLOSE a tuple (code, reason);
//                        valid until the next call of next() or fill()
//   c.readinto(buf)      the same as bytes into buf: the number copied; allocates nothing
//   c.frame(first, data) a frame (opcode | FIN) to be flushed: False if it was not taken and must
//                        wait until flush() returns 0.  What does not fit the transmit buffer is
//                        taken by reference, if it is immutable; a mutable one gives False.
//   c.pong()             answers the ping that next() just returned: False if it must wait
//   c.write(data)        handshake: raw bytes: False if they must wait
//   c.flush(stream)      writes what the stream takes: 0 when nothing is left, -1 if the rest must
//                        wait, else the errno of the stream's error (no exception: sending is
//                        legal where nobody could catch one)
//   c.pending()          bytes not yet written to the stream
//
// The short way of a message, all of it in here:
//
//   c.serve(stream)      reads what is there, answers pings and calls the handler for messages:
//                        0 when that is done, END (-3) at the end of the stream, FLUSH (-4) if a
//                        pong waits, MORE (-5) if a buffered stream may have more, else an event
//                        that the caller has to see to, as next() returns it; then call again.
//                        What comes after an error is dropped.  Without a stream (None) only
//                        what was read already.
//   c.buffered(flag)     True: the stream has read more from the network than it gave, so that
//                        the network has no news of it (TLS): serve() reads until nothing is
//                        there, or says MORE
//   c.deliver(function, owner, count)  the handler of messages: function(owner, data, opcode) or,
//                        as count says, with less; function(opcode, data) if owner is None;
//                        function None: serve() returns the events
//   c.attach(stream)     the stream that send() and pongs go to at once; None: there is none now
//   c.send(data[, opcode])  a message, ping or pong on the attached stream: 0 if all went there;
//                        -1 or an errno, as flush(), and the stream is detached; -2 if it was not
//                        taken, for want of a stream or because frame() has to judge it
//   c.calling()          True if the handler was called and has not returned, once
//   c.heard()            True if serve() has read something since the last call
//   c.pause(on)          True: serve() calls no handler and reads nothing any more; it says PAUSED
//                        (16), if this was called by a handler, and then 0, until pause(False)
//
//   mask(buf, key, offset)   masks a writable buffer in place (RFC 6455 §5.3)
//   check(first, data)       the payload length in bytes that send() would take; ValueError if
//                            the opcode, the length or a text's UTF-8 is wrong
//   accept(key)              Sec-WebSocket-Accept of a Sec-WebSocket-Key, both bytes
//   native                   True; False in _wscore.py, the same in Python
//   call(function, count, ...)  function with the first count of the arguments that follow: no
//                            tuple is allocated, and no Python frame stands between
//
// Built as a user C module and, with MICROPY_ENABLE_DYNRUNTIME, as a native .mpy.
#if MICROPY_ENABLE_DYNRUNTIME
#include "py/dynruntime.h"
#define ws_move mp_fun_table.memmove_
#define ws_set mp_fun_table.memset_
#else
#include <string.h>
#include "py/runtime.h"
#include "py/stream.h"
#define ws_move memmove
#define ws_set memset
#endif
#include "py/mperrno.h"
#include "py/objstr.h"
#if MICROPY_ENABLE_DYNRUNTIME
// mpy_ld.py takes constants at the same offset of two files for one.  And what has one caller only,
// or none, is made smaller.
#define WS_API static
#include "wscore.c"
#else
#include "wscore.h"
#endif

#if MICROPY_ENABLE_DYNRUNTIME && defined(__xtensa__)
// gcc folds the index into the literal of the table's address, which mpy_ld.py cannot link.
static inline __attribute__((always_inline)) const uint16_t *ws_qstr_table(void) {
    const uint16_t *table = mp_native_qstr_table;
    __asm__ ("" : "+r" (table));
    return table;
}
#define mp_native_qstr_table (ws_qstr_table())

// dynruntime.h has it read a byte of the firmware's.
#undef mp_const_empty_bytes
#define mp_const_empty_bytes (mp_obj_new_bytes(NULL, 0))
#endif

#if MICROPY_ENABLE_DYNRUNTIME
static __attribute__((noreturn, noinline)) void ws_raise_ValueError(const char *text) {
    mp_raise_ValueError(text);
}
#undef mp_raise_ValueError
#define mp_raise_ValueError(text) (ws_raise_ValueError(text))

// A native module's mp_obj_get_int() cuts what does not fit.
static mp_int_t ws_get_int(mp_obj_t o) {
    mp_int_t n = mp_obj_get_int(o);
    if (!mp_obj_is_small_int(o) && mp_binary_op(MP_BINARY_OP_EQUAL, o, mp_obj_new_int(n)) != mp_const_true) {
        mp_raise_ValueError("int");
    }
    return n;
}
#undef mp_obj_get_int
#define mp_obj_get_int(o) (ws_get_int(o))
#endif

// mp_is_nonblocking_error() is 0 where a native module is built.
#define WOULD_BLOCK(error) ((error) == MP_EAGAIN || (error) == MP_EWOULDBLOCK)

#if MICROPY_PY_LWIP && !MICROPY_ENABLE_DYNRUNTIME
// modlwip's write waits up to 200 times 50 ms for lwIP's memory, and if none came says that it has
// sent what it has not.
#include "py/mphal.h"
#define LWIP_STARTS mp_uint_t start_ms = mp_hal_ticks_ms();
#define LWIP_LOST(n) ((n) != MP_STREAM_ERROR && mp_hal_ticks_ms() - start_ms >= 200 * 50)
#else
#define LWIP_STARTS
#define LWIP_LOST(n) (0)
#endif

#define RX_MIN (WS_HEADER_MAX + WS_CONTROL_MAX)
#define TX_MIN (WS_HEADER_MAX + WS_CONTROL_MAX + 3)

// Events of next() beside opcodes and close codes.
#define NO_MEMORY_FRAME (-1)
#define NO_MEMORY_FRAGMENTS (-2)

// What serve() says beside events.
#define END (-3)
#define FLUSH (-4)
#define MORE (-5)

// An event, and kept as the error that it is not: there it costs the messages nothing.
#define PAUSED (16)

// Bit n: opcode n is one that a user may send.
#define SENDABLE (1 << WS_TEXT | 1 << WS_BINARY | 1 << WS_PING | 1 << WS_PONG)

// What send() says.
#define WAITS (-1)
#define NOT_TAKEN (-2)

// serve() reads again after a long read, but the user's code shall go on, too.
#define LONG_READ (512)
#define MAX_READS (8)

// Where the payload of the frame in progress goes.
enum { WANT_HEADER, INTO_RX, INTO_MESSAGE, IN_PARTS };

// Words, not bytes: on ESP8266 a byte costs seven instructions to read.  What most of the code
// reads comes first: the shorter instructions reach no further.
typedef struct {
    mp_obj_base_t base;
    int state;
    int error;                  // sticky, 0: none
    int busy;                   // a stream is being called: one written in Python could call us
    uint8_t *rx;                // unread bytes: rx[rx_at..rx_end)
    size_t rx_len;
    size_t rx_at;
    size_t rx_end;
    const uint8_t *payload;     // of the last event
    size_t payload_len;
    uint8_t *message;           // heap block of a message that is not delivered from rx
    size_t message_len;         // bytes decoded in it
    uint8_t *tx;                // unwritten bytes: tx[tx_at..tx_end)
    size_t tx_at;
    size_t tx_end;
    size_t src_left;            // of what is being sent by reference
    ws_decoder_t decoder;

    size_t message_size;        // of the block
    size_t fresh;               // bytes that fill() put behind those decoded
    int parts;                  // a data frame's payload is not assembled
    int event;                  // last event, 0: none
    int calling;                // the handler is running, or has failed
    int heard;
    int buffered;               // see above
    int more;                   // a buffered stream may have more
    mp_obj_t function;          // the handler of messages, None: there is none
    mp_obj_t owner;
    size_t count;               // of arguments

    mp_obj_t stream;            // attached, else None
    int pong_error;             // errno of the write of a pong, until flush() tells it
    size_t tx_len;
    size_t offered;             // bytes that the stream did not take, and must be offered again
    mp_obj_t source;            // keeps alive what is being sent by reference
    const uint8_t *src;
    uint32_t src_at;            // payload offset of src[0]
    uint32_t key;               // of that frame
    ws_random_t random;
} codec_t;

// str or bytes around data[0..len), a heap block of its own with a zero behind the data.
// Made by hand, as the runtime's constructors would hash, validate or copy it once more; a
// hash of 0 means "not computed yet".
static mp_obj_t WS_CODE ws_new_str(const mp_obj_type_t *type, uint8_t *data, size_t len) {
    mp_obj_str_t *o = m_new_obj(mp_obj_str_t);
    o->base.type = type;
    o->hash = 0;
    o->len = len;
    data[len] = 0;
    o->data = data;
    return MP_OBJ_FROM_PTR(o);
}

static mp_obj_t WS_CODE ws_copy_str(const mp_obj_type_t *type, const uint8_t *data, size_t len) {
    uint8_t *copy = m_new(uint8_t, len + 1);
    ws_move(copy, data, len);
    return ws_new_str(type, copy, len);
}

#if !MICROPY_ENABLE_DYNRUNTIME
static const mp_obj_type_t codec_type;
#else
mp_obj_full_type_t codec_type;
#endif

static mp_obj_t WS_CODE codec_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
    const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 5, 6, false);
    mp_int_t role = mp_obj_get_int(args[0]);
    mp_int_t rx_len = mp_obj_get_int(args[1]);
    mp_int_t tx_len = mp_obj_get_int(args[2]);
    mp_int_t max_len = mp_obj_get_int(args[3]);
    mp_buffer_info_t seed;
    mp_get_buffer_raise(args[4], &seed, MP_BUFFER_READ);
    if (role < WS_CLIENT || role > WS_SERVER || rx_len < RX_MIN || tx_len < TX_MIN
        || max_len < 0 || max_len > 0x7fffffff || seed.len != 20) {
        mp_raise_ValueError(MP_ERROR_TEXT("Codec"));
    }
    codec_t *self = m_new_obj(codec_t);
    ws_set(self, 0, sizeof(*self));     // WANT_HEADER, NULL
    self->base.type = type;
    self->parts = n_args == 6 && mp_obj_is_true(args[5]);
    self->function = self->owner = self->stream = self->source = mp_const_none;
    self->rx_len = rx_len;
    self->tx_len = tx_len;
    ws_decoder_init(&self->decoder, role, max_len);
    ws_random_init(&self->random, seed.buf);
    self->rx = m_new(uint8_t, rx_len);
    self->tx = m_new(uint8_t, tx_len);
    return MP_OBJ_FROM_PTR(self);
}

// A stream that calls its codec finds it busy; one that raises leaves it so, for good.
static codec_t *WS_CODE get_codec(mp_obj_t self_in) {
    codec_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->busy) {
        mp_raise_OSError(MP_EBUSY);
    }
    return self;
}

// mbedTLS's errors are negative.
static int WS_CODE stream_error(int error) {
    return error < 0 ? -error : error;
}

// ---- Receiving

static void WS_CODE rx_compact(codec_t *self) {
    ws_move(self->rx, self->rx + self->rx_at, self->rx_end - self->rx_at);
    self->rx_end -= self->rx_at;
    self->rx_at = 0;
}

// One read.  Returns -1 if nothing is there.
static mp_int_t WS_CODE rx_fill(codec_t *self, mp_obj_t stream) {
    uint8_t *to;
    size_t room;
    bool direct = self->state == INTO_MESSAGE && self->rx_at == self->rx_end;
    if (direct) {
        to = self->message + self->message_len + self->fresh;
        room = self->decoder.frame_left - self->fresh;
    } else {
        if (self->rx_at != 0) {
            rx_compact(self);
        }
        to = self->rx + self->rx_end;
        room = self->rx_len - self->rx_end;
    }
    if (room == 0) {
        mp_raise_OSError(MP_ENOBUFS);
    }
    int error = 0;
    const mp_stream_p_t *protocol = mp_get_stream_raise(stream, MP_STREAM_OP_READ);
    self->busy = 1;
    mp_uint_t n = protocol->read(stream, to, room, &error);
    self->busy = 0;
    if (n == MP_STREAM_ERROR) {
        if (WOULD_BLOCK(error)) {
            return -1;
        }
        mp_raise_OSError(stream_error(error));
    }
    if (n > room) {
        mp_raise_OSError(MP_EIO);
    }
    if (direct) {
        self->fresh += n;
    } else {
        self->rx_end += n;
    }
    return n;
}

static mp_obj_t WS_CODE codec_fill(mp_obj_t self_in, mp_obj_t stream) {
    mp_int_t n = rx_fill(get_codec(self_in), stream);
    return n < 0 ? mp_const_none : MP_OBJ_NEW_SMALL_INT(n);
}

static mp_obj_t WS_CODE codec_readline(mp_obj_t self_in) {
    codec_t *self = get_codec(self_in);
    const uint8_t *line = self->rx + self->rx_at;
    for (size_t i = self->rx_at; i < self->rx_end; i++) {
        if (self->rx[i] == '\n') {
            size_t len = i - self->rx_at;
            self->rx_at = i + 1;
            if (len != 0 && line[len - 1] == '\r') {
                len--;
            }
            return mp_obj_new_bytes(line, len);
        }
    }
    if (self->rx_end - self->rx_at == self->rx_len) {
        mp_raise_ValueError(MP_ERROR_TEXT("line"));
    }
    return mp_const_none;
}

static mp_obj_t WS_CODE codec_read(mp_obj_t self_in) {
    codec_t *self = get_codec(self_in);
    mp_obj_t bytes = mp_obj_new_bytes(self->rx + self->rx_at, self->rx_end - self->rx_at);
    self->rx_at = self->rx_end = 0;
    return bytes;
}

// Decides where the payload goes of the frame whose header was just read.
static int WS_CODE begin_frame(codec_t *self) {
    ws_decoder_t *d = &self->decoder;
    if (self->parts != 0 && d->opcode < WS_CLOSE) {
        self->state = IN_PARTS;
        return 0;
    }
    if (d->frame_len <= self->rx_len && d->first && d->fin) {
        self->state = INTO_RX;
        return 0;
    }
    // One more byte for the zero behind a str.
    size_t size = d->message_len + 1;
    if (size > self->message_size) {
        uint8_t *message = m_renew_maybe(uint8_t, self->message, self->message_size, size, true);
        if (message == NULL) {
            return d->first && d->fin ? NO_MEMORY_FRAME : NO_MEMORY_FRAGMENTS;
        }
        self->message = message;
        self->message_size = size;
    }
    self->state = INTO_MESSAGE;
    return 0;
}

// Decodes what has arrived of the payload: WS_DONE at the end of the frame.
static int WS_CODE decode_payload(codec_t *self) {
    ws_decoder_t *d = &self->decoder;
    size_t n = self->rx_end - self->rx_at;
    if (self->state == INTO_RX) {
        size_t seen = d->frame_len - d->frame_left;
        n = MIN(n - seen, d->frame_left);
        int result = ws_decode_payload(d, self->rx + self->rx_at + seen, n);
        if (result == WS_MORE && self->rx_at + d->frame_len > self->rx_len) {
            rx_compact(self);
        }
        return result;
    }
    if (self->state == IN_PARTS) {
        self->payload = self->rx + self->rx_at;
        self->payload_len = n = MIN(n, d->frame_left);
        self->rx_at += n;
        return ws_decode_payload(d, self->rx + self->rx_at - n, n);
    }
    uint8_t *to = self->message + self->message_len;
    if (self->fresh != 0) {
        n = self->fresh;
        self->fresh = 0;
    } else {
        n = MIN(n, d->frame_left);
        ws_move(to, self->rx + self->rx_at, n);
        self->rx_at += n;
    }
    self->message_len += n;
    return ws_decode_payload(d, to, n);
}

static int WS_CODE codec_event(codec_t *self) {
    ws_decoder_t *d = &self->decoder;
    if (self->payload == self->message) {
        // The last event's, if the caller did not take it.
        self->message = NULL;
        self->message_size = self->message_len = 0;
    }
    self->payload = NULL;
    self->payload_len = 0;
    for (;;) {
        if (self->state == WANT_HEADER) {
            if (self->rx_at == self->rx_end) {
                self->rx_at = self->rx_end = 0;
                return WS_MORE;
            }
            size_t used;
            int result = ws_decode_header(d, self->rx + self->rx_at, self->rx_end - self->rx_at,
                &used);
            self->rx_at += used;
            if (result == WS_MORE) {
                self->rx_at = self->rx_end = 0;
            }
            if (result != WS_DONE) {
                return result;
            }
            result = begin_frame(self);
            if (result != 0) {
                return result;
            }
        }
        int result = decode_payload(self);
        if (result != WS_DONE) {
            return result == WS_MORE && self->payload_len != 0 ? (int)d->opcode : result;
        }
        int state = self->state;
        self->state = WANT_HEADER;
        if (state == IN_PARTS) {
            if (self->payload_len != 0 || d->fin) {
                return d->opcode;
            }
            continue;
        }
        if (state == INTO_RX) {
            self->payload = self->rx + self->rx_at;
            self->payload_len = d->frame_len;
            self->rx_at += d->frame_len;
            return d->opcode;
        }
        if (d->fin) {
            self->payload = self->message;
            self->payload_len = self->message_len;
            return d->opcode;
        }
    }
}

static int WS_CODE next_event(codec_t *self) {
    int event = self->error;
    if (event == 0) {
        event = codec_event(self);
    }
    if (event < 0) {
        self->error = event;
        self->state = WANT_HEADER;
        self->message = NULL;
        self->payload = NULL;
        self->rx_at = self->rx_end = self->message_size = self->message_len = self->fresh = 0;
        self->payload_len = 0;
    }
    self->event = event > 0 ? event : 0;
    return event;
}

static mp_obj_t WS_CODE codec_next(mp_obj_t self_in) {
    return MP_OBJ_NEW_SMALL_INT(next_event(get_codec(self_in)));
}

static mp_obj_t WS_CODE payload_object(codec_t *self) {
    size_t len = self->payload_len;
    const mp_obj_type_t *type = self->event == WS_TEXT && self->parts == 0
        ? &mp_type_str : &mp_type_bytes;
    if (self->event == WS_CLOSE) {
        size_t skip = MIN(len, 2);
        mp_obj_t pair[2] = {
            MP_OBJ_NEW_SMALL_INT(self->decoder.close_code),
            ws_copy_str(&mp_type_str, self->payload + skip, len - skip),
        };
        return mp_obj_new_tuple(2, pair);
    }
    if (len == 0) {
        // These exist already.
        return type == &mp_type_str ? mp_obj_new_str("", 0) : mp_const_empty_bytes;
    }
    if (self->payload == self->message) {
        mp_obj_t data = ws_new_str(type, self->message, len);
        self->message = NULL;
        self->message_size = self->message_len = 0;
        return data;
    }
    return ws_copy_str(type, self->payload, len);
}

static mp_obj_t WS_CODE codec_data(mp_obj_t self_in) {
    return payload_object(get_codec(self_in));
}

static mp_obj_t WS_CODE codec_part(mp_obj_t self_in) {
    codec_t *self = get_codec(self_in);
    ws_decoder_t *d = &self->decoder;
    mp_obj_t pair[2] = {
        mp_obj_new_int_from_uint(d->message_len - d->frame_left - self->payload_len),
        mp_obj_new_bool(d->frame_left == 0 && d->fin),
    };
    return mp_obj_new_tuple(2, pair);
}

static mp_obj_t WS_CODE codec_readinto(mp_obj_t self_in, mp_obj_t buf) {
    codec_t *self = get_codec(self_in);
    mp_buffer_info_t info;
    mp_get_buffer_raise(buf, &info, MP_BUFFER_WRITE);
    size_t len = self->payload_len;
    if (len > info.len) {
        mp_raise_ValueError(MP_ERROR_TEXT("buffer"));
    }
    if (len != 0) {     // else either may be NULL, which memmove() does not take
        ws_move(info.buf, self->payload, len);
    }
    return MP_OBJ_NEW_SMALL_INT(len);
}

// ---- Sending

// Puts a frame into the transmit buffer, and what does not fit behind it by reference, if
// `keep` is an object that may be referred to.  first: opcode | FIN, or -1 for raw bytes.
static bool WS_CODE tx_begin(codec_t *self, int first, const uint8_t *data, size_t len,
    mp_obj_t keep) {
    if (self->src_left != 0) {
        return false;
    }
    uint8_t header[WS_HEADER_MAX];
    size_t header_len = 0;
    bool masked = first >= 0 && self->decoder.masked == 0;
    uint32_t key = 0;
    if (masked) {
        key = ws_random(&self->random);
    }
    if (first >= 0) {
        header_len = ws_encode_header(header, first, len, masked ? &key : NULL);
    }
    if (self->tx_at == self->tx_end) {
        // Where the payload has the source's alignment, masking works by whole words.
        self->tx_at = self->tx_end = ((uintptr_t)data - header_len) & 3;
    }
    size_t need = header_len + len;
    if (need > self->tx_len - self->tx_end && self->tx_at != self->tx_end) {
        ws_move(self->tx, self->tx + self->tx_at, self->tx_end - self->tx_at);
        self->tx_end -= self->tx_at;
        self->tx_at = 0;
    }
    size_t room = self->tx_len - self->tx_end;
    if (need > room && (keep == MP_OBJ_NULL || header_len > room)) {
        return false;
    }
    ws_move(self->tx + self->tx_end, header, header_len);
    self->tx_end += header_len;
    size_t n = MIN(len, room - header_len);
    ws_mask(self->tx + self->tx_end, data, n, key, 0);
    self->tx_end += n;
    if (n != len) {
        self->key = key;
        self->source = keep;
        self->src = data + n;
        self->src_at = n;
        self->src_left = len - n;
    }
    return true;
}

static void WS_CODE tx_refill(codec_t *self) {
    size_t at = (uintptr_t)self->src & 3;
    size_t n = MIN(self->src_left, self->tx_len - at);
    ws_mask(self->tx + at, self->src, n, self->key, self->src_at);
    self->tx_at = at;
    self->tx_end = at + n;
    self->src += n;
    self->src_at += n;
    self->src_left -= n;
    if (self->src_left == 0) {
        self->source = mp_const_none;
    }
}

// The bytes of a frame to send.  first: opcode | FIN, which is returned.
static int WS_CODE get_frame(mp_int_t first, mp_obj_t data, mp_buffer_info_t *info) {
    mp_int_t opcode = first & ~WS_FIN;
    mp_get_buffer_raise(data, info, MP_BUFFER_READ);
    if (opcode < 0 || opcode > WS_PONG || (opcode > WS_BINARY && opcode < WS_CLOSE)) {
        mp_raise_ValueError(MP_ERROR_TEXT("opcode"));
    }
    if ((opcode >= WS_CLOSE && info->len > WS_CONTROL_MAX) || info->len > 0x7fffffff) {
        mp_raise_ValueError(MP_ERROR_TEXT("length"));
    }
    if (first == (WS_FIN | WS_TEXT) && ws_utf8(0, info->buf, info->len) != WS_UTF8_ACCEPT) {
        mp_raise_ValueError(MP_ERROR_TEXT("text is not UTF-8"));
    }
    return first;
}

static bool WS_CODE tx_object(codec_t *self, int first, mp_obj_t data,
    const mp_buffer_info_t *info) {
    mp_buffer_info_t writable;
    bool mutable = mp_get_buffer(data, &writable, MP_BUFFER_WRITE);
    bool control = first >= (WS_FIN | WS_CLOSE);
    return tx_begin(self, first, info->buf, info->len, mutable || control ? MP_OBJ_NULL : data);
}

static mp_obj_t WS_CODE codec_write(mp_obj_t self_in, mp_obj_t data) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(data, &info, MP_BUFFER_READ);
    return mp_obj_new_bool(tx_object(get_codec(self_in), -1, data, &info));
}

static mp_obj_t WS_CODE codec_pong(mp_obj_t self_in) {
    codec_t *self = get_codec(self_in);
    return mp_obj_new_bool(tx_begin(self, WS_FIN | WS_PONG, self->payload, self->payload_len,
        MP_OBJ_NULL));
}

static mp_obj_t WS_CODE codec_frame(mp_obj_t self_in, mp_obj_t first_in, mp_obj_t data) {
    mp_buffer_info_t info;
    int first = get_frame(mp_obj_get_int(first_in), data, &info);
    return mp_obj_new_bool(tx_object(get_codec(self_in), first, data, &info));
}

// Writes until nothing is left (0), the rest must wait (WAITS) or the stream fails (its errno).
static int WS_CODE tx_flush(codec_t *self, mp_obj_t stream) {
    const mp_stream_p_t *protocol = mp_get_stream_raise(stream, MP_STREAM_OP_WRITE);
    for (;;) {
        if (self->tx_at == self->tx_end) {
            if (self->src_left == 0) {
                return 0;
            }
            tx_refill(self);
        }
        int error = 0;
        size_t len = self->tx_end - self->tx_at;
        if (self->offered != 0) {
            // TLS has encrypted these already, and would take what has come behind them for sent.
            len = self->offered;
            self->offered = 0;
        }
        self->busy = 1;
        LWIP_STARTS
        mp_uint_t n = protocol->write(stream, self->tx + self->tx_at, len, &error);
        self->busy = 0;
        if (LWIP_LOST(n)) {
            return MP_ETIMEDOUT;
        }
        if (n == MP_STREAM_ERROR && !WOULD_BLOCK(error)) {
            return stream_error(error);
        }
        if (n == MP_STREAM_ERROR || n == 0) {
            self->offered = len;
            return WAITS;
        }
        if (n > len) {
            return MP_EIO;
        }
        self->tx_at += n;
    }
}

static mp_obj_t WS_CODE codec_flush(mp_obj_t self_in, mp_obj_t stream) {
    codec_t *self = get_codec(self_in);
    int result = self->pong_error;
    self->pong_error = 0;
    return MP_OBJ_NEW_SMALL_INT(result != 0 ? result : tx_flush(self, stream));
}

static mp_obj_t WS_CODE codec_pending(mp_obj_t self_in) {
    codec_t *self = get_codec(self_in);
    return MP_OBJ_NEW_SMALL_INT(self->tx_end - self->tx_at + self->src_left);
}

// ---- The short way

static mp_obj_t WS_CODE codec_deliver(size_t n_args, const mp_obj_t *args) {
    codec_t *self = get_codec(args[0]);
    mp_int_t count = mp_obj_get_int(args[3]);
    if (count < 0 || count > 3) {
        mp_raise_ValueError(MP_ERROR_TEXT("count"));
    }
    self->function = args[1];
    self->owner = args[2];
    self->count = count;
    return mp_const_none;
}

static mp_obj_t WS_CODE codec_buffered(mp_obj_t self_in, mp_obj_t flag) {
    get_codec(self_in)->buffered = mp_obj_is_true(flag);
    return mp_const_none;
}

static mp_obj_t WS_CODE codec_attach(mp_obj_t self_in, mp_obj_t stream) {
    get_codec(self_in)->stream = stream;
    return mp_const_none;
}

// A frame on the attached stream.
static int WS_CODE send_frame(codec_t *self, int first, mp_obj_t data,
    const mp_buffer_info_t *info) {
    if (!tx_object(self, first, data, info)) {
        return NOT_TAKEN;
    }
    mp_obj_t stream = self->stream;
    int result = tx_flush(self, stream);
    if (result != 0) {
        self->stream = mp_const_none;
    }
    return result;
}

static mp_obj_t WS_CODE codec_send(size_t n_args, const mp_obj_t *args) {
    codec_t *self = get_codec(args[0]);
    mp_int_t opcode = n_args == 2 ? WS_TEXT : mp_obj_get_int(args[2]);
    int result = NOT_TAKEN;
    if (self->stream != mp_const_none && opcode >= 0 && opcode <= WS_PONG
        && (SENDABLE >> opcode & 1) != 0) {
        mp_buffer_info_t info;
        result = send_frame(self, get_frame(opcode | WS_FIN, args[1], &info), args[1], &info);
    }
    return MP_OBJ_NEW_SMALL_INT(result);
}

// Sees to an event.  Returns 0, or what the caller has to see to.
static int WS_CODE serve_event(codec_t *self, int event) {
    if (event == WS_PING && self->stream != mp_const_none) {
        mp_buffer_info_t info = { .buf = (void *)self->payload, .len = self->payload_len };
        int result = send_frame(self, WS_FIN | WS_PONG, mp_const_none, &info);
        // A stream may tell its error only once.
        self->pong_error = result > 0 ? result : 0;
        return result == NOT_TAKEN ? event : result != 0 ? FLUSH : 0;
    }
    if ((event != WS_TEXT && event != WS_BINARY) || self->function == mp_const_none) {
        return event;
    }
    mp_obj_t data = payload_object(self);
    size_t count = self->count;
    mp_obj_t args[3] = { self->owner, data, MP_OBJ_NEW_SMALL_INT(event) };
    if (self->owner == mp_const_none) {
        args[0] = args[2];
        count = 2;
    }
    self->calling = 1;
    mp_call_function_n_kw(self->function, count, 0, args);
    self->calling = 0;
    return 0;
}

static mp_obj_t WS_CODE codec_serve(mp_obj_t self_in, mp_obj_t stream) {
    codec_t *self = get_codec(self_in);
    self->calling = 0;
    mp_int_t n = LONG_READ;
    for (size_t reads = MAX_READS;; reads--) {
        int error = self->error;
        for (int event; (event = next_event(self)) != error;) {
            event = serve_event(self, event);
            if (event != 0) {
                return MP_OBJ_NEW_SMALL_INT(event);
            }
        }
        if (reads == 0 || n < LONG_READ || stream == mp_const_none || error == PAUSED) {
            return MP_OBJ_NEW_SMALL_INT(self->more != 0 && error != PAUSED ? MORE : 0);
        }
        n = rx_fill(self, stream);
        self->more = self->buffered != 0 && n > 0;
        if (n == 0) {
            return MP_OBJ_NEW_SMALL_INT(END);
        }
        if (n > 0) {
            self->heard = 1;
        }
        if (self->more != 0 || self->rx_end == self->rx_len) {
            n = LONG_READ;      // all that there was room for
        }
    }
}

static mp_obj_t WS_CODE codec_calling(mp_obj_t self_in) {
    codec_t *self = MP_OBJ_TO_PTR(self_in);
    mp_obj_t calling = mp_obj_new_bool(self->calling);
    self->calling = 0;
    return calling;
}

static mp_obj_t WS_CODE codec_heard(mp_obj_t self_in) {
    codec_t *self = MP_OBJ_TO_PTR(self_in);
    mp_obj_t heard = mp_obj_new_bool(self->heard);
    self->heard = 0;
    return heard;
}

static mp_obj_t WS_CODE codec_pause(mp_obj_t self_in, mp_obj_t on) {
    codec_t *self = MP_OBJ_TO_PTR(self_in);
    bool pause = mp_obj_is_true(on);
    if (self->error == (pause ? 0 : PAUSED)) {
        self->error = pause ? PAUSED : 0;
    }
    return mp_const_none;
}

// ---- Functions

static mp_obj_t WS_CODE mod_mask(mp_obj_t buf, mp_obj_t key_in, mp_obj_t offset) {
    mp_buffer_info_t info, key;
    mp_get_buffer_raise(buf, &info, MP_BUFFER_RW);
    mp_get_buffer_raise(key_in, &key, MP_BUFFER_READ);
    if (key.len != 4) {
        mp_raise_ValueError(MP_ERROR_TEXT("key"));
    }
    uint32_t word = 0;
    for (size_t i = 4; i-- != 0;) {
        word = word << 8 | ws_byte((const uint8_t *)key.buf + i);
    }
    ws_mask(info.buf, info.buf, info.len, word, mp_obj_get_int(offset));
    return mp_const_none;
}

static mp_obj_t WS_CODE mod_check(mp_obj_t first, mp_obj_t data) {
    mp_buffer_info_t info;
    get_frame(mp_obj_get_int(first), data, &info);
    return MP_OBJ_NEW_SMALL_INT(info.len);
}

static mp_obj_t WS_CODE mod_accept(mp_obj_t key_in) {
    mp_buffer_info_t key;
    mp_get_buffer_raise(key_in, &key, MP_BUFFER_READ);
    uint8_t accept[28];
    ws_accept_key(accept, key.buf, key.len);
    return mp_obj_new_bytes(accept, sizeof(accept));
}

static mp_obj_t WS_CODE mod_call(size_t n_args, const mp_obj_t *args) {
    mp_int_t count = mp_obj_get_int(args[1]);
    if (count < 0 || (size_t)count > n_args - 2) {
        mp_raise_ValueError(MP_ERROR_TEXT("count"));
    }
    return mp_call_function_n_kw(args[0], count, 0, args + 2);
}

// ---- Registration

// Spelled out: the native build looks for the names in this text.
#define METHODS(X) \
    X(MP_QSTR_fill, 2, codec_fill) \
    X(MP_QSTR_readline, 1, codec_readline) \
    X(MP_QSTR_read, 1, codec_read) \
    X(MP_QSTR_next, 1, codec_next) \
    X(MP_QSTR_data, 1, codec_data) \
    X(MP_QSTR_readinto, 2, codec_readinto) \
    X(MP_QSTR_frame, 3, codec_frame) \
    X(MP_QSTR_pong, 1, codec_pong) \
    X(MP_QSTR_write, 2, codec_write) \
    X(MP_QSTR_flush, 2, codec_flush) \
    X(MP_QSTR_pending, 1, codec_pending) \
    X(MP_QSTR_serve, 2, codec_serve) \
    X(MP_QSTR_attach, 2, codec_attach) \
    X(MP_QSTR_buffered, 2, codec_buffered) \
    X(MP_QSTR_calling, 1, codec_calling) \
    X(MP_QSTR_heard, 1, codec_heard) \
    X(MP_QSTR_part, 1, codec_part) \
    X(MP_QSTR_pause, 2, codec_pause)
#define METHODS_VAR(X) \
    X(MP_QSTR_deliver, 4, 4, codec_deliver) \
    X(MP_QSTR_send, 2, 3, codec_send)
#define FUNCTIONS(X) \
    X(MP_QSTR_mask, 3, mod_mask) \
    X(MP_QSTR_check, 2, mod_check) \
    X(MP_QSTR_accept, 1, mod_accept)
#define FUNCTIONS_VAR(X) \
    X(MP_QSTR_call, 2, MP_OBJ_FUN_ARGS_MAX, mod_call)

#if !MICROPY_ENABLE_DYNRUNTIME

#define FIXED(name, n, f) static MP_DEFINE_CONST_FUN_OBJ_##n(f##_obj, f);
#define VAR(name, min, max, f) static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(f##_obj, min, max, f);
METHODS(FIXED)
METHODS_VAR(VAR)
FUNCTIONS(FIXED)
FUNCTIONS_VAR(VAR)

#define ENTRY(name, n, f) { MP_ROM_QSTR(name), MP_ROM_PTR(&f##_obj) },
#define ENTRY_VAR(name, min, max, f) ENTRY(name, 0, f)
static const mp_rom_map_elem_t codec_locals_dict_table[] = {
    METHODS(ENTRY)
    METHODS_VAR(ENTRY_VAR)
};
static MP_DEFINE_CONST_DICT(codec_locals_dict, codec_locals_dict_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    codec_type,
    MP_QSTR_Codec,
    MP_TYPE_FLAG_NONE,
    make_new, codec_make_new,
    locals_dict, &codec_locals_dict
    );

static const mp_rom_map_elem_t wscore_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__wscore) },
    { MP_ROM_QSTR(MP_QSTR_native), MP_ROM_TRUE },
    { MP_ROM_QSTR(MP_QSTR_Codec), MP_ROM_PTR(&codec_type) },
    FUNCTIONS(ENTRY)
    FUNCTIONS_VAR(ENTRY_VAR)
};
static MP_DEFINE_CONST_DICT(wscore_globals, wscore_globals_table);

const mp_obj_module_t wscore_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&wscore_globals,
};
MP_REGISTER_MODULE(MP_QSTR__wscore, wscore_module);

#else

#define COUNT(...) + 1
#define METHODS_LEN (0 METHODS(COUNT) METHODS_VAR(COUNT))
mp_map_elem_t codec_locals_dict_table[METHODS_LEN];
static MP_DEFINE_CONST_DICT(codec_locals_dict, codec_locals_dict_table);

// All functions, in the order of their names.
#define FIXED(name, n, f) { { &mp_type_fun_builtin_##n }, { ._##n = f } },
#define VAR(name, min, max, f) \
    { { &mp_type_fun_builtin_var }, MP_OBJ_FUN_MAKE_SIG(min, max, false), { .var = f } },
static const struct {
    mp_obj_fun_builtin_fixed_t fixed[0 METHODS(COUNT) FUNCTIONS(COUNT)];
    mp_obj_fun_builtin_var_t var[0 METHODS_VAR(COUNT) FUNCTIONS_VAR(COUNT)];
} functions = {
    { FUNCTIONS(FIXED) METHODS(FIXED) },
    { METHODS_VAR(VAR) FUNCTIONS_VAR(VAR) },
};

// A name that MicroPython always has is a number, others are at an index of mp_native_qstr_table:
// here minus that.
#pragma push_macro("mp_native_qstr_table")
#undef mp_native_qstr_table
#define mp_native_qstr_table -(intptr_t)&((char *)0)
#define NAME(name, ...) (uint8_t)name,
static const uint8_t names[] = {
    FUNCTIONS(NAME) METHODS(NAME) METHODS_VAR(NAME) FUNCTIONS_VAR(NAME)
};
#pragma pop_macro("mp_native_qstr_table")
#define NAMES_MAX (64)

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    const uint8_t *function = (const uint8_t *)functions.fixed;
    mp_map_elem_t *method = codec_locals_dict_table;
    for (size_t i = 0; i < sizeof(names); i++) {
        size_t name = ws_byte(names + i);
        if (name >= 256 - NAMES_MAX) {
            name = mp_native_qstr_table[256 - name];
        }
        mp_obj_t o = MP_OBJ_FROM_PTR(function);
        if (i - (0 FUNCTIONS(COUNT)) < METHODS_LEN) {
            *method++ = (mp_map_elem_t) { MP_OBJ_NEW_QSTR(name), o };
        } else {
            mp_store_global(name, o);
        }
        function += function < (const uint8_t *)functions.var ? sizeof(functions.fixed[0])
            : sizeof(functions.var[0]);
    }
    codec_type.base.type = &mp_type_type;
    codec_type.name = MP_QSTR_Codec;
    MP_OBJ_TYPE_SET_SLOT(&codec_type, make_new, codec_make_new, 0);
    MP_OBJ_TYPE_SET_SLOT(&codec_type, locals_dict, (void *)&codec_locals_dict, 1);
    mp_store_global(MP_QSTR_native, mp_const_true);
    mp_store_global(MP_QSTR_Codec, MP_OBJ_FROM_PTR(&codec_type));
    MP_DYNRUNTIME_INIT_EXIT
}

#endif
