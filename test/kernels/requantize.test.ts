import { describe, expect, test } from 'vitest';
import { prepareMultipliers, requantizeConstant, requantizeRules } from '../../src/quantize/requantize.ts';
import { type RequantizeRule, requantizeReference } from '../../src/reference/requantize.ts';
import { kernelForRule, REQUANTIZE_CHOICES } from '../support/requantize.ts';
import { seeded, THOROUGH, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const COUNT = THOROUGH ? 1_000_000 : 50_000;

describe('requantize', () => {
  for (const rule of requantizeRules) {
    for (const value of REQUANTIZE_CHOICES[rule]) {
      test(`${rule} (${value}) has the codes of its formula`, async () => {
        const { runtime } = gpu;
        if ((value === '0u' || value === '6u') && (await requantizeConstant(runtime, rule)) !== value) {
          return console.log(
            `${rule}: native f32 is not bit-equal on ${runtime.adapter.name}, so it is not used`,
          );
        }
        const cases = randomCases(rule, COUNT);
        const wrong: unknown[] = [];
        for (const range of [
          [-(2 ** 23) + 1, 2 ** 23 - 1],
          [-128, 127],
        ] as const) {
          for (const zeroPoint of [0, 3, -128, 127]) {
            const codes = await kernelForRule(runtime, value, cases, {
              zeroPoint,
              low: range[0],
              high: range[1],
            });
            for (let i = 0; i < cases.accumulators.length && wrong.length < 5; i++) {
              const settings = { ...cases.settings(i), zeroPoint, low: range[0], high: range[1] };
              const expected = requantizeReference(rule, cases.accumulators[i], settings);
              if (codes[i] !== expected)
                wrong.push({ accumulator: cases.accumulators[i], ...settings, code: codes[i], expected });
            }
          }
        }
        expect(wrong).toEqual([]);
      });
    }
  }
});

/** Accumulators of every size and multipliers of every size, half of them powers of two, so that ties abound. */
function randomCases(rule: RequantizeRule, count: number) {
  const random = seeded(7);
  const accumulators = new Int32Array(count);
  const scales = new Float32Array(count * 3);
  const multipliers = new Uint32Array(count * 2);
  const extremes = [
    0,
    1,
    -1,
    2 ** 31 - 1,
    -(2 ** 31),
    2 ** 24 + 1,
    -(2 ** 24) - 1,
    3,
    -3,
    2 ** 30,
    -(2 ** 30),
  ];
  for (let i = 0; i < count; i++) {
    const size = random.integer(1, 31);
    accumulators[i] =
      i % 97 < extremes.length ? extremes[i % 97] : Math.floor((random.next() * 2 - 1) * 2 ** size);
    const exponent = i % 31 === 0 ? random.integer(-40, 40) : random.integer(-24, 8) - (i % 3 ? size - 8 : 0);
    const fraction = i % 2 ? 1 : 1 + random.next();
    const input = 2 ** random.integer(-9, 3) * (i % 4 ? 1 : 1 + random.next());
    const output = 2 ** random.integer(-9, 3) * (i % 5 ? 1 : 1 + random.next());
    scales.set([input, (2 ** exponent * fraction * output) / input, output], i * 3);
    multipliers.set(
      prepareMultipliers(rule, scales[i * 3], scales.subarray(i * 3 + 1, i * 3 + 2), scales[i * 3 + 2]),
      i * 2,
    );
  }
  const settings = (i: number) => ({
    inputScale: scales[i * 3],
    weightScale: scales[i * 3 + 1],
    outputScale: scales[i * 3 + 2],
  });
  return { accumulators, multipliers, settings };
}
