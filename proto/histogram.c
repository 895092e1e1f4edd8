#include "proto/histogram.h"

uint64_t fc_histogram_cell_max_ns(uint32_t cell) {
  if (cell >= FC_HISTOGRAM_CELLS - 1)
    return UINT64_MAX;
  if (cell < 2 * FC_HISTOGRAM_SUB_CELLS)
    return cell;
  uint32_t shift = cell / FC_HISTOGRAM_SUB_CELLS - 1;
  uint64_t least = FC_HISTOGRAM_SUB_CELLS + cell % FC_HISTOGRAM_SUB_CELLS;
  return ((least + 1) << shift) - 1;
}

/* The largest duration is known exactly, and is in the highest cell in use. */
static uint64_t cell_end_ns(const struct fc_histogram *histogram, uint32_t cell) {
  uint64_t end_ns = fc_histogram_cell_max_ns(cell);
  return end_ns < histogram->max_ns ? end_ns : histogram->max_ns;
}

uint64_t fc_histogram_quantile(const struct fc_histogram *histogram, uint32_t part,
                               uint32_t whole) {
  /* Rounded up, without a product that could overflow. */
  uint64_t count = histogram->count;
  uint64_t rank = count / whole * part + (count % whole * part + whole - 1) / whole;
  uint64_t seen = 0;
  if (rank == 0)
    rank = 1;
  for (uint32_t cell = 0; cell < FC_HISTOGRAM_CELLS; cell++) {
    seen += histogram->cells[cell];
    if (seen >= rank)
      return cell_end_ns(histogram, cell);
  }
  return histogram->max_ns;
}

uint64_t fc_histogram_count_to(const struct fc_histogram *histogram, uint64_t ns) {
  uint64_t count = 0;
  for (uint32_t cell = 0; cell < FC_HISTOGRAM_CELLS && fc_histogram_cell_max_ns(cell) <= ns; cell++)
    count += histogram->cells[cell];
  return count;
}

void fc_histogram_merge(struct fc_histogram *histogram, const struct fc_histogram *other) {
  uint64_t sum_ns = histogram->sum_ns + other->sum_ns;
  for (uint32_t cell = 0; cell < FC_HISTOGRAM_CELLS; cell++)
    histogram->cells[cell] += other->cells[cell];
  histogram->count += other->count;
  histogram->sum_ns = sum_ns >= other->sum_ns ? sum_ns : UINT64_MAX;
  if (other->max_ns > histogram->max_ns)
    histogram->max_ns = other->max_ns;
}

bool fc_histogram_subtract(struct fc_histogram *histogram, const struct fc_histogram *before) {
  uint32_t highest = 0;
  bool is_later = histogram->sum_ns >= before->sum_ns;
  for (uint32_t cell = 0; cell < FC_HISTOGRAM_CELLS; cell++)
    is_later = is_later && histogram->cells[cell] >= before->cells[cell];
  if (!is_later)
    return false;
  for (uint32_t cell = 0; cell < FC_HISTOGRAM_CELLS; cell++) {
    histogram->cells[cell] -= before->cells[cell];
    if (histogram->cells[cell] > 0)
      highest = cell;
  }
  histogram->count -= before->count;
  histogram->sum_ns -= before->sum_ns;
  histogram->max_ns = histogram->count == 0 ? 0 : cell_end_ns(histogram, highest);
  return true;
}
