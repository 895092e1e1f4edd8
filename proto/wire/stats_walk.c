/* Checks the statistics of a stats reply, and walks over them. The contract is in message.h. */
#include "proto/wire/decode.h"
#include "proto/wire/field_read.h"

static void read_stat(struct fc_reader *reader, struct fc_stat *stat) {
  read_name(reader, &stat->name);
  switch (fc_reader_type(reader)) {
  case FC_TYPE_INTEGER:
    stat->kind = FC_STAT_UINT;
    stat->integer = fc_read_u64(reader);
    break;
  case FC_TYPE_REAL:
    stat->kind = FC_STAT_REAL;
    stat->real = fc_read_real(reader);
    break;
  case FC_TYPE_STR:
    stat->kind = FC_STAT_TEXT;
    stat->text = fc_read_str(reader);
    break;
  case FC_TYPE_OTHER:
  case FC_TYPE_END:
    fc_reader_fail(reader, FC_EPROTOCOL);
    break;
  }
}

/* Reads the head of a namespace's map and its first pair. Returns the number of pairs left. */
static uint32_t open_namespace(struct fc_reader *reader, struct fc_str *name_space) {
  uint32_t pairs = fc_read_map(reader);
  if (pairs == 0 || !fc_str_equal(fc_read_str(reader), fc_str_of("namespace")))
    fc_reader_fail(reader, FC_EPROTOCOL);
  read_name(reader, name_space);
  return reader->error ? 0 : pairs - 1;
}

static void check_pairs(struct fc_reader *reader, uint32_t pairs) {
  struct fc_stat stat;
  for (uint32_t i = 0; i < pairs && !reader->error; i++)
    read_stat(reader, &stat);
}

void fc_read_stats_map(struct fc_reader *reader, struct fc_stats_reply *stats) {
  stats->at = reader->at;
  check_pairs(reader, fc_read_map(reader));
}

void fc_read_stats_maps(struct fc_reader *reader, struct fc_stats_reply *stats) {
  struct fc_str name_space;
  uint32_t maps = fc_read_array(reader);
  for (uint32_t i = 0; i < maps && !reader->error; i++)
    check_pairs(reader, open_namespace(reader, &name_space));
  stats->size = (size_t)(reader->at - stats->at);
}

enum stats_stage { STATS_START = 0, STATS_DAEMON, STATS_NAMESPACES };

bool fc_stats_next(const struct fc_stats_reply *stats, struct fc_stats_walk *walk,
                   struct fc_stat *stat) {
  struct fc_reader reader = fc_reader_init(stats->at + walk->at, stats->size - walk->at);
  if (walk->stage == STATS_START) {
    walk->left_in_map = fc_read_map(&reader);
    walk->stage = STATS_DAEMON;
  }
  if (walk->stage == STATS_DAEMON && walk->left_in_map == 0) {
    walk->left_maps = fc_read_array(&reader);
    walk->stage = STATS_NAMESPACES;
  }
  while (walk->left_in_map == 0 && walk->left_maps > 0) {
    walk->left_in_map = open_namespace(&reader, &walk->name_space);
    walk->left_maps--;
  }
  bool more = walk->left_in_map > 0 && !reader.error;
  if (more) {
    *stat = (struct fc_stat){.name_space = walk->name_space};
    read_stat(&reader, stat);
    walk->left_in_map--;
  }
  walk->at = stats->size - fc_reader_left(&reader);
  return more && !reader.error;
}
