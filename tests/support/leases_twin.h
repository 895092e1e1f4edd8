/* leases_twin.h - a lease table beside a model of it that is too plain to be wrong: flat arrays,
 * searched from end to end. Each call goes to both, and after it all that can be seen is the same;
 * what must hold of any table (twin_hold in the .c) is looked at by itself. */
#ifndef FC_TESTS_LEASES_TWIN_H
#define FC_TESTS_LEASES_TWIN_H

#include "daemon/leases/leases.h"

#define TWIN_SPACES 2u
#define TWIN_VIEWS 2u
#define TWIN_OPS 2u
#define TWIN_PROMPTS 6u
#define TWIN_KEYS (TWIN_SPACES * TWIN_VIEWS * TWIN_OPS * TWIN_PROMPTS)
#define TWIN_HOLDERS 24u
#define TWIN_WAITS_EACH 32u /* limits.waits_each is at most that */

/* How a wait ended. */
struct twin_told {
  uint32_t id, key;
  enum lease_end end;
};

struct twin_ask {
  uint32_t holder, key;
  bool wants;
  uint64_t term_ns, wait_ns;
  uint32_t id;
};

struct twin;

#define TWIN_PROCESSES 6u

/* Digests are cut to the bits of `digest_mask`: with few, most keys collide. */
struct twin *twin_open(const struct leases_limits *limits, uint64_t digest_mask);
/* All holders have left. */
void twin_close(struct twin *twin);

/* The process of a holder that neither holds nor waits; TWIN_PROCESSES: it is not known, as to
 * start with. */
void twin_set_process(struct twin *twin, uint32_t holder, uint32_t process);

/* `helper` is one of `of` from now on, once; it has never waited or held. */
void twin_set_helper(struct twin *twin, uint32_t helper, uint32_t of);

/* Would this wait close a circle of processes? As the model has it. */
bool twin_closes_circle(const struct twin *twin, const struct twin_ask *ask);

/* What became of waits in circles so far, as the model has it. */
struct twin_graces {
  uint32_t given; /* a grace, which was shorter than what was asked */
  uint32_t ended; /* with their circle still there */
  uint32_t lifted;
  uint32_t refused; /* helpers' waits for the process that they help, at once */
  uint32_t dropped; /* the same, where a lease went to that process */
};
struct twin_graces twin_graces(const struct twin *twin);

/* When the first wait of the holder ends; it has one. */
uint64_t twin_until(const struct twin *twin, uint32_t holder);

/* As the leases_* of the same names; keys and holders are numbers. */
enum lease_answer twin_ask(struct twin *twin, const struct twin_ask *ask, uint64_t now_ns);
void twin_put(struct twin *twin, uint32_t key, uint64_t now_ns);
bool twin_give_up(struct twin *twin, uint32_t holder, uint32_t key, bool for_all, uint64_t now_ns);
uint32_t twin_give_up_all(struct twin *twin, uint32_t holder, uint64_t now_ns);
void twin_leave(struct twin *twin, uint32_t holder, uint64_t now_ns);
void twin_expire(struct twin *twin, uint64_t now_ns);
uint64_t twin_next_ns(const struct twin *twin);

/* TWIN_SPACES, TWIN_VIEWS, TWIN_OPS: any. */
struct twin_select {
  uint32_t space, view, op;
};
bool twin_selects(const struct twin_select *select, uint32_t key);
void twin_clear(struct twin *twin, const struct twin_select *select, uint64_t now_ns);

/* The next holder with something due, or TWIN_HOLDERS. */
uint32_t twin_next_due(struct twin *twin);
/* Its first due wait, answered. False: there is none. */
bool twin_take_due(struct twin *twin, uint32_t holder, struct twin_told *told);

const struct leases *twin_table(const struct twin *twin);
/* Whose lease the key is; TWIN_HOLDERS: nobody's. */
uint32_t twin_owner(const struct twin *twin, uint32_t key);
uint32_t twin_waits_of(const struct twin *twin, uint32_t holder);

#endif
