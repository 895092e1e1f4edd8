/* What fcachectl prints of entries, leases, clients and namespaces: rows within 80 columns, and
 * JSON.
 */
#include <check.h>
#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/print_clients.h"
#include "client/ctl/print/print_leases.h"
#include "client/ctl/print/print_list.h"
#include "client/ctl/print/print_namespaces.h"
#include "tests/support/printed.h"
#include "tests/support/runner.h"

#define NOBODY 54321u /* a user in no file */

/* ---- entries ---- */

/* Every column as wide as it comes: 7 digits, "1023 MiB", "99d 23h". */
static struct fc_list_entry wide_entry(const char *name) {
  return (struct fc_list_entry){.name_space = fc_str_of(name),
                                .key = {.op = fc_str_of(name),
                                        .view = fc_str_of(name),
                                        .top_k = 9999999,
                                        .prompt = {{0xab, 0xcd, 0xef, 0x01}}},
                                .value_size = 1023u << 20,
                                .charge = UINT32_MAX,
                                .compute_ns = UINT64_C(8639999000000000),
                                .idle_ns = UINT64_C(8639999000000000),
                                .hits = 9999999};
}

/* The widest texts, and the largest numbers. */
START_TEST(list_fits_80_columns) {
  struct fc_list_entry entry, largest;
  char *text = NULL, name[256];
  size_t size;
  FILE *out = open_memstream(&text, &size);
  struct rows rows = {.out = out, .one_namespace = _i == 1};

  memset(name, 'n', 255);
  name[255] = '\0';
  entry = wide_entry(name);
  largest = wide_entry(name);
  largest.key.top_k = UINT32_MAX;
  largest.value_size = UINT32_MAX;
  largest.compute_ns = largest.idle_ns = largest.hits = UINT64_MAX;
  rows_begin(&rows);
  list_print_entry(&rows, &entry);
  list_print_entry(&rows, &largest);
  rows_end(&rows, NULL);
  ck_assert_int_eq(fclose(out), 0);
  printed_fits(text);
  ck_assert_ptr_nonnull(strstr(text, " 9999999 abcdef01 1023 MiB 99d 23h 99d 23h 9999999\n"));
  ck_assert_ptr_nonnull(strstr(text, " 4294967295 abcdef01 4.00 GiB 213503d 213503d   18.4E\n"));
  ck_assert_uint_eq(rows.n, 2);
  free(text);
}
END_TEST

START_TEST(list_json_is_an_array) {
  struct fc_list_entry entry = wide_entry("x");
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  struct rows rows = {.out = out, .json = true};
  json_t *all;

  rows_begin(&rows);
  for (int i = 0; i < _i; i++)
    list_print_entry(&rows, &entry);
  rows_end(&rows, NULL);
  ck_assert_int_eq(fclose(out), 0);
  ck_assert(!rows.failed);
  all = json_loads(text, 0, NULL);
  ck_assert_ptr_nonnull(all);
  ck_assert_uint_eq(json_array_size(all), (size_t)_i);
  if (_i > 0) {
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(all, 0), "prompt_hash")),
                     "abcdef01000000000000000000000000");
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(all, 0), "value_bytes")),
                     1023u << 20);
  }
  json_decref(all);
  free(text);
}
END_TEST

/* ---- what leases and clients share ---- */

static char long_name[256];

static void set_up(void) {
  memset(long_name, 'n', 255);
  long_name[255] = '\0';
}

static struct fc_key key_of(const char *op, const char *view) {
  return (struct fc_key){.op = fc_str_of(op),
                         .view = fc_str_of(view),
                         .top_k = 64,
                         .prompt = {{0xab, 0xcd, 0xef, 0x01}}};
}

/* Prints the items; the text is the caller's to free. */
static char *print_leases(struct rows rows, const struct fc_lease_entry *leases, size_t n) {
  char *text = NULL;
  size_t size;

  rows.out = open_memstream(&text, &size);
  rows_begin(&rows);
  for (size_t i = 0; i < n; i++)
    leases_print_lease(&rows, &leases[i]);
  rows_end(&rows, "nothing");
  ck_assert_int_eq(fclose(rows.out), 0);
  ck_assert(!rows.failed);
  ck_assert_uint_eq(rows.n, n);
  return text;
}

