#include "client/ctl/commands/tally.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

static int compare_names(struct fc_str a, struct fc_str b) {
  int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);

  return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_rows(const void *one, const void *other) {
  const struct tally_row *a = one, *b = other;
  int order = compare_names(a->name_space, b->name_space);

  if (order == 0)
    order = compare_names(a->op, b->op);
  return order != 0 ? order : compare_names(a->view, b->view);
}

static struct fc_str copy(char **to, struct fc_str name) {
  struct fc_str copied = {*to, name.size};

  memcpy(*to, name.data, name.size);
  (*to)[name.size] = '\0';
  *to += name.size + 1;
  return copied;
}

static struct tally_row *new_row(struct tally *tally, const struct tally_row *like) {
  size_t names = (size_t)like->name_space.size + like->op.size + like->view.size + 3;
  struct tally_row *row = calloc(1, sizeof *row + names);
  char *at = row ? row->names : NULL;

  if (row && tally->n == tally->capacity) {
    size_t capacity = tally->capacity ? 2 * tally->capacity : 16;
    struct tally_row **rows = realloc(tally->rows, capacity * sizeof(struct tally_row *));

    if (!rows) {
      free(row);
      return NULL;
    }
    tally->rows = rows;
    tally->capacity = capacity;
  }
  if (!row)
    return NULL;
  row->name_space = copy(&at, like->name_space);
  row->op = copy(&at, like->op);
  row->view = copy(&at, like->view);
  if (!tsearch(row, &tally->tree, compare_rows)) {
    free(row);
    return NULL;
  }
  tally->rows[tally->n++] = row;
  return row;
}

void tally_add(void *arg, const struct fc_list_entry *entry) {
  struct tally *tally = arg;
  struct tally_row like = {
      .name_space = entry->name_space, .op = entry->key.op, .view = entry->key.view};
  struct tally_row *const *found = tfind(&like, &tally->tree, compare_rows);
  struct tally_row *row = found ? *found : new_row(tally, &like);

  if (!row) {
    tally->failed = true;
    return;
  }
  row->entries++;
  row->bytes += entry->charge;
  tally->entries++;
  tally->bytes += entry->charge;
}

static int compare_pointers(const void *a, const void *b) {
  return compare_rows(*(struct tally_row *const *)a, *(struct tally_row *const *)b);
}

void tally_sort(struct tally *tally) {
  if (tally->n > 1)
    qsort(tally->rows, tally->n, sizeof(struct tally_row *), compare_pointers);
}

void tally_deinit(struct tally *tally) {
  for (size_t i = 0; i < tally->n; i++) {
    (void)tdelete(tally->rows[i], &tally->tree, compare_rows); /* it is there */
    free(tally->rows[i]);
  }
  free(tally->rows);
  *tally = (struct tally){0};
}
