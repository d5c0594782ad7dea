/* Plain descent on MATLAB's peaks, as fast as C goes here: the ceiling of the benchmarks.
 *
 * Points are taken in blocks that stay in the first-level cache; ranges of points are shared out over the cores;
 * the three exponentials are the vector library's; and what the two partial derivatives have in common is
 * computed once, by hand.
 *
 * Compiled with REAL=double EXP=exp or REAL=float EXP=expf, and a BLOCK:
 *     gcc -O3 -march=native -mprefer-vector-width=512 -ffast-math -fopenmp -shared -fPIC
 */
#include <math.h>

typedef REAL real;

#ifndef REFILL
#define REFILL 1
#endif
#define QUEUE 8192 /* points of one range, a multiple of every BLOCK */
#define LOOK 8     /* steps between two looks at which points are done */

static inline void slopes(real u, real v, real *gx, real *gy)
{
    real uu = u * u, vv = v * v, below = 1 - u, right = u + 1, above = v + 1;
    real e1 = EXP(-uu - above * above), e2 = EXP(-uu - vv), e3 = EXP(-right * right - vv);
    real a = 6 * below * e1, b = 20 * e2, c = (real)(2.0 / 3) * e3;
    real h = b * (u * (real)0.2 - u * uu - v * vv * vv);
    *gx = h * u + right * c - a - a * below * u - b * ((real)0.1 - (real)1.5 * uu);
    *gy = h * v + v * c - a * below * above + b * (real)2.5 * vv * vv;
}

/* Every point takes `steps` steps, and nothing is looked at on the way.
 * x, y: n coordinates each, n a multiple of BLOCK; overwritten by the ends. */
void descend(real *restrict x, real *restrict y, long n, long steps, real rate)
{
#pragma omp parallel for schedule(dynamic, 4)
    for (long first = 0; first < n; first += BLOCK) {
        real xs[BLOCK], ys[BLOCK];
        for (int i = 0; i < BLOCK; i++) {
            xs[i] = x[first + i];
            ys[i] = y[first + i];
        }
        for (long k = 0; k < steps; k++) {
#pragma omp simd
            for (int i = 0; i < BLOCK; i++) {
                real gx, gy;
                slopes(xs[i], ys[i], &gx, &gy);
                xs[i] -= rate * gx;
                ys[i] -= rate * gy;
            }
        }
        for (int i = 0; i < BLOCK; i++) {
            x[first + i] = xs[i];
            y[first + i] = ys[i];
        }
    }
}

/* What a survey asks of its loop: a point stays in the box [low, high]^2 and stops where the gradient, without
 * what points out of the box, is no longer than `tolerance`, or after `steps` steps; `taken` counts its steps.
 * Points that are done leave, and the next take their places, once REFILL of the BLOCK are done. */
void survey(real *restrict x, real *restrict y, real *restrict taken, long n, long steps, real rate, real low,
            real high, real tolerance)
{
    real enough = tolerance * tolerance, most = steps;
#pragma omp parallel for schedule(dynamic, 1)
    for (long first = 0; first < n; first += QUEUE) {
        long next = first, end = first + QUEUE < n ? first + QUEUE : n, at[BLOCK];
        real xs[BLOCK], ys[BLOCK], ks[BLOCK], done[BLOCK];
        int active = 0, free = BLOCK;
        for (int i = 0; i < BLOCK; i++) {
            at[i] = -1;
            done[i] = 1;
            xs[i] = ys[i] = ks[i] = 0;
        }
        for (;;) {
            if (free >= REFILL || free >= active) {
                for (int i = 0; i < BLOCK; i++) {
                    if (done[i] == 0)
                        continue;
                    if (at[i] >= 0) {
                        x[at[i]] = xs[i];
                        y[at[i]] = ys[i];
                        taken[at[i]] = ks[i];
                        active--;
                    }
                    at[i] = -1;
                    if (next < end) {
                        at[i] = next++;
                        xs[i] = x[at[i]];
                        ys[i] = y[at[i]];
                        ks[i] = done[i] = 0;
                        active++;
                    }
                }
                if (active == 0)
                    break;
            }
            for (int k = 0; k < LOOK; k++) {
#pragma omp simd
                for (int i = 0; i < BLOCK; i++) {
                    real u = xs[i], v = ys[i], gx, gy;
                    slopes(u, v, &gx, &gy);
                    real px = (u <= low && gx > 0) || (u >= high && gx < 0) ? 0 : gx;
                    real py = (v <= low && gy > 0) || (v >= high && gy < 0) ? 0 : gy;
                    real stays = px * px + py * py <= enough || ks[i] >= most ? 1 : done[i];
                    u = fmin(fmax(u - rate * gx, low), high);
                    v = fmin(fmax(v - rate * gy, low), high);
                    xs[i] = stays != 0 ? xs[i] : u;
                    ys[i] = stays != 0 ? ys[i] : v;
                    ks[i] += 1 - stays;
                    done[i] = stays;
                }
            }
            real sum = 0;
#pragma omp simd reduction(+ : sum)
            for (int i = 0; i < BLOCK; i++)
                sum += done[i];
            free = (int)sum - (BLOCK - active);
        }
    }
}
