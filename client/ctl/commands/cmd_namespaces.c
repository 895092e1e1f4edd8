/* fcachectl namespaces */
#include "client/ctl/commands/listing.h"
#include "client/ctl/print/print_namespaces.h"

static const struct argp_option options[] = {
    SELECT_NAMESPACE_OPTION,
    LISTING_OPTIONS("namespaces"),
    {"no-manifest", LISTING_NO_MANIFEST, NULL, 0, "Without their manifests", 0},
    {0}};

static int ask(struct admin *admin, const struct listing_args *args, struct rows *rows) {
  struct namespaces_view view = {.rows = rows, .no_manifest = args->no_manifest};

  return admin_namespaces(admin, args->select.name_space, args->limit, namespaces_print, &view);
}

static const struct listing listing = {
    .name = "namespaces",
    .doc = "List the caches that there are, the one made first first: what each holds, how often "
           "it was hit, who uses it and when it was used last; and its manifest, which says what "
           "its results depend on.",
    .options = options,
    .none = "no namespaces: no worker has named one yet, or what they named holds nothing",
    .ask = ask};

int namespaces_command(struct ctl *ctl, int argc, char **argv) {
  return listing_command(&listing, ctl, argc, argv);
}
