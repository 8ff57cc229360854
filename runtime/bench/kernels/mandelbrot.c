// The Mandelbrot set, so many points along each side, one point at a time.

#include "kernel.h"

#define ROUNDS 100

static uint64_t work(unsigned long side) {
    uint64_t inside = 0;
    for (unsigned long row = 0; row < side; row++) {
        float y0 = 2.0f * (float)row / (float)side - 1.0f;
        for (unsigned long column = 0; column < side; column++) {
            float x0 = 3.0f * (float)column / (float)side - 2.0f;
            float x = 0, y = 0;
            int round = 0;
            for (; round < ROUNDS && x * x + y * y <= 4.0f; round++) {
                float next_x = x * x - y * y + x0;
                y = 2.0f * x * y + y0;
                x = next_x;
            }
            inside += (uint64_t)round;
        }
    }
    return inside;
}