static uint64_t limit; /* of print_clients */

static char *print_clients(struct rows rows, const struct fc_client_entry *clients, size_t n) {
  struct clients_view view = {.rows = &rows, .limit = limit};
  char *text = NULL;
  size_t size;

  rows.out = open_memstream(&text, &size);
  rows_begin(&rows);
  for (size_t i = 0; i < n; i++)
    clients_print_client(&view, &clients[i]);
  clients_print_end(&view);
  rows_end(&rows, "nothing");
  ck_assert_int_eq(fclose(rows.out), 0);
  ck_assert(!rows.failed);
  ck_assert_uint_eq(rows.n, n);
  return text;
}

static void check_text(char *text, const char *want) {
  ck_assert_str_eq(text, want);
  free(text);
}

/* The first object of an array with `n`. The caller frees *all. */
static json_t *first_of(char *text, size_t n, json_t **all) {
  *all = json_loads(text, 0, NULL);
  if (!*all)
    ck_abort_msg("no JSON: %s", text);
  ck_assert_uint_eq(json_array_size(*all), n);
  free(text);
  return json_array_get(*all, 0);
}

static void check_string(const json_t *object, const char *name, const char *want) {
  ck_assert_pstr_eq(json_string_value(json_object_get(object, name)), want);
}

static void check_number(const json_t *object, const char *name, double want) {
  const json_t *value = json_object_get(object, name);

  ck_assert(json_is_number(value));
  ck_assert_double_eq(json_number_value(value), want);
}

static void check_key(const json_t *object) {
  check_string(object, "op", "logprob_of");
  check_string(object, "view", "base");
  check_string(object, "prompt_hash", "abcdef01000000000000000000000000");
  check_number(object, "top_k", 64);
}

/* ---- leases ---- */

static struct fc_lease_entry small_lease(void) {
  return (struct fc_lease_entry){.name_space = fc_str_of("gpt2"),
                                 .key = key_of("logprob_of", "base"),
                                 .client_id = 3,
                                 .client = fc_str_of("worker-1"),
                                 .pid = 4711,
                                 .held_ns = 1500000000,
                                 .left_ns = UINT64_C(298500000000),
                                 .waits = 7};
}

static struct fc_lease_entry largest_lease(void) {
  return (struct fc_lease_entry){.name_space = fc_str_of(long_name),
                                 .key = key_of(long_name, long_name),
                                 .client_id = UINT64_MAX,
                                 .client = fc_str_of(long_name),
                                 .pid = INT64_MAX,
                                 .held_ns = UINT64_MAX,
                                 .left_ns = UINT64_MAX,
                                 .waits = UINT32_MAX};
}

START_TEST(leases_are_rows) {
  struct fc_lease_entry lease = small_lease();

  check_text(print_leases((struct rows){.one_namespace = true}, &lease, 1),
             "OP              VIEW       PROMPT   CLIENT           PID    HELD    LEFT WAITING\n"
             "logprob_of      base       abcdef01 worker-1        4711  1.50 s  4m 58s       7\n");
  check_text(print_leases((struct rows){0}, &lease, 1),
             "NAMESPACE OP         VIEW   PROMPT   CLIENT          PID    HELD    LEFT WAITING\n"
             "gpt2      logprob_of base   abcdef01 worker-1       4711  1.50 s  4m 58s       7\n");
  lease.pid = 0; /* of another pid namespace */
  char *text = print_leases((struct rows){0}, &lease, 1);
  ck_assert_ptr_nonnull(strstr(text, "worker-1          -  1.50 s"));
  free(text);
}
END_TEST

START_TEST(leases_fit_80_columns) {
  struct fc_lease_entry leases[] = {largest_lease(), small_lease(), largest_lease()};
  char *text;

  leases[2].pid = 4194304;
  leases[2].waits = 9999999;
  leases[2].held_ns = leases[2].left_ns = UINT64_C(8639999000000000);
  text = print_leases((struct rows){.one_namespace = _i == 1}, leases, 3);
  printed_fits(text);
  ck_assert_ptr_nonnull(strstr(text, " 4194304 99d 23h 99d 23h 9999999\n"));
  ck_assert_ptr_nonnull(strstr(text, "       - 213503d 213503d   4.29G\n"));
  ck_assert_ptr_null(strstr(strstr(text, "CLIENT") + 1, "CLIENT")); /* one header */
  free(text);
}
END_TEST

