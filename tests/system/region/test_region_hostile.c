/* Clients that mean ill with what the daemon hands them: fault 8 (a ring full of anything) and 9 (a
 * region that somebody, of any user, tries to write, cut, seal, map writable or open anew). A bad
 * ring costs its client the connection, and nobody else anything; the region stays as it is.
 * Part of it needs root, to become another user; elsewhere that says what it skips. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/shm/region_layout.h"
#include "proto/shm/ring_layout.h"
#include "tests/support/child_process.h"
#include "tests/support/expect.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/sanitizer.h"
#include "tests/support/stamped.h"

#define TIMEOUT_MS 60000u
#define PAGE 4096u

enum { STRANGER = 54321, SOCKET_GROUP = 54322, GOOD_NUMBERS = 16 };

static const struct child_user member = {.uid = STRANGER, .gid = STRANGER, .group = SOCKET_GROUP};

static struct daemon served;

/* ---- the others, who notice nothing ---- */

static struct good {
  struct fcache *cache;
  struct fcache_value value;
  uint64_t hits;
} good;

static void open_good(void) {
  good.cache = library_open(served.socket, "good", "good", 0);
  for (uint64_t i = 0; i < GOOD_NUMBERS; i++)
    ck_assert_int_eq(stamped_put(good.cache, &good.value, i, 4), FCACHE_OK);
}

static void start(void) {
  harness_start(&served, "--max-bytes", "4M", "--verbose", NULL);
  open_good();
}

/* The way to the socket is made passable; the socket itself is as the daemon made it. */
static void start_for_others(void) {
  char root[HARNESS_PATH_SIZE];

  if (geteuid() == 0)
    harness_start(&served, "--max-bytes", "4M", "--socket-group", "54322", NULL);
  else /* no other user can be one here, and this one may not be in that group */
    harness_start(&served, "--max-bytes", "4M", NULL);
  (void)snprintf(root, sizeof root, "%s", served.dir);
  *strrchr(root, '/') = '\0';
  ck_assert_int_eq(chmod(root, 0711), 0);
  ck_assert_int_eq(chmod(served.dir, 0711), 0);
  open_good();
}

