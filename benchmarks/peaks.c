/* Plain descent on MATLAB's peaks, as fast as C goes here: the ceiling of the benchmark.
 *
 * Each block of points takes all its steps before the next block begins, so it stays in the first-level
 * cache; blocks are shared out over the cores; the three exponentials are the vector library's; and what
 * the two partial derivatives have in common is computed once, by hand.
 *
 * Compiled twice, with REAL=double EXP=exp and REAL=float EXP=expf:
 *     gcc -O3 -march=native -mprefer-vector-width=512 -ffast-math -fopenmp -shared -fPIC
 */
#include <math.h>

typedef REAL real;

/* x, y: n coordinates each, n a multiple of BLOCK; overwritten by the ends after `steps` steps. */
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
                real u = xs[i], v = ys[i], uu = u * u, vv = v * v;
                real below = 1 - u, right = u + 1, above = v + 1;
                real e1 = EXP(-uu - above * above), e2 = EXP(-uu - vv), e3 = EXP(-right * right - vv);
                real a = 6 * below * e1, b = 20 * e2, c = (real)(2.0 / 3) * e3;
                real h = b * (u * (real)0.2 - u * uu - v * vv * vv);
                real gx = h * u + right * c - a - a * below * u - b * ((real)0.1 - (real)1.5 * uu);
                real gy = h * v + v * c - a * below * above + b * (real)2.5 * vv * vv;
                xs[i] = u - rate * gx;
                ys[i] = v - rate * gy;
            }
        }
        for (int i = 0; i < BLOCK; i++) {
            x[first + i] = xs[i];
            y[first + i] = ys[i];
        }
    }
}
