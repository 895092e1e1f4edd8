#include "crash_list.h"

static void add(void *arg, const struct fc_list_entry *entry) {
  struct crash_list *list = arg;
  uint32_t key = entry->key.top_k;
  if (key >= CRASH_KEYS) {
    list->strange = true;
    return;
  }
  if (list->has[key]) {
    list->twice[list->n_twice++ % CRASH_KEYS] = key;
    return;
  }
  list->has[key] = true;
  list->keys[list->n++] = key;
}

bool crash_list_read(struct crash_list *list, struct admin *admin, uint32_t space) {
  struct fc_select select = {.name_space = fc_str_of(crash_space_name(space))};
  *list = (struct crash_list){0};
  return admin_list(admin, &select, 0, add, list) == 0;
}

void crash_list_check_spaces(struct crash_board *board, const struct crash_list *all,
                             struct admin *admin) {
  static struct crash_list one;
  for (uint32_t space = 0; space < CRASH_SPACES; space++) {
    uint32_t n = 0, differ = 0;
    if (!crash_list_read(&one, admin, space) || one.strange) {
      crash_report(board, CRASH_OTHER, "%s cannot be listed: %s", crash_space_name(space),
                   admin_error(admin));
      continue;
    }
    for (uint32_t i = 0; i < all->n; i++)
      if (crash_key_place(all->keys[i]).space == space) {
        differ += n >= one.n || one.keys[n] != all->keys[i];
        n++;
      }
    if (differ > 0 || n != one.n)
      crash_report(board, CRASH_DISORDER, "%s lists %u entries, of all %u are its own, %u differ",
                   crash_space_name(space), one.n, n, differ);
  }
}

void crash_list_check_uses(struct crash_board *board, const struct crash_list *all) {
  uint64_t latest[CRASH_SPACES] = {0}; /* of all that are missing, or less recently used */
  uint32_t whose[CRASH_SPACES] = {0};
  for (uint32_t key = 0; key < CRASH_KEYS; key++) {
    uint32_t space = crash_key_place(key).space;
    const struct crash_slot *slot = &board->slots[key];
    uint64_t cleared = crash_latest_clear(board, key);
    if (board->evicts && !all->has[key] && slot->acked != 0 && slot->acked == slot->begun &&
        cleared < slot->used_begun && slot->used_begun > latest[space])
      latest[space] = slot->used_begun, whose[space] = key;
  }
  for (uint32_t i = all->n; i-- > 0;) {
    uint32_t key = all->keys[i], space = crash_key_place(key).space;
    const struct crash_slot *slot = &board->slots[key];
    if (slot->used_ended < latest[space])
      crash_report(board, CRASH_DISORDER,
                   "key %u, used at %llu at the latest, is before key %u, used at %llu", key,
                   (unsigned long long)slot->used_ended, whose[space],
                   (unsigned long long)latest[space]);
    if (slot->used_begun > latest[space])
      latest[space] = slot->used_begun, whose[space] = key;
  }
}
