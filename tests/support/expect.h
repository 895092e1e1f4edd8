/* expect.h - cheap assertions for conditions that are checked a million times. Check's own send a
 * message to the runner each time, also when they hold. */
#ifndef FC_TESTS_EXPECT_H
#define FC_TESTS_EXPECT_H

#include <check.h>

#define EXPECT(condition)                                                                          \
  do {                                                                                             \
    if (!(condition))                                                                              \
      ck_abort_msg("%s:%d: not true: %s", __FILE__, __LINE__, #condition);                         \
  } while (0)

/* Compares integers that fit in a long long. */
#define EXPECT_EQUAL(got, wanted)                                                                  \
  do {                                                                                             \
    long long expect_got = (long long)(got), expect_wanted = (long long)(wanted);                  \
    if (expect_got != expect_wanted)                                                               \
      ck_abort_msg("%s:%d: %s is %lld instead of %s, %lld", __FILE__, __LINE__, #got, expect_got,  \
                   #wanted, expect_wanted);                                                        \
  } while (0)

#endif
