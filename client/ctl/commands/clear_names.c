#include "client/ctl/commands/clear_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/commands/tally.h"
#include "client/ctl/print/text.h"
#include "proto/limits.h"
#include "proto/nearest.h"

#define SHOWN_MAX 20u        /* names in a list */
#define EXAMINED_MAX 100000u /* entries, the most recently used ones */
#define NAMES_MAX 4096u      /* among which a near one is looked for */

struct names {
  const char *names[NAMES_MAX]; /* NUL-terminated */
  size_t n;
};

static bool has(const struct names *names, const char *name) {
  for (size_t i = 0; i < names->n; i++)
    if (strcmp(names->names[i], name) == 0)
      return true;
  return false;
}

static void add(struct names *names, const char *name) {
  if (names->n < NAMES_MAX && !has(names, name))
    names->names[names->n++] = name;
}

/* Prints the names that exist instead of `wrong`. `plural`: of what they are. */
static void print_names(const struct names *names, const char *wrong, const char *plural) {
  const char *near = fc_nearest(wrong, names->names, names->n);
  char clean[FC_NAME_MAX + 1];

  if (names->n == 0)
    return;
  if (near)
    (void)printf("did you mean \"%s\"?\n", text_clean(clean, sizeof clean, near));
  (void)printf("%s:", plural);
  for (size_t i = 0; i < names->n && i < SHOWN_MAX; i++)
    (void)printf("%s %s", i > 0 ? "," : "", text_clean(clean, sizeof clean, names->names[i]));
  if (names->n > SHOWN_MAX)
    (void)printf(" and %zu more", names->n - SHOWN_MAX);
  (void)putchar('\n');
}

struct owned {
  struct names names; /* allocated */
};

static void add_namespace(void *arg, const struct fc_namespace_entry *entry) {
  struct owned *owned = arg;
  char *name = strndup(entry->name_space.data, entry->name_space.size);

  if (!name || owned->names.n == NAMES_MAX)
    free(name);
  else
    owned->names.names[owned->names.n++] = name;
}

static void print_namespaces(struct admin *admin, const char *wrong) {
  static struct owned owned;

  if (admin_namespaces(admin, NULL, NAMES_MAX, add_namespace, &owned) == 0)
    print_names(&owned.names, wrong, "namespaces");
  for (size_t i = 0; i < owned.names.n; i++)
    free((char *)(uintptr_t)owned.names.names[i]);
  owned.names.n = 0;
}

/* Prints the views, or the ops, if there is none of that name. Returns whether it did. */
static bool print_parts(const struct tally *tally, const char *wrong, bool views) {
  static struct names names;

  names.n = 0;
  for (size_t i = 0; i < tally->n; i++)
    add(&names, views ? tally->rows[i]->view.data : tally->rows[i]->op.data);
  if (wrong == NULL || names.n == 0 || has(&names, wrong))
    return false;
  print_names(&names, wrong, views ? "views" : "ops");
  return true;
}

void clear_names_print(struct admin *admin, const struct key_filter *filter, bool has_namespace) {
  struct fc_select select = {.name_space = fc_str_of(filter->name_space)};
  struct tally tally = {0};

  if (!has_namespace) {
    print_namespaces(admin, filter->name_space);
    return;
  }
  if ((filter->view || filter->op) &&
      admin_list(admin, &select, EXAMINED_MAX, tally_add, &tally) == 0 && !tally.failed) {
    tally_sort(&tally);
    if (!print_parts(&tally, filter->view, true))
      (void)print_parts(&tally, filter->op, false);
  }
  tally_deinit(&tally);
}
