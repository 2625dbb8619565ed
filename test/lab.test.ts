// The worked examples of linear quantization in MIT 6.5940, Lab 2 ("Quantization"), to the last integer.
import { describe, expect, test } from 'vitest';
import { linearDequantize, linearQuantize } from '../src/quantize/linear.ts';
import { roundHalfToEven } from '../src/reference/round.ts';
import { useRuntime } from './support/runtime.ts';

const gpu = useRuntime();

/** The lab's asymmetric range: unlike ONNX's it is not widened to hold 0; float64, as in Python. */
function labQparams(values: Float32Array, bits: number) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [quantMin, quantMax] = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
  const scale = (high - low) / (quantMax - quantMin);
  const zeroPoint = Math.min(Math.max(roundHalfToEven(quantMin - low / scale), quantMin), quantMax);
  return { scale, zeroPoint };
}

describe('linear_quantize, 2 bits', () => {
  const values = new Float32Array([
    0.0523, 0.6364, -0.0968, -0.002, 0.194, 0.75, 0.5507, 0.6188, -0.1734, 0.4677, -0.0669, 0.3836, 0.4297,
    0.6267, -0.0695, 0.1536, -0.0038, 0.6075, 0.6817, 0.0601, 0.6446, -0.25, 0.5376, -0.2226, 0.2333,
  ]);
  const expected = [-1, 1, -1, -1, 0, 1, 1, 1, -2, 0, -1, 0, 0, 1, -1, -1, -1, 1, 1, -1, 1, -2, 1, -2, 0];

  test('with the scale and zero point given', async () => {
    const options = { bits: 2, shape: [5, 5], scale: 1 / 3, zeroPoint: -1 };
    const q = await linearQuantize(gpu.runtime, values, options);
    expect([...q.codes]).toEqual(expected);
    const restored = await linearDequantize(gpu.runtime, q);
    const third = Math.fround(1 / 3);
    expect([...new Set(restored)].sort((a, b) => a - b)).toEqual([-third, 0, third, Math.fround(2 * third)]);
  });

  test('with the scale and zero point chosen', async () => {
    const q = await linearQuantize(gpu.runtime, values, { bits: 2, shape: [5, 5], scheme: 'asymmetric' });
    expect([q.scale[0], q.zeroPoint[0]]).toEqual([Math.fround(1 / 3), -1]);
    expect([...q.codes]).toEqual(expected);
    expect(labQparams(values, 2)).toEqual({ scale: 1 / 3, zeroPoint: -1 });
  });
});