START_TEST(leases_json_has_everything) {
  struct fc_lease_entry leases[] = {small_lease(), largest_lease(), small_lease()};
  json_t *all, *first;

  leases[2].pid = 0;
  first = first_of(print_leases((struct rows){.json = true}, leases, 3), 3, &all);
  check_string(first, "namespace", "gpt2");
  check_key(first);
  check_string(first, "client", "worker-1");
  check_number(first, "client_id", 3);
  check_number(first, "pid", 4711);
  check_number(first, "held_s", 1.5);
  check_number(first, "left_s", 298.5);
  check_number(first, "waits", 7);
  ck_assert_uint_eq(json_object_size(first), 11);
  check_string(json_array_get(all, 1), "client", long_name);
  ck_assert(json_is_null(json_object_get(json_array_get(all, 2), "pid")));
  json_decref(all);
}
END_TEST

/* ---- clients ---- */

static struct fc_client_entry small_client(void) {
  return (struct fc_client_entry){.client_id = 3,
                                  .client = fc_str_of("worker-1"),
                                  .pid = 4711,
                                  .uid = NOBODY,
                                  .name_space = fc_str_of("gpt2"),
                                  .region = true,
                                  .connected_ns = 2500000000,
                                  .hits = 120,
                                  .shared_hits = 45,
                                  .has_user = true,
                                  .user = {5, 1, 4, 256, 32768, 7, 8}};
}

static void give_lease(struct fc_client_entry *client, uint32_t n) {
  client->held = key_of("logprob_of", "base");
  client->leases = n;
}

static void give_wait(struct fc_client_entry *client, uint32_t n) {
  client->wait.key = key_of("logprob_of", "base");
  client->wait.waited_ns = 1234000000;
  client->wait.owner_id = 9;
  client->wait.owner = fc_str_of("worker-2");
  client->wait.owner_pid = 4712;
  client->waits = n;
}

/* Everything at its widest; both a lease and waits, whatever the daemon means by that. */
static struct fc_client_entry largest_client(void) {
  struct fc_client_entry client = {
      .client_id = UINT64_MAX,
      .client = fc_str_of(long_name),
      .pid = 4194304,
      .uid = UINT32_MAX,
      .name_space = fc_str_of(long_name),
      .connected_ns = UINT64_MAX,
      .hits = 9999999,
      .shared_hits = 9999999,
      .has_user = true,
      .user = {10000000, 1, 10000000, 10000000, UINT64_C(1023) << 20, 1, 1}};

  give_lease(&client, 10000000);
  give_wait(&client, 10000000);
  client.held = client.wait.key = key_of(long_name, long_name);
  client.wait.waited_ns = UINT64_MAX;
  client.wait.owner = fc_str_of(long_name);
  client.wait.owner_pid = 4194304;
  return client;
}

START_TEST(clients_are_rows_with_what_they_do) {
  struct fc_client_entry clients[] = {small_client(), small_client(), small_client(),
                                      small_client()};

  give_lease(&clients[1], 1);
  give_lease(&clients[2], 3);
  give_wait(&clients[3], 256);
  clients[3].region = false;
  clients[3].pid = 0;
  check_text(print_clients((struct rows){.one_namespace = true}, clients, 4),
             "     ID     PID CLIENT                                    PLANE     HITS  SHARED\n"
             "54321: 5 clients, 4 leases, 256 waits, rings 32 KiB\n"
             "      3    4711 worker-1                                  region     120      45\n"
             "      3    4711 worker-1                                  region     120      45\n"
             "    computes logprob_of base abcdef01\n"
             "      3    4711 worker-1                                  region     120      45\n"
             "    computes logprob_of base abcdef01, +2 more\n"
             "      3       - worker-1                                  socket     120      45\n"
             "    waits 1.23 s for logprob_of base abcdef01 of worker-2 (pid 4712), +255 more\n");
  clients[0].name_space = (struct fc_str){0}; /* a tool */
  check_text(print_clients((struct rows){0}, clients, 2),
             "     ID     PID CLIENT                NAMESPACE           PLANE     HITS  SHARED\n"
             "54321: 5 clients, 4 leases, 256 waits, rings 32 KiB\n"
             "      3    4711 worker-1              -                   region     120      45\n"
             "      3    4711 worker-1              gpt2                region     120      45\n"
             "    computes logprob_of base abcdef01\n");
}
END_TEST

