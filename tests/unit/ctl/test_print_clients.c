/* fcachectl clients: users, rows within 80 columns, leases below them, and JSON. */
#include <check.h>
#include <jansson.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/commands/clients_groups.h"
#include "client/ctl/print/text.h"
#include "tests/support/printed.h"
#include "tests/support/runner.h"

#define UNKNOWN_UID 54321u /* of no user in /etc/passwd */

static void print_items(struct listing *listing, const void *items, size_t n) {
  struct clients_groups groups = {.listing = listing};

  for (size_t i = 0; i < n; i++)
    clients_groups_add(&groups, (const struct fc_client_entry *)items + i);
  clients_groups_print(&groups);
}

static char *print_clients(struct listing options, const struct fc_client_entry *clients,
                           size_t n) {
  return printed_listing(options, &clients_kind, print_items, clients, n);
}

static struct fc_client_entry small_client(void) {
  return (struct fc_client_entry){.client_id = 3,
                                  .client = fc_str_of("worker-1"),
                                  .pid = 4711,
                                  .uid = UNKNOWN_UID,
                                  .name_space = fc_str_of("gpt2"),
                                  .region = true,
                                  .connected_ns = 2500000000,
                                  .hits = 120,
                                  .shared_hits = 45,
                                  .has_user = true,
                                  .user = {5, 1, 4, 256, 32768, 7, 8}};
}

static void add_lease(struct fc_client_entry *client, uint32_t n) {
  client->held = printed_key("logprob_of", "base");
  client->leases = n;
}

static void add_wait(struct fc_client_entry *client, uint32_t n) {
  client->wait.key = printed_key("logprob_of", "base");
  client->wait.waited_ns = 1234000000;
  client->wait.owner_id = 9;
  client->wait.owner = fc_str_of("worker-2");
  client->wait.owner_pid = 4712;
  client->waits = n;
}

/* Each column at its widest, with both a lease and waits. */
static struct fc_client_entry largest_client(void) {
  struct fc_client_entry client = {
      .client_id = UINT64_MAX,
      .client = fc_str_of(printed_long_name()),
      .pid = 4194304,
      .uid = UINT32_MAX,
      .name_space = fc_str_of(printed_long_name()),
      .connected_ns = UINT64_MAX,
      .hits = 9999999,
      .shared_hits = 9999999,
      .tier_waits = 9999999,
      .has_user = true,
      .user = {10000000, 1, 10000000, 10000000, UINT64_C(1023) << 20, 1, 1}};

  add_lease(&client, 10000000);
  add_wait(&client, 10000000);
  client.held = client.wait.key = printed_key(printed_long_name(), printed_long_name());
  client.wait.waited_ns = UINT64_MAX;
  client.wait.owner = fc_str_of(printed_long_name());
  client.wait.owner_pid = 4194304;
  return client;
}

START_TEST(clients_print_rows_with_their_leases) {
  struct fc_client_entry clients[] = {small_client(), small_client(), small_client(),
                                      small_client()};

  add_lease(&clients[1], 1);
  add_lease(&clients[2], 3);
  add_wait(&clients[3], 256);
  clients[3].region = false;
  clients[3].pid = 0;
  clients[3].tier_waits = 12;
  printed_is(print_clients((struct listing){.filter.name_space = "n"}, clients, 4),
             "54321: 5 clients, 4 leases, 256 waits, rings 32 KiB\n"
             "ID  PID CLIENT   VIA    HITS SHARED REMOTE\n"
             " 3 4711 worker-1 region  120     45      0\n"
             " 3 4711 worker-1 region  120     45      0\n"
             "    holds logprob_of base abcdef01\n"
             " 3 4711 worker-1 region  120     45      0\n"
             "    holds logprob_of base abcdef01, +2 more\n"
             " 3    - worker-1 socket  120     45     12\n"
             "    waits 1.23 s for logprob_of base abcdef01 of worker-2 (pid 4712), +255 more\n");
  clients[0].name_space = (struct fc_str){0}; /* a tool */
  printed_is(print_clients((struct listing){0}, clients, 2),
             "54321: 5 clients, 4 leases, 256 waits, rings 32 KiB\n"
             "ID  PID CLIENT   NAMESPACE VIA    HITS SHARED REMOTE\n"
             " 3 4711 worker-1 -         region  120     45      0\n"
             " 3 4711 worker-1 gpt2      region  120     45      0\n"
             "    holds logprob_of base abcdef01\n");
}
END_TEST

/* Each user has its line, whatever the order and the limit. */
START_TEST(clients_of_several_users_are_grouped) {
  struct fc_client_entry clients[7];

  for (uint32_t i = 0; i < 7; i++) {
    clients[i] = small_client();
    clients[i].client_id = i + 1;
    clients[i].uid = i == 1 || i == 4 ? 4000000001 : 4000000000 + (i == 6 ? 2 : 3);
    clients[i].user = (struct fc_user_entry){.connections = i == 1 || i == 4 ? 2 : i == 6 ? 1 : 4};
  }
  printed_is(print_clients((struct listing){.filter.name_space = "n", .limit = 4}, clients, 7),
             "4000000003: 4 clients, 0 leases, 0 waits, rings 0 B\n"
             "ID  PID CLIENT   VIA    HITS SHARED REMOTE\n"
             " 1 4711 worker-1 region  120     45      0\n"
             "    3 more: --limit 0 lists all\n"
             "\n"
             "4000000001: 2 clients, 0 leases, 0 waits, rings 0 B\n"
             "ID  PID CLIENT   VIA    HITS SHARED REMOTE\n"
             " 2 4711 worker-1 region  120     45      0\n"
             "    1 more: --limit 0 lists all\n"
             "\n"
             "4000000002: 1 client, 0 leases, 0 waits, rings 0 B\n"
             "ID  PID CLIENT   VIA    HITS SHARED REMOTE\n"
             " 7 4711 worker-1 region  120     45      0\n");
}
END_TEST

