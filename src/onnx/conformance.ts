import { type RequantizeRule, requantizeRules } from '../conv/requantize.ts';
import { checkRuntime, type Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { operatorReference } from '../reference/onnx-operators.ts';
import {
  caseCounts,
  conformanceCase,
  type ExactOperator,
  requantizing,
  rulesOf,
} from './conformance-cases.ts';
import { runOperator } from './run-operator.ts';

/** Options of {@link runConformance}. */
export interface ConformanceOptions {
  /** About a tenth of the cases. */
  quick?: boolean;
  /** Called after every case. */
  onProgress?: (done: number, total: number) => void;
}

/** One operator by one rule, compared with its CPU twin element by element. */
export interface ConformanceRow {
  operator: ExactOperator;
  /** `exact` where the operator does not requantize. */
  rule: RequantizeRule | 'exact';
  /** Output elements compared. */
  outputs: number;
  mismatches: number;
  /** FNV-1a, 64 bits in hex, of every output's bytes in order: equal hashes are equal bits on two adapters. */
  hash: string;
}

/**
 * Runs every operator of `lloyd/onnx` by every rule on seeded, tie-heavy cases and compares with the CPU twins.
 *
 * @returns A row an operator and rule; `hash` depends on the outputs alone, so it is the same on every adapter
 *   that computes the same bits (for the same `quick`).
 * @throws LloydError if the device is lost.
 * @example
 * for (const row of await runConformance(runtime, { quick: true })) {
 *   console.log(row.operator, row.rule, row.outputs, row.mismatches, row.hash);
 * }
 */
export async function runConformance(
  runtime: Runtime,
  { quick = false, onProgress }: ConformanceOptions = {},
): Promise<ConformanceRow[]> {
  checkRuntime(runtime);
  const operators = Object.keys(caseCounts) as ExactOperator[];
  const counts = operators.map((operator) => Math.ceil(caseCounts[operator] / (quick ? 12 : 1)));
  const total = counts.reduce(
    (sum, count, i) => sum + count * rulesOf(operators[i], requantizeRules).length,
    0,
  );
  const rows: ConformanceRow[] = [];
  let done = 0;
  for (const [i, operator] of operators.entries()) {
    for (const rule of rulesOf(operator, requantizeRules)) {
      let outputs = 0;
      let mismatches = 0;
      const hash = fnv1a();
      for (let step = 0; step < counts[i]; step++) {
        // 13 is coprime to every period of the cases, so a quick run meets every kind.
        const { inputs, attributes } = conformanceCase(
          operator,
          quick ? (step * 13) % caseCounts[operator] : step,
        );
        // No output of these is int64.
        const options = { requantize: rule };
        const results = (await runOperator(runtime, operator, inputs, attributes, options)) as Tensor[];
        const expected = operatorReference(operator, inputs, attributes, rule);
        for (const [k, result] of results.entries()) {
          outputs += result.data.length;
          mismatches += countMismatches(result, expected[k]);
          hash.update(result.data);
        }
        onProgress?.(++done, total);
      }
      rows.push({
        operator,
        rule: requantizing.includes(operator) ? rule : 'exact',
        outputs,
        mismatches,
        hash: hash.digest(),
      });
    }
  }
  return rows;
}

/** How many elements differ; a different dtype or shape is every element. */
export function countMismatches(
  received: Tensor,
  expected: { dtype: string; dims: readonly number[]; data: ArrayLike<number> },
): number {
  const sameShape =
    received.dims.length === expected.dims.length &&
    received.dims.every((size, i) => size === expected.dims[i]);
  if (received.dtype !== expected.dtype || !sameShape || received.data.length !== expected.data.length) {
    return Math.max(received.data.length, expected.data.length);
  }
  let mismatches = 0;
  for (let i = 0; i < received.data.length; i++)
    if (!Object.is(received.data[i], expected.data[i])) mismatches++;
  return mismatches;
}

/** FNV-1a over bytes, 64 bits, as two 32-bit halves. */
function fnv1a() {
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  return {
    update(data: ArrayBufferView) {
      for (const byte of new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) {
        low = (low ^ byte) >>> 0;
        // times 2^40 + 0x1b3, modulo 2^64
        const product = low * 0x1b3;
        high = (Math.imul(high, 0x1b3) + Math.floor(product / 2 ** 32) + (low << 8)) >>> 0;
        low = product >>> 0;
      }
    },
    digest: () => high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0'),
  };
}
