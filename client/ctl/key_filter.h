/* key_filter.h - the options --namespace, --view and --op, which select entries. */
#ifndef FC_CTL_KEY_FILTER_H
#define FC_CTL_KEY_FILTER_H

#include <argp.h>

#include "proto/wire/message.h"

/* NULL: any. Borrowed from argv. */
struct key_filter {
  const char *name_space, *view, *op;
};

#define KEY_FILTER_NAMESPACE                                                                       \
  { "namespace", 'n', "NAME", 0, "Only this namespace", 0 }
#define KEY_FILTER_OPTIONS                                                                         \
  KEY_FILTER_NAMESPACE, {"view", 'v', "NAME", 0, "Only this view", 0}, {                           \
    "op", 'o', "NAME", 0, "Only this op", 0                                                        \
  }

/* Returns 0, or ARGP_ERR_UNKNOWN if the key is none of these. Exits for an invalid name. */
error_t key_filter_parse(struct key_filter *filter, int key, char *arg, struct argp_state *state);

/* Returns the filter as a request has it. Borrows the strings. */
struct fc_select key_filter_select(const struct key_filter *filter);

#endif