static void stop(void) {
  fcache_close(good.cache);
  fcache_value_free(&good.value);
  good = (struct good){0};
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* They hit, all in the region, on the connection that they had, and are counted. */
static void assert_good_goes_on(void) {
  struct figures figures = {0};

  for (uint64_t i = 0; i < 10u * GOOD_NUMBERS; i++) {
    struct fcache_key key = stamped_key(i % GOOD_NUMBERS);
    uint64_t version;

    EXPECT_EQUAL(fcache_get(good.cache, &key, 0, &good.value), FCACHE_OK);
    EXPECT(stamped_check(&good.value, i % GOOD_NUMBERS, &version) && version == 4);
    good.hits++;
  }
  struct fcache_counters counters = library_counters(good.cache);
  ck_assert_uint_eq(counters.region_hits, good.hits);
  ck_assert_uint_eq(counters.reconnects, 0);
  ck_assert_uint_eq(counters.unrecorded, 0);
  figures_take(good.cache, &figures);
  ck_assert_uint_eq(figures_count(&figures, "good", "cache_hits"), good.hits);
  figures_free(&figures);
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
  /* Release: the daemon sees what stands below the head. */
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

/* ---- fault 8: what a ring may hold ---- */

static void head_at_the_end_of_numbers(struct client *client) {
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
  client->slots[0] = 3; /* of this kind there are none */
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

static void context_by_halves(struct client *client) {
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

static const struct ill {
  const char *name;
  void (*do_it)(struct client *client); /* the head is then published */
  const char *text;                     /* that the log has */
} ills[] = {
    {"end-of-numbers", head_at_the_end_of_numbers, "head went back, or is further ahead"},
    {"too-far", head_one_too_far, "head went back, or is further ahead"},
    {"back", head_that_goes_back, "head went back, or is further ahead"},
    {"random", random_bytes_all_over, "head went back, or is further ahead"},
    {"random-slots", random_slots, "of a kind that does not exist"},
    {"never-written", slots_that_were_never_written, "of a kind that does not exist"},
    {"no-context", hit_without_a_context, "a context that was not defined"},
    {"far-context", hit_of_a_context_out_of_range, "a context that was not defined"},
    {"flags", hit_with_strange_flags, "flags that do not exist"},
    {"far-index", context_out_of_range, "an index that is out of range"},
    {"control", context_with_a_control_character, "a name that is none"},
    {"no-op", context_without_an_op, "a name that is none"},
    {"halves", context_by_halves, "published by halves"},
    {"holes", holes_instead_of_slots, "of a kind that does not exist"},
};
enum { ILLS = sizeof ills / sizeof ills[0] };

/* Whatever it says before. */
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

START_TEST(a_bad_ring_costs_its_client_the_connection_and_no_other) {
  char name[32];
  struct client clients[ILLS];

  for (unsigned i = 0; i < ILLS; i++) {
    (void)snprintf(name, sizeof name, "ill-%s", ills[i].name);
    open_client(&clients[i], name);
    ills[i].do_it(&clients[i]);
    publish(&clients[i]);
    expect_end(&clients[i]);
    assert_good_goes_on();
    ck_assert_uint_eq(library_figure(good.cache, "dropped"), i + 1);
  }
  char *log = harness_log(&served);
  for (unsigned i = 0; i < ILLS; i++) {
    (void)snprintf(name, sizeof name, "ill-%s (pid", ills[i].name);
    ck_assert_msg(has_line(log, name, ills[i].text), "no line of %s: %s", name, log);
    close_client(&clients[i]);
  }
  free(log);
  ck_assert_uint_eq(library_figure(good.cache, "rings"), 1); /* the good one's */
}
END_TEST

/* Noticed, too, where the client goes on as if nothing was. */
START_TEST(a_bad_ring_is_seen_before_the_next_request) {
  for (unsigned i = 0; i < ILLS; i++) {
    struct client client;
    struct fc_reply reply;
    struct fc_get get = {.key = raw_key("op", "view", 0, "prompt")};
    uint32_t id;

    open_client(&client, "asks");
    ills[i].do_it(&client);
    publish(&client);
    if (raw_ask(&client.raw, &get, &id) == 0 &&
        raw_recv(&client.raw, &reply, TIMEOUT_MS) == RAW_REPLY) {
      ck_assert_int_eq(reply.type, FC_ERROR);
      ck_assert_int_eq(reply.error.code, FC_EPROTOCOL);
      ck_assert(reply.id == id || reply.id == 0); /* a timer may have found it before */
      ck_assert_ptr_nonnull(memmem(reply.error.text.data, reply.error.text.size, "its ring", 8));
      expect_end(&client);
    } /* else the daemon was faster, and closed it */
    close_client(&client);
    ck_assert_uint_eq(library_figure(good.cache, "dropped"), i + 1);
  }
  assert_good_goes_on();
}
END_TEST

/* What stands in the daemon's half of the header, it does not read; and times are not believed
 * beyond what can be. */
START_TEST(what_is_not_the_client_s_to_say_is_not_believed) {
  struct client client;
  struct figures figures = {0};
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
  figures_take(good.cache, &figures);
  ck_assert_uint_eq(figures_count(&figures, "hostile", "cache_hits"), 101);
  ck_assert_uint_eq(figures_count(&figures, NULL, "hits_unrecorded"), 3);
  ck_assert_uint_eq(figures_count(&figures, NULL, "dropped"), 0);
  ck_assert_double_le(figures_real(&figures, "hostile", "scoring_wall_s"),
                      figures_real(&figures, NULL, "uptime_s"));
  ck_assert_double_ge(figures_real(&figures, "hostile", "saved_wall_s"), 0);
  figures_free(&figures);
  close_client(&client);
  assert_good_goes_on();
}
END_TEST

/* Good records, any words of which change while the daemon reads them. */
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
  client->head = atomic_load(&client->ring->tail); /* what was read may be written again */
}

START_TEST(a_ring_that_changes_while_it_is_read_harms_nobody) {
  unsigned rounds = SANITIZER_SLOW ? 10 : 50;
  uint64_t random = (uint64_t)getpid() * 0x9e3779b97f4a7c15u + 1;

  for (unsigned round = 0; round < rounds; round++) {
    struct client client;
    struct fc_reply reply;
    struct fc_get get = {.key = raw_key("op", "view", 0, "prompt")};
    int result = RAW_REPLY;

    open_client(&client, "scribbler");
    while (result == RAW_REPLY) { /* until it is thrown out, by a reply that is an error */
      scribble(&client, &random);
      result = raw_get(&client.raw, &get, &reply);
    }
    ck_assert_int_eq(result, RAW_CLOSED);
    close_client(&client);
  }
  assert_good_goes_on();
  ck_assert_uint_eq(library_figure(good.cache, "dropped"), rounds);
}
END_TEST

/* ---- fault 9: the region, and the size of a ring ---- */

struct target {
  int fd;
  uint8_t *map; /* read-only; of all of it */
  size_t size;
  bool writable; /* a ring, whose content is its client's */
};

static const uint8_t other_bytes[PAGE] = {0xee};

static bool write_at_place(const struct target *target) {
  return write(target->fd, other_bytes, sizeof other_bytes) > 0;
}
static bool write_at_offset(const struct target *target) {
  return pwrite(target->fd, other_bytes, sizeof other_bytes, 0) > 0;
}
static bool send_file(const struct target *target) {
  int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  bool done = sendfile(target->fd, from, NULL, PAGE) > 0;

  (void)close(from);
  return done;
}
static bool map_to_write(const struct target *target) {
  return mmap(NULL, target->size, PROT_READ | PROT_WRITE, MAP_SHARED, target->fd, 0) != MAP_FAILED;
}
static bool protect_to_write(const struct target *target) {
  return mprotect(target->map, target->size, PROT_READ | PROT_WRITE) == 0;
}
static bool remove_pages(const struct target *target) {
  return madvise(target->map, target->size, MADV_REMOVE) == 0;
}
static bool punch(const struct target *target) {
  return fallocate(target->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE) == 0;
}
static bool zero(const struct target *target) {
  return fallocate(target->fd, FALLOC_FL_ZERO_RANGE, 0, PAGE) == 0;
}
static bool write_own_memory(const struct target *target) {
  int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
  bool done = fd >= 0 && pwrite(fd, other_bytes, PAGE, (off_t)(uintptr_t)target->map) > 0;

  (void)close(fd);
  return done;
}
static bool truncate_to_nothing(const struct target *target) {
  return ftruncate(target->fd, 0) == 0;
}
static bool truncate_by_a_page(const struct target *target) {
  return ftruncate(target->fd, (off_t)(target->size - PAGE)) == 0;
}
static bool grow_by_a_page(const struct target *target) {
  return ftruncate(target->fd, (off_t)(target->size + PAGE)) == 0;
}
static bool allocate_behind_the_end(const struct target *target) {
  return fallocate(target->fd, 0, (off_t)target->size, PAGE) == 0;
}
static bool allocate_behind_the_end_in_secret(const struct target *target) {
  return fallocate(target->fd, FALLOC_FL_KEEP_SIZE, (off_t)target->size, PAGE) == 0;
}
static bool seal_against_writing(const struct target *target) {
  return fcntl(target->fd, F_ADD_SEALS, F_SEAL_WRITE) == 0;
}
static bool seal_once_more(const struct target *target) {
  return fcntl(target->fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0;
}

static const struct attempt {
  const char *name;
  bool (*succeeds)(const struct target *target);
  bool writes; /* the content; else the size or the seals */
} attempts[] = {
    {"write", write_at_place, true},
    {"pwrite", write_at_offset, true},
    {"sendfile", send_file, true},
    {"mmap PROT_WRITE MAP_SHARED", map_to_write, true},
    {"mprotect PROT_WRITE", protect_to_write, true},
    {"madvise MADV_REMOVE", remove_pages, true},
    {"fallocate PUNCH_HOLE", punch, true},
    {"fallocate ZERO_RANGE", zero, true},
    {"write /proc/self/mem", write_own_memory, true},
    {"ftruncate to 0", truncate_to_nothing, false},
    {"ftruncate by a page", truncate_by_a_page, false},
    {"ftruncate to grow", grow_by_a_page, false},
    {"fallocate behind the end", allocate_behind_the_end, false},
    {"fallocate KEEP_SIZE behind the end", allocate_behind_the_end_in_secret, false},
    {"F_ADD_SEALS F_SEAL_WRITE", seal_against_writing, false},
    {"F_ADD_SEALS F_SEAL_SHRINK", seal_once_more, false},
};

/* Returns how many of them succeed, and says which. */
static unsigned try_all(const struct target *target, const char *what) {
  unsigned succeeded = 0;

  for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
    if ((target->writable && attempts[i].writes) || !attempts[i].succeeds(target))
      continue;
    (void)fprintf(stderr, "%s: %s succeeded\n", what, attempts[i].name);
    succeeded++;
  }
  return succeeded;
}

/* The same, on what `path` opens as, where it opens. */
static unsigned try_path(const char *path, const struct target *target, unsigned *opened) {
  static const int modes[] = {O_RDWR, O_WRONLY, O_RDWR | O_TRUNC, O_RDWR | O_APPEND};
  unsigned succeeded = 0;

  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    struct target again = *target;

    again.fd = open(path, modes[i] | O_CLOEXEC);
    if (again.fd < 0)
      continue;
    succeeded += try_all(&again, path);
    *opened += 1;
    (void)close(again.fd);
  }
  return succeeded;
}

/* What the daemon itself has open of such memory, and what maps it. */
static unsigned try_daemon(const struct target *target, unsigned *opened) {
  char path[64], connection[256];
  unsigned succeeded = 0;

  for (int fd = 0; fd < 64; fd++) {
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)served.pid, fd);
    ssize_t size = readlink(path, connection, sizeof connection - 1);
    if (size < 0)
      continue;
    connection[size] = '\0';
    if (strncmp(connection, "/memfd:fcached", 14) == 0 && !strstr(connection, "ring"))
      succeeded += try_path(path, target, opened);
  }
  return succeeded;
}

