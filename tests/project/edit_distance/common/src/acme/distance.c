/* Wagner and Fischer, "The String-to-String Correction Problem", 1974, with a single row. */
#include "distance.h"

static size_t
minimum(size_t x, size_t y)
{
    return x < y ? x : y;
}

size_t
edit_distance(const uint32_t *a, size_t a_size, const uint32_t *b, size_t b_size, size_t *row)
{
    for (size_t j = 0; j <= b_size; j++) {
        row[j] = j;
    }
    for (size_t i = 0; i < a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b_size; j++) {
            size_t replaced = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = minimum(replaced, minimum(row[j], row[j + 1]) + 1);
        }
    }
    return row[b_size];
}