/* An older daemon does not report a user's sums: the listed clients are added up. */
START_TEST(clients_of_an_older_daemon_are_added_up) {
  struct fc_client_entry clients[] = {small_client(), small_client()};

  clients[0].has_user = clients[1].has_user = false;
  add_lease(&clients[0], 3);
  add_wait(&clients[1], 1);
  printed_is(print_clients((struct listing){.filter.name_space = "n"}, clients, 2),
             "54321: 2 clients, 3 leases, 1 wait, rings 0 B\n"
             "ID  PID CLIENT   VIA    HITS SHARED REMOTE\n"
             " 3 4711 worker-1 region  120     45      0\n"
             "    holds logprob_of base abcdef01, +2 more\n"
             " 3 4711 worker-1 region  120     45      0\n"
             "    waits 1.23 s for logprob_of base abcdef01 of worker-2 (pid 4712)\n");
}
END_TEST

START_TEST(clients_fit_80_columns) {
  struct fc_client_entry clients[] = {small_client(), largest_client()};
  char *text =
      print_clients((struct listing){.filter.name_space = _i == 1 ? "n" : NULL}, clients, 2);

  printed_fits(text);
  printed_contains(text, " socket 9999999 9999999 9999999\n");
  printed_contains(text, " abcdef01, +9999999 more\n");
  printed_contains(text, "    waits 213503d for ");
  printed_contains(text, " (pid 4194304), +9999999 more\n");
  free(text);
}
END_TEST

START_TEST(clients_of_root_show_its_name) {
  struct fc_client_entry client = small_client();
  json_t *all, *first;
  char *text;

  client.uid = 0;
  text = print_clients((struct listing){0}, &client, 1);
  printed_contains(text, "root: 5 clients, ");
  free(text);
  first = printed_first_object(print_clients((struct listing){.json = true}, &client, 1), 1, &all);
  printed_string(first, "user", "root");
  printed_number(first, "uid", 0);
  json_decref(all);
}
END_TEST

START_TEST(clients_json_has_everything) {
  struct fc_client_entry clients[] = {small_client(), small_client(), largest_client()};
  json_t *all, *first, *second;

  add_lease(&clients[0], 2);
  add_wait(&clients[1], 4);
  clients[1].name_space = (struct fc_str){0};
  clients[1].region = false;
  first = printed_first_object(print_clients((struct listing){.json = true}, clients, 3), 3, &all);
  printed_string(first, "client", "worker-1");
  printed_number(first, "client_id", 3);
  printed_number(first, "pid", 4711);
  printed_number(first, "uid", UNKNOWN_UID);
  printed_string(first, "user", "54321");
  printed_string(first, "namespace", "gpt2");
  printed_string(first, "plane", "region");
  printed_number(first, "connected_s", 2.5);
  printed_number(first, "hits", 120);
  printed_number(first, "shared_hits", 45);
  printed_number(first, "leases", 2);
  printed_number(first, "tier_waits", 0);
  ck_assert_uint_eq(json_object_size(first), 16);
  second = json_object_get(first, "user_holds");
  printed_number(second, "connections", 5);
  printed_number(second, "namespaces", 1);
  printed_number(second, "leases", 4);
  printed_number(second, "waits", 256);
  printed_number(second, "ring_bytes", 32768);
  printed_number(second, "message_bytes", 7);
  printed_number(second, "manifest_bytes", 8);
  printed_key_is(json_object_get(first, "held"));
  ck_assert(json_is_null(json_object_get(first, "wait")));
  second = json_array_get(all, 1);
  printed_string(second, "plane", "socket");
  ck_assert(json_is_null(json_object_get(second, "namespace")));
  ck_assert(json_is_null(json_object_get(second, "held")));
  printed_number(second, "waits", 4);
  second = json_object_get(second, "wait");
  printed_key_is(second);
  printed_number(second, "waited_s", 1.234);
  printed_string(second, "owner", "worker-2");
  printed_number(second, "owner_id", 9);
  printed_number(second, "owner_pid", 4712);
  json_decref(all);
}
END_TEST

START_TEST(clients_none_says_so_or_is_an_empty_array) {
  printed_is(print_clients((struct listing){0}, NULL, 0), "no clients connected\n");
  printed_is(print_clients((struct listing){.filter.name_space = "n"}, NULL, 0),
             "no clients connected to this namespace\n");
  printed_is(print_clients((struct listing){.json = true}, NULL, 0), "[]\n");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("print_clients");
  TCase *tests = tcase_create("print_clients");

  setlocale(LC_CTYPE, "C.UTF-8");
  text_force_columns(PRINTED_COLUMNS);
  tcase_add_test(tests, clients_print_rows_with_their_leases);
  tcase_add_test(tests, clients_of_several_users_are_grouped);
  tcase_add_test(tests, clients_of_an_older_daemon_are_added_up);
  tcase_add_loop_test(tests, clients_fit_80_columns, 0, 2);
  tcase_add_test(tests, clients_of_root_show_its_name);
  tcase_add_test(tests, clients_json_has_everything);
  tcase_add_test(tests, clients_none_says_so_or_is_an_empty_array);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
