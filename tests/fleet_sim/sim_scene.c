#include "tests/fleet_sim/sim_scene.h"

#include <stdio.h>
#include <string.h>

static void steady(struct sim_params *params) {
  (void)params;
}

static void herd(struct sim_params *params) {
  params->together = true;
  params->start_ns = 10 * SIM_MS;
  params->think_ns = 5 * SIM_MS;
}

static void lossy(struct sim_params *params) {
  params->network.lost = 10000;
  params->network.reset = 100;
}

static void failover(struct sim_params *params) {
  params->fail_at_ns = 5 * SIM_SECOND;
  params->fail_over_ns = SIM_SECOND;
  params->lag_ns = 500 * SIM_MS;
}

static void clear(struct sim_params *params) {
  params->clear_at_ns = 5 * SIM_SECOND;
}

const struct sim_scene sim_scenes[] = {
    {"steady", "each worker gets all keys in an order of its own", steady},
    {"herd", "all workers get the keys in one order, and at the same time", herd},
    {"lossy", "steady, and the network loses 1% of the messages and 0.01% of the connections",
     lossy},
    {"failover", "steady, and the server of the clears stops for 1 s and loses the writes of 0.5 s",
     failover},
    {"clear", "steady, and a node clears the namespace after 5 s", clear},
};
const uint32_t sim_n_scenes = sizeof sim_scenes / sizeof *sim_scenes;

const struct sim_scene *sim_scene_find(const char *name) {
  for (uint32_t i = 0; i < sim_n_scenes; i++)
    if (strcmp(sim_scenes[i].name, name) == 0)
      return &sim_scenes[i];
  return NULL;
}

/* ---- tables ---- */

void sim_print_help(void) {
  (void)puts("NODES    nodes of the fleet            SERVERS  tier servers\n"
             "REQ/S    commands at the tier          REQ/KEY  commands for each computed key\n"
             "BUSY     of the busiest tier server    AGAIN    computations of a computed key,\n"
             "                                               and their share of the misses\n"
             "WAIT     of misses, beyond the computation: mean and percentile 99\n"
             "CLEAR    until nodes have applied it: median and maximum\n"
             "LATE     commands without a reply in time\n"
             "OPENED   breakers");
}

void sim_print_head(const struct sim_scene *scene) {
  (void)printf("\n%s: %s\n%6s %7s %8s %7s %5s %8s %14s %17s %15s %7s %7s\n", scene->name,
               scene->help, "NODES", "SERVERS", "REQ/S", "REQ/KEY", "BUSY", "COMPUTED", "AGAIN",
               "WAIT", "CLEAR", "LATE", "OPENED");
}

static double ms(uint64_t ns) {
  return (double)ns / 1e6;
}

static void print_clear(const struct fc_histogram *learned) {
  if (learned->count == 0)
    (void)printf(" %15s", "-");
  else
    (void)printf(" %6.0f %5.0f ms", ms(fc_histogram_quantile(learned, 1, 2)), ms(learned->max_ns));
}

void sim_print_row(const struct sim_params *params, const struct sim_results *results) {
  const struct fc_histogram *waited = &results->waited;
  uint64_t again = results->computed - results->tasks;
  double mean_ns = waited->count == 0 ? 0 : (double)waited->sum_ns / (double)waited->count;
  double misses = waited->count == 0 ? 1 : (double)waited->count;
  double tasks = results->tasks == 0 ? 1 : (double)results->tasks;
  (void)printf("%6u %7u %8.0f %7.0f %4.0f%% %8llu %6llu %6.1f%% %6.1f %7.1f ms", params->nodes,
               params->servers, (double)results->commands * 1e9 / (double)results->took_ns,
               (double)results->commands / tasks, results->busiest * 100,
               (unsigned long long)results->computed, (unsigned long long)again,
               (double)again * 100 / misses, mean_ns / 1e6,
               ms(fc_histogram_quantile(waited, 99, 100)));
  print_clear(&results->learned);
  (void)printf(" %7llu %7llu", (unsigned long long)results->timeouts,
               (unsigned long long)results->openings);
  if (results->unfinished > 0)
    (void)printf("  %u workers have not finished", results->unfinished);
  (void)putchar('\n');
  (void)fflush(stdout);
}
