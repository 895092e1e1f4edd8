/* crash_list.h - the entries of the cache in LRU order, as the daemon lists them, and checks
 * of that order against the uses that workers know. */
#ifndef FC_TESTS_CRASH_LIST_H
#define FC_TESTS_CRASH_LIST_H

#include "client/lib/admin/admin.h"
#include "crash_board.h"

struct crash_list {
  uint32_t n;
  uint32_t keys[CRASH_KEYS]; /* the most recently used first */
  bool has[CRASH_KEYS];
  bool strange; /* an entry of no key */
  uint32_t n_twice;
  uint32_t twice[CRASH_KEYS]; /* keys that are listed twice; the first time counts */
};

/* Lists all namespaces (`space` CRASH_SPACES) or one. Returns false if the daemon does not answer.
 */
bool crash_list_read(struct crash_list *list, struct admin *admin, uint32_t space);

/* Reports each namespace whose own order differs from that of all. */
void crash_list_check_spaces(struct crash_board *board, const struct crash_list *all,
                             struct admin *admin);

/* Reports entries that are before one whose use began later, and keys that are missing although
 * they were used after the use of an entry that is there. Only while all workers are parked. */
void crash_list_check_uses(struct crash_board *board, const struct crash_list *all);

#endif
