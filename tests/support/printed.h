/* printed.h - checks of fcachectl's output: text within the line, and JSON. */
#ifndef FC_TESTS_PRINTED_H
#define FC_TESTS_PRINTED_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "client/ctl/commands/listing.h"
#include "client/ctl/print/stats_snapshot.h"
#include "proto/key.h"

#define PRINTED_COLUMNS 80u /* of the terminal that the tests of printing assume */

/* Adds a statistic of that kind, with the number or the text. */
void printed_add_stat(struct stats_snapshot *snapshot, const char *name_space, const char *name,
                      enum fcache_stat_kind kind, double number, const char *text);

/* Fails the test unless every line keeps within PRINTED_COLUMNS. */
void printed_fits(const char *text);

/* Fails the test unless the text is `want`. Frees the text. */
void printed_is(char *text, const char *want);

/* Fails the test unless the text contains `part`. */
void printed_contains(const char *text, const char *part);

/* Prints the items 0 to n - 1 of a listing by `print`, whose first argument is the listing. Fails
 * the test unless all are printed. Returns the text, which the caller frees. */
char *printed_listing(struct listing options, const struct listing_kind *kind,
                      void (*print)(struct listing *listing, const void *items, size_t n),
                      const void *items, size_t n);

/* Returns the first object of a JSON array that has `n`. Frees the text. The caller frees *all. */
json_t *printed_first_object(char *text, size_t n, json_t **all);

/* Fail the test unless the member has the value. `want` NULL: JSON's null. */
void printed_string(const json_t *object, const char *name, const char *want);
void printed_number(const json_t *object, const char *name, double want);

/* Returns a name of the largest size, 255 letters. */
const char *printed_long_name(void);

/* Returns a key with the names, which it borrows. */
struct fc_key printed_key(const char *op, const char *view);

/* Fails the test unless the object has the members of printed_key("logprob_of", "base"). */
void printed_key_is(const json_t *object);

#endif
