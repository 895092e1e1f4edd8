/* expect.h - assertions for what is checked a million times: Check's own send the
 * runner a message each, true or not, which costs more than what is tested. */
#ifndef FC_TESTS_EXPECT_H
#define FC_TESTS_EXPECT_H

#include <check.h>

#define EXPECT(condition)                                                                          \
  do {                                                                                             \
    if (!(condition))                                                                              \
      ck_abort_msg("%s:%d: not so: %s", __FILE__, __LINE__, #condition);                           \
  } while (0)

/* Of integers that fit in a long long. */
#define EXPECT_EQUAL(got, wanted)                                                                  \
  do {                                                                                             \
    long long expect_got = (long long)(got), expect_wanted = (long long)(wanted);                  \
    if (expect_got != expect_wanted)                                                               \
      ck_abort_msg("%s:%d: %s is %lld instead of %s, %lld", __FILE__, __LINE__, #got, expect_got,  \
                   #wanted, expect_wanted);                                                        \
  } while (0)

#endif