/* Whoever connected first, and whatever the limit: each user has its line. */
START_TEST(clients_are_grouped_by_user) {
  struct fc_client_entry clients[7];

  for (uint32_t i = 0; i < 7; i++) {
    clients[i] = small_client();
    clients[i].client_id = i + 1;
    clients[i].uid = i == 1 || i == 4 ? 4000000001 : 4000000000 + (i == 6 ? 2 : 3);
    clients[i].user = (struct fc_user_entry){.connections = i == 1 || i == 4 ? 2 : i == 6 ? 1 : 4};
  }
  limit = 4;
  check_text(print_clients((struct rows){.one_namespace = true}, clients, 7),
             "     ID     PID CLIENT                                    PLANE     HITS  SHARED\n"
             "4000000003: 4 clients, 0 leases, 0 waits, rings 0 B\n"
             "      1    4711 worker-1                                  region     120      45\n"
             "    3 more: --limit 0 lists all\n"
             "4000000001: 2 clients, 0 leases, 0 waits, rings 0 B\n"
             "      2    4711 worker-1                                  region     120      45\n"
             "    1 more: --limit 0 lists all\n"
             "4000000002: 1 client, 0 leases, 0 waits, rings 0 B\n"
             "      7    4711 worker-1                                  region     120      45\n");
  limit = 0;
}
END_TEST

/* It does not say what a user holds: what its listed clients have is added up. */
START_TEST(an_older_daemons_clients_are_grouped_too) {
  struct fc_client_entry clients[] = {small_client(), small_client()};

  clients[0].has_user = clients[1].has_user = false;
  give_lease(&clients[0], 3);
  give_wait(&clients[1], 1);
  check_text(print_clients((struct rows){.one_namespace = true}, clients, 2),
             "     ID     PID CLIENT                                    PLANE     HITS  SHARED\n"
             "54321: 2 clients, 3 leases, 1 wait, rings 0 B\n"
             "      3    4711 worker-1                                  region     120      45\n"
             "    computes logprob_of base abcdef01, +2 more\n"
             "      3    4711 worker-1                                  region     120      45\n"
             "    waits 1.23 s for logprob_of base abcdef01 of worker-2 (pid 4712)\n");
}
END_TEST

START_TEST(clients_fit_80_columns) {
  struct fc_client_entry clients[] = {small_client(), largest_client()};
  char *text = print_clients((struct rows){.one_namespace = _i == 1}, clients, 2);

  printed_fits(text);
  ck_assert_ptr_nonnull(strstr(text, " socket 9999999 9999999\n"));
  ck_assert_ptr_nonnull(strstr(text, " abcdef01, +9999999 more\n"));
  ck_assert_ptr_nonnull(strstr(text, "    waits 213503d for "));
  ck_assert_ptr_nonnull(strstr(text, " (pid 4194304), +9999999 more\n"));
  free(text);
}
END_TEST

START_TEST(users_have_names) {
  struct fc_client_entry client = small_client();
  json_t *all, *first;
  char *text;

  client.uid = 0;
  text = print_clients((struct rows){0}, &client, 1);
  ck_assert_ptr_nonnull(strstr(text, "\nroot: 5 clients, "));
  free(text);
  first = first_of(print_clients((struct rows){.json = true}, &client, 1), 1, &all);
  check_string(first, "user", "root");
  check_number(first, "uid", 0);
  json_decref(all);
}
END_TEST

