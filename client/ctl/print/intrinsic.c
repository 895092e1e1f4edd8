#include "client/ctl/print/intrinsic.h"

#include <inttypes.h>
#include <string.h>

#include "client/ctl/print/json_value.h"
#include "client/ctl/print/latency_report.h"
#include "client/ctl/print/units.h"
#include "client/lib/util/clock.h"

static void add_longest(struct intrinsic *intrinsic, struct intrinsic_gap gap) {
  struct intrinsic_gap *longest = intrinsic->longest;
  uint32_t i;

  if (intrinsic->n == INTRINSIC_LONGEST && gap.ns <= longest[INTRINSIC_LONGEST - 1].ns)
    return;
  if (intrinsic->n < INTRINSIC_LONGEST)
    intrinsic->n++;
  for (i = intrinsic->n - 1; i > 0 && longest[i - 1].ns < gap.ns; i--)
    longest[i] = longest[i - 1];
  longest[i] = gap;
}

void intrinsic_add(struct intrinsic *intrinsic, uint64_t ns, uint64_t at_ns) {
  fc_histogram_add(&intrinsic->steps, ns);
  if (ns < INTRINSIC_GAP_NS)
    return;
  intrinsic->gaps++;
  intrinsic->gap_ns += ns;
  add_longest(intrinsic, (struct intrinsic_gap){.ns = ns, .at_ns = at_ns});
}

void intrinsic_measure(struct intrinsic *intrinsic, uint64_t duration_ns,
                       const volatile int *stop) {
  uint64_t start_ns, last_ns;

  memset(intrinsic, 0, sizeof *intrinsic); /* its pages are there before the loop */
  start_ns = last_ns = clock_now_ns();
  while (last_ns - start_ns < duration_ns && !*stop) {
    uint64_t now_ns = clock_now_ns();

    intrinsic_add(intrinsic, now_ns - last_ns, now_ns - start_ns);
    last_ns = now_ns;
  }
  intrinsic->duration_ns = last_ns - start_ns;
}

void intrinsic_print(FILE *out, const struct intrinsic *intrinsic) {
  char text[3][UNITS_SIZE];
  static const char *const names[LATENCY_REPORT_QUANTILES] = {"P50", "P90", "P99", "P99.9"};

  /* main checks the stream at the end */
  (void)fprintf(out, "%s clock readings in %s. The time from one to the next:\n",
                units_count(intrinsic->steps.count, text[0]),
                units_ns(intrinsic->duration_ns, text[1]));
  for (int i = 0; i < LATENCY_REPORT_QUANTILES; i++)
    (void)fprintf(
        out, "  %-6s %8s\n", names[i],
        units_ns(fc_histogram_quantile(&intrinsic->steps, latency_report_quantiles[i], 10000),
                 text[0]));
  (void)fprintf(out, "  %-6s %8s\n", "MAX", units_ns(intrinsic->steps.max_ns, text[0]));
  (void)fprintf(out, "Gaps of %s and more: %" PRIu64 ", %s together (%s of the time)\n",
                units_ns(INTRINSIC_GAP_NS, text[0]), intrinsic->gaps,
                units_ns(intrinsic->gap_ns, text[1]),
                units_percent(intrinsic->gap_ns, intrinsic->duration_ns, text[2]));
  for (uint32_t i = 0; i < intrinsic->n; i++)
    (void)fprintf(out, "  %8s, %s after the start\n", units_ns(intrinsic->longest[i].ns, text[0]),
                  units_ns(intrinsic->longest[i].at_ns, text[1]));
}

json_t *intrinsic_json(const struct intrinsic *intrinsic) {
  json_t *longest = json_array();
  json_t *all =
      json_pack("{s:o, s:o, s:o, s:O}", "duration_s", json_value_seconds(intrinsic->duration_ns),
                "gaps", json_value_count(intrinsic->gaps), "gaps_s",
                json_value_seconds(intrinsic->gap_ns), "longest", longest);

  for (uint32_t i = 0; i < intrinsic->n && all; i++) {
    json_t *gap = json_pack("{s:o, s:o}", "gap_s", json_value_seconds(intrinsic->longest[i].ns),
                            "at_s", json_value_seconds(intrinsic->longest[i].at_ns));

    if (json_array_append_new(longest, gap) < 0) {
      json_decref(all);
      all = NULL;
    }
  }
  json_decref(longest);
  return all ? latency_report_histogram_json(all, &intrinsic->steps) : NULL;
}
