// Serial line, time, waiting, semihosting and random numbers.
#include <string.h>
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "extmod/misc.h"
#include "shared/runtime/softtimer.h"
#include "board.h"

#define CYCLES_PER_MS (CPU_HZ / 1000)

static uint8_t stdin_buf[260];
ringbuf_t stdin_ringbuf = { stdin_buf, sizeof(stdin_buf), 0, 0 };

// ---- Semihosting

int simcall(int number, int a, int b, int c) {
    register int a2 __asm__ ("a2") = number;
    register int a3 __asm__ ("a3") = a;
    register int a4 __asm__ ("a4") = b;
    register int a5 __asm__ ("a5") = c;
    __asm__ volatile ("simcall" : "+r" (a2), "+r" (a3) : "r" (a4), "r" (a5) : "memory");
    return a2;
}

void board_exit(int status) {
    simcall(SIMCALL_EXIT, status, 0, 0);
    for (;;) {
    }
}

bool board_arg(const char *name, uint32_t *value) {
    char args[256];
    if (simcall(SIMCALL_ARGV_SIZE, 0, 0, 0) > (int)sizeof(args)) {
        return false;
    }
    int argc = simcall(SIMCALL_ARGC, 0, 0, 0);
    simcall(SIMCALL_ARGV, (int)args, 0, 0);
    for (int i = 0; i < argc; i++) {
        const char *arg = ((const char **)args)[i];
        if (strncmp(arg, name, strlen(name)) == 0) {
            *value = 0;
            for (arg += strlen(name); *arg >= '0' && *arg <= '9'; arg++) {
                *value = *value * 10 + *arg - '0';
            }
            return true;
        }
    }
    return false;
}

// ---- Time

static uint32_t now_ms;                     // since start-up
static uint32_t now_at;                     // CCOUNT when it was set
static uint32_t clock_start;                // seconds from 2000 to start-up

// Brings now_ms up to date; returns the cycles that have passed since.  CCOUNT wraps after 107 s,
// and board_poll() looks often enough.  The core cannot divide: that is done as rarely as possible,
// and never in 64 bits.
static uint32_t cycles(void) {
    uint32_t passed = mp_hal_ticks_cpu() - now_at;
    if (passed >= CYCLES_PER_MS) {
        uint32_t n = passed / CYCLES_PER_MS;
        now_ms += n;
        now_at += n * CYCLES_PER_MS;
        passed -= n * CYCLES_PER_MS;
    }
    return passed;
}

mp_uint_t mp_hal_ticks_ms(void) {
    cycles();
    return now_ms;
}

mp_uint_t mp_hal_ticks_us(void) {
    uint32_t passed = cycles();
    return now_ms * 1000 + passed / (CPU_HZ / 1000000);
}

uint64_t mp_hal_time_ns(void) {
    uint32_t passed = cycles();
    return clock_start * 1000000000ULL + (uint64_t)now_ms * 1000000
           + passed * (1000000000 / CPU_HZ);
}

uint32_t board_clock(void) {
    return clock_start + mp_hal_ticks_ms() / 1000;
}

void board_set_clock(uint32_t seconds) {
    clock_start = seconds - mp_hal_ticks_ms() / 1000;
}

void mp_hal_delay_us(mp_uint_t us) {
    uint32_t start = mp_hal_ticks_us();
    while (mp_hal_ticks_us() - start < us) {
        mp_event_handle_nowait();
    }
}

void mp_hal_delay_ms(mp_uint_t delay_ms) {
    uint32_t start = mp_hal_ticks_ms();
    for (uint32_t passed; (passed = mp_hal_ticks_ms() - start) < delay_ms;) {
        mp_event_wait_ms(delay_ms - passed);
    }
    mp_event_handle_nowait();
}

// ---- Timers of Python: shared/runtime/softtimer.c keeps them and calls these

static bool timer_set;
static uint32_t timer_at_ms;

uint32_t soft_timer_get_ms(void) {
    return mp_hal_ticks_ms();
}

void soft_timer_schedule_at_ms(uint32_t ticks_ms) {
    timer_set = true;
    timer_at_ms = ticks_ms;
}

// Milliseconds until the next one is due.
static uint32_t timer_ms(void) {
    int32_t left = timer_at_ms - mp_hal_ticks_ms();
    return !timer_set ? UINT32_MAX : left < 0 ? 0 : left;
}

