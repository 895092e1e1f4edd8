/* sim_scripts.h - the scripts of the tier, done by hand: fleet_scripts.h and fleet_clears.c have
 * their texts. */
#ifndef FC_TESTS_SIM_SCRIPTS_H
#define FC_TESTS_SIM_SCRIPTS_H

#include "tests/fleet_sim/sim_command.h"

/* Runs the command's script. One that is not known here ends the program. */
void sim_script_run(struct sim_command *command, struct sim_db *db, uint64_t now_ns);

/* sim_clear_scripts.c */
int64_t sim_script_clear(const struct fleet_op *op, struct sim_db *db, uint64_t now_ns);
int64_t sim_script_merge(const struct fleet_op *op, struct sim_db *db, uint64_t now_ns);

/* Returns the decimal number that the text begins with; 0: none. */
int64_t sim_number(struct fc_str text);

#endif
