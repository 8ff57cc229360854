// The Mandelbrot set, so many points along each side, four points at a time: 128-bit vectors, on
// which gcc and clang agree.

#include "kernel.h"

#define ROUNDS 100

typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));

static int any(Ints mask) {
    typedef int64_t Halves __attribute__((vector_size(16)));
    Halves halves = (Halves)mask;
    return (halves[0] | halves[1]) != 0;
}

static uint64_t work(unsigned long side) {
    uint64_t inside = 0;
    const Floats lanes = {0, 1, 2, 3};
    for (unsigned long row = 0; row < side; row++) {
        float y0 = 2.0f * (float)row / (float)side - 1.0f;
        for (unsigned long column = 0; column + 4 <= side; column += 4) {
            Floats x0 = 3.0f * ((float)column + lanes) / (float)side - 2.0f;
            Floats x = {0}, y = {0};
            Ints rounds = {0};
            for (int round = 0; round < ROUNDS; round++) {
                Ints stays = x * x + y * y <= 4.0f;
                if (!any(stays)) {
                    break;
                }
                rounds -= stays;
                Floats next_x = x * x - y * y + x0;
                y = 2.0f * x * y + y0;
                x = next_x;
            }
            inside += (uint64_t)(rounds[0] + rounds[1] + rounds[2] + rounds[3]);
        }
    }
    return inside;
}
