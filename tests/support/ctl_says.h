/* ctl_says.h - what fcachectl prints, for the tests of its listings. A command is an argv that ends
 * with NULL, as harness_run takes it; one that fails, or says something else, ends the test. */
#ifndef FC_TESTS_CTL_SAYS_H
#define FC_TESTS_CTL_SAYS_H

#include <jansson.h>

/* What it printed. The caller frees it. */
char *ctl_printed(const char *const argv[]);

/* It prints `want`, all of it; or has it somewhere in what it prints. */
void ctl_expect(const char *const argv[], const char *want);
void ctl_expect_part(const char *const argv[], const char *want);

/* The JSON that it prints. The caller frees it. */
json_t *ctl_json(const char *const argv[]);

#endif
