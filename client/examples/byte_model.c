#include "client/examples/byte_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  LONGEST_MATCH = 10, /* bytes before the predicted one that count */
  MATCH_BITS = 3,     /* each byte of a match makes the vote 8 times as heavy */
  FT_VOTES = 4,       /* of each byte that only ft reads */
};

static void add_votes(const uint8_t *text, size_t begin, size_t end, uint64_t votes_each,
                      const uint8_t *prompt, size_t prompt_size,
                      uint64_t votes[BYTE_MODEL_VOCABULARY]) {
  for (size_t i = begin; i < end; i++) {
    size_t longest = prompt_size < i ? prompt_size : i, match = 0;
    if (longest > LONGEST_MATCH)
      longest = LONGEST_MATCH;
    while (match < longest && text[i - 1 - match] == prompt[prompt_size - 1 - match])
      match++;
    votes[text[i]] += votes_each << (MATCH_BITS * match);
  }
}

static void predict_unscaled(const struct byte_model *model, bool ft, const uint8_t *prompt,
                             size_t prompt_size, double logprobs[BYTE_MODEL_VOCABULARY]) {
  uint64_t votes[BYTE_MODEL_VOCABULARY], total = 0;
  for (int i = 0; i < BYTE_MODEL_VOCABULARY; i++)
    votes[i] = 1; /* no byte is impossible */
  add_votes(model->text, 0, model->base_size, 1, prompt, prompt_size, votes);
  if (ft)
    add_votes(model->text, model->base_size, model->ft_size, FT_VOTES, prompt, prompt_size, votes);
  for (int i = 0; i < BYTE_MODEL_VOCABULARY; i++)
    total += votes[i];
  for (int i = 0; i < BYTE_MODEL_VOCABULARY; i++)
    logprobs[i] = log((double)votes[i] / (double)total);
}

/* Makes the probabilities sum to 1. */
static void normalize(double logprobs[BYTE_MODEL_VOCABULARY]) {
  double sum = 0;
  for (int i = 0; i < BYTE_MODEL_VOCABULARY; i++)
    sum += exp(logprobs[i]);
  for (int i = 0; i < BYTE_MODEL_VOCABULARY; i++)
    logprobs[i] -= log(sum);
}

bool byte_model_predict(const struct byte_model *model, const char *view, const uint8_t *prompt,
                        size_t prompt_size, double logprobs[BYTE_MODEL_VOCABULARY]) {
  static const char scaled[] = "scaled_";
  double ft[BYTE_MODEL_VOCABULARY];
  bool is_ft = strcmp(view, "ft") == 0;
  if (is_ft || strcmp(view, "base") == 0) {
    predict_unscaled(model, is_ft, prompt, prompt_size, logprobs);
    return true;
  }
  if (strncmp(view, scaled, strlen(scaled)) != 0)
    return false;
  double scale = strtod(view + strlen(scaled), NULL);
  predict_unscaled(model, false, prompt, prompt_size, logprobs);
  predict_unscaled(model, true, prompt, prompt_size, ft);
  for (int i = 0; i < BYTE_MODEL_VOCABULARY; i++)
    logprobs[i] = (1 - scale) * logprobs[i] + scale * ft[i];
  normalize(logprobs);
  return true;
}
