/* harness.h - daemons in private directories, commands with their output, and waits for conditions.
 *
 * All files are below one private directory of the test program, which harness_main removes at the
 * end. A daemon dies with the process that started it. Each wait has a bound, after which the test
 * fails. Each function fails the test (ck_abort_msg) if it cannot do its work. */
#ifndef FC_TESTS_HARNESS_H
#define FC_TESTS_HARNESS_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HARNESS_PATH_SIZE 108 /* of a socket's address */

struct daemon {
  pid_t pid; /* 0: not running */
  char dir[HARNESS_PATH_SIZE];
  char socket[HARNESS_PATH_SIZE]; /* in `dir` */
  char log[HARNESS_PATH_SIZE];    /* in `dir`: stdout and stderr of all its starts */
};

/* Runs the suite in a private directory. Returns main's status. */
int harness_main(Suite *suite);

/* The programs under test: $FCACHED and $FCACHECTL, or those in build/. */
const char *harness_fcached(void);
const char *harness_fcachectl(void);

/* Creates an empty private directory (mode 0700) below the program's. */
void harness_make_dir(char path[HARNESS_PATH_SIZE]);

/* Starts `fcached --socket SOCKET ARGS...` and waits for its READY=1. The arguments end with NULL.
 * A zeroed `daemon` gets a new directory. One that was stopped or killed starts at its former path.
 */
void harness_start(struct daemon *daemon, ... /* const char *, NULL */) __attribute__((sentinel));

/* Sends SIGTERM and waits. Returns the exit status, or 128 + signal. 0 if the daemon is not
 * running. */
int harness_stop(struct daemon *daemon);

/* Sends SIGKILL and waits. The socket file stays, as after a crash. */
void harness_kill9(struct daemon *daemon);

/* Sends SIGSTOP and waits until the process is stopped, which takes a moment. Returns false if that
 * takes more than 20 s. Works for children of the test too. SIGCONT continues it. */
bool harness_freeze(const struct daemon *daemon);

/* Returns the daemon's log so far. The caller frees it. */
char *harness_log(const struct daemon *daemon);

/* Returns whether the daemon's log contains the text. */
bool harness_log_has(const struct daemon *daemon, const char *text);

/* Runs a command, found in PATH, with stdin at /dev/null. Returns its exit status, or 128 + signal.
 * *out and *err (unless NULL) are its output, which the caller frees. Fails the test after 60 s. */
int harness_run(const char *const argv[], char **out, char **err);

/* Starts a command without waiting. Its stdout and stderr go to the descriptors (-1: /dev/null),
 * which stay the caller's. */
pid_t harness_spawn(const char *const argv[], int out_fd, int err_fd);

/* Waits for a process of harness_spawn. Returns what harness_run returns. */
int harness_wait(pid_t pid, unsigned timeout_ms);

/* The monotonic clock. */
uint64_t harness_now_ns(void);

/* Waits until /proc shows a later start time for the next process than for earlier ones: its ticks
 * are 10 ms. */
void harness_outlive_tick(void);

/* Calls `condition` every few milliseconds. Returns true once it is, or false after `timeout_ms`.
 */
bool harness_wait_until(bool (*condition)(void *arg), void *arg, unsigned timeout_ms);

/* A condition: there is no such process. A zombie counts as gone. */
bool harness_is_gone(void *pid_t_pointer);

/* Reads a file. Returns its NUL-terminated text, which the caller frees, or NULL if there is none.
 */
char *harness_read_file(const char *path, size_t *size);

/* Returns true if there is a file of any kind at the path, also a symbolic link to nothing. */
bool harness_exists(const char *path);

#endif
