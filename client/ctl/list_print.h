/* list_print.h - entries of the cache, one by one as they come, for people (lines
 * within RENDER_COLUMNS under a header) and for programs (a JSON array, one entry
 * a line). */
#ifndef FC_CTL_LIST_PRINT_H
#define FC_CTL_LIST_PRINT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/message.h"

struct list_print {
  FILE *out;
  bool json;
  bool one_namespace; /* leave its column out */
  uint64_t n;         /* entries so far */
  bool failed;        /* out of memory: entries are missing */
};

/* Prints what stands before the entries. */
void list_print_begin(struct list_print *print);

/* One entry; `arg` is the struct list_print. As admin_list wants it. */
void list_print_entry(void *arg, const struct fc_list_entry *entry);

/* Prints what stands after them. */
void list_print_end(struct list_print *print);

#endif
