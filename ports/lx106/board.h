// The devices of QEMU's lx60-nommu board (hw/xtensa/xtfpga.c), at 0x90000000.
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IO_BASE         (0x90000000)

// FPGA: word 1 is the CPU's frequency in Hz; 0xdead written to word 4 resets the board.
#define FPGA            ((volatile uint32_t *)(IO_BASE + 0x0d020000))

// 16550 UART, one register per word.
#define UART            ((volatile uint32_t *)(IO_BASE + 0x0d050020))
#define UART_DATA       (UART[0])
#define UART_IER        (UART[1])
#define UART_FCR        (UART[2])
#define UART_LSR        (UART[5])
#define UART_LSR_DR     (0x01)
#define UART_LSR_THRE   (0x20)

// OpenCores Ethernet: registers, descriptors, 16 KiB of packet RAM; see lan.c.
#define ETH             ((volatile uint32_t *)(IO_BASE + 0x0d030000))
#define ETH_DESC        ((volatile uint32_t *)(IO_BASE + 0x0d030400))
#define ETH_RAM         (IO_BASE + 0x0d800000)

// Interrupts.
#define INT_UART        (1 << 0)
#define INT_ETH         (1 << 1)
#define INT_TIMER       (1 << 6)

// Where an ESP8266's stack begins too.
#define STACK_TOP       (0x40000000)

// QEMU's semihosting for Xtensa; arguments as its target/xtensa/xtensa-semi.c wants them.
#define SIMCALL_EXIT    (1)
#define SIMCALL_READ    (3)
#define SIMCALL_OPEN    (5)
#define SIMCALL_CLOSE   (6)
#define SIMCALL_ARGC    (1000)
#define SIMCALL_ARGV_SIZE (1001)
#define SIMCALL_ARGV    (1002)
int simcall(int number, int a, int b, int c);

// Ends QEMU with this exit status.
__attribute__((noreturn)) void board_exit(int status);

// An argument "name=number" of the command line: -semihosting-config arg=lx106,arg=name=number
// name: with the "=". Returns false if there is none.
bool board_arg(const char *name, uint32_t *value);

// Looks at every device: serial line, network, timers.
void board_poll(void);

// The same; a board_wait() that follows sleeps only if neither this nor a later board_poll() found
// anything, because who waits has not seen that yet.
void board_look(void);

// Sleeps until a device has news, a timer is due, or for timeout_ms; -1: no other limit.
void board_wait(int timeout_ms);

uint32_t board_random(void);
// Random bytes that nobody can guess, as those of the ESP8266's own source.
void board_entropy(uint8_t *buf, size_t len);

// Seconds since 2000; without board_set_clock() it was 2000 at start-up.
uint32_t board_clock(void);
void board_set_clock(uint32_t seconds);

void uart_init(void);

// The network is up, or has failed to come up within 2 s, on return.
void lan_init(void);
// Returns true if it found anything.
bool lan_poll(void);
// lwIP's timers; a look once a millisecond is enough. Returns true if one was due.
bool lan_timers(void);
// A bad network: from now on every n-th frame is lost, counted both ways; 0: none.
void lan_lose(unsigned n);
// Milliseconds until lwIP's next timer is due.
uint32_t lan_timer_ms(void);

// What the flash chip does: erasing sets all bits of a sector, writing can only clear some.
#define FLASH_SECTOR_LEN (4096)
void flash_erase(uintptr_t address);
void flash_write(uintptr_t address, const uint32_t *src, size_t words);

void native_init(void);
// Flash sectors erased for native code since QEMU started.
unsigned native_erasures(void);

#endif