// ---- Waiting

static bool news;                           // since the last board_look()

void board_poll(void) {
    // What does not fit stays in the UART; QEMU then stops reading, and nothing is lost.
    while ((UART_LSR & UART_LSR_DR) && ringbuf_free(&stdin_ringbuf)) {
        int c = UART_DATA & 0xff;
        if (c == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            ringbuf_put(&stdin_ringbuf, c);
        }
    }
    if (lan_poll()) {
        news = true;
    }
    // At most once a millisecond.
    static uint32_t last;
    uint32_t now = mp_hal_ticks_cpu();
    if (now - last >= CYCLES_PER_MS) {
        last = now;
        if (lan_timers()) {
            news = true;
        }
        if (timer_ms() == 0) {
            timer_set = false;
            soft_timer_handler();
            news = true;
        }
    }
}

void board_look(void) {
    news = false;
    board_poll();
}

void board_wait(int timeout_ms) {
    uint32_t ms = MIN(MIN(lan_timer_ms(), timer_ms()), 1000);
    if (timeout_ms >= 0) {
        ms = MIN(ms, (uint32_t)timeout_ms);
    }
    if (news || ms == 0 || ringbuf_avail(&stdin_ringbuf) || MP_STATE_VM(sched_state) == MP_SCHED_PENDING
        || MP_STATE_MAIN_THREAD(mp_pending_exception) != MP_OBJ_NULL) {
        news = false;
        return;
    }
    uint32_t wake = mp_hal_ticks_cpu() + ms * CYCLES_PER_MS;
    uint32_t ps;
    // Interrupts stay blocked until waiti itself: one taken before would clear INTENABLE (that is
    // all its handler does), and nothing would end the waiti.
    __asm__ volatile (
        "rsil   %0, 1\n"
        "wsr    %1, ccompare0\n"            // also clears a timer interrupt that is pending
        "esync\n"
        : "=&r" (ps) : "r" (wake) : "memory");
    // The host may have stopped QEMU for longer than the wait: CCOUNT has passed CCOMPARE0 and
    // would next meet it in 107 s.
    if ((int32_t)(wake - mp_hal_ticks_cpu()) > 0) {
        __asm__ volatile (
            "wsr    %0, intenable\n"
            "rsync\n"
            "waiti  0\n"
            : : "r" (INT_UART | INT_ETH | INT_TIMER) : "memory");
    } else {
        __asm__ volatile (
            "wsr    %0, ps\n"
            "rsync\n"
            : : "r" (ps) : "memory");
    }
}

// ---- Serial line

void uart_init(void) {
    UART_FCR = 0x07;                        // FIFOs on, empty
    UART_IER = 0x01;                        // an interrupt for what comes in
}

int mp_hal_stdin_rx_chr(void) {
    for (;;) {
        int c = ringbuf_get(&stdin_ringbuf);
        if (c != -1) {
            return c;
        }
        mp_event_wait_indefinite();
    }
}

uintptr_t mp_hal_stdio_poll(uintptr_t flags) {
    uintptr_t ret = flags & MP_STREAM_POLL_WR;
    if ((flags & MP_STREAM_POLL_RD) && ringbuf_avail(&stdin_ringbuf)) {
        ret |= MP_STREAM_POLL_RD;
    }
    return ret;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        while (!(UART_LSR & UART_LSR_THRE)) {
        }
        UART_DATA = (uint8_t)text[i];
    }
    mp_os_dupterm_tx_strn(text, len);
    return len;
}

// ---- Random numbers

static void host_random(void *buf, size_t len) {
    int file = simcall(SIMCALL_OPEN, (int)"/dev/urandom", 0, 0);
    simcall(SIMCALL_READ, file, (int)buf, len);
    simcall(SIMCALL_CLOSE, file, 0, 0);
}

// xorshift32, from the host's or, for runs that repeat, from the argument `seed`.
uint32_t board_random(void) {
    static uint32_t state;
    if (state == 0) {
        if (!board_arg("seed=", &state)) {
            host_random(&state, sizeof(state));
        }
        state |= 1;
    }
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

void board_entropy(uint8_t *buf, size_t len) {
    uint32_t seed;
    if (!board_arg("seed=", &seed)) {
        host_random(buf, len);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        buf[i] = board_random();
    }
}
