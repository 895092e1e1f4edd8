/* Checks of the tier: whether the daemon can use its servers, and which namespaces do not use it.
 */
#include <string.h>

#include "client/lib/admin/admin_tier.h"
#include "client/lib/doctor/doctor_internal.h"
#include "proto/name_patterns.h"

#define FINDINGS_MAX 5u     /* of servers */
#define PATTERNS_SIZE 1025u /* of the option tier-namespaces, with its NUL */

struct tier_facts {
  struct doctor *doctor;
  unsigned servers, unused;
  char patterns[PATTERNS_SIZE];
};

static void set_tier(void *arg, const struct fc_tier_entry *tier) {
  struct tier_facts *facts = arg;
  if (tier->namespaces.size >= sizeof facts->patterns)
    return; /* longer than the daemon takes: no namespace is excluded */
  memcpy(facts->patterns, tier->namespaces.data, tier->namespaces.size);
  facts->patterns[tier->namespaces.size] = '\0';
}

/* Also if the breaker is half-open, as it may be for long on a node that hardly asks. */
static bool is_used(const struct fc_tier_class *class) {
  return !fc_str_equal(class->state, fc_str_of("open"));
}

static void check_server(void *arg, const struct fc_tier_server_entry *server) {
  struct tier_facts *facts = arg;
  bool reads = is_used(&server->read), writes = is_used(&server->write);
  const struct fc_tier_class *cause = reads ? &server->write : &server->read;
  facts->servers++;
  if ((reads && writes) || ++facts->unused > FINDINGS_MAX)
    return;
  doctor_report(
      facts->doctor, reads ? DOCTOR_WARNING : DOCTOR_PROBLEM,
      "fcachectl tier shows all servers. docs/fleet.md (Troubleshooting) has the remedy of "
      "each cause. Until then, workers compute what other nodes have",
      "the tier server %.*s is not used for %s: %.*s", (int)server->address.size,
      server->address.data,
      reads    ? "writes"
      : writes ? "reads"
               : "reads and writes",
      (int)cause->error.size, cause->error.data);
}

/* A namespace is excluded on purpose, as a rule. If no worker uses the tier, it is a mistake. */
static void check_namespaces(struct doctor *doctor, const char *patterns) {
  const char *example = "";
  unsigned used = 0, excluded = 0;
  for (size_t i = 0; i < doctor->n_namespaces; i++) {
    const struct doctor_namespace *ns = &doctor->namespaces[i];
    if (ns->clients == 0)
      continue;
    used++;
    if (name_patterns_select(patterns, ns->name, strlen(ns->name)))
      continue;
    excluded++;
    example = ns->name;
  }
  if (excluded > 0 && excluded == used)
    doctor_report(
        doctor, DOCTOR_WARNING, "change tier-namespaces, and run fcachectl reload",
        "no namespace of the workers uses the tier, for example %s: tier-namespaces is %s", example,
        patterns);
  else if (excluded > 0)
    doctor_ok(doctor,
              "%u of %u namespaces of the workers do not use the tier, for example %s: "
              "tier-namespaces is %s",
              excluded, used, example, patterns);
}

void doctor_check_tier(struct doctor *doctor) {
  struct tier_facts facts = {.doctor = doctor};
  const struct admin_tier_calls calls = {set_tier, check_server, &facts};
  double dropped = doctor_number(doctor, "daemon_tier_writes_dropped");
  bool has_tier = false;
  int rc = admin_tier(doctor->admin, &has_tier, &calls);
  if (rc < 0 || !has_tier) { /* an older daemon has none */
    doctor_ok(doctor, "the daemon shares with this machine alone: it has no tier");
    return;
  }
  if (facts.servers == 0)
    doctor_report(doctor, DOCTOR_PROBLEM, "see the daemon's log, and the option tier",
                  "the daemon knows no server of its tier yet");
  else if (facts.unused == 0)
    doctor_ok(doctor, "the tier answers: %u server%s", facts.servers,
              facts.servers == 1 ? "" : "s");
  if (dropped > 0)
    doctor_report(
        doctor, DOCTOR_WARNING,
        "fcachectl tier has the causes: the tier is full, away, or slower than the writes",
        "%.0f writes to the tier were dropped: other nodes compute these results again", dropped);
  if (name_patterns_fault(facts.patterns) == NULL)
    check_namespaces(doctor, facts.patterns);
}