static bool map_target(struct target *target, int fd) {
  struct stat status;

  if (fstat(fd, &status) < 0)
    return false;
  target->fd = fd;
  target->size = (size_t)status.st_size;
  target->map = mmap(NULL, target->size, PROT_READ, MAP_SHARED, fd, 0);
  return target->map != MAP_FAILED;
}

/* Ends with 0 where nothing succeeds. */
static int try_everything(void *arg) {
  struct target region = {0}, ring = {.writable = true};
  struct raw raw;
  char path[64];
  unsigned opened = 0;

  CHILD_EXPECT(raw_try_region(&raw, served.socket, "hostile", "hostile") == 0);
  CHILD_EXPECT(map_target(&region, raw.region_fd) && map_target(&ring, raw.ring_fd));
  CHILD_EXPECT(try_all(&region, "the region's descriptor") == 0);
  CHILD_EXPECT(try_all(&ring, "the ring's descriptor") == 0);
  (void)snprintf(path, sizeof path, "/proc/self/fd/%d", raw.region_fd);
  CHILD_EXPECT(try_path(path, &region, &opened) == 0);
  CHILD_EXPECT(opened > 0); /* which alone is no harm */
  (void)snprintf(path, sizeof path, "/proc/self/fd/%d", raw.ring_fd);
  CHILD_EXPECT(try_path(path, &ring, &opened) == 0);
  opened = 0;
  CHILD_EXPECT(try_daemon(&region, &opened) == 0);
  CHILD_EXPECT(*(bool *)arg ? opened == 0 : opened > 0);
  raw_close(&raw);
  return 0;
}

