// CHECK() and its count.  A program ends with `return check_report();`: it prints
// `N checks, M failed` and fails when a check failed or when there was none.
#ifndef MODWEBSOCKET_TESTS_CHECK_H
#define MODWEBSOCKET_TESTS_CHECK_H

#include <stdio.h>

#define CHECK_REPORT_MAX (20)

static unsigned long check_count;
static unsigned long check_failures;

// The arguments after `ok` are printf's and tell which case it was.
#define CHECK(ok, ...) \
    do { \
        ++check_count; \
        if (!(ok) && ++check_failures <= CHECK_REPORT_MAX) { \
            printf("%s:%d: %s: ", __FILE__, __LINE__, #ok); \
            printf(__VA_ARGS__); \
            printf("\n"); \
        } \
    } while (0)

static inline int check_report(void) {
    printf("%lu checks, %lu failed\n", check_count, check_failures);
    return check_count == 0 || check_failures != 0;
}

#endif
