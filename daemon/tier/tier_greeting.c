/* The handshake of a connection: all commands are sent at once. */
#include <stdio.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/tier/password_file.h"
#include "daemon/tier/tier_internal.h"
#include "daemon/tier/tier_link.h"

#define CLIENT_NAME "fcached" /* in the server's CLIENT LIST */

/* A command of the handshake is small enough for the empty buffer. */
static void add(struct tier_link *link, struct resp_buffer *out, enum tier_call_kind kind,
                const struct resp_command *command, uint64_t now_ns) {
  struct resp_position position = {0};
  uint64_t deadline_ns = link->tier->config.deadline_ns;
  if (!tier_calls_reserve(&link->calls)) {
    tier_link_break(link, BREAKER_LOST, "out of memory for the handshake");
    return;
  }
  check_eq(resp_write(command, &position, out), true);
  struct tier_call *call = tier_calls_add(&link->calls);
  call->kind = kind;
  call->replies = 1;
  call->limit = kind == CALL_SLOTS ? TIER_REPLY_LIST : TIER_REPLY_SMALL;
  call->submitted_ns = now_ns;
  call->deadline_ns = now_ns + deadline_ns;
  call->end_ns = now_ns + FLEET_IO_DEADLINES * deadline_ns;
  link->greetings++;
}

static void add_words(struct tier_link *link, struct resp_buffer *out, enum tier_call_kind kind,
                      const char *const words[], uint64_t now_ns) {
  struct resp_command command = {0};
  for (size_t i = 0; words[i] != NULL; i++)
    resp_add_text(&command, words[i]);
  add(link, out, kind, &command, now_ns);
}

/* The file is read at each connect, so a password that was changed is used. */
static void add_auth(struct tier_link *link, struct resp_buffer *out, uint64_t now_ns) {
  const struct tier_io_config *config = &link->tier->config;
  struct resp_command command = {0};
  struct error_text error;
  char password[PASSWORD_BYTES_MAX];
  size_t size;
  if (config->password_file == NULL)
    return;
  if (password_file_read(config->password_file, password, &size, &error) < 0) {
    tier_link_break(link, BREAKER_LOST, error.text);
  } else {
    resp_add_text(&command, "AUTH");
    if (config->urls->user[0] != '\0')
      resp_add_text(&command, config->urls->user);
    resp_add(&command, password, size);
    add(link, out, CALL_AUTH, &command, now_ns);
  }
  explicit_bzero(password, sizeof password);
}

/* The commands before it succeed on a server that loads its data. */
static void add_check(struct tier_link *link, struct resp_buffer *out, uint64_t now_ns) {
  struct resp_command command = {0};
  char key[TIER_PROBE_KEY_BYTES];
  tier_link_make_probe(link, &command, FLEET_READS, key);
  add(link, out, CALL_CHECK, &command, now_ns);
}

void tier_greeting_send(struct tier_link *link, uint64_t now_ns) {
  struct resp_buffer *out = tier_stream_room(link->stream);
  const struct tier_io_config *config = &link->tier->config;
  char database[16];
  check_eq(out != NULL, true);
  link->greetings = 0;
  add_auth(link, out, now_ns);
  if (link->broken)
    return; /* the next turn closes the connection */
  add_words(link, out, CALL_NAME, (const char *const[]){"CLIENT", "SETNAME", CLIENT_NAME, NULL},
            now_ns);
  if (config->urls->database != 0) {
    (void)snprintf(database, sizeof database, "%u", config->urls->database);
    add_words(link, out, CALL_SELECT, (const char *const[]){"SELECT", database, NULL}, now_ns);
  }
  link->is_replica = false;
  if (link->n_addresses > 1)
    add_words(link, out, CALL_ROLE, (const char *const[]){"ROLE", NULL}, now_ns);
  if (tier_link_is_seed(link))
    add_words(link, out, CALL_SLOTS, (const char *const[]){"CLUSTER", "SLOTS", NULL}, now_ns);
  if (link->grace.until_ns != 0)
    add_check(link, out, now_ns);
  link->slots_wanted = false;
  tier_link_set_limit(link);
  if (!link->broken && tier_stream_send(link->stream) < 0)
    tier_link_break_lost(link, tier_stream_error(link->stream));
}

