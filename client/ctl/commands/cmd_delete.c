/* fcachectl delete */
#include <stdio.h>
#include <string.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/key_filter.h"
#include "client/ctl/report.h"

static struct {
  struct key_filter filter;
  const char *prompt, *hash;
  unsigned long top_k;
  bool local;
} args;

#define KEY_LOCAL 257

static const struct argp_option options[] = {
    {"namespace", 'n', "NAME", 0, "Namespace of the key", 0},
    {"op", 'o', "NAME", 0, "Op of the key", 0},
    {"view", 'v', "NAME", 0, "View of the key", 0},
    {"top-k", 'k', "NUMBER", 0, "top_k of the key (default 0)", 0},
    {"prompt", 'p', "TEXT", 0, "Prompt of the key, as the worker passes it", 0},
    {"hash", 'H', "DIGITS", 0,
     "Instead of the prompt its hash, as list --json prints it (prompt_hash)", 0},
    {"local", KEY_LOCAL, NULL, 0, "In this daemon alone: with a tier, not in its fleet", 0},
    {0}};

static void check(struct argp_state *state) {
  if (args.filter.name_space == NULL || args.filter.op == NULL || args.filter.view == NULL)
    argument_error(state, "give the whole key: --namespace, --op and --view");
  if (!args.prompt == !args.hash)
    argument_error(state, "give either --prompt TEXT or --hash DIGITS");
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct fc_hash hash;

  switch (key) {
  case 'k':
    args.top_k = argument_number(state, "top-k", arg, 0, UINT32_MAX);
    return 0;
  case 'p':
    args.prompt = arg;
    return 0;
  case 'H':
    if (!fc_hash_parse(arg, strlen(arg), &hash))
      argument_error(
          state, "--hash %s: give the 32 hex digits that list --json prints as prompt_hash", arg);
    args.hash = arg;
    return 0;
  case KEY_LOCAL:
    args.local = true;
    return 0;
  case ARGP_KEY_END:
    check(state);
    return 0;
  default:
    return key_filter_parse(&args.filter, key, arg, state);
  }
}

static int run(struct admin *admin) {
  struct fc_delete request = {.name_space = fc_str_of(args.filter.name_space),
                              .key = {.op = fc_str_of(args.filter.op),
                                      .view = fc_str_of(args.filter.view),
                                      .top_k = (uint32_t)args.top_k},
                              .local = args.local};
  bool existed = false;
  int status;

  if (args.hash != NULL)
    (void)fc_hash_parse(args.hash, strlen(args.hash), &request.key.prompt); /* checked by parse */
  else
    request.key.prompt = fc_hash_prompt(args.prompt, strlen(args.prompt));
  status = report_result(admin, admin_delete(admin, &request, &existed));
  if (status == CTL_DONE)
    (void)puts(existed ? "deleted 1 entry" : "deleted 0 entries: there was none of this key");
  return status;
}

const struct command delete_command = {
    .name = "delete",
    .summary = "remove the entry of one key",
    .purpose = COMMAND_CHANGE,
    .doc =
        "Remove the entry of one key, which the user who created the namespace, fcached's own "
        "user, root and the admin group may do. A result whose computation began before is not "
        "stored afterwards. It is no error if there was no entry. With a tier, the key is deleted "
        "in all daemons of the fleet."
        "\v"
        "Examples:\n"
        "  fcachectl delete -n gpt2 -o roll -v ft -k 5 --prompt \"Once upon a time\"\n"
        "  fcachectl delete -n gpt2 -o roll -v ft -k 5 \\\n"
        "    --hash 2cdf0b8a4c5f0d1e6a7b8c9d0e1f2a3b",
    .options = options,
    .parse = parse,
    .run = run};
