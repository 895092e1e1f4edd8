/* child_process.h - runs a function in a child process, maybe as another user. */
#ifndef FC_TESTS_CHILD_PROCESS_H
#define FC_TESTS_CHILD_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

struct child_user {
  uid_t uid;
  gid_t gid;
  gid_t group; /* the one supplementary group; 0: none */
};

/* For a function in a child, which must not use Check's assertions: prints a false condition to
 * stderr and returns 1. */
#define CHILD_EXPECT(condition)                                                                    \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      (void)fprintf(stderr, "%s:%d: in a child: not true: %s\n", __FILE__, __LINE__, #condition);  \
      return 1;                                                                                    \
    }                                                                                              \
  } while (0)

/* Forks a process that exits with the result of `fn`, or with 1 if it cannot become `user` (NULL:
 * the same user). It dies with the caller. */
pid_t child_start(int (*fn)(void *arg), void *arg, const struct child_user *user);

/* Runs `fn` in a child and waits. Returns its result. Fails the test after a minute. */
int child_run(int (*fn)(void *arg), void *arg, const struct child_user *user);

/* A grandchild, which inherits the child's descriptors and outlives it. It ends with the test. */
struct heir {
  int ready[2], life[2]; /* pipes: one passes its pid, the other ends with the test */
};
void heir_init(struct heir *heir);           /* call before the child starts */
bool heir_leave(const struct heir *heir);    /* call once in the child; false: fork failed */
pid_t heir_pid(const struct heir *heir);     /* waits until it runs */
void heir_end(struct heir *heir, pid_t pid); /* kills it and waits */

/* Returns zeroed memory that the caller shares with its later children. Never freed. */
void *child_shared(size_t size);

#endif