static void try_as(const struct child_user *user) {
  struct raw raw;
  struct target region = {0};
  bool is_stranger = user != NULL;

  raw_open_region(&raw, served.socket, "watcher", "watcher");
  ck_assert(map_target(&region, raw.region_fd));
  uint8_t *before = malloc(region.size);
  ck_assert_ptr_nonnull(before);
  memcpy(before, region.map, region.size);
  ck_assert_int_eq(child_run(try_everything, &is_stranger, user), 0);
  ck_assert_int_eq(memcmp(before, region.map, region.size), 0);
  free(before);
  (void)munmap(region.map, region.size);
  raw_close(&raw);
  assert_good_goes_on();
}

START_TEST(nobody_of_the_same_user_changes_the_region) {
  try_as(NULL);
}
END_TEST

START_TEST(nobody_of_another_user_changes_the_region) {
  if (geteuid() != 0) {
    printf("skipped: only root can become other users\n");
    return;
  }
  try_as(&member);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("hostile clients of the region");
  TCase *rings = tcase_create("rings"), *region = tcase_create("region");

  tcase_set_timeout(rings, 60);
  tcase_add_checked_fixture(rings, start, stop);
  tcase_add_test(rings, a_bad_ring_costs_its_client_the_connection_and_no_other);
  tcase_add_test(rings, a_bad_ring_is_seen_before_the_next_request);
  tcase_add_test(rings, what_is_not_the_client_s_to_say_is_not_believed);
  tcase_add_test(rings, a_ring_that_changes_while_it_is_read_harms_nobody);
  suite_add_tcase(suite, rings);
  tcase_set_timeout(region, 60);
  tcase_add_checked_fixture(region, start_for_others, stop);
  tcase_add_test(region, nobody_of_the_same_user_changes_the_region);
  tcase_add_test(region, nobody_of_another_user_changes_the_region);
  suite_add_tcase(suite, region);
  return harness_main(suite);
}
