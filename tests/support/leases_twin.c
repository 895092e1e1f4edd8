#include "tests/support/leases_twin.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/leases_model_graces.h"

#define TWIN_RECORDS 24u /* with the head. Fewer than keys: some leases have none */

struct twin {
  struct leases leases;
  struct counters counters;
  struct namespace spaces[TWIN_SPACES];
  struct lease_client clients[TWIN_CLIENTS];
  struct lease_client absents[TWIN_CLIENTS]; /* the clients of the same numbers, before a restart */
  struct lease_record memory[TWIN_RECORDS];
  struct lease_records records;
  struct lease_process processes[TWIN_PROCESSES];
  uint64_t digest_mask;
  struct leases_model model;
};

/* ---- comparison ---- */

/* For checks that run millions of times: ck_assert writes to a file each time. */
#define MUST(holds)                                                                                \
  do {                                                                                             \
    if (!(holds))                                                                                  \
      ck_abort_msg("%s", #holds);                                                                  \
  } while (0)

static struct lease_client *client_at(struct twin *twin, uint32_t client) {
  return &twin->clients[client];
}

static uint32_t key_number(const struct twin *twin, const struct lease *lease) {
  uint32_t key = lease->key.prompt.bytes[5];
  MUST(lease->ns == &twin->spaces[twin_space_of(key)]);
  return key;
}

static void compare_waits_for(const struct twin *twin, const struct lease *lease, uint32_t key) {
  const struct leases_model *model = &twin->model;
  const struct lease_wait *wait = lease->wait_first;
  uint32_t n = 0;
  for (uint32_t i = 0; i < model->n_waits; i++) {
    if (model->waits[i].request.key != key)
      continue;
    MUST(wait != NULL);
    MUST(wait->id == model->waits[i].request.id);
    MUST(wait->since_ns == model->waits[i].since_ns);
    MUST(wait->until.at_ns == model->waits[i].until_ns);
    MUST(wait->requested_until_ns == model->waits[i].asked_until_ns);
    MUST(wait->waiter == &twin->clients[model->waits[i].request.client]);
    MUST(wait->lease == lease);
    wait = wait->next;
    n++;
  }
  MUST(wait == NULL);
  MUST(lease->waits == n);
}

static void compare_leases(const struct twin *twin) {
  const struct leases_model *model = &twin->model;
  uint64_t serial = 0;
  uint32_t n = 0;
  for (const struct lease *lease = twin->leases.first; lease != NULL; lease = lease->next) {
    uint32_t key = key_number(twin, lease);
    const struct model_lease *expected = &model->leases[key];
    MUST(lease->serial > serial);
    serial = lease->serial;
    MUST(serial == expected->serial);
    MUST(expected->owner != NO_CLIENT);
    MUST(lease->owner ==
         (expected->absent ? &twin->absents[expected->owner] : &twin->clients[expected->owner]));
    MUST((lease->record != 0) == expected->recorded);
    MUST(lease->granted_ns == expected->granted_ns);
    MUST(lease->term.at_ns == expected->end_ns);
    compare_waits_for(twin, lease, key);
    n++;
  }
  MUST(n == leases_model_n(model));
  MUST(twin->leases.n == n);
  MUST(twin->leases.waits == model->n_waits);
  MUST(twin->leases.due == leases_model_due(model));
}

static void compare_client(const struct twin *twin, uint32_t number) {
  const struct lease_client *client = &twin->clients[number];
  const struct model_due *due = &twin->model.due[number];
  uint32_t n = 0;
  for (const struct lease_wait *wait = client->due_first; wait != NULL; n++) {
    MUST(n < due->n);
    MUST(wait->id == due->ended[n].id);
    MUST(wait->end == due->ended[n].end);
    MUST(key_number(twin, wait->lease) == due->ended[n].key);
    wait = wait->next_of_client;
  }
  MUST(n == due->n);
  MUST(client->due == n);
  MUST(client->held == leases_model_held(&twin->model, number));
  MUST(client->waits == leases_model_waits(&twin->model, number));
}

/* The waits that closed no cycle make no cycle: each cycle has a wait that closed it, and so a
 * grace. The table's edges are the model's. */
static void compare_processes(const struct twin *twin) {
  const struct leases_model *model = &twin->model;
  for (uint32_t a = 0; a < TWIN_PROCESSES; a++) {
    uint32_t held = 0, edges = 0;
    for (uint32_t i = 0; i < TWIN_CLIENTS; i++)
      held += model->process[i] == a
                  ? leases_model_held(model, i) + leases_model_absent_held(model, i)
                  : 0;
    for (uint32_t b = 0; b < TWIN_PROCESSES; b++) {
      edges += a != b && leases_model_waits_for(model, ALL_WAITS, a, b);
      MUST(a == b || !leases_model_depends(model, LONG_WAITS, a, b) ||
           !leases_model_closes_cycle(model, LONG_WAITS, a, b));
    }
    MUST(twin->processes[a].held == held);
    MUST(twin->processes[a].edges == edges);
    MUST(twin->processes[a].delayed_ns == model->delayed_ns[a]);
  }
}

static void compare(const struct twin *twin) {
  const struct leases_model *model = &twin->model;
  compare_processes(twin);
  compare_leases(twin);
  for (uint32_t i = 0; i < TWIN_CLIENTS; i++) {
    compare_client(twin, i);
    MUST(twin->absents[i].held == leases_model_absent_held(model, i));
  }
  MUST(memcmp(&twin->counters, &model->counters, sizeof twin->counters) == 0);
  for (uint32_t i = 0; i < TWIN_SPACES; i++) {
    MUST(memcmp(&twin->spaces[i].counters, &model->of_space[i], sizeof model->of_space[i]) == 0);
    MUST(twin->spaces[i].lease_ns == model->lease_ns[i]);
  }
  MUST(leases_next_ns(&twin->leases) == leases_model_next_ns(model));
  leases_check(&twin->leases);
}

/* ---- the table beside the model ---- */

struct twin *twin_open(const struct leases_limits *limits, uint64_t digest_mask) {
  struct twin *twin = calloc(1, sizeof *twin);
  ck_assert_ptr_nonnull(twin);
  ck_assert_uint_le(limits->waits_each, TWIN_WAITS_EACH);
  leases_init(&twin->leases, limits, &twin->counters);
  lease_records_init(&twin->records, twin->memory, TWIN_RECORDS, NULL, NULL);
  twin->leases.records = &twin->records;
  for (uint32_t i = 0; i < TWIN_CLIENTS; i++) {
    twin->clients[i].pid = twin->absents[i].pid = (pid_t)i + 1; /* by which records name it */
    twin->clients[i].handle.bytes[0] = twin_has_handle(i) ? (uint8_t)(i + 1) : 0;
    twin->absents[i].handle = twin->clients[i].handle;
    twin->absents[i].absent = true;
  }
  for (uint32_t i = 0; i < TWIN_SPACES; i++) {
    char name[8];
    snprintf(name, sizeof name, "n%u", i);
    namespace_init(&twin->spaces[i], fc_str_of(name), 77 + i, 1);
  }
  twin->digest_mask = digest_mask;
  leases_model_init(&twin->model, limits);
  twin->model.records = TWIN_RECORDS - 1;
  return twin;
}

void twin_close(struct twin *twin) {
  ck_assert_uint_eq(twin_next_due(twin), NO_CLIENT);
  compare(twin);
  leases_deinit(&twin->leases);
  for (uint32_t i = 0; i < TWIN_PROCESSES; i++)
    leases_forget_process(&twin->processes[i]);
  for (uint32_t i = 0; i < TWIN_SPACES; i++)
    namespace_deinit(&twin->spaces[i]);
  free(twin);
}

void twin_set_process(struct twin *twin, uint32_t client, uint32_t process) {
  ck_assert_uint_eq(twin->clients[client].held + twin->clients[client].waits, 0);
  twin->model.process[client] = process;
  twin->clients[client].process = process == NO_PROCESS ? NULL : &twin->processes[process];
  twin->absents[client].process = twin->clients[client].process;
}

void twin_set_remote(struct twin *twin, uint32_t client) {
  twin_set_process(twin, client, NO_PROCESS);
  twin->model.remote = client;
  twin->clients[client].remote = true;
}

void twin_set_helper(struct twin *twin, uint32_t helper, uint32_t of) {
  twin->model.helper_of[helper] = of;
  leases_set_helper(&twin->processes[helper], &twin->processes[of]);
}

bool twin_closes_cycle(const struct twin *twin, const struct twin_request *request) {
  const struct leases_model *model = &twin->model;
  uint32_t owner = model->leases[request->key].owner;
  return owner != NO_CLIENT &&
         leases_model_closes_cycle(model, ALL_WAITS, model->process[request->client],
                                   model->process[owner]);
}

struct twin_graces twin_graces(const struct twin *twin) {
  return twin->model.graces;
}

uint64_t twin_until(const struct twin *twin, uint32_t client) {
  ck_assert_ptr_nonnull(twin->clients[client].wait_first);
  return twin->clients[client].wait_first->until.at_ns;
}

static const char *const view_names[TWIN_VIEWS] = {"base", "ft"};
static const char *const op_names[TWIN_OPS] = {"next_token_dist", "roll"};

static struct fc_key key_of(uint32_t key) {
  struct fc_key made = {.op = fc_str_of(op_names[twin_op_of(key)]),
                        .view = fc_str_of(view_names[twin_view_of(key)])};
  made.prompt.bytes[5] = (uint8_t)key;
  return made;
}

static uint64_t digest_of(const struct twin *twin, uint32_t key) {
  struct fc_key made = key_of(key);
  return fc_key_digest(twin->spaces[twin_space_of(key)].seed, &made) & twin->digest_mask;
}

enum lease_answer twin_acquire(struct twin *twin, const struct twin_request *request,
                               uint64_t now_ns) {
  struct fc_key key = key_of(request->key);
  struct lease_request made = {.ns = &twin->spaces[twin_space_of(request->key)],
                               .digest = digest_of(twin, request->key),
                               .key = &key,
                               .wants = request->wants,
                               .term_ns = request->term_ns,
                               .wait_ns = request->wait_ns,
                               .id = request->id};
  enum lease_answer answer =
      leases_acquire(&twin->leases, client_at(twin, request->client), &made, now_ns);
  ck_assert_int_eq(answer, leases_model_acquire(&twin->model, request, now_ns));
  compare(twin);
  return answer;
}

void twin_put(struct twin *twin, uint32_t key, uint64_t now_ns) {
  struct fc_key made = key_of(key);
  leases_put(&twin->leases, &twin->spaces[twin_space_of(key)], digest_of(twin, key), &made, now_ns);
  leases_model_put(&twin->model, key, now_ns);
  compare(twin);
}

bool twin_give_up(struct twin *twin, uint32_t client, uint32_t key, bool for_all, uint64_t now_ns) {
  struct fc_key made = key_of(key);
  bool had =
      leases_give_up(&twin->leases, client_at(twin, client), &twin->spaces[twin_space_of(key)],
                     digest_of(twin, key), &made, for_all, now_ns);
  ck_assert(had == leases_model_give_up(&twin->model, client, key, for_all, now_ns));
  compare(twin);
  return had;
}

uint32_t twin_give_up_all(struct twin *twin, uint32_t client, uint64_t now_ns) {
  uint32_t n = leases_give_up_all(&twin->leases, client_at(twin, client), now_ns);
  ck_assert_uint_eq(n, leases_model_give_up_all(&twin->model, client, now_ns));
  compare(twin);
  return n;
}

void twin_client_gone(struct twin *twin, uint32_t client, uint64_t now_ns) {
  leases_client_gone(&twin->leases, client_at(twin, client), now_ns);
  leases_model_client_gone(&twin->model, client, now_ns);
  compare(twin);
  ck_assert(!client_at(twin, client)->is_queued);
  ck_assert_ptr_null(client_at(twin, client)->due_first);
}

void twin_expire(struct twin *twin, uint64_t now_ns) {
  leases_expire(&twin->leases, now_ns);
  leases_model_expire(&twin->model, now_ns);
  compare(twin);
  ck_assert_uint_gt(leases_next_ns(&twin->leases), now_ns);
}

uint64_t twin_next_ns(const struct twin *twin) {
  return leases_next_ns(&twin->leases);
}

void twin_delete(struct twin *twin, uint32_t key, uint64_t now_ns) {
  struct fc_key made = key_of(key);
  leases_delete(&twin->leases, &twin->spaces[twin_space_of(key)], digest_of(twin, key), &made,
                now_ns);
  leases_model_delete(&twin->model, key, now_ns);
  compare(twin);
}

void twin_clear(struct twin *twin, const struct twin_select *select, uint64_t now_ns) {
  const struct fc_str any = {0};
  leases_clear(&twin->leases, select->space == TWIN_SPACES ? NULL : &twin->spaces[select->space],
               select->view == TWIN_VIEWS ? any : fc_str_of(view_names[select->view]),
               select->op == TWIN_OPS ? any : fc_str_of(op_names[select->op]), now_ns);
  leases_model_clear(&twin->model, select, now_ns);
  compare(twin);
}

/* ---- over a restart ---- */

struct adoption {
  uint64_t granted_ns;
  uint32_t record, key;
};

static int compare_adoptions(const void *a, const void *b) {
  const struct adoption *left = a, *right = b;
  if (left->granted_ns != right->granted_ns)
    return left->granted_ns < right->granted_ns ? -1 : 1;
  return left->record < right->record ? -1 : 1;
}

/* Ends the table as a daemon that stops. */
static void stop_table(struct twin *twin, uint64_t now_ns) {
  for (uint32_t i = 0; i < TWIN_CLIENTS; i++)
    leases_forget_waits(&twin->leases, &twin->clients[i], now_ns);
  leases_stop(&twin->leases);
  for (uint32_t i = 0; i < TWIN_CLIENTS; i++) {
    leases_client_gone(&twin->leases, &twin->clients[i], now_ns);
    leases_client_gone(&twin->leases, &twin->absents[i], now_ns);
  }
  leases_deinit(&twin->leases);
}

static void adopt(struct twin *twin, const struct adoption *adoption, uint64_t now_ns) {
  const struct lease_record *record = &twin->memory[adoption->record];
  struct namespace *ns = &twin->spaces[twin_space_of(adoption->key)];
  ck_assert(lease_records_is_valid(&twin->records, adoption->record));
  ck_assert_uint_eq(record->namespace_id, ns->seed);
  ck_assert_uint_eq(record->granted_ns, adoption->granted_ns);
  ck_assert_mem_eq(record->handle, twin->absents[record->pid - 1].handle.bytes, FC_HASH_SIZE);
  if (!leases_adopt(&twin->leases, &twin->absents[record->pid - 1], ns,
                    digest_of(twin, adoption->key), adoption->record, now_ns))
    lease_records_remove(&twin->records, adoption->record);
}

void twin_restart(struct twin *twin, uint64_t now_ns) {
  struct adoption adoptions[TWIN_KEYS];
  uint32_t keys[TWIN_KEYS], n = 0, in_use = 0;
  struct leases_limits limits = twin->leases.limits;
  for (const struct lease *lease = twin->leases.first; lease != NULL; lease = lease->next)
    if (lease->record != 0)
      adoptions[n++] = (struct adoption){lease->granted_ns, lease->record, key_number(twin, lease)};
  qsort(adoptions, n, sizeof adoptions[0], compare_adoptions);
  stop_table(twin, now_ns);
  leases_init(&twin->leases, &limits, &twin->counters);
  for (uint32_t i = 0; i < TWIN_PROCESSES; i++)
    twin->processes[i].found_by = 0; /* a search of the table before */
  lease_records_init(&twin->records, twin->memory, TWIN_RECORDS, NULL, NULL);
  twin->leases.records = &twin->records;
  for (uint32_t number = 1; number < lease_records_end(&twin->records); number++)
    in_use += lease_records_is_valid(&twin->records, number);
  ck_assert_uint_eq(in_use, n); /* the records of all leases stayed, and no others */
  for (uint32_t i = 0; i < n; i++) {
    keys[i] = adoptions[i].key;
    adopt(twin, &adoptions[i], now_ns);
  }
  leases_model_restart(&twin->model, keys, n, now_ns);
  compare(twin);
}

void twin_claim(struct twin *twin, uint32_t client, uint64_t now_ns) {
  leases_transfer(&twin->leases, &twin->absents[client], client_at(twin, client), now_ns);
  leases_model_claim(&twin->model, client, now_ns);
  compare(twin);
}

void twin_owner_gone(struct twin *twin, uint32_t client, uint64_t now_ns) {
  leases_client_gone(&twin->leases, &twin->absents[client], now_ns);
  leases_model_owner_gone(&twin->model, client, now_ns);
  compare(twin);
}

uint32_t twin_absent_held(const struct twin *twin, uint32_t client) {
  return twin->absents[client].held;
}

uint32_t twin_next_due(struct twin *twin) {
  struct lease_client *client = leases_next_due(&twin->leases);
  uint32_t expected = leases_model_next_due(&twin->model);
  ck_assert_ptr_eq(client, expected == NO_CLIENT ? NULL : client_at(twin, expected));
  return expected;
}

bool twin_pop_due(struct twin *twin, uint32_t client, struct twin_ended *ended) {
  struct model_due *due = &twin->model.due[client];
  if (client_at(twin, client)->due_first == NULL)
    return false;
  ck_assert_uint_gt(due->n, 0);
  *ended = due->ended[0];
  memmove(due->ended, due->ended + 1, --due->n * sizeof *ended);
  leases_due_done(&twin->leases, client_at(twin, client));
  compare(twin);
  return true;
}

const struct leases *twin_table(const struct twin *twin) {
  return &twin->leases;
}

uint32_t twin_owner(const struct twin *twin, uint32_t key) {
  return twin->model.leases[key].owner;
}

uint32_t twin_waits_of(const struct twin *twin, uint32_t client) {
  return twin->clients[client].waits;
}
