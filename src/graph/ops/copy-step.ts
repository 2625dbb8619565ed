import { stridedCopy } from '../../kernels/strided-copy.ts';
import { stridesOf } from './layout.ts';
import { type Operand, type Step, step } from './plan.ts';
import { sizeOf } from './tensors.ts';
import { type OnnxDType, wordTypeOf } from './value.ts';

/** Modes of a windowed axis, as shaders/strided-copy.wgsl numbers them. */
const WINDOW_MODES = { inside: 0, constant: 1, reflect: 2, edge: 3, wrap: 4, gather: 5 } as const;

/** An axis that doesn't read the input one to one. */
export interface Window {
  /** Position of coordinate 0; of gathered ones its place in the indices. */
  start: number;
  /** How many positions the input has along it. */
  limit: number;
  mode: keyof typeof WINDOW_MODES;
}

/** A box of elements that moves. */
export interface Box {
  /** Its size, the outermost axis first. */
  dims: readonly number[];
  inputStrides: readonly number[];
  /** Row-major over `dims` unless given. */
  outputStrides?: readonly number[];
  inputOffset?: number;
  outputOffset?: number;
  windows?: readonly (Window | null)[];
  indices?: Operand;
  /** Where a window reads nothing: a buffer of one element, or a number of the dtype moved (0). */
  fill?: Operand | number;
}

/** A number of a dtype as a buffer of one word. */
export const scalarWord = (value: number, dtype: OnnxDType): Operand => ({
  constant: { f32: Float32Array, i32: Int32Array, u32: Uint32Array }[wordTypeOf(dtype)].of(value),
});

/** One dispatch that moves a box of elements of `dtype`. */
export function copyBox(dtype: OnnxDType, input: Operand, output: Operand, box: Box): Step {
  const { dims, inputStrides, outputStrides = stridesOf(dims), windows = [], indices = input } = box;
  const axes: number[][] = [];
  const read: number[][] = [];
  let joinable = false;
  for (let i = dims.length - 1; i >= 0; i--) {
    const window = windows[i];
    if (!window && dims[i] === 1) continue;
    const last = axes.at(-1);
    const behind =
      joinable && last && inputStrides[i] === last[1] * last[0] && outputStrides[i] === last[2] * last[0];
    if (!window && last && behind) {
      last[0] *= dims[i];
      read.at(-1)![1] *= dims[i];
      continue;
    }
    axes.push([dims[i], inputStrides[i], outputStrides[i], 0]);
    read.push(window ? [window.start, window.limit, WINDOW_MODES[window.mode], 0] : [0, dims[i], 0, 0]);
    joinable = !window;
  }
  const table = (rows: number[][]) => ({ constant: Int32Array.from([...rows.flat(), 0, 0, 0, 0]) });
  const given = box.fill ?? 0;
  const fill = typeof given === 'number' ? scalarWord(given, dtype) : given;
  const WINDOWED = windows.some((window) => window) ? 1 : 0;
  return step(
    stridedCopy,
    { WINDOWED },
    { input, indices, axes: table(axes), windows: table(WINDOWED ? read : []), fill, output },
    {
      count: sizeOf(dims),
      rank: axes.length,
      inputOffset: box.inputOffset ?? 0,
      outputOffset: box.outputOffset ?? 0,
    },
  );
}
