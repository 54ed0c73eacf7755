/* The Levenshtein distance of two sequences of code points. */
#ifndef ACME_DISTANCE_H
#define ACME_DISTANCE_H

#include <stddef.h>
#include <stdint.h>

/* Return how many insertions, deletions and replacements turn one sequence into the other.
 * `row` must have space for b_size + 1 numbers. */
size_t edit_distance(const uint32_t *a, size_t a_size, const uint32_t *b, size_t b_size,
                     size_t *row);

#endif
