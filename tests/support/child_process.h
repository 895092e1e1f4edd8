/* child_process.h - a function run in a process of its own, if need be as another user. */
#ifndef FC_TESTS_CHILD_H
#define FC_TESTS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

struct child_user {
  uid_t uid;
  gid_t gid;
  gid_t group; /* the one supplementary group; 0: none */
};

/* In a function of a child, which must not use Check's assertions: says on stderr what is not so,
 * and returns 1. */
#define CHILD_EXPECT(condition)                                                                    \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      (void)fprintf(stderr, "%s:%d: in a child: not so: %s\n", __FILE__, __LINE__, #condition);    \
      return 1;                                                                                    \
    }                                                                                              \
  } while (0)

/* Forks a process that ends with what `fn` returns, or with 1 where it cannot become `user` (NULL:
 * stays what it is). It dies with the caller. */
pid_t child_start(int (*fn)(void *arg), void *arg, const struct child_user *user);

/* The same, and waits: what `fn` returned. Over a minute fails the test. */
int child_run(int (*fn)(void *arg), void *arg, const struct child_user *user);

/* A child's own child, which inherits all that it has open and goes on when it is killed; it ends
 * with the test. */
struct heir {
  int ready[2], life[2]; /* pipes: one gives its pid; the other ends when the test does */
};
void heir_init(struct heir *heir);        /* before the child is started */
bool heir_leave(const struct heir *heir); /* in the child, once: forks it. False where it cannot */
pid_t heir_pid(const struct heir *heir);  /* waits until it is there */
void heir_end(struct heir *heir, pid_t pid); /* kills it, and waits for its end */

/* Memory, zeroed, that children started after share with the caller; it may end with the test. */
void *child_shared(size_t size);

#endif
