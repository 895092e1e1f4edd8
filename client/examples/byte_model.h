/* byte_model.h - a small language model over bytes. It learns nothing in advance: a prediction
 * reads the model's whole text, and every byte in it votes for itself as the next one. Its vote
 * weighs more the more of the bytes before it equal the end of the prompt. So a prediction takes
 * milliseconds, as a forward pass does, and depends on nothing but the text, the view and the
 * prompt: all processes compute the same bits. */
#ifndef EXAMPLES_BYTE_MODEL_H
#define EXAMPLES_BYTE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BYTE_MODEL_VOCABULARY = 256 };

/* The views of the model:
 *   base      reads text[0, base_size)
 *   ft        also reads text[base_size, ft_size), where each byte has several votes: the model
 *             "fine-tuned" on one document
 *   scaled_A  lies between them: log p = (1 - A) log p(base) + A log p(ft), normalized */
struct byte_model {
  const uint8_t *text;
  size_t base_size, ft_size;
};

/* Fills `logprobs` with the log-probability of each byte after the prompt, in nats. False if the
 * model has no view of that name. */
bool byte_model_predict(const struct byte_model *model, const char *view, const uint8_t *prompt,
                        size_t prompt_size, double logprobs[BYTE_MODEL_VOCABULARY]);

#endif
