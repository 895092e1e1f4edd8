/* harness.h - what the system tests share: daemons in private folders, commands
 * with their output, and waiting for conditions.
 *
 * Everything stands below one private folder of the test program, which
 * harness_main removes at the end, whatever the tests did. A daemon dies with the
 * process that started it (a test that fails leaves none behind). Every wait has
 * a bound, past which the test fails with what is known. All functions end the
 * test (ck_abort_msg) where they cannot do what they promise. */
#ifndef FC_TESTS_HARNESS_H
#define FC_TESTS_HARNESS_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HARNESS_PATH_SIZE 108 /* what a socket's address takes */

struct daemon {
  pid_t pid; /* 0: not running */
  char dir[HARNESS_PATH_SIZE];
  char socket[HARNESS_PATH_SIZE]; /* in `dir` */
  char log[HARNESS_PATH_SIZE];    /* in `dir`: the daemon's stdout and stderr, all starts of it */
};

/* Runs the suite within a private folder, removes that, returns main's status. */
int harness_main(Suite *suite);

/* The programs under test: $FCACHED and $FCACHECTL, or those in build/. */
const char *harness_fcached(void);
const char *harness_fcachectl(void);

/* Fills `path` with a new empty private folder (mode 0700) below the program's. */
void harness_folder(char path[HARNESS_PATH_SIZE]);

/* Starts `fcached --socket SOCKET ARGS...` and waits until it says that it serves
 * (READY=1). The arguments end with NULL. A zeroed `daemon` gets a folder of its
 * own; one that was stopped or killed starts again where it was. */
void harness_start(struct daemon *daemon, ... /* const char *, NULL */) __attribute__((sentinel));

/* SIGTERM, and waits for the end: the exit status, or 128 + signal. 0 where it does not run. */
int harness_stop(struct daemon *daemon);

/* SIGKILL, and waits for the end. The socket file stays, as after a crash. */
void harness_kill9(struct daemon *daemon);

/* SIGSTOP, and waits until it stands still: the signal alone leaves it time to do more. False where
 * it does not within 20 s. For children of the test too. SIGCONT lets it go on. */
bool harness_freeze(const struct daemon *daemon);

/* What the daemon has written to its log so far. The caller frees it. */
char *harness_log(const struct daemon *daemon);

/* Runs a command (found in PATH) to its end, with stdin at /dev/null: its exit
 * status, or 128 + signal. *out and *err, where not NULL, are what it wrote, each
 * NUL-terminated and the caller's to free. Over 60 s fails the test. */
int harness_run(const char *const argv[], char **out, char **err);

/* Starts a command likewise and does not wait. Its stdout and stderr go to the
 * descriptors given (-1: /dev/null), which stay the caller's. */
pid_t harness_spawn(const char *const argv[], int out_fd, int err_fd);

/* Waits for a process of harness_spawn: as harness_run. */
int harness_wait(pid_t pid, unsigned timeout_ms);

/* The monotonic clock. */
uint64_t harness_now_ns(void);

/* Returns when what was created so far is older than what is done next, also as /proc tells it, to
 * a tick of 10 ms. */
void harness_outlive_tick(void);

/* Asks `condition` every few milliseconds. True as soon as it is; false after `timeout_ms`. */
bool harness_wait_until(bool (*condition)(void *arg), void *arg, unsigned timeout_ms);

/* Conditions. */
bool harness_is_gone(void *pid_t_pointer); /* no such process (a zombie counts as gone) */

/* The whole of a file, NUL-terminated, the caller's to free; NULL where there is none. */
char *harness_read_file(const char *path, size_t *size);

#endif
