import type { Call } from '../gpu/call.ts';
import { check } from '../gpu/errors.ts';
import { bufferOf, checkSlice } from '../gpu/gpu-tensor.ts';
import { guardOf } from '../gpu/guard.ts';
import { type BufferSlice, type CompiledKernel, type Resource, TEXELS } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { uploadTexels } from '../gpu/texels.ts';
import { resizeChannelsInt8Kernel } from '../kernels/resize-channels-int8.ts';
import type { Int8Buffer, Int8Dispatch, KernelFamily } from './kernel-choice.ts';

/**
 * How an int8 operation reads or writes a buffer of the caller's: rows of channels, one after another. Codes take a
 * byte each, and a row of them is padded to whole words; int32 sums have no padding. Kernels never look at the padding
 * of an input, and may leave anything in that of an output.
 */
export interface Int8Layout {
  readonly dtype: 'int8' | 'int32';
  /** [N, H, W, C] of a convolution, [M, N] of a matrix product. */
  readonly dims: readonly number[];
  /** Bytes from one row of channels to the next. */
  readonly rowBytes: number;
  /** Bytes that the buffer, or the slice of one, has to have. */
  readonly byteLength: number;
}

/**
 * An int8 convolution or matrix product on one device, for one shape: kernels are chosen and compiled, weights, bias and
 * scales packed for them and on the GPU. What it reads and writes are buffers of the caller's, in an {@link Int8Layout}
 * that is the same for every family of kernels.
 */
export interface Int8Operation {
  /** The kernels that the adapter, or the option `kernels`, chose. */
  readonly family: KernelFamily;
  readonly input: Int8Layout;
  readonly output: Int8Layout;
  /**
   * The calls that compute `output` from `input`, to be recorded in order with `recordCalls`, or submitted by a runtime,
   * as often as is wanted.
   *
   * @throws LloydError for a buffer of another size than its layout, one that lacks a usage, or one for both.
   */
  bind(buffers: { input: BufferSlice; output: BufferSlice }): Call[];
  /**
   * A call that makes the input's layout of codes without padding, as an image or a tensor of another library has them.
   *
   * @param buffers `codes` has a byte a code, and is padded to whole words at its end only.
   * @throws LloydError for buffers of another size.
   */
  packInput(buffers: { codes: BufferSlice; input: BufferSlice }): Promise<Call>;
  /** The inverse of {@link packInput} for an output of codes. */
  unpackOutput(buffers: { output: BufferSlice; codes: BufferSlice }): Promise<Call>;
  /** Frees weights and tables. The caller's buffers are untouched. */
  destroy(): void;
}

/** The layout of rows of `dims.at(-1)` channels. */
export function int8Layout(dtype: Int8Layout['dtype'], dims: readonly number[]): Int8Layout {
  const [channels, rows] = [dims[dims.length - 1], rowCount(dims)];
  const rowBytes = dtype === 'int8' ? Math.ceil(channels / 4) * 4 : channels * 4;
  return { dtype, dims, rowBytes, byteLength: rows * rowBytes };
}

const rowCount = (dims: readonly number[]) => dims.slice(0, -1).reduce((x, y) => x * y, 1);

/** A tensor's codes in a layout, on the host. */
export function packRows(codes: Int8Array, { dims, rowBytes }: Int8Layout): Int8Array {
  const channels = dims[dims.length - 1];
  if (rowBytes === channels) return codes;
  const padded = new Int8Array((codes.length / channels) * rowBytes);
  for (let from = 0, to = 0; from < codes.length; from += channels, to += rowBytes) {
    padded.set(codes.subarray(from, from + channels), to);
  }
  return padded;
}

/** The tensor that bytes in a layout hold. */
export function unpackRows(bytes: ArrayBuffer, { dtype, dims, rowBytes }: Int8Layout): Tensor {
  const channels = dims[dims.length - 1];
  const rows = rowCount(dims);
  if (dtype === 'int32') return { dtype, dims, data: new Int32Array(bytes, 0, rows * channels) };
  if (rowBytes === channels) return { dtype, dims, data: new Int8Array(bytes, 0, rows * channels) };
  const padded = new Int8Array(bytes);
  const data = new Int8Array(rows * channels);
  for (let row = 0; row < rows; row++)
    data.set(padded.subarray(row * rowBytes, row * rowBytes + channels), row * channels);
  return { dtype, dims, data };
}

/** What the kernels of an operation read besides its input. */
export interface Int8Constants {
  weights: Uint32Array;
  bias: Int32Array;
  multipliers: Uint32Array;
}

