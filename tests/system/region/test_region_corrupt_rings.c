/* Clients that corrupt their rings: the daemon drops such a client, and no other client notices. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/shm/ring_layout.h"
#include "tests/support/good_client.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/sanitizer.h"

#define TIMEOUT_MS 60000u

static struct daemon served;
static struct good_client good;

static void start(void) {
  harness_start(&served, "--max-bytes", "4M", "--verbose", NULL);
  good_client_open(&good, served.socket);
}

static void stop(void) {
  good_client_close(&good);
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* ---- a client with its ring mapped ---- */

struct client {
  struct raw raw;
  size_t ring_size;
  struct fc_ring_header *ring;
  uint8_t *slots;
  uint32_t n_slots;
  uint64_t head; /* to be published */
};

static void open_client(struct client *client, const char *name) {
  struct stat status;

  *client = (struct client){0};
  raw_open_region(&client->raw, served.socket, name, "hostile");
  ck_assert_int_eq(fstat(client->raw.ring_fd, &status), 0);
  client->ring_size = (size_t)status.st_size;
  void *base =
      mmap(NULL, client->ring_size, PROT_READ | PROT_WRITE, MAP_SHARED, client->raw.ring_fd, 0);
  ck_assert_ptr_ne(base, MAP_FAILED);
  client->ring = base;
  client->n_slots = client->ring->n_slots;
  client->slots = (uint8_t *)base + sizeof *client->ring;
}

static void close_client(struct client *client) {
  (void)munmap(client->ring, client->ring_size);
  raw_close(&client->raw);
}

static void publish(struct client *client) {
  /* Release: the daemon sees the records below the head. */
  atomic_store_explicit(&client->ring->head, client->head, memory_order_release);
}

static void write_slot(struct client *client, const void *slot, size_t size) {
  memcpy(client->slots + client->head++ % client->n_slots * FC_RING_SLOT, slot, size);
}

/* Names of less than a slot. */
static void write_context(struct client *client, uint8_t index, const char *op, const char *view) {
  struct fc_ring_context head = {.kind = FC_RING_CONTEXT,
                                 .index = index,
                                 .op_size = (uint8_t)strlen(op),
                                 .view_size = (uint8_t)strlen(view)};
  uint8_t slot[FC_RING_SLOT] = {0};

  memcpy(slot, &head, sizeof head);
  memcpy(slot + sizeof head, op, head.op_size);
  memcpy(slot + sizeof head + head.op_size, view, head.view_size);
  write_slot(client, slot, sizeof slot);
}

static void write_hit(struct client *client, uint8_t context, uint16_t flags) {
  struct fc_ring_hit hit = {.kind = FC_RING_HIT, .context = context, .flags = flags, .digest = 1};

  write_slot(client, &hit, sizeof hit);
}

static bool all_is_read(void *arg) {
  struct client *client = arg;

  return atomic_load(&client->ring->tail) == client->head;
}

static void fill_randomly(void *to, size_t size) {
  uint64_t random = (uint64_t)getpid() * 0x9e3779b97f4a7c15u + 1;

  for (size_t at = 0; at + sizeof random <= size; at += sizeof random) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    memcpy((uint8_t *)to + at, &random, sizeof random);
  }
}

static void head_of_uint64_max(struct client *client) {
  client->head = UINT64_MAX;
}

static void head_one_too_far(struct client *client) {
  client->head = client->n_slots + 1u;
}

static void head_that_goes_back(struct client *client) {
  write_context(client, 0, "op", "view");
  write_hit(client, 0, 0);
  publish(client);
  ck_assert(harness_wait_until(all_is_read, client, TIMEOUT_MS));
  client->head = 1;
}

static void random_bytes_all_over(struct client *client) {
  fill_randomly(client->ring, client->ring_size);
  client->head = atomic_load(&client->ring->head) | 1u << 31;
}

static void random_slots(struct client *client) {
  fill_randomly(client->slots, client->ring_size - sizeof *client->ring);
  client->slots[0] = 3; /* an unknown kind */
  client->head = client->n_slots;
}

static void slots_that_were_never_written(struct client *client) {
  client->head = client->n_slots;
}

static void hit_without_a_context(struct client *client) {
  write_hit(client, 0, 0);
}

static void hit_of_a_context_out_of_range(struct client *client) {
  write_context(client, 0, "op", "view");
  write_hit(client, 255, 0);
}

