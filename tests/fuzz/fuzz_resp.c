/* libFuzzer: decodes any bytes as replies of a tier server, in pieces of two sizes. Both must give
 * the same replies and the same error. Each reply is also taken for that of each kind of op, for a
 * map of a cluster, and for a redirection. */
#include <stdlib.h>
#include <string.h>

#include "daemon/tier/cluster_ranges.h"
#include "daemon/tier/reply_error.h"
#include "daemon/tier/resp_reader.h"
#include "daemon/tier/tier_commands.h"

#define LIMIT 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A sum over all that the reader hands over. */
struct seen {
  struct resp_reader reader;
  size_t replies;
  uint64_t sum;
};

static void require(int truth) {
  if (!truth)
    abort();
}

static void add(struct seen *seen, const void *bytes, size_t size) {
  const unsigned char *byte = bytes;
  for (size_t i = 0; i < size; i++)
    seen->sum = (seen->sum ^ byte[i]) * UINT64_C(0x100000001b3);
}

static void take_items(struct seen *seen, const struct resp_reply *reply) {
  require(reply->n > 0);
  for (size_t i = 0; i < reply->n; i++) {
    const struct resp_item *item = &reply->items[i];
    add(seen, &item->type, sizeof item->type);
    add(seen, &item->number, sizeof item->number);
    add(seen, &item->size, sizeof item->size);
    if (item->type != RESP_NIL && item->type != RESP_INTEGER && item->type != RESP_ARRAY)
      add(seen, item->text, item->size);
  }
}

static void take_answers(struct seen *seen, const struct resp_reply *reply) {
  for (int kind = 0; kind < FLEET_OP_KINDS; kind++) {
    const struct fleet_op op = {.kind = (enum fleet_op_kind)kind, .limit = LIMIT};
    struct tier_answer answer;
    tier_answer_init(&answer, &op, reply);
    add(seen, &answer.reply.status, sizeof answer.reply.status);
    add(seen, answer.reply.value, answer.reply.size);
    for (size_t i = 0; i < answer.reply.n_items; i++)
      add(seen, answer.reply.items[i].data, answer.reply.items[i].size);
    tier_answer_deinit(&answer);
  }
}

static void on_reply(void *arg, const struct resp_reply *reply) {
  struct seen *seen = arg;
  struct cluster_ranges ranges;
  struct cluster_range range;
  struct redirect redirect;
  seen->replies++;
  take_items(seen, reply);
  if (reply->items[0].type == RESP_ERROR) {
    (void)reply_error_kind(reply->items[0].text, reply->items[0].size);
    if (reply_error_redirect(reply->items[0].text, reply->items[0].size, &redirect))
      require(redirect.port != 0 && strlen(redirect.host) < sizeof redirect.host);
    return;
  }
  take_answers(seen, reply);
  if (cluster_ranges_init(&ranges, reply) == 0)
    while (cluster_ranges_next(&ranges, &range) > 0)
      require(range.first <= range.last && range.last < 16384 && range.port != 0);
}

static int feed(struct seen *seen, const uint8_t *data, size_t size, size_t piece) {
  int code = 0;
  *seen = (struct seen){0};
  require(resp_reader_init(&seen->reader, on_reply, seen) == 0);
  seen->reader.limit = LIMIT;
  for (size_t i = 0; i < size && code == 0; i += piece)
    code = resp_reader_feed(&seen->reader, (const char *)data + i,
                            size - i < piece ? size - i : piece);
  if (code == 0)
    require(resp_reader_partial(&seen->reader) <= 2 * (LIMIT + RESP_SLACK_BYTES) + piece);
  resp_reader_deinit(&seen->reader);
  return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct seen one, other;
  int code = feed(&one, data, size, 1), again = feed(&other, data, size, 7);
  require(code == again);
  require(one.replies == other.replies && one.sum == other.sum);
  return 0;
}
