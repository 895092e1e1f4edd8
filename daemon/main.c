#include <stdlib.h>

#include "daemon/options.h"
#include "daemon/os/descriptors.h"
#include "daemon/server.h"

int main(int argc, char **argv) {
  struct options options;
  if (descriptors_fill_standard() < 0)
    return EXIT_FAILURE;               /* stderr may be closed */
  options_parse(argc, argv, &options); /* exits with 2 for wrong usage */
  return server_run(&options);
}
