#include "proto/cli/each_option.h"

/* NOLINTNEXTLINE(misc-no-recursion): a parser is not its own child */
void fc_each_option(const struct argp *argp, fc_each_option_fn *each, void *arg) {
  for (const struct argp_option *o = argp->options; o && (o->name || o->key || o->doc); o++)
    each(arg, o);
  for (const struct argp_child *child = argp->children; child && child->argp; child++)
    fc_each_option(child->argp, each, arg);
}

bool fc_option_has_letter(const struct argp_option *option) {
  return option->key > ' ' && option->key < 0x7f;
}
