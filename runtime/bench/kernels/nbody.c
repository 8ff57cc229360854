// Five bodies that attract each other, so many steps: square roots and divisions of doubles.

#include <math.h>
#include <string.h>

#include "kernel.h"

#define BODIES 5

typedef struct {
    double place[3], speed[3], mass;
} Body;

// A sun, and planets of made-up orbits.
static Body bodies[BODIES] = {
    {{0, 0, 0}, {0, 0, 0}, 39.5},
    {{4.8, -1.2, -0.1}, {0.6, 2.8, -0.02}, 0.038},
    {{8.3, 4.1, -0.4}, {-1.0, 1.8, 0.008}, 0.011},
    {{12.9, -15.1, -0.2}, {1.1, 0.9, -0.01}, 0.0017},
    {{15.4, -25.9, 0.2}, {1.0, 0.6, -0.03}, 0.002},
};

static void step(double dt) {
    for (int i = 0; i < BODIES; i++) {
        for (int j = i + 1; j < BODIES; j++) {
            Body *a = &bodies[i], *b = &bodies[j];
            double d[3], square = 0;
            for (int k = 0; k < 3; k++) {
                d[k] = a->place[k] - b->place[k];
                square += d[k] * d[k];
            }
            double force = dt / (square * sqrt(square));
            for (int k = 0; k < 3; k++) {
                a->speed[k] -= d[k] * b->mass * force;
                b->speed[k] += d[k] * a->mass * force;
            }
        }
    }
    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 3; k++) {
            bodies[i].place[k] += dt * bodies[i].speed[k];
        }
    }
}

static uint64_t work(unsigned long steps) {
    for (unsigned long i = 0; i < steps; i++) {
        step(0.001);
    }
    uint64_t checksum = 0;
    for (int i = 0; i < BODIES; i++) {
        uint64_t bits;
        memcpy(&bits, &bodies[i].place[0], sizeof bits);
        checksum = next(checksum ^ bits);
    }
    return checksum;
}
