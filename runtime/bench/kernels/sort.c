// Sorts so many thousand numbers in memory that grows as they come: comparisons and moves.

#include <string.h>

#include "kernel.h"

static void swap(uint64_t *a, uint64_t *b) {
    uint64_t kept = *a;
    *a = *b;
    *b = kept;
}

// Quicksort, the middle one as pivot (never the last: one part would stay as it is); the smaller
// part first, so that the stack stays short.
static void sort(uint64_t *numbers, size_t count) {
    while (count > 1) {
        uint64_t pivot = numbers[(count - 1) / 2];
        size_t low = 0, high = count - 1;
        for (;;) {
            while (numbers[low] < pivot) {
                low++;
            }
            while (numbers[high] > pivot) {
                high--;
            }
            if (low >= high) {
                break;
            }
            swap(&numbers[low++], &numbers[high--]);
        }
        size_t left = high + 1;
        if (left < count - left) {
            sort(numbers, left);
            numbers += left;
            count -= left;
        } else {
            sort(numbers + left, count - left);
            count = left;
        }
    }
}

static uint64_t work(unsigned long thousands) {
    size_t count = 0, room = 1024;
    uint64_t *numbers = malloc(room * sizeof *numbers);
    uint64_t random = 88172645463325252U;
    while (count < thousands * 1000) {
        if (count == room) {
            room *= 2;
            numbers = realloc(numbers, room * sizeof *numbers);
        }
        if (numbers == NULL) {
            fprintf(stderr, "no memory for %zu numbers\n", room);
            exit(1);
        }
        random = next(random);
        numbers[count++] = random;
    }
    sort(numbers, count);
    uint64_t checksum = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && numbers[i - 1] > numbers[i]) {
            fprintf(stderr, "not sorted at %zu\n", i);
            exit(1);
        }
        checksum = next(checksum ^ numbers[i]);
    }
    free(numbers);
    return checksum;
}
