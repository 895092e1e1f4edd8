/* sim_scene.h - the scenes of the simulation: what the workers do, and what goes wrong. */
#ifndef FC_TESTS_SIM_SCENE_H
#define FC_TESTS_SIM_SCENE_H

#include "tests/fleet_sim/sim.h"

struct sim_scene {
  const char *name, *help;
  void (*set)(struct sim_params *params); /* changes the usual parameters */
};

extern const struct sim_scene sim_scenes[];
extern const uint32_t sim_n_scenes;

/* Returns NULL if there is none. */
const struct sim_scene *sim_scene_find(const char *name);

/* Prints what the columns mean, the head of a scene's table, and a row of it. */
void sim_print_help(void);
void sim_print_head(const struct sim_scene *scene);
void sim_print_row(const struct sim_params *params, const struct sim_results *results);

#endif