static void hit_with_strange_flags(struct client *client) {
  write_context(client, 0, "op", "view");
  write_hit(client, 0, 0x8000);
}

static void context_out_of_range(struct client *client) {
  write_context(client, FC_RING_CONTEXTS, "op", "view");
}

static void context_with_a_control_character(struct client *client) {
  write_context(client, 0, "o\np", "view");
}

static void context_without_an_op(struct client *client) {
  write_context(client, 0, "", "view");
}

static void context_incomplete(struct client *client) {
  struct fc_ring_context head = {
      .kind = FC_RING_CONTEXT, .op_size = 255, .view_size = 255, .probe_size = 255};

  write_slot(client, &head, sizeof head);
}

static void holes_instead_of_slots(struct client *client) {
  write_context(client, 0, "op", "view");
  write_hit(client, 0, 0);
  ck_assert_int_eq(fallocate(client->raw.ring_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                             (off_t)client->ring_size),
                   0);
}

static const struct ring_fault {
  const char *name;
  void (*write)(struct client *client); /* the head is then published */
  const char *text;                     /* expected in the log */
} faults[] = {
    {"end-of-numbers", head_of_uint64_max, "head went back, or is further ahead"},
    {"too-far", head_one_too_far, "head went back, or is further ahead"},
    {"back", head_that_goes_back, "head went back, or is further ahead"},
    {"random", random_bytes_all_over, "head went back, or is further ahead"},
    {"random-slots", random_slots, "of a kind that does not exist"},
    {"never-written", slots_that_were_never_written, "of a kind that does not exist"},
    {"no-context", hit_without_a_context, "a context that was not defined"},
    {"far-context", hit_of_a_context_out_of_range, "a context that was not defined"},
    {"flags", hit_with_strange_flags, "flags that do not exist"},
    {"far-index", context_out_of_range, "an index that is out of range"},
    {"control", context_with_a_control_character, "invalid name in a context record"},
    {"no-op", context_without_an_op, "invalid name in a context record"},
    {"halves", context_incomplete, "incomplete context record"},
    {"holes", holes_instead_of_slots, "of a kind that does not exist"},
};
enum { FAULTS = sizeof faults / sizeof faults[0] };

/* The daemon closes the connection, with or without an error before. */
static void expect_end(struct client *client) {
  struct fc_reply reply;
  int result;

  do
    result = raw_recv(&client->raw, &reply, TIMEOUT_MS);
  while (result == RAW_REPLY && reply.type == FC_ERROR);
  ck_assert_int_eq(result, RAW_CLOSED);
}

/* The daemon's log has a line with both. */
static bool has_line(const char *log, const char *name, const char *text) {
  for (const char *at = log; (at = strstr(at, name)) != NULL; at++) {
    const char *end = strchr(at, '\n'), *found = strstr(at, text);

    if (end && found && found < end)
      return true;
  }
  return false;
}

START_TEST(ring_corrupt_drops_only_its_client) {
  char name[32];
  struct client clients[FAULTS];

  for (unsigned i = 0; i < FAULTS; i++) {
    (void)snprintf(name, sizeof name, "fault-%s", faults[i].name);
    open_client(&clients[i], name);
    faults[i].write(&clients[i]);
    publish(&clients[i]);
    expect_end(&clients[i]);
    good_client_check(&good);
    ck_assert_uint_eq(library_stat(good.cache, "dropped"), i + 1);
  }
  char *log = harness_log(&served);
  for (unsigned i = 0; i < FAULTS; i++) {
    (void)snprintf(name, sizeof name, "fault-%s (pid", faults[i].name);
    ck_assert_msg(has_line(log, name, faults[i].text), "no line of %s: %s", name, log);
    close_client(&clients[i]);
  }
  free(log);
  ck_assert_uint_eq(library_stat(good.cache, "rings"), 1); /* the good client's hits */
}
END_TEST

