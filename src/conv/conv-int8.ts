import { check } from '../gpu/errors.ts';
import { checkGpuTensor, type GpuTensor, gpuBytes, isGpuTensor, scopeThatLeaves } from '../gpu/gpu-tensor.ts';
import { checkRuntime, type Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { type Int8Layout, type Int8Operation, packRows, unpackRows } from './int8-operation.ts';
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
 * @param input int8, [N, H, W, C], on the host or on the GPU, where the result then is as well.
 * @param weight int8, [O, C / groups, KH, KW], on the host, where it is packed for the kernels.
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
  options?: Conv2dInt8Options,
): Promise<Tensor>;
export async function conv2dInt8(
  runtime: Runtime,
  input: GpuTensor,
  weight: Tensor,
  options?: Conv2dInt8Options,
): Promise<GpuTensor>;
export async function conv2dInt8(
  runtime: Runtime,
  input: Tensor | GpuTensor,
  weight: Tensor,
  options: Conv2dInt8Options = {},
): Promise<Tensor | GpuTensor> {
  checkRuntime(runtime);
  checkInput('input', input, 4, 'N x H x W x C');
  return run(runtime, input, () => prepareConv2dInt8(runtime, weight, { ...options, input: input.dims }));
}

/**
 * int8 matrix product a x b with int32 accumulation, bias and requantization in the same dispatch.
 *
 * @param a int8, [M, K], with `inputZeroPoint`, on the host or on the GPU, where the result then is as well.
 * @param b int8, [K, N], symmetric, one scale or one a column, on the host.
 * @returns int8 [M, N], or the int32 accumulators when no `outputScale` is given.
 * @throws LloydError as {@link conv2dInt8}.
 * @example
 * const accumulators = await matmulInt8(runtime, a, b); // int32
 */
export async function matmulInt8(
  runtime: Runtime,
  a: Tensor,
  b: Tensor,
  options?: Int8Options,
): Promise<Tensor>;
export async function matmulInt8(
  runtime: Runtime,
  a: GpuTensor,
  b: Tensor,
  options?: Int8Options,
): Promise<GpuTensor>;
export async function matmulInt8(
  runtime: Runtime,
  a: Tensor | GpuTensor,
  b: Tensor,
  options: Int8Options = {},
): Promise<Tensor | GpuTensor> {
  checkRuntime(runtime);
  checkInput('a', a, 2, 'M x K');
  checkInt8('b', b, 2, 'K x N');
  const [rows, K] = a.dims;
  check(b.dims[0] === K, `b must have a's ${K} columns as rows`, b.dims);
  return run(runtime, a, () => prepareMatmulInt8(runtime, b, { ...options, rows }));
}

function checkInput(name: string, input: Tensor | GpuTensor, rank: number, meaning: string): void {
  if (isGpuTensor(input)) checkGpuTensor(name, input, 'int8');
  else checkInt8(name, input, rank, meaning);
  check(input.dims.length === rank, `${name} must have the ${rank} dimensions ${meaning}`, input.dims);
}

/** Prepares an operation and runs it once. */
async function run(
  runtime: Runtime,
  input: Tensor | GpuTensor,
  prepare: () => Promise<Int8Operation>,
): Promise<Tensor | GpuTensor> {
  const operation = await prepare();
  const { dtype, dims, byteLength } = operation.output;
  try {
    return await scopeThatLeaves(runtime, async ({ upload, empty, keep, leave }) => {
      if (!isGpuTensor(input)) {
        const output = empty(byteLength, 'output');
        const given = upload(packRows(input.data as Int8Array, operation.input), 'input');
        runtime.submit(operation.bind({ input: given, output }).map(keep));
        return unpackRows(await runtime.read(output), operation.output);
      }
      const count = dims.reduce((x, y) => x * y, 1);
      const result = leave(gpuBytes(dtype, count), 'output');
      const isPadded = ({ dtype, dims, rowBytes }: Int8Layout) =>
        dtype === 'int8' && rowBytes !== dims.at(-1);
      const padded = { input: isPadded(operation.input), output: isPadded(operation.output) };
      const given = padded.input ? empty(operation.input.byteLength, 'input') : input.buffer;
      const output = padded.output ? empty(byteLength, 'output') : result;
      const calls = operation.bind({ input: given, output }).map(keep);
      if (padded.input) calls.unshift(keep(await operation.packInput({ codes: input.buffer, input: given })));
      if (padded.output) calls.push(keep(await operation.unpackOutput({ output, codes: result })));
      runtime.submit(calls);
      return { dtype, dims, buffer: result };
    });
  } finally {
    operation.destroy();
  }
}