START_TEST(clients_json_has_everything) {
  struct fc_client_entry clients[] = {small_client(), small_client(), largest_client()};
  json_t *all, *first, *second;

  give_lease(&clients[0], 2);
  give_wait(&clients[1], 4);
  clients[1].name_space = (struct fc_str){0};
  clients[1].region = false;
  first = first_of(print_clients((struct rows){.json = true}, clients, 3), 3, &all);
  check_string(first, "client", "worker-1");
  check_number(first, "client_id", 3);
  check_number(first, "pid", 4711);
  check_number(first, "uid", NOBODY);
  check_string(first, "user", "54321");
  check_string(first, "namespace", "gpt2");
  check_string(first, "plane", "region");
  check_number(first, "connected_s", 2.5);
  check_number(first, "hits", 120);
  check_number(first, "shared_hits", 45);
  check_number(first, "leases", 2);
  ck_assert_uint_eq(json_object_size(first), 15);
  second = json_object_get(first, "user_holds");
  check_number(second, "connections", 5);
  check_number(second, "namespaces", 1);
  check_number(second, "leases", 4);
  check_number(second, "waits", 256);
  check_number(second, "ring_bytes", 32768);
  check_number(second, "message_bytes", 7);
  check_number(second, "manifest_bytes", 8);
  check_key(json_object_get(first, "held"));
  ck_assert(json_is_null(json_object_get(first, "wait")));
  second = json_array_get(all, 1);
  check_string(second, "plane", "socket");
  ck_assert(json_is_null(json_object_get(second, "namespace")));
  ck_assert(json_is_null(json_object_get(second, "held")));
  check_number(second, "waits", 4);
  second = json_object_get(second, "wait");
  check_key(second);
  check_number(second, "waited_s", 1.234);
  check_string(second, "owner", "worker-2");
  check_number(second, "owner_id", 9);
  check_number(second, "owner_pid", 4712);
  json_decref(all);
}
END_TEST

/* ---- namespaces ---- */

static struct fc_namespace_entry small_namespace(const char *manifest) {
  return (struct fc_namespace_entry){.name_space = fc_str_of("gpt2"),
                                     .manifest = fc_str_of(manifest),
                                     .entries = 2,
                                     .bytes = 448,
                                     .hits = 4,
                                     .misses = 2,
                                     .clients = 1,
                                     .idle_ns = 1500000000};
}

/* Everything at its widest. */
static struct fc_namespace_entry wide_namespace(const char *manifest) {
  return (struct fc_namespace_entry){.name_space = fc_str_of(long_name),
                                     .manifest = fc_str_of(manifest),
                                     .entries = 9999999,
                                     .bytes = UINT64_C(1023) << 20,
                                     .hits = 9999999,
                                     .misses = 0,
                                     .max_bytes = UINT64_C(1023) << 20,
                                     .clients = 9999999,
                                     .idle_ns = UINT64_C(8639999000000000)};
}

static char *print_namespaces(struct rows rows, const struct fc_namespace_entry *namespaces,
                              size_t n, bool no_manifest) {
  struct namespaces_view view = {.rows = &rows, .no_manifest = no_manifest};
  char *text = NULL;
  size_t size;

  rows.out = open_memstream(&text, &size);
  rows_begin(&rows);
  for (size_t i = 0; i < n; i++)
    namespaces_print(&view, &namespaces[i]);
  rows_end(&rows, "nothing");
  ck_assert_int_eq(fclose(rows.out), 0);
  ck_assert(!rows.failed);
  ck_assert_uint_eq(rows.n, n);
  return text;
}

#define NAMESPACES_HEADER                                                                          \
  "NAMESPACE          ENTRIES     SIZE                        HITS CLIENTS LAST USE\n"
#define SMALL_ROW                                                                                  \
  "gpt2                     2    448 B              4 / 6 (66.67%)       1   1.50 s\n"

START_TEST(namespaces_are_rows_with_their_manifests) {
  struct fc_namespace_entry namespaces[] = {
      small_namespace(
          "{\"model\": \"gpt2\", \"revision\": \"3f2c1\", \"scale\": 0.1, \"layers\": 12, "
          "\"adapter\": null, \"more\": {\"a\": [1, true]}}"),
      small_namespace(NULL), small_namespace("{}")};

  namespaces[1].hits = namespaces[1].misses = 0;
  check_text(print_namespaces((struct rows){0}, namespaces, 3, false),
             NAMESPACES_HEADER SMALL_ROW "    model     gpt2\n"
                                         "    revision  3f2c1\n"
                                         "    scale     0.1\n"
                                         "    layers    12\n"
                                         "    adapter   null\n"
                                         "    more      {\"a\":[1,true]}\n"
                                         "gpt2                     2    448 B                   0 "
                                         "/ 0 (-)       1   1.50 s\n" SMALL_ROW);
  check_text(print_namespaces((struct rows){.one_namespace = true}, namespaces, 1, true),
             NAMESPACES_HEADER SMALL_ROW);
  namespaces[0].max_bytes = 3u << 20;
  check_text(print_namespaces((struct rows){.one_namespace = true}, namespaces, 1, true),
             NAMESPACES_HEADER SMALL_ROW "    at most 3 MiB\n");
}
END_TEST

