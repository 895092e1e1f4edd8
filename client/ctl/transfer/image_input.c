#include "client/ctl/transfer/image_input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/ctl/report.h"
#include "proto/errors.h"

/* Reports an error of image_reader.h. */
static int report(const struct image_input *input, int rc) {
  const struct image_reader *reader = &input->reader;

  switch (rc) {
  case FC_EINVAL:
    return report_error("%s is no image, or its beginning is damaged: give a file that fcachectl "
                        "export or a snapshot of fcached wrote",
                        input->name);
  case FC_EVERSION:
    return report_error("%s is an image of version %u, and this fcachectl reads %u to %u: use the "
                        "fcachectl of a %s fcached",
                        input->name, reader->info.version, IMAGE_VERSION_MIN, IMAGE_VERSION_MAX,
                        reader->info.version > IMAGE_VERSION_MAX ? "newer" : "older");
  case FC_EREFUSED:
    return report_error("cannot read %s: %s", input->name, strerror(reader->error));
  default:
    return report_error("out of memory for %s", input->name);
  }
}

static int open_file(struct image_input *input, const char *path) {
  struct stat status;

  if (path)
    input->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (input->fd < 0 || fstat(input->fd, &status) < 0)
    return report_error("cannot open %s: %s: give a file that fcachectl export or a snapshot wrote",
                        input->name, strerror(errno));
  if (S_ISDIR(status.st_mode))
    return report_error("%s is a directory: give the file in it, such as %s/snapshot", input->name,
                        input->name);
  input->is_regular = S_ISREG(status.st_mode);
  return CTL_DONE;
}

int image_input_open(struct image_input *input, const char *path) {
  int status, rc;

  *input = (struct image_input){.name = path ? path : "stdin", .fd = path ? -1 : STDIN_FILENO};
  status = open_file(input, path);
  if (status != CTL_DONE)
    return status;
  rc = input->is_regular
           ? image_reader_open(&input->reader, input->fd, FC_VALUE_MAX_CEILING)
           : image_reader_open_stream(&input->reader, input->fd, FC_VALUE_MAX_CEILING);
  return rc < 0 ? report(input, rc) : CTL_DONE;
}

void image_input_close(struct image_input *input) {
  image_reader_close(&input->reader);
  if (input->fd > STDERR_FILENO)
    (void)close(input->fd); /* nothing was written to it */
  input->fd = -1;
}

int image_input_next(struct image_input *input, struct image_read batch[IMAGE_BATCH]) {
  int n = image_reader_next(&input->reader, batch);

  if (n == 0 && input->reader.error != 0) {
    (void)report_error("cannot read all of %s: %s", input->name, strerror(input->reader.error));
    return FC_EREFUSED;
  }
  if (n < 0)
    (void)report(input, n);
  return n;
}
