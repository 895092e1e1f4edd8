/* option_table.h - one row for each option of fcached: its name on the command line and in a
 * configuration file, its type and range, its text for --help, and whether a reload applies it.
 *
 * The command line, the files, the checks, `fcached --help` and the reload read this table. The
 * shipped fcached.conf and the manual pages are checked against it. */
#ifndef FC_DAEMON_OPTION_TABLE_H
#define FC_DAEMON_OPTION_TABLE_H

#include "daemon/base/error_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_MAX 48u /* rows, for arrays */

/* How the value is parsed, and the type of the field in struct options. */
enum option_kind {
  OPTION_FLAG,    /* bool: yes or no */
  OPTION_PATH,    /* char *, owned; NULL: none */
  OPTION_TEXT,    /* char *, owned, which the row's check accepts; NULL: `fallback`, or none */
  OPTION_CHOICE,  /* uint32_t: the place of the word in the row's `words` */
  OPTION_GROUP,   /* struct option_group, a name or a number; `given` says whether it is set */
  OPTION_COUNT,   /* uint32_t, from 1 */
  OPTION_SECONDS, /* uint32_t, in milliseconds; min 0: 0 is allowed too */
  OPTION_SIZE,    /* uint64_t */
  OPTION_SIZE32,  /* uint32_t */
};

/* When a change in a file takes effect. */
enum option_change { OPTION_NEEDS_RESTART, OPTION_LIVE };

/* Returns 0, or FC_EINVAL with a text that begins with the option's name. */
typedef int option_check_fn(const char *value, struct error_text *error);

/* An option needs a field in struct options, a row here, and lines in the manual page and in the
 * shipped fcached.conf. */
struct option_row {
  const char *name, *argument, *help;
  int letter; /* 0: none */
  enum option_kind kind;
  enum option_change change;
  bool may_be_none;           /* of paths and texts: the word "none" unsets it */
  size_t field, given;        /* offsets in struct options; given: a bool, 0: none */
  uint64_t min, max, initial; /* of numbers */
  const char *fallback;       /* of texts: the default; NULL: none */
  const char *const *words;   /* of choices, with a NULL at the end */
  option_check_fn *check;     /* of texts */
  int section;                /* of --help */
};

extern const struct option_row option_table[];
extern const size_t option_count; /* at most OPTIONS_MAX */

/* Returns the row of that name, or NULL. */
const struct option_row *option_find(const char *name);

/* Returns the place of a row of the table. */
static inline size_t option_index(const struct option_row *row) {
  return (size_t)(row - option_table);
}

/* Returns the option whose name is the nearest to a wrong one, or NULL if none is near. */
const char *option_nearest(const char *name);

#endif