/* Returns the length of the error's code, its first word, or 0 if it has none. */
static size_t code_size(const struct resp_item *item) {
  size_t n = 0;
  while (n < item->size && item->text[n] >= 'A' && item->text[n] <= 'Z')
    n++;
  return n == item->size || item->text[n] == ' ' ? n : 0;
}

/* Of a reply to AUTH only the code is said: an error may repeat the command, with the password. */
static void refuse(struct tier_link *link, enum tier_call_kind kind, const char *what,
                   const struct resp_item *item) {
  char text[TIER_CAUSE_BYTES];
  size_t size = kind == CALL_AUTH ? code_size(item) : item->size;
  (void)snprintf(text, sizeof text, "%s: %.*s", what,
                 (int)(size < sizeof text ? size : sizeof text), item->text);
  if (reply_error_kind(item->text, item->size) == REPLY_UNAVAILABLE)
    tier_link_break_lost(link, text);
  else
    tier_link_break(link, BREAKER_LOST, text);
}

/* An error breaks the connection only if it concerns all commands. */
static void take_error(struct tier_link *link, enum tier_call_kind kind,
                       const struct resp_item *item, uint64_t now_ns) {
  enum reply_error error = reply_error_kind(item->text, item->size);
  bool denied = item->size >= 6 && memcmp(item->text, "NOPERM", 6) == 0;
  if (error == REPLY_UNAVAILABLE && !denied && link->state == LINK_GREETING)
    refuse(link, kind, "it is not available", item);
  else if (kind == CALL_AUTH)
    refuse(link, kind, "it refuses user or password (tier-password-file)", item);
  else if (kind == CALL_SELECT)
    refuse(link, kind, "it refuses the database", item);
  else if (error == REPLY_UNAUTHORIZED)
    refuse(link, kind, "it asks for a password (tier-password-file)", item);
  else if (kind == CALL_SLOTS && error == REPLY_REFUSED)
    tier_io_take_slots(link->tier, link, NULL, now_ns);
}

/* Of the addresses of a replicated server, that of the primary is used. If all are replicas, the
 * last one is: it serves reads. */
static void finish_greeting(struct tier_link *link) {
  tier_io_schedule(link->tier);
  link->move_wanted =
      link->is_replica && !link->tier->is_cluster && ++link->n_replicas < link->n_addresses;
  if (link->move_wanted)
    return;
  link->n_replicas = 0;
  link->state = LINK_READY;
}

static bool is_replica(const struct resp_reply *reply) {
  return reply->n > 1 && reply->items[1].type == RESP_TEXT && reply->items[1].size == 5 &&
         memcmp(reply->items[1].text, "slave", 5) == 0;
}

void tier_greeting_reply(struct tier_link *link, enum tier_call_kind kind,
                         const struct resp_reply *reply, uint64_t now_ns) {
  const struct resp_item *item = &reply->items[0];
  bool greeting = link->state == LINK_GREETING;
  if (greeting) {
    check_lt(0, link->greetings);
    link->greetings--;
  }
  if (item->type == RESP_ERROR)
    take_error(link, kind, item, now_ns);
  else if (kind == CALL_SLOTS)
    tier_io_take_slots(link->tier, link, reply, now_ns);
  else if (kind == CALL_ROLE)
    link->is_replica = is_replica(reply);
  else if (kind != CALL_CHECK && item->type != RESP_STATUS)
    tier_link_break(link, BREAKER_LOST, "a reply to the handshake is no status");
  if (greeting && link->greetings == 0 && !link->broken)
    finish_greeting(link);
}
