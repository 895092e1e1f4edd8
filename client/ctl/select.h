/* select.h - the options --namespace, --view and --op, of commands that take them. */
#ifndef FC_CTL_SELECT_H
#define FC_CTL_SELECT_H

#include "client/ctl/ctl.h"

struct select_args {
  const char *name_space, *view, *op; /* NULL: any; borrowed from argv */
};

#define SELECT_NAMESPACE_OPTION                                                                    \
  { "namespace", 'n', "NAME", 0, "Only this namespace", 0 }
#define SELECT_OPTIONS                                                                             \
  SELECT_NAMESPACE_OPTION, {"view", 'v', "NAME", 0, "Only this view", 0}, {                        \
    "op", 'o', "NAME", 0, "Only this op", 0                                                        \
  }

/* 0, or ARGP_ERR_UNKNOWN where the key is none of these. */
error_t select_parse(struct select_args *select, int key, char *arg, struct argp_state *state);

/* Borrows the strings. */
struct fc_select select_of(const struct select_args *select);

#endif
