/* ctl.h - runs fcachectl and checks its output. A command is an argv that ends with NULL, as CTL
 * makes it. A command with another status or output fails the test. */
#ifndef FC_TESTS_CTL_H
#define FC_TESTS_CTL_H

#include <jansson.h>

#include "tests/support/harness.h"

#define CTL(...) ((const char *const[]){harness_fcachectl(), __VA_ARGS__, NULL})

/* Starts a new daemon without options. Commands find it by $FCACHE_SOCKET. */
void ctl_start_daemon(struct daemon *daemon);

/* Runs a command that must succeed. Returns its stdout, which the caller frees. */
__attribute__((warn_unused_result)) char *ctl_printed(const char *const argv[]);

/* Checks that a command succeeds, and that its stdout is `want` or contains it. */
void ctl_expect(const char *const argv[], const char *want);
void ctl_expect_part(const char *const argv[], const char *want);

/* Checks the exit status, and that stdout and stderr contain the texts (NULL: any). Nothing in
 * stderr may control the terminal. */
void ctl_expect_status(const char *const argv[], int status, const char *out_part,
                       const char *err_part);

/* Checks that a command fails with status 1, prints nothing on stdout, and `want` on stderr. */
void ctl_expect_error(const char *const argv[], const char *want);

/* Runs a command that must print JSON. The caller frees it. */
__attribute__((warn_unused_result)) json_t *ctl_json(const char *const argv[]);

/* Returns the size of the JSON array that a command prints. */
size_t ctl_array_size(const char *const argv[]);

#endif
