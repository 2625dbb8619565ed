import { LloydError } from '../gpu/errors.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';

export type TfjsTensor = import('@tensorflow/tfjs').Tensor;

/** How the readers leave a network. */
export interface ReadOptions {
  /** Leaves out a softmax that an output ends in: the output are its logits, called as the node that computes them. */
  logits?: boolean;
}

/** How a graph model is left. */
export interface GraphReadOptions extends ReadOptions {
  /** Tensors to end in, `node` or `node:1`, in place of the model's outputs: what only those need is read. */
  outputs?: readonly string[];
}

/** What tfjs calls a dtype, as ONNX does; tfjs holds 64-bit and narrower integers as int32 already. */
export function dtypeOf(name: string, dtype: unknown): 'float32' | 'int32' | 'bool' {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new LloydError(`${name}: its dtype must be float32, int32 or bool`, dtype ?? 'none');
}

/** A tensor of tfjs as ONNX has it. */
export async function tensorOf(name: string, tensor: TfjsTensor): Promise<OnnxTensor> {
  const dtype = dtypeOf(name, tensor.dtype);
  const data = (await tensor.data()) as Float32Array | Int32Array | Uint8Array;
  const own = { float32: Float32Array, int32: Int32Array, bool: Uint8Array }[dtype];
  return { dtype, dims: [...tensor.shape], data: data instanceof own ? data : own.from(data) };
}

/**
 * A filter's weights from TensorFlow's order to ONNX's, over any number of spatial dimensions: from spatial x inputs x
 * outputs to outputs x inputs x spatial; of a depthwise one from spatial x inputs x multiplier to that of as many groups.
 */
export function filterWeights(
  weights: Float32Array,
  shape: readonly number[],
  depthwise: boolean,
): { data: Float32Array; dims: number[] } {
  const spatial = shape.slice(0, -2);
  const [inner, outer] = shape.slice(-2);
  const places = spatial.reduce((product, size) => product * size, 1);
  const data = new Float32Array(weights.length);
  for (let p = 0; p < places; p++) {
    for (let i = 0; i < inner; i++) {
      for (let o = 0; o < outer; o++) {
        const row = depthwise ? i * outer + o : o * inner + i;
        data[row * places + p] = weights[(p * inner + i) * outer + o];
      }
    }
  }
  return { data, dims: depthwise ? [inner * outer, 1, ...spatial] : [outer, inner, ...spatial] };
}

/** A matrix with rows and columns exchanged. */
export function transposed(data: Float32Array, [rows, columns]: readonly number[]): Float32Array {
  const result = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) result[c * rows + r] = data[r * columns + c];
  }
  return result;
}
