/* leases_twin.h - a lease table beside its model (leases_model.h). Each call goes to both, and
 * after it everything that can be seen is compared, and the table's own invariants are checked. */
#ifndef FC_TESTS_LEASES_TWIN_H
#define FC_TESTS_LEASES_TWIN_H

#include "tests/support/leases_model.h"

struct twin;

/* Digests are cut to the bits of `digest_mask`: with few bits, most keys collide. */
struct twin *twin_open(const struct leases_limits *limits, uint64_t digest_mask);
void twin_close(struct twin *twin); /* all clients and absent owners are gone */

/* Sets the process of a client that neither holds nor waits. NO_PROCESS, as at first: not known. */
void twin_set_process(struct twin *twin, uint32_t client, uint32_t process);

/* Makes the client, which has no process and holds nothing, the fleet. It never waits. */
void twin_set_remote(struct twin *twin, uint32_t client);

/* Makes `helper` a helper of `of`, once, before it waits or holds. */
void twin_set_helper(struct twin *twin, uint32_t helper, uint32_t of);

/* As the leases_* functions of these names, with keys and clients by number. */
enum lease_answer twin_acquire(struct twin *twin, const struct twin_request *request,
                               uint64_t now_ns);
void twin_put(struct twin *twin, uint32_t key, uint64_t now_ns);
bool twin_give_up(struct twin *twin, uint32_t client, uint32_t key, bool for_all, uint64_t now_ns);
uint32_t twin_give_up_all(struct twin *twin, uint32_t client, uint64_t now_ns);
void twin_client_gone(struct twin *twin, uint32_t client, uint64_t now_ns);
void twin_expire(struct twin *twin, uint64_t now_ns);
uint64_t twin_next_ns(const struct twin *twin);
void twin_delete(struct twin *twin, uint32_t key, uint64_t now_ns);
void twin_clear(struct twin *twin, const struct twin_select *select, uint64_t now_ns);

/* The daemon restarts: a new table adopts the leases that have records. */
void twin_restart(struct twin *twin, uint64_t now_ns);
/* The client, which neither holds nor waits, connects again and claims its leases of before. */
void twin_claim(struct twin *twin, uint32_t client, uint64_t now_ns);
/* The process of the client that held leases before the restart, and has not claimed them, dies. */
void twin_owner_gone(struct twin *twin, uint32_t client, uint64_t now_ns);
/* Returns how many leases the client held before the restart and has not claimed. */
uint32_t twin_absent_held(const struct twin *twin, uint32_t client);

/* Returns the next client with due waits, or NO_CLIENT. */
uint32_t twin_next_due(struct twin *twin);
/* Answers the client's first due wait. Returns false if there is none. */
bool twin_pop_due(struct twin *twin, uint32_t client, struct twin_ended *ended);

const struct leases *twin_table(const struct twin *twin);
/* Returns the owner of the key's lease, or NO_CLIENT. */
uint32_t twin_owner(const struct twin *twin, uint32_t key);
uint32_t twin_waits_of(const struct twin *twin, uint32_t client);
/* Returns when the first wait of the client, which has one, ends. */
uint64_t twin_until(const struct twin *twin, uint32_t client);
/* Returns whether this wait would close a cycle, by the model. */
bool twin_closes_cycle(const struct twin *twin, const struct twin_request *request);
struct twin_graces twin_graces(const struct twin *twin);

#endif
