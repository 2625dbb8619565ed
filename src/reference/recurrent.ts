import { sigmoid, softplus } from './element-functions.ts';
import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/** Activations by their number in shaders/recurrent.wgsl. */
const activations: Readonly<Record<number, (x: number, alpha: number, beta: number) => number>> = {
  1: (x) => Math.max(x, 0),
  2: Math.tanh,
  3: sigmoid,
  4: (x, alpha, beta) => alpha * x + beta,
  5: (x, alpha) => (x >= 0 ? x : alpha * x),
  6: (x, alpha) => (x >= alpha ? x : 0),
  7: (x, alpha, beta) => alpha * Math.tanh(beta * x),
  8: (x, alpha, beta) => Math.min(1, Math.max(0, alpha * x + beta)),
  9: (x, alpha) => (x >= 0 ? x : alpha * Math.expm1(x)),
  10: (x) => x / (1 + Math.abs(x)),
  11: softplus,
};

/**
 * CPU twin of shaders/recurrent.wgsl, in float64; what lies in the last quarter of `states` stays as it was.
 *
 * @example
 * // An RNN of one unit that adds its input to half of what it was, over two steps.
 * const output = new Float64Array(2);
 * const [weights, states] = [Float64Array.of(0.5), Float64Array.of(1, 0, 0, 0)];
 * recurrentReference(
 *   { inputs: Float64Array.of(1, 2), weights, extra: weights, lengths: weights, states, output },
 *   { times: 2, batches: 1, hidden: 1, inputTime: 1, inputBatch: 1, weightOffset: 0, extraOffset: 0, outputTime: 1,
 *     outputBatch: 1, outputOffset: 0, clip: 0, fAlpha: 1, fBeta: 0, gAlpha: 0, gBeta: 0, hAlpha: 0, hBeta: 0 },
 *   { CELL: 0, F: 4 },
 * ); // 1.5, 2.75
 */
export function recurrentReference(
  { inputs, weights, extra, lengths, states, output }: TwinBuffers,
  params: TwinParams,
  made: TwinSpecialization,
): void {
  const { times, batches, hidden, inputTime, inputBatch, outputTime, outputBatch, outputOffset, clip } =
    params;
  const { CELL = 2, LINEAR = 0, COUPLED = 0, PEEPHOLES = 0, LENGTHS = 0, REVERSE = 0 } = made;
  const { F = 3, G = 2, H = 2 } = made as Record<string, number>;
  const clipped = (x: number) => (clip > 0 ? Math.min(clip, Math.max(-clip, x)) : x);
  const f = (x: number) => activations[F](clipped(x), params.fAlpha, params.fBeta);
  const g = (x: number) => activations[G](clipped(x), params.gAlpha, params.gBeta);
  const units = Array.from({ length: hidden }, (_, j) => j);
  for (let batch = 0; batch < batches; batch++) {
    const part = (index: number) =>
      states.subarray((index * batches + batch) * hidden, (index * batches + batch + 1) * hidden);
    const [h, c, next] = [part(0), part(1), part(2)];
    const steps = LENGTHS === 1 ? Math.min(times, Math.max(0, lengths[batch])) : times;
    for (let step = 0; step < times; step++) {
      const runs = step < steps;
      const time = REVERSE === 1 && runs ? steps - 1 - step : step;
      const to = outputOffset + time * outputTime + batch * outputBatch;
      if (!runs) {
        for (const j of units) output[to + j] = 0;
        continue;
      }
      const x = (gate: number, j: number) =>
        inputs[time * inputTime + batch * inputBatch + gate * hidden + j];
      const product = (gate: number, j: number, of: ArrayLike<number>) => {
        const row = params.weightOffset + (gate * hidden + j) * hidden;
        return units.reduce((sum, k) => sum + weights[row + k] * of[k], 0);
      };
      const gate = (index: number, j: number) => x(index, j) + product(index, j, h);
      const peephole = (index: number, j: number, cell: number) =>
        PEEPHOLES === 1 ? extra[params.extraOffset + index * hidden + j] * cell : 0;
      if (CELL === 0) next.set(units.map((j) => f(gate(0, j))));
      if (CELL === 1) {
        const reset = units.map((j) => f(gate(1, j)));
        const kept = reset.map((r, j) => r * h[j]);
        const candidate = (j: number) =>
          LINEAR === 1
            ? x(2, j) + reset[j] * (product(2, j, h) + extra[params.extraOffset + j])
            : x(2, j) + product(2, j, kept);
        if (LINEAR === 0) part(3).set(kept);
        next.set(
          units.map((j) => {
            const update = f(gate(0, j));
            return (1 - update) * g(candidate(j)) + update * h[j];
          }),
        );
      }
      if (CELL === 2) {
        for (const j of units) {
          const i = f(gate(0, j) + peephole(0, j, c[j]));
          const forget = COUPLED === 1 ? 1 - i : f(gate(2, j) + peephole(2, j, c[j]));
          const cell = forget * c[j] + i * g(gate(3, j));
          const o = f(gate(1, j) + peephole(1, j, cell));
          c[j] = cell;
          next[j] = o * activations[H](cell, params.hAlpha, params.hBeta);
        }
      }
      h.set(next);
      output.set(next, to);
    }
  }
}