/* What is no object of JSON stands there as it is: also where a number is too large for jansson, or
 * a string has a NUL. */
START_TEST(other_manifests_are_lines) {
  static const struct {
    const char *manifest, *lines;
  } cases[] = {{"gpt2, revision 3f2c1", "    gpt2, revision 3f2c1\n"},
               {"one\n\ntwo\n", "    one\n    \n    two\n"},
               {"[1, 2]", "    [1, 2]\n"},
               {"12", "    12\n"},
               {"{\"a\": 1", "    {\"a\": 1\n"},
               {"{\"a\": 18446744073709551616}", "    {\"a\": 18446744073709551616}\n"},
               {"{\"a\": \"\\u0000\"}", "    {\"a\": \"\\u0000\"}\n"},
               {"\n", "    \n"}};

  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct fc_namespace_entry entry = small_namespace(cases[i].manifest);
    char want[256];

    (void)snprintf(want, sizeof want, "%s%s", NAMESPACES_HEADER SMALL_ROW, cases[i].lines);
    check_text(print_namespaces((struct rows){0}, &entry, 1, false), want);
  }
}
END_TEST

/* Nothing in a manifest steers the terminal: in keys, in values, and where it is no JSON. */
START_TEST(manifests_from_strangers_are_harmless) {
  static const char *const manifests[] = {
      "{\"a\\u001b[2J\": \"b\\u001b[31m\\u0007\\r\\nc\\u009b\\u007f\", \"l\": [\"\\u009b\"]}",
      "a\x1b[31m\r\b\x7f\xc2\x9b"};
  static const char *const lines[] = {"    a?[2J  b?[31m???c??\n    l      [\"?\"]\n",
                                      "    a?[31m????\n"};
  struct fc_namespace_entry entry = small_namespace(manifests[_i]);
  char want[256];

  (void)snprintf(want, sizeof want, "%s%s", NAMESPACES_HEADER SMALL_ROW, lines[_i]);
  check_text(print_namespaces((struct rows){0}, &entry, 1, false), want);
}
END_TEST

START_TEST(namespaces_fit_80_columns) {
  char *manifest = malloc(FC_MANIFEST_MAX + 1), *text;
  struct fc_namespace_entry namespaces[4] = {small_namespace(NULL)};

  ck_assert_ptr_nonnull(manifest);
  memset(manifest, 'm', FC_MANIFEST_MAX);
  manifest[FC_MANIFEST_MAX] = '\0';
  namespaces[1] = wide_namespace(manifest); /* one line */
  namespaces[2] = wide_namespace("{\"a key that is longer than its column\": \"v\", \"k\": 1}");
  memcpy(manifest, "{\"model\": \"", 11);
  memcpy(manifest + FC_MANIFEST_MAX - 2, "\"}", 2);
  namespaces[3] = wide_namespace(manifest);
  namespaces[3].entries = namespaces[3].bytes = namespaces[3].idle_ns = UINT64_MAX;
  namespaces[3].hits = UINT64_MAX / 2;
  namespaces[3].misses = UINT64_MAX / 2;
  text = print_namespaces((struct rows){0}, namespaces, 4, false);
  printed_fits(text);
  ck_assert_ptr_nonnull(strstr(text, "nnnn\xe2\x80\xa6\n                   9999999 1023 MiB "
                                     "9999999 / 9999999 (100.00%) 9999999  99d 23h\n    "));
  ck_assert_ptr_nonnull(strstr(text, "    a key that is longer th\xe2\x80\xa6  v\n"));
  ck_assert_ptr_nonnull(strstr(text, "    k                         1\n"));
  ck_assert_ptr_nonnull(strstr(text, "    model  mmm"));
  ck_assert_ptr_null(strstr(strstr(text, "CLIENTS") + 1, "CLIENTS")); /* one header */
  free(text);
  free(manifest);
}
END_TEST

