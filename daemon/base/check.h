/* check.h - assertions that show the values of a broken invariant.
 *
 * They stay in release builds: a daemon that continues with broken structures would serve wrong
 * results. Each evaluates its arguments once, as unsigned 64-bit integers. A failed check aborts,
 * so that a core file shows the caller, after one line on stderr, such as
 *
 *   fcached: daemon/region/arena.c:120: check failed: free <= size (free = 96, size = 64)
 *
 * Use assert() where the condition has no values that explain it. Never check input from a socket,
 * a ring, a file or the environment. */
#ifndef FC_DAEMON_CHECK_H
#define FC_DAEMON_CHECK_H

#include <stdint.h>

#define check_eq(a, b) CHECK_COMPARE(a, ==, b)
#define check_le(a, b) CHECK_COMPARE(a, <=, b)
#define check_lt(a, b) CHECK_COMPARE(a, <, b)

#define CHECK_COMPARE(a, op, b)                                                                    \
  do {                                                                                             \
    uint64_t check_a_ = (uint64_t)(a), check_b_ = (uint64_t)(b);                                   \
    if (__builtin_expect(!(check_a_ op check_b_), 0))                                              \
      check_failed(__FILE__, __LINE__, #a, #op, #b, check_a_, check_b_);                           \
  } while (0)

/* Prints the line and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *a, const char *op,
                            const char *b, uint64_t a_value, uint64_t b_value);

#endif
