#include "daemon/options.h"
#include "daemon/server.h"

int main(int argc, char **argv) {
  struct options options;
  options_parse(argc, argv, &options); /* a wrong one ends the process with status 2 */
  return server_run(&options);
}
