/* fcachectl export and import between two daemons: values, order, manifests, merges, and files that
 * are cut, damaged or of another kind. */
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/expect.h"
#include "tests/support/library.h"

#define ENTRIES 240u
#define LARGE_BYTES (5u << 20)
#define SMALL 1000u /* from this number on, values are small */
#define MANY 6000u  /* small entries: several pages of a list */
#define TEXT_SIZE 512

static struct daemon from, to;
static char file[TEXT_SIZE]; /* of the image */

static void set_up(void) {
  char dir[HARNESS_PATH_SIZE];
  memset(&from, 0, sizeof from);
  memset(&to, 0, sizeof to);
  harness_start(&from, NULL);
  harness_start(&to, NULL);
  harness_make_dir(dir);
  (void)snprintf(file, sizeof file, "%s/image", dir);
}

static void tear_down(void) {
  ck_assert_int_eq(harness_stop(&from), 0);
  ck_assert_int_eq(harness_stop(&to), 0);
}

/* ---- commands of the shell ---- */

/* Runs a command of the shell, in which $C is fcachectl, $F and $T are the daemons' sockets, and $I
 * is the image. */
static int shell(char **out, char **err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int shell(char **out, char **err, const char *format, ...) {
  char command[TEXT_SIZE];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(command, sizeof command, format, args);
  va_end(args);
  (void)setenv("C", harness_fcachectl(), 1);
  (void)setenv("F", from.socket, 1);
  (void)setenv("T", to.socket, 1);
  (void)setenv("I", file, 1);
  return harness_run((const char *const[]){"sh", "-c", command, NULL}, out, err);
}

/* Checks the status of a command, and that stdout and stderr contain the texts (NULL: any). */
static void expect_shell(const char *command, int status, const char *out_part,
                         const char *err_part) {
  char *out, *err;
  int got = shell(&out, &err, "%s", command);
  if (got != status || (out_part != NULL && strstr(out, out_part) == NULL) ||
      (err_part != NULL && strstr(err, err_part) == NULL))
    ck_abort_msg("%s: status %d instead of %d: %s%s", command, got, status, out, err);
  free(out);
  free(err);
}

/* ---- entries ---- */

static uint32_t size_of(uint32_t n) {
  if (n >= SMALL)
    return n % 100;
  return n % 80 == 79 ? LARGE_BYTES : n % 10 == 0 ? 0 : (n * 2654435761u) >> (12 + n % 20);
}

static struct fcache_key key_of(uint32_t n) {
  struct fcache_key key = {.op = n % 3 == 0 ? "logprob_of" : "next_token_dist",
                           .view = n % 5 == 0 ? "ft" : "base",
                           .top_k = n % 4};
  key.prompt = fcache_hash(&n, sizeof n);
  return key;
}

/* Returns the value of a number, valid until the next call. */
static const uint8_t *value_of(uint32_t n, uint32_t salt) {
  static uint8_t value[LARGE_BYTES];
  uint32_t state = n * 747796405u + salt;
  for (uint32_t i = 0; i < size_of(n); i++)
    value[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
  return value;
}

static struct fcache *open_at(const struct daemon *daemon, const char *name_space,
                              const char *manifest) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  options.socket = daemon->socket;
  options.name_space = name_space;
  options.manifest = manifest;
  options.deadline_ms = LIBRARY_PATIENT_MS;
  ck_assert_int_eq(fcache_open(&options, &cache, NULL), 0);
  return cache;
}

static void put(struct fcache *cache, uint32_t n, uint32_t salt) {
  struct fcache_key key = key_of(n);
  ck_assert_int_eq(
      fcache_put(cache, &key, value_of(n, salt), size_of(n), (uint64_t)1000 * (n + 1), 0), 0);
}

/* Puts all entries, and then uses every seventh, so that the order is not that of the puts. */
static void fill(const struct daemon *daemon, const char *name_space, const char *manifest) {
  struct fcache *cache = open_at(daemon, name_space, manifest);
  struct fcache_value value = {0};
  for (uint32_t n = 0; n < ENTRIES; n++)
    put(cache, n, 0);
  for (uint32_t n = 0; n < ENTRIES; n += 7) {
    struct fcache_key key = key_of(n);
    ck_assert_int_eq(fcache_get(cache, &key, 0, &value), FCACHE_OK);
  }
  fcache_value_free(&value);
  fcache_close(cache);
}

/* Returns how many of the entries the namespace has. Each must have the right value. */
static uint32_t check_values(const struct daemon *daemon, const char *name_space) {
  struct fcache *cache = open_at(daemon, name_space, NULL);
  struct fcache_value value = {0};
  uint32_t found = 0;
  for (uint32_t n = 0; n < ENTRIES; n++) {
    struct fcache_key key = key_of(n);
    if (fcache_get(cache, &key, FCACHE_UNRECORDED, &value) != FCACHE_OK)
      continue;
    found++;
    EXPECT_EQUAL(value.size, size_of(n));
    EXPECT(value.size == 0 || memcmp(value.data, value_of(n, 0), value.size) == 0);
  }
  fcache_value_free(&value);
  fcache_close(cache);
  return found;
}

/* Returns the namespace's entries, most recently used first, without the times since their use. */
static json_t *listed(const struct daemon *daemon, const char *name_space, bool with_hits) {
  json_t *all =
      ctl_json(CTL("list", "-S", daemon->socket, "-n", name_space, "--json", "--limit", "0"));
  json_t *entry;
  size_t i;
  json_array_foreach(all, i, entry) {
    (void)json_object_del(entry, "idle_s");
    (void)json_object_del(entry, "namespace");
    if (!with_hits)
      (void)json_object_del(entry, "hits");
  }
  return all;
}

static void expect_equal_json(json_t *a, json_t *b) {
  ck_assert(json_equal(a, b));
  json_decref(a);
  json_decref(b);
}

static long long stat_of(const struct daemon *daemon, const char *name) {
  json_t *all = ctl_json(CTL("stats", "-S", daemon->socket, "--json"));
  json_t *value = json_object_get(json_object_get(all, "daemon"), name);
  long long n = json_integer_value(value);
  ck_assert_msg(json_is_integer(value), "no counter %s", name);
  json_decref(all);
  return n;
}

/* ---- from one daemon to another ---- */

START_TEST(export_and_import_keep_values_order_and_times) {
  fill(&from, "ns", "{\"model\": \"gpt2\"}");
  json_t *before = listed(&from, "ns", true);
  long long hits = stat_of(&from, "cache_hits");
  if (_i == 0) {
    expect_shell("$C export -S $F ns > $I", 0, "", "exported 240 entries of namespace ns");
    expect_shell("$C import -S $T < $I", 0, "imported 240 entries into namespace ns\n", NULL);
  } else {
    expect_shell("$C -S $F export ns | $C -S $T import", 0, "imported 240 entries", NULL);
  }
  expect_equal_json(before, listed(&from, "ns", true)); /* order and hits are as they were */
  expect_equal_json(listed(&from, "ns", false), listed(&to, "ns", false));
  ck_assert_int_eq(stat_of(&from, "cache_hits"), hits);
  ck_assert_int_eq(stat_of(&to, "cache_misses"), 0);
  ck_assert_int_eq(stat_of(&to, "forward_passes"), 0);
  ck_assert_uint_eq(check_values(&to, "ns"), ENTRIES);
  ck_assert_int_eq(stat_of(&to, "cache_hits"), 0);
  ctl_expect_part(CTL("namespaces", "-S", to.socket), "model  gpt2");
}
END_TEST

START_TEST(import_into_another_namespace_keeps_first_values) {
  struct fcache *cache;
  fill(&from, "ns", NULL);
  cache = open_at(&to, "other", NULL);
  for (uint32_t n = 1; n < 11; n++)
    put(cache, n, 1);
  expect_shell("$C export -S $F ns > $I && $C import -S $T -n other --json $I", 0,
               "{\"stored\": 230, \"kept\": 10, \"too_big\": 0, \"no_memory\": 0, \"damaged\": 0, "
               "\"evicted\": 0, \"complete\": true}\n",
               NULL);
  expect_shell("$C import -S $T --namespace=other $I", 0,
               "imported 0 entries into namespace other\n       240 kept", NULL);
  struct fcache_value value = {0};
  for (uint32_t n = 1; n < 11; n++) {
    struct fcache_key key = key_of(n);
    ck_assert_int_eq(fcache_get(cache, &key, 0, &value), FCACHE_OK);
    ck_assert_uint_eq(value.size, size_of(n));
    ck_assert(value.size == 0 || memcmp(value.data, value_of(n, 1), value.size) == 0);
  }
  fcache_value_free(&value);
  fcache_close(cache);
  ck_assert_uint_eq(ctl_array_size(CTL("namespaces", "-S", to.socket, "--json")), 1);
}
END_TEST

START_TEST(export_of_namespace_without_entries_is_whole) {
  fcache_close(open_at(&from, "empty", "text"));
  struct fcache *cache = open_at(&from, "empty", "text"); /* keeps the namespace */
  expect_shell("$C export -S $F empty > $I && $C image $I", 0, "entries          0 intact", NULL);
  expect_shell("$C import -S $T $I", 0, "imported 0 entries into namespace empty\n", NULL);
  fcache_close(cache);
}
END_TEST

/* ---- manifests ---- */

static const struct {
  const char *theirs, *ours; /* NULL: none; ours is of a namespace with an entry */
  int status;
  const char *shown;
} manifests[] = {
    {"{\"a\": 1, \"b\": \"x\"}", "{\"b\":\"x\",\"a\":1}", 0, ""},
    {"{\"a\": 1, \"b\": \"x\"}", "{\"b\":\"y\",\"a\":1}", 1,
     "  b\n    image: x\n    namespace: y\n"},
    {"{\"a\": 1}", "{\"a\": 1, \"c\": [2]}", 1, "  c\n    image: -\n    namespace: [2]\n"},
    {"one text", "another", 1, "  image: one text\n  namespace: another\n"},
    {"one text", "one text", 0, ""},
    {"{\"a\": 1}", NULL, 1, "  image: {\"a\": 1}\n  namespace: no manifest\n"},
    {NULL, "{\"a\": 1}", 1, "  image: no manifest\n  namespace: {\"a\": 1}\n"},
    {NULL, NULL, 0, ""},
};

START_TEST(import_compares_manifests) {
  struct fcache *cache = open_at(&from, "ns", manifests[_i].theirs);
  put(cache, 1, 0);
  fcache_close(cache);
  cache = open_at(&to, "ns", manifests[_i].ours);
  put(cache, 2, 0);
  fcache_close(cache);
  json_t *before = ctl_json(CTL("namespaces", "-S", to.socket, "--json"));
  expect_shell("$C export -S $F ns > $I && $C import -S $T $I", manifests[_i].status,
               manifests[_i].status == 0 ? "imported 1 entry" : NULL, manifests[_i].shown);
  ck_assert_uint_eq(check_values(&to, "ns"), manifests[_i].status == 0 ? 2 : 1);
  if (manifests[_i].status != 0)
    expect_shell("$C import -S $T --force $I", 0, "imported 1 entry into namespace ns\n", NULL);
  ck_assert_uint_eq(check_values(&to, "ns"), 2);
  json_t *after = ctl_json(CTL("namespaces", "-S", to.socket, "--json"));
  if (manifests[_i].ours != NULL) /* the namespace's own stays */
    ck_assert(json_equal(json_object_get(json_array_get(before, 0), "manifest"),
                         json_object_get(json_array_get(after, 0), "manifest")));
  json_decref(before);
  json_decref(after);
}
END_TEST

/* ---- files that are not whole ---- */

START_TEST(import_of_cut_image_stores_what_is_whole) {
  uint32_t last = 0, some = 0;
  size_t size;
  fill(&from, "ns", NULL);
  expect_shell("$C export -S $F ns > $I", 0, NULL, NULL);
  free(harness_read_file(file, &size));
  for (unsigned cut = 0; cut < 12; cut++) {
    char *err, name[32];
    size_t bytes = cut == 11 ? size - 1 : size / 11 * cut + 3;
    (void)snprintf(name, sizeof name, "cut-%u", cut);
    int status = shell(NULL, &err,
                       cut % 2 == 0 ? "head -c %zu $I | $C import -S $T -n %s"
                                    : "head -c %zu $I > $I.cut; $C import -S $T -n %s $I.cut",
                       bytes, name);
    ck_assert_int_eq(status, 1);
    ck_assert_msg(strstr(err, cut == 0 ? "is no image" : "ends too early") != NULL, "%s", err);
    free(err);
    uint32_t n = check_values(&to, name);
    ck_assert_uint_ge(n, last);
    some += n > 0 && n < ENTRIES;
    last = n;
  }
  ck_assert_uint_eq(last, ENTRIES); /* only the very end was missing */
  ck_assert_uint_gt(some, 5);
}
END_TEST

START_TEST(import_of_damaged_image_stores_the_rest) {
  char *bytes;
  size_t size;
  fill(&from, "ns", NULL);
  expect_shell("$C export -S $F ns > $I", 0, NULL, NULL);
  bytes = harness_read_file(file, &size);
  bytes[size / 2] ^= 1; /* in the value of one of the large ones, or beside it */
  FILE *out = fopen(file, "w");
  ck_assert_ptr_nonnull(out);
  ck_assert_uint_eq(fwrite(bytes, 1, size, out), size);
  ck_assert_int_eq(fclose(out), 0);
  free(bytes);
  expect_shell("$C import -S $T $I", 1,
               "imported 239 entries into namespace ns\n         1 damaged in the image",
               "1 entry is not in the namespace");
  ck_assert_uint_eq(check_values(&to, "ns"), ENTRIES - 1);
}
END_TEST

static const struct {
  const char *command;
  int status;
  const char *error;
} wrong[] = {
    {"yes | $C import -S $T", 1, "stdin is no image"},
    {"$C import -S $T < /dev/null", 1, "stdin is no image"},
    {"$C import -S $T /etc/passwd", 1, "/etc/passwd is no image"},
    {"$C import -S $T /etc", 1, "/etc is a directory"},
    {"$C import -S $T $I.none", 1, "No such file"},
    {"$C import -S $T -n '' $I", 2, "--namespace \"\""},
    {"$C import -S $T a b", 2, "import takes one file"},
    {"$C import -S $T <&-", 1, "stdin"},
    {"$C export -S $F none", 1, "the daemon has no namespace \"none\""},
    {"$C export -S $F", 2, "no namespace: give one of fcachectl namespaces"},
    {"$C export -S $F ''", 2, "\"\" is no namespace"},
    {"$C export -S $F a b", 2, "export takes one namespace"},
    {"$C export -S $I.none ns", 3, "fcachectl: "},
    {"$C import -S $I.none < /dev/null", 3, "fcachectl: "},
};

START_TEST(wrong_use_has_its_error) {
  expect_shell(wrong[_i].command, wrong[_i].status, "", wrong[_i].error);
  ck_assert_uint_eq(ctl_array_size(CTL("namespaces", "-S", to.socket, "--json")), 0);
}
END_TEST

START_TEST(export_to_full_disk_is_an_error) {
  fill(&from, "ns", NULL);
  expect_shell("$C export -S $F ns > /dev/full", 1, NULL,
               "fcachectl: cannot write the image: No space left on device: it is incomplete\n");
}
END_TEST

/* ---- limits of the other daemon ---- */

START_TEST(import_counts_values_that_do_not_fit) {
  fill(&from, "ns", NULL);
  ck_assert_int_eq(harness_stop(&to), 0);
  harness_start(&to, "--max-value", "1M", NULL);
  expect_shell("$C export -S $F ns | $C import -S $T", 1,
               "imported 237 entries into namespace ns\n         3 too big: raise --max-value",
               "3 entries are not in the namespace");
  ck_assert_uint_eq(check_values(&to, "ns"), ENTRIES - 3);
}
END_TEST

START_TEST(import_tells_what_was_evicted_again) {
  char *out;
  fill(&from, "ns", NULL);
  ck_assert_int_eq(harness_stop(&to), 0);
  harness_start(&to, "--max-bytes", "8M", "--max-value", "6M", NULL);
  ck_assert_int_eq(shell(&out, NULL, "$C export -S $F ns | $C import -S $T"), 1);
  ck_assert_msg(strstr(out, "evicted again, the oldest first: raise --max-bytes") != NULL, "%s",
                out);
  free(out);
  ck_assert_uint_lt(check_values(&to, "ns"), ENTRIES);
}
END_TEST

/* ---- while workers use the cache ---- */

/* Uses random keys until it is killed, after it has written a byte. */
static void use_keys(int ready) {
  struct fcache *cache = library_open_in_child(from.socket, "ns", "user", LIBRARY_PATIENT_MS);
  struct fcache_value value = {0};
  for (uint32_t i = 0; cache != NULL; i++) {
    struct fcache_key key = key_of(SMALL + (i * 2654435761u >> 8) % MANY);
    (void)fcache_get(cache, &key, FCACHE_UNRECORDED, &value);
    if (i == 100 && write(ready, "", 1) != 1)
      break;
  }
  _exit(1);
}

/* The list of keys has several pages, and misses keys that move meanwhile. */
START_TEST(export_under_load_has_every_key_once) {
  struct fcache *cache = open_at(&from, "ns", NULL);
  int ready[2];
  char byte;
  for (uint32_t n = SMALL; n < SMALL + MANY; n++)
    put(cache, n, 0);
  fcache_close(cache);
  ck_assert_int_eq(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0)
    use_keys(ready[1]);
  ck_assert_int_eq(read(ready[0], &byte, 1), 1);
  for (int round = 0; round < 5; round++) {
    expect_shell("$C export -S $F ns > $I", 0, "", "exported 6000 entries");
    expect_shell("$C image --list -l 0 -j $I | sort -u | wc -l", 0, "6002\n", NULL);
  }
  kill(child, SIGKILL);
  ck_assert_int_ne(harness_wait(child, 10000), 0);
  close(ready[0]);
  close(ready[1]);
  expect_shell("$C import -S $T $I", 0, "imported 6000 entries into namespace ns\n", NULL);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_survive_export");
  TCase *tcase = tcase_create("ctl_survive_export");
  tcase_set_timeout(tcase, 120);
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_loop_test(tcase, export_and_import_keep_values_order_and_times, 0, 2);
  tcase_add_test(tcase, import_into_another_namespace_keeps_first_values);
  tcase_add_test(tcase, export_of_namespace_without_entries_is_whole);
  tcase_add_loop_test(tcase, import_compares_manifests, 0, sizeof manifests / sizeof manifests[0]);
  tcase_add_test(tcase, import_of_cut_image_stores_what_is_whole);
  tcase_add_test(tcase, import_of_damaged_image_stores_the_rest);
  tcase_add_loop_test(tcase, wrong_use_has_its_error, 0, sizeof wrong / sizeof wrong[0]);
  tcase_add_test(tcase, export_to_full_disk_is_an_error);
  tcase_add_test(tcase, import_counts_values_that_do_not_fit);
  tcase_add_test(tcase, import_tells_what_was_evicted_again);
  tcase_add_test(tcase, export_under_load_has_every_key_once);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
