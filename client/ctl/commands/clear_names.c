#include "client/ctl/commands/clear_names.h"

#include <stdio.h>

#include "client/ctl/commands/name_set.h"
#include "client/ctl/commands/tally.h"
#include "client/ctl/print/text.h"
#include "proto/limits.h"

#define SHOWN_MAX 20u        /* names in a list */
#define EXAMINED_MAX 100000u /* entries, the most recently used ones */

/* Prints the names that exist instead of `wrong`. `plural`: "namespaces" or so. */
static void print_names(const struct name_set *names, const char *wrong, const char *plural) {
  const char *near = name_set_nearest(names, wrong);
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

static void add_namespace(void *arg, const struct fc_namespace_entry *entry) {
  (void)name_set_add(arg, entry->name_space);
}

static void print_namespaces(struct admin *admin, const char *wrong) {
  static struct name_set names;

  if (admin_namespaces(admin, NULL, NAME_SET_MAX, add_namespace, &names) == 0)
    print_names(&names, wrong, "namespaces");
  name_set_deinit(&names);
}

/* Prints the views, or the ops, if there is none of that name. Returns whether it did. */
static bool print_parts(const struct tally *tally, const char *wrong, bool views) {
  static struct name_set names;
  bool is_wrong;

  for (size_t i = 0; i < tally->n; i++)
    (void)name_set_add(&names, views ? tally->rows[i]->view : tally->rows[i]->op);
  is_wrong = wrong && names.n > 0 && !name_set_has(&names, fc_str_of(wrong));
  if (is_wrong)
    print_names(&names, wrong, views ? "views" : "ops");
  name_set_deinit(&names);
  return is_wrong;
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
