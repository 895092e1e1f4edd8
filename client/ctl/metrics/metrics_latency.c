#include "client/ctl/metrics/metrics_latency.h"

#include "client/ctl/metrics/metrics_text.h"
#include "proto/limits.h"

#define NAME "fcached_latency_seconds"

/* From a hit in shared memory to a wait for a long computation. */
static const struct bound {
  uint64_t ns;
  const char *seconds;
} bounds[] = {
    {250, "2.5e-07"},   {500, "5e-07"},      {1000, "1e-06"},    {5000, "5e-06"},
    {10000, "1e-05"},   {50000, "5e-05"},    {100000, "0.0001"}, {500000, "0.0005"},
    {1000000, "0.001"}, {5000000, "0.005"},  {10000000, "0.01"}, {100000000, "0.1"},
    {1000000000, "1"},  {10000000000, "10"},
};

static void print_bucket(FILE *out, struct metrics_label labels[3], const char *bound, uint64_t n) {
  labels[2] = (struct metrics_label){"le", bound};
  metrics_text_integer(out, NAME "_bucket", labels, 3, n);
}

void metrics_latency_print(void *arg, const struct fc_latency_entry *kind) {
  struct metrics_latency *latency = arg;
  const struct fc_histogram *histogram = &kind->histogram;
  char path[FC_NAME_MAX + 1], operation[FC_NAME_MAX + 1];
  struct metrics_label labels[3] = {{"path", path}, {"operation", operation}};

  (void)snprintf(path, sizeof path, "%.*s", (int)kind->path.size, kind->path.data);
  (void)snprintf(operation, sizeof operation, "%.*s", (int)kind->operation.size,
                 kind->operation.data); /* both fit, as names */
  if (!latency->has_head)
    metrics_text_histogram(latency->out, NAME,
                           "Time of requests since the start of this daemon, by path and "
                           "operation as in fcachectl latency.");
  latency->has_head = true;
  for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
    print_bucket(latency->out, labels, bounds[i].seconds,
                 fc_histogram_count_to(histogram, bounds[i].ns));
  print_bucket(latency->out, labels, "+Inf", histogram->count);
  metrics_text_real(latency->out, NAME "_sum", labels, 2, (double)histogram->sum_ns / 1e9);
  metrics_text_integer(latency->out, NAME "_count", labels, 2, histogram->count);
}
