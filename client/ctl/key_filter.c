#include "client/ctl/key_filter.h"

#include "client/ctl/arguments.h"

error_t key_filter_parse(struct key_filter *filter, int key, char *arg, struct argp_state *state) {
  switch (key) {
  case 'n':
    filter->name_space = argument_name(state, "namespace", arg);
    return 0;
  case 'v':
    filter->view = argument_name(state, "view", arg);
    return 0;
  case 'o':
    filter->op = argument_name(state, "op", arg);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

struct fc_select key_filter_select(const struct key_filter *filter) {
  return (struct fc_select){.name_space = fc_str_of(filter->name_space),
                            .view = fc_str_of(filter->view),
                            .op = fc_str_of(filter->op)};
}