/** Compiles dispatches, uploads what they read besides the input, and makes an operation of them. */
export async function int8Operation(
  runtime: Runtime,
  name: string,
  family: KernelFamily,
  dispatches: readonly Int8Dispatch[],
  constants: Int8Constants,
  partialByteLength: number,
  layouts: { input: Int8Layout; output: Int8Layout },
): Promise<Int8Operation> {
  const { device } = runtime;
  const guard = guardOf(device);
  const owned: { destroy(): void }[] = [];
  const own = <T extends { destroy(): void }>(resource: T) => {
    owned.push(resource);
    return resource;
  };
  const destroy = () => {
    for (const resource of owned.splice(0)) resource.destroy();
  };
  const texels = dispatches.flatMap(({ kernel, buffers }) =>
    Object.entries(buffers).flatMap(([binding, role]) =>
      kernel.declaration.bindings[binding].type === TEXELS ? [role] : [],
    ),
  );
  const constant = (role: keyof Int8Constants) =>
    texels.includes(role)
      ? guard.note(role, () => uploadTexels(device, constants[role], role))
      : runtime.upload(constants[role], role);
  let alive = true;
  try {
    return await guard.operation(async () => {
      const fixed: Partial<Record<Int8Buffer, Resource>> = {
        weights: own(constant('weights')),
        bias: own(constant('bias')),
        multipliers: own(constant('multipliers')),
      };
      if (partialByteLength > 0) fixed.partial = own(runtime.empty(partialByteLength, 'partial'));
      const compiled: CompiledKernel[] = [];
      for (const { kernel, specialization } of dispatches)
        compiled.push(await kernel.create(device, specialization));
      return {
        family,
        ...layouts,
        bind(buffers) {
          check(alive, `${name} must not have been destroyed`, 'one that was', 'prepare it again');
          // What a texture is filled from is copied.
          const usage = texels.includes('input') ? (['STORAGE', 'COPY_SRC'] as const) : undefined;
          checkLaidOut(`${name}: input`, layouts.input, buffers?.input, usage);
          checkLaidOut(`${name}: output`, layouts.output, buffers?.output);
          check(
            bufferOf(buffers.input) !== bufferOf(buffers.output),
            `${name}: input and output must be two buffers`,
            'slices of one',
          );
          const resources = { ...fixed, input: buffers.input, output: buffers.output };
          const calls: Call[] = [];
          try {
            for (const [i, { buffers: roles, params }] of dispatches.entries()) {
              const entries = Object.entries(roles).map(([binding, role]) => [binding, resources[role]]);
              calls.push(compiled[i].bind(Object.fromEntries(entries), params));
            }
          } catch (error) {
            for (const call of calls) call.destroy();
            throw error;
          }
          return calls;
        },
        packInput: (buffers) =>
          resized(runtime, `${name}: packInput`, layouts.input, buffers?.codes, buffers?.input, true),
        unpackOutput: (buffers) =>
          resized(runtime, `${name}: unpackOutput`, layouts.output, buffers?.codes, buffers?.output, false),
        destroy() {
          alive = false;
          destroy();
        },
      } satisfies Int8Operation;
    });
  } catch (error) {
    destroy();
    throw error;
  }
}

/** Refuses what does not have the bytes of a layout. */
function checkLaidOut(
  name: string,
  { dtype, dims, rowBytes, byteLength }: Int8Layout,
  slice: BufferSlice | undefined,
  usage?: readonly ('STORAGE' | 'COPY_SRC')[],
): asserts slice is BufferSlice {
  const layout = `${dtype}, ${dims.join(' x ')}, ${rowBytes} bytes a row of channels`;
  checkSlice(name, slice, byteLength, layout, usage);
}

/** The call between rows of codes without padding and rows in a layout. */
async function resized(
  runtime: Runtime,
  name: string,
  layout: Int8Layout,
  codes: BufferSlice,
  rows: BufferSlice,
  packs: boolean,
): Promise<Call> {
  const { dtype, dims, rowBytes } = layout;
  check(dtype === 'int8', `${name} is for codes`, `${dtype} sums, which have no padding`);
  const channels = dims[dims.length - 1];
  const count = rowCount(dims);
  const dense = { ...layout, rowBytes: channels, byteLength: Math.ceil((count * channels) / 4) * 4 };
  checkLaidOut(`${name}: codes`, dense, codes);
  checkLaidOut(`${name}: ${packs ? 'input' : 'output'}`, layout, rows);
  const kernel = await resizeChannelsInt8Kernel.create(runtime.device);
  const [input, output] = packs ? [codes, rows] : [rows, codes];
  const [inputChannels, outputChannels] = packs ? [channels, rowBytes] : [rowBytes, channels];
  return kernel.bind({ input, output }, { rows: count, inputChannels, outputChannels });
}