describe('quantized fully connected layer, 2 bits', () => {
  const [batch, inputs, outputs] = [4, 8, 8];
  const input = new Float32Array([
    0.6118, 0.7288, 0.8511, 0.2849, 0.8427, 0.7435, 0.4014, 0.2794, 0.3676, 0.2426, 0.1612, 0.7684, 0.6038,
    0.04, 0.224, 0.4237, 0.6565, 0.6878, 0.467, 0.347, 0.2281, 0.8074, 0.0178, 0.3999, 0.1863, 0.3567, 0.6104,
    0.0497, 0.0577, 0.299, 0.6687, 0.8626,
  ]);
  const weight = new Float32Array([
    0.12626, -0.14752, 0.08191, 0.24982, -0.10495, -0.19227, -0.1855, -0.157, 0.27624, -0.43835, 0.05101,
    -0.1202, -0.20344, 0.10202, -0.20799, 0.24112, -0.38216, -0.28047, 0.085238, -0.42504, -0.20952, 0.32018,
    -0.33619, 0.20219, 0.089233, -0.10124, 0.11467, 0.20091, 0.11438, -0.42427, 0.10178, -0.00030941,
    -0.018837, -0.21256, -0.45285, 0.20949, -0.38684, -0.171, -0.45331, -0.20433, -0.20038, -0.053757,
    0.18997, -0.36866, 0.055484, 0.15643, -0.23538, 0.21103, -0.26875, 0.24984, -0.23514, 0.25527, 0.20322,
    0.37675, 0.061563, 0.17201, 0.33541, -0.33555, -0.43349, 0.43043, -0.20498, -0.18366, -0.091553, -0.41168,
  ]);
  const bias = Float32Array.of(0.1954, -0.2756, 0.3113, 0.1149, 0.4274, 0.2429, -0.1721, -0.2502);

  test('weights, bias, folded bias and output', async () => {
    const inputQparams = labQparams(input, 2);
    expect(inputQparams.scale).toBeCloseTo(0.281600009649992, 12);
    expect(inputQparams.zeroPoint).toBe(-2);
    const qInput = await linearQuantize(gpu.runtime, input, {
      bits: 2,
      shape: [batch, inputs],
      ...inputQparams,
    });
    expect([...qInput.codes]).toEqual([
      0, 1, 1, -1, 1, 1, -1, -1, -1, -1, -1, 1, 0, -2, -1, 0, 0, 0, 0, -1, -1, 1, -2, -1, -1, -1, 0, -2, -2,
      -1, 0, 1,
    ]);

    const qWeight = await linearQuantize(gpu.runtime, weight, { bits: 2, shape: [outputs, inputs], axis: 0 });
    expect([...qWeight.scale]).toEqual(
      [0.24982, 0.43835, 0.42504, 0.42427, 0.45331, 0.36866, 0.37675, 0.43349].map(Math.fround),
    );
    expect([...qWeight.codes]).toEqual([
      1, -1, 0, 1, 0, -1, -1, -1, 1, -1, 0, 0, 0, 0, 0, 1, -1, -1, 0, -1, 0, 1, -1, 0, 0, 0, 0, 0, 0, -1, 0,
      0, 0, 0, -1, 0, -1, 0, -1, 0, -1, 0, 1, -1, 0, 0, -1, 1, -1, 1, -1, 1, 1, 1, 0, 0, 1, -1, -1, 1, 0, 0,
      0, -1,
    ]);

    const biasScale = qWeight.scale.map((s) => s * inputQparams.scale);
    const qBias = bias.map((b, o) => roundHalfToEven(Math.fround(b / biasScale[o])));
    expect([...qBias]).toEqual([3, -2, 3, 1, 3, 2, -2, -2]);
    const folded = qBias.map((b, o) => {
      const row = Array.from(qWeight.codes.subarray(o * inputs, (o + 1) * inputs));
      const sum = row.reduce((total, code) => total + code, 0);
      return b - sum * inputQparams.zeroPoint;
    });
    expect([...folded]).toEqual([-1, 0, -3, -1, -3, 0, 2, -4]);

    const dot = (a: ArrayLike<number>, b: ArrayLike<number>, n: number, o: number) => {
      let sum = 0;
      for (let k = 0; k < inputs; k++) sum += a[n * inputs + k] * b[o * inputs + k];
      return sum;
    };
    const cells = Array.from({ length: batch * outputs }, (_, i) => [Math.floor(i / outputs), i % outputs]);
    const float = Float32Array.from(cells, ([n, o]) => dot(input, weight, n, o) + bias[o]);
    const output = labQparams(float, 2);
    expect(output.scale).toBeCloseTo(0.4681522846221924, 6);
    expect(output.zeroPoint).toBe(0);

    const accumulators = cells.map(([n, o]) => dot(qInput.codes, qWeight.codes, n, o) + folded[o]);
    expect(accumulators).toEqual([
      -2, -2, -1, -2, -4, 2, 3, -6, 3, 0, -3, 1, -1, 0, 2, -2, 0, -1, 1, -2, 0, 2, 1, -4, -3, 1, 0, 0, -1, 4,
      -3, -7,
    ]);
    // The lab adds the zero point before it rounds.
    const codes = cells.map(([, o], i) => {
      const multiplier = Math.fround((inputQparams.scale * qWeight.scale[o]) / output.scale);
      const code = roundHalfToEven(Math.fround(Math.fround(accumulators[i] * multiplier) + output.zeroPoint));
      return Math.min(Math.max(code, -2), 1) + 0;
    });
    expect(codes).toEqual([
      0, -1, 0, -1, -1, 0, 1, -2, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, -1, 0, 0, 0, -1, 0, 0, 0, 0, 0, 1, -1,
      -2,
    ]);
  });
});
