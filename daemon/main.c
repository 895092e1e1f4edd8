#include <stdlib.h>

#include "daemon/options.h"
#include "daemon/os/descriptors.h"
#include "daemon/server.h"

int main(int argc, char **argv) {
  struct options options;
  if (descriptors_fill_standard() < 0)
    return EXIT_FAILURE;               /* there may be no stderr to say it on */
  options_parse(argc, argv, &options); /* a wrong one ends the process with status 2 */
  return server_run(&options);
}
