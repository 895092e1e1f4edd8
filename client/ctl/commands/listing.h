/* listing.h - what list, leases, clients and namespaces have in common: a command that prints a
 * listing of the daemon's, with --namespace, --limit and --json. */
#ifndef FC_CTL_LISTING_H
#define FC_CTL_LISTING_H

#include "client/ctl/ctl.h"
#include "client/ctl/print/print_rows.h"
#include "client/ctl/select.h"

struct listing_args {
  struct select_args select;
  unsigned long limit; /* 0: all */
  bool json;
  bool no_manifest;
};

#define LISTING_NO_MANIFEST 256 /* the key of the option --no-manifest, for who has it */

#define LISTING_OPTIONS(things)                                                                    \
  {"limit", 'l', "N", 0, "At most N " things "; 0: all (100)", 0}, {                               \
    "json", 'j', NULL, 0, "A JSON array, with the whole hashes and names", 0                       \
  }

struct listing {
  const char *name; /* of the command */
  const char *doc;
  const struct argp_option *options;    /* LISTING_OPTIONS, and those of select.h that it has */
  const char *none, *none_in_namespace; /* for people, where there is nothing to list; or NULL */
  /* Asks, and has the answer printed. As the calls of admin.h. */
  int (*ask)(struct admin *admin, const struct listing_args *args, struct rows *rows);
};

/* Runs it; argv and the result as for ctl_command_fn. */
int listing_command(const struct listing *listing, struct ctl *ctl, int argc, char **argv);

#endif