/* The client sends a request after it has corrupted its ring. */
START_TEST(ring_corrupt_detected_before_next_request) {
  for (unsigned i = 0; i < FAULTS; i++) {
    struct client client;
    struct fc_reply reply;
    struct fc_get get = {.key = raw_key("op", "view", 0, "prompt")};
    uint32_t id;

    open_client(&client, "asks");
    faults[i].write(&client);
    publish(&client);
    if (raw_send_get(&client.raw, &get, &id) == 0 &&
        raw_recv(&client.raw, &reply, TIMEOUT_MS) == RAW_REPLY) {
      ck_assert_int_eq(reply.type, FC_ERROR);
      ck_assert_int_eq(reply.error.code, FC_EPROTOCOL);
      ck_assert(reply.id == id || reply.id == 0); /* a timer may have detected it before */
      ck_assert_ptr_nonnull(memmem(reply.error.text.data, reply.error.text.size, "its ring", 8));
      expect_end(&client);
    } /* else the daemon closed the connection first */
    close_client(&client);
    ck_assert_uint_eq(library_stat(good.cache, "dropped"), i + 1);
  }
  good_client_check(&good);
}
END_TEST

/* The daemon does not read its own half of the header, and bounds the times of a record. */
START_TEST(ring_false_words_and_times_ignored) {
  struct client client;
  struct library_stats stats = {0};
  struct fc_ring_hit lie = {.kind = FC_RING_HIT,
                            .end_ns = UINT64_MAX,
                            .wall_ns = UINT64_MAX,
                            .compute_ns = UINT64_MAX,
                            .digest = UINT64_MAX,
                            .top_k = UINT32_MAX,
                            .origin = UINT64_MAX};

  open_client(&client, "liar");
  client.ring->magic = 0;
  client.ring->n_slots = 1;
  atomic_store(&client.ring->unrecorded, 3);
  write_context(&client, 0, "op", "view");
  for (unsigned i = 0; i < 100; i++)
    write_slot(&client, &lie, sizeof lie);
  publish(&client);
  ck_assert(harness_wait_until(all_is_read, &client, TIMEOUT_MS));
  atomic_store(&client.ring->tail, 7);
  write_slot(&client, &lie, sizeof lie);
  publish(&client);
  ck_assert(harness_wait_until(all_is_read, &client, TIMEOUT_MS));
  library_stats_read(good.cache, &stats);
  ck_assert_uint_eq(library_stats_count(&stats, "hostile", "cache_hits"), 101);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "hits_unrecorded"), 3);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "dropped"), 0);
  ck_assert_double_le(library_stats_real(&stats, "hostile", "scoring_wall_s"),
                      library_stats_real(&stats, NULL, "uptime_s"));
  ck_assert_double_ge(library_stats_real(&stats, "hostile", "saved_wall_s"), 0);
  library_stats_free(&stats);
  close_client(&client);
  good_client_check(&good);
}
END_TEST

/* Writes valid records, and changes words of them while the daemon reads them. */
static void scribble(struct client *client, uint64_t *random) {
  write_context(client, 0, "op", "view");
  for (unsigned i = 0; i < 200; i++)
    write_hit(client, 0, 0);
  publish(client);
  for (unsigned i = 0; i < 50; i++) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    memcpy(client->slots + (*random >> 20) % (256u * FC_RING_SLOT / 8) * 8, random, 4);
  }
  client->head = atomic_load(&client->ring->tail); /* slots that were read may be reused */
}

START_TEST(ring_changing_while_read_drops_only_its_client) {
  unsigned rounds = SANITIZER_SLOW ? 10 : 50;
  uint64_t random = (uint64_t)getpid() * 0x9e3779b97f4a7c15u + 1;

  for (unsigned round = 0; round < rounds; round++) {
    struct client client;
    struct fc_reply reply;
    struct fc_get get = {.key = raw_key("op", "view", 0, "prompt")};
    int result = RAW_REPLY;

    open_client(&client, "scribbler");
    while (result == RAW_REPLY) { /* until the daemon drops it */
      scribble(&client, &random);
      result = raw_get(&client.raw, &get, &reply);
    }
    ck_assert_int_eq(result, RAW_CLOSED);
    close_client(&client);
  }
  good_client_check(&good);
  ck_assert_uint_eq(library_stat(good.cache, "dropped"), rounds);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("corrupt rings");
  TCase *tcase = tcase_create("corrupt rings");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, ring_corrupt_drops_only_its_client);
  tcase_add_test(tcase, ring_corrupt_detected_before_next_request);
  tcase_add_test(tcase, ring_false_words_and_times_ignored);
  tcase_add_test(tcase, ring_changing_while_read_drops_only_its_client);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
