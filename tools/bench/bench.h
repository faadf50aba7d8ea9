// What a benchmark program needs from its machine: markers around what is counted, and output.
#ifndef MODWEBSOCKET_BENCH_H
#define MODWEBSOCKET_BENCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef BENCH_HOST

#include <stdio.h>
#include <valgrind/callgrind.h>
#define bench_begin() CALLGRIND_ZERO_STATS
#define bench_end() CALLGRIND_DUMP_STATS
#define put(text) fputs(text, stdout)

#else

// In start_*.S; tools/qemu_plugin.c knows the first two by name.
void bench_begin(void);
void bench_end(void);
void put(const char *text);

#endif

#endif
