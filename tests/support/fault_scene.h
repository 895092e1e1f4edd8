/* fault_scene.h - a node whose tier fails, and a worker of it. The calls of the worker wait for one
 * deadline in total, the node uses the tier again soon after the end of the fault, the values that
 * were computed meanwhile reach the tier, and the log has a line for each change. */
#ifndef FC_TESTS_FAULT_SCENE_H
#define FC_TESTS_FAULT_SCENE_H

#include <stdint.h>

#include "tests/support/harness.h"
#include "tests/support/tier_proxy.h"
#include "tests/support/tier_server.h"

#define FAULT_SCENE_USER "node" /* of the tier, for the node under test */
#define FAULT_SCENE_PASSWORD "secret"

struct fcache;

/* A tier and two nodes: the one under test is behind the proxy. */
struct fault_scene {
  struct tier_server server;
  struct tier_proxy proxy;
  struct daemon node, other;
  struct fcache *worker, *reader; /* of node and other */
  char url[128];                  /* of the proxy */
  const char *deadline;           /* the option */
  uint32_t next_key;
};

struct tier_fault {
  const char *name;
  /* NULL: the proxy fails, in the mode and with the text */
  void (*begin)(struct fault_scene *scene);
  void (*end)(struct fault_scene *scene);
  enum tier_proxy_mode mode;
  const char *text; /* with the port of the proxy for %u */
};

/* Starts the scene with a tier server, and runs the fault from its beginning to the recovery. */
void fault_scene_run(const char *program, const struct tier_fault *fault);

/* The same for a fault that is shorter than the deadline, which is long: nothing is computed twice,
 * no call goes on without the tier, and nothing is logged. */
void fault_scene_blip(const char *program, void (*blip)(struct fault_scene *scene));

#endif
