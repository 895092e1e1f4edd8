#include "daemon/tier/cluster_ranges.h"

#include <string.h>

#include "daemon/tier/key_slot.h"
#include "proto/errors.h"

int cluster_ranges_init(struct cluster_ranges *ranges, const struct resp_reply *reply) {
  if (reply->n == 0 || reply->items[0].type != RESP_ARRAY)
    return FC_EPROTOCOL;
  *ranges = (struct cluster_ranges){
      .next = reply->items + 1, .end = reply->items + reply->n, .left = reply->items[0].size};
  return 0;
}

/* Takes an item of a type, with `min` elements or bytes at least. Returns NULL if it is another. */
static const struct resp_item *take(struct cluster_ranges *ranges, enum resp_type type,
                                    size_t min) {
  const struct resp_item *item = ranges->next;
  if (item == ranges->end || item->type != type || item->size < min)
    return NULL;
  ranges->next++;
  return item;
}

static bool take_number(struct cluster_ranges *ranges, int64_t max, uint16_t *number) {
  const struct resp_item *item = take(ranges, RESP_INTEGER, 0);
  if (item == NULL || item->number < 0 || item->number > max)
    return false;
  *number = (uint16_t)item->number;
  return true;
}

bool cluster_host_take(char host[CLUSTER_HOST_BYTES], const char *text, size_t size) {
  if (size >= CLUSTER_HOST_BYTES)
    return false;
  for (size_t i = 0; i < size; i++)
    if (text[i] <= ' ' || text[i] > '~')
      return false;
  if (size > 0)
    memcpy(host, text, size);
  host[size] = '\0';
  return true;
}

/* A server that does not know its own host sends nil, "" or "?". */
static bool take_host(struct cluster_ranges *ranges, char host[CLUSTER_HOST_BYTES]) {
  host[0] = '\0';
  if (take(ranges, RESP_NIL, 0) != NULL)
    return true;
  const struct resp_item *item = take(ranges, RESP_TEXT, 0);
  if (item == NULL)
    return false;
  if (item->size == 1 && item->text[0] == '?')
    return true;
  return cluster_host_take(host, item->text, item->size);
}

/* Skips `n` items with all that they contain. Recursion is bounded by RESP_DEPTH_MAX. */
static void skip(struct cluster_ranges *ranges, size_t n) {
  for (; n > 0 && ranges->next < ranges->end; n--) {
    const struct resp_item *item = ranges->next++;
    if (item->type == RESP_ARRAY)
      skip(ranges, item->size);
  }
}

/* first, last, primary (host, port, id, more), replicas */
int cluster_ranges_next(struct cluster_ranges *ranges, struct cluster_range *range) {
  if (ranges->left == 0)
    return 0;
  ranges->left--;
  const struct resp_item *entry = take(ranges, RESP_ARRAY, 3);
  if (entry == NULL || !take_number(ranges, KEY_SLOTS - 1, &range->first) ||
      !take_number(ranges, KEY_SLOTS - 1, &range->last) || range->first > range->last)
    return FC_EPROTOCOL;
  ranges->slots += range->last - range->first + 1u;
  if (ranges->slots > KEY_SLOTS) /* a slot has one primary. Others would cost time without end */
    return FC_EPROTOCOL;
  const struct resp_item *primary = take(ranges, RESP_ARRAY, 2);
  if (primary == NULL || !take_host(ranges, range->host) ||
      !take_number(ranges, UINT16_MAX, &range->port) || range->port == 0)
    return FC_EPROTOCOL;
  skip(ranges, primary->size - 2);
  skip(ranges, entry->size - 3);
  return 1;
}
