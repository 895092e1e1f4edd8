/* tier_commands.h - the commands of each kind of op, and the meaning of their replies. No I/O. */
#ifndef FC_DAEMON_TIER_COMMANDS_H
#define FC_DAEMON_TIER_COMMANDS_H

#include "daemon/fleet/fleet_io.h"
#include "daemon/tier/resp_reader.h"
#include "daemon/tier/resp_writer.h"
#include "daemon/tier/tier_scripts.h"

#define TIER_COMMANDS_MAX 6u /* of an op */
#define TIER_NUMBERS_MAX 4u  /* as text, in these commands */
#define TIER_NUMBER_BYTES 24u

/* Bytes of a reply without a value, of lists, and of a field. A larger reply is hostile. */
#define TIER_REPLY_SMALL 4096u
#define TIER_REPLY_LIST (8u * 1024u * 1024u)
#define TIER_REPLY_FIELD (64u * 1024u)

/* How an op is sent. */
enum {
  TIER_OP_ASKING = 1, /* to the server that ASK named */
  TIER_OP_EVAL = 2,   /* the server does not know the script */
  TIER_OP_AGAIN = 4,  /* a lease: it may have been granted to the same op before */
};

/* The commands refer to the op and to their own numbers, so they must not move. */
struct tier_commands {
  size_t n;
  struct resp_command list[TIER_COMMANDS_MAX];
  size_t n_numbers;
  char numbers[TIER_NUMBERS_MAX][TIER_NUMBER_BYTES];
};

/* Makes the commands of an op, always the same for the same op and flags. Each has one reply. */
void tier_commands_make(struct tier_commands *commands, const struct fleet_op *op, uint32_t flags,
                        struct tier_scripts *scripts);

/* Returns the number of commands that tier_commands_make makes. */
uint32_t tier_commands_count(const struct fleet_op *op, uint32_t flags);

/* Returns the largest size of one reply to this op. */
uint64_t tier_commands_limit(const struct fleet_op *op);

/* The meaning of the last reply to an op. Borrows from the reply. */
struct tier_answer {
  struct fleet_reply reply;
  struct fc_str *items; /* of reply.items; owned */
};

/* Interprets a reply that is no error. A FLEET_WRONG has a text. Free the answer with
 * tier_answer_deinit. */
void tier_answer_init(struct tier_answer *answer, const struct fleet_op *op,
                      const struct resp_reply *reply);
void tier_answer_deinit(struct tier_answer *answer);

#endif