START_TEST(namespaces_json_has_everything) {
  struct fc_namespace_entry namespaces[] = {
      small_namespace("{\"model\": \"gpt2\", \"layers\": 12, \"scale\": 1.25}"),
      small_namespace("gpt2\x1b"), wide_namespace(NULL), small_namespace("[1]")};
  json_t *all, *first, *manifest;

  namespaces[2].hits = 0;
  first = first_of(print_namespaces((struct rows){.json = true}, namespaces, 4, false), 4, &all);
  check_string(first, "namespace", "gpt2");
  check_number(first, "entries", 2);
  check_number(first, "bytes", 448);
  ck_assert(json_is_null(json_object_get(first, "max_bytes")));
  check_number(first, "cache_hits", 4);
  check_number(first, "cache_misses", 2);
  ck_assert_double_eq_tol(json_real_value(json_object_get(first, "hit_rate")), 2.0 / 3, 1e-9);
  check_number(first, "clients", 1);
  check_number(first, "idle_s", 1.5);
  manifest = json_object_get(first, "manifest");
  check_string(manifest, "model", "gpt2");
  check_number(manifest, "layers", 12);
  ck_assert(json_is_integer(json_object_get(manifest, "layers")));
  check_number(manifest, "scale", 1.25);
  ck_assert_uint_eq(json_object_size(first), 10);
  check_string(json_array_get(all, 1), "manifest", "gpt2\x1b");
  ck_assert(json_is_null(json_object_get(json_array_get(all, 2), "manifest")));
  check_number(json_array_get(all, 2), "hit_rate", 0);
  check_number(json_array_get(all, 2), "max_bytes", (double)(UINT64_C(1023) << 20));
  check_string(json_array_get(all, 3), "manifest", "[1]");
  json_decref(all);
  first = first_of(print_namespaces((struct rows){.json = true}, namespaces, 1, true), 1, &all);
  ck_assert_ptr_null(json_object_get(first, "manifest"));
  ck_assert_uint_eq(json_object_size(first), 9);
  json_decref(all);
}
END_TEST

/* ---- none ---- */

START_TEST(nothing_is_said_to_people_and_empty_for_programs) {
  check_text(print_leases((struct rows){0}, NULL, 0), "nothing\n");
  check_text(print_clients((struct rows){0}, NULL, 0), "nothing\n");
  check_text(print_namespaces((struct rows){0}, NULL, 0, false), "nothing\n");
  check_text(print_namespaces((struct rows){.json = true}, NULL, 0, false), "[]\n");
  check_text(print_leases((struct rows){.json = true}, NULL, 0), "[]\n");
  check_text(print_clients((struct rows){.json = true}, NULL, 0), "[]\n");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_listings");
  TCase *tests = tcase_create("listings");

  setlocale(LC_CTYPE, "C.UTF-8");
  set_up();
  tcase_add_loop_test(tests, list_fits_80_columns, 0, 2);
  tcase_add_loop_test(tests, list_json_is_an_array, 0, 3);
  tcase_add_test(tests, leases_are_rows);
  tcase_add_loop_test(tests, leases_fit_80_columns, 0, 2);
  tcase_add_test(tests, leases_json_has_everything);
  tcase_add_test(tests, clients_are_rows_with_what_they_do);
  tcase_add_test(tests, clients_are_grouped_by_user);
  tcase_add_test(tests, an_older_daemons_clients_are_grouped_too);
  tcase_add_loop_test(tests, clients_fit_80_columns, 0, 2);
  tcase_add_test(tests, users_have_names);
  tcase_add_test(tests, clients_json_has_everything);
  tcase_add_test(tests, namespaces_are_rows_with_their_manifests);
  tcase_add_test(tests, other_manifests_are_lines);
  tcase_add_loop_test(tests, manifests_from_strangers_are_harmless, 0, 2);
  tcase_add_test(tests, namespaces_fit_80_columns);
  tcase_add_test(tests, namespaces_json_has_everything);
  tcase_add_test(tests, nothing_is_said_to_people_and_empty_for_programs);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
