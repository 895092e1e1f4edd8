#include "client/ctl/select.h"

error_t select_parse(struct select_args *select, int key, char *arg, struct argp_state *state) {
  switch (key) {
  case 'n':
    select->name_space = ctl_name(state, "namespace", arg);
    return 0;
  case 'v':
    select->view = ctl_name(state, "view", arg);
    return 0;
  case 'o':
    select->op = ctl_name(state, "op", arg);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

struct fc_select select_of(const struct select_args *select) {
  return (struct fc_select){.name_space = fc_str_of(select->name_space),
                            .view = fc_str_of(select->view),
                            .op = fc_str_of(select->op)};
}
