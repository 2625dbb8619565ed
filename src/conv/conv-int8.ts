import { check } from '../gpu/errors.ts';
import { checkRuntime, type Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { type Int8Operation, packRows, unpackRows } from './int8-operation.ts';
import {
  type Conv2dInt8Options,
  checkInt8,
  type Int8Options,
  prepareConv2dInt8,
  prepareMatmulInt8,
} from './prepare-int8.ts';

/**
 * int8 convolution with int32 accumulation: bias, clamp, pooling and requantization in the same dispatch.
 *
 * @param input int8, [N, H, W, C].
 * @param weight int8, [O, C / groups, KH, KW].
 * @returns int8 [N, OH, OW, O], or the int32 accumulators when no `outputScale` is given.
 * @throws LloydError for wrong ranks, dtypes or sizes, a scale that is not positive, or an accumulator that could
 *   leave int32.
 * @example
 * const output = await conv2dInt8(runtime, input, weight, {
 *   pads: [1, 1, 1, 1], inputScale: 0.02, weightScale: 0.01, outputScale: 0.05, outputZeroPoint: -128,
 * });
 */
export async function conv2dInt8(
  runtime: Runtime,
  input: Tensor,
  weight: Tensor,
  options: Conv2dInt8Options = {},
): Promise<Tensor> {
  checkRuntime(runtime);
  checkInt8('input', input, 4, 'N x H x W x C');
  return run(runtime, input, () => prepareConv2dInt8(runtime, weight, { ...options, input: input.dims }));
}

/**
 * int8 matrix product a x b with int32 accumulation, bias and requantization in the same dispatch.
 *
 * @param a int8, [M, K], with `inputZeroPoint`.
 * @param b int8, [K, N], symmetric, one scale or one a column.
 * @returns int8 [M, N], or the int32 accumulators when no `outputScale` is given.
 * @throws LloydError as {@link conv2dInt8}.
 * @example
 * const accumulators = await matmulInt8(runtime, a, b); // int32
 */
export async function matmulInt8(
  runtime: Runtime,
  a: Tensor,
  b: Tensor,
  options: Int8Options = {},
): Promise<Tensor> {
  checkRuntime(runtime);
  checkInt8('a', a, 2, 'M x K');
  checkInt8('b', b, 2, 'K x N');
  const [rows, K] = a.dims;
  check(b.dims[0] === K, `b must have a's ${K} columns as rows`, b.dims);
  return run(runtime, a, () => prepareMatmulInt8(runtime, b, { ...options, rows }));
}

/** Prepares an operation and runs it once, on what is on the host. */
async function run(runtime: Runtime, input: Tensor, prepare: () => Promise<Int8Operation>): Promise<Tensor> {
  const operation = await prepare();
  try {
    return await runtime.scope(async ({ upload, empty, keep }) => {
      const output = empty(operation.output.byteLength, 'output');
      const given = upload(packRows(input.data as Int8Array, operation.input), 'input');
      runtime.submit(operation.bind({ input: given, output }).map(keep));
      return unpackRows(await runtime.read(output), operation.output);
    });
  } finally {
    operation.destroy();
  }
}
