import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import {
  type Attributes,
  BYTE_TYPES,
  byteFlip,
  CODE_RANGE,
  checkAttributes,
  type Inputs,
  inputReader,
  isScalar,
  scalarOf,
  scalesOf,
  sizeOf,
  tensorOf,
  zeroShift,
} from '../graph/ops/tensors.ts';
import { matmulInteger } from '../kernels/matmul-integer.ts';
import { prepareMultipliers, type RequantizeRule, requantizeConstant } from '../quantize/requantize.ts';
import { checkRequantized } from './accumulator.ts';
import { broadcast, broadcastIndex } from './broadcast.ts';

/** numpy.matmul's shapes: matrices, and the batch dimensions that broadcasting gives. */
interface Shape {
  M: number;
  N: number;
  K: number;
  aBatch: readonly number[];
  bBatch: readonly number[];
  outputDims: number[];
  /** Per output matrix: the matrix of a, the matrix of b. */
  pairs: Uint32Array;
}

function shapeOf(operator: string, a: Tensor, b: Tensor): Shape {
  check(a.dims.length > 0, `${operator}: a must have rank 1 or more`, a.dims);
  check(b.dims.length > 0, `${operator}: b must have rank 1 or more`, b.dims);
  const left = a.dims.length === 1 ? [1, ...a.dims] : a.dims;
  const right = b.dims.length === 1 ? [...b.dims, 1] : b.dims;
  const [M, K] = left.slice(-2);
  const [rows, N] = right.slice(-2);
  check(K === rows, `${operator}: b must have as many rows as a has columns, ${K}`, rows);
  const aBatch = left.slice(0, -2);
  const bBatch = right.slice(0, -2);
  const { dims: batch, a: p, b: q } = broadcast(`${operator}: the batch dimensions`, aBatch, bBatch);
  const pairs = new Uint32Array(sizeOf(batch) * 2);
  for (let matrix = 0; matrix < pairs.length / 2; matrix++) {
    pairs.set([broadcastIndex(matrix, batch, p), broadcastIndex(matrix, batch, q)], matrix * 2);
  }
  const outputDims = [...batch];
  if (a.dims.length > 1) outputDims.push(M);
  if (b.dims.length > 1) outputDims.push(N);
  return { M, N, K, aBatch, bBatch, outputDims, pairs };
}

interface Strides {
  matrix: number;
  element: number;
}

/** Scales and zero points are scalar, one a row (a) or column (b), or that for every matrix: [..., M, 1], [..., 1, N]. */
function stridesOf(
  operator: string,
  name: string,
  tensor: Tensor | null,
  batch: readonly number[],
  { rows, columns }: { rows: number; columns: number },
): Strides {
  if (!tensor || isScalar(tensor)) return { matrix: 0, element: 0 };
  const size = rows * columns; // one of the two is 1
  if (tensor.dims.length === 1 && tensor.data.length === size) return { matrix: 0, element: 1 };
  const full = [...batch, rows, columns];
  check(
    tensor.dims.length === full.length && tensor.dims.every((value, i) => value === full[i]),
    `${operator}: ${name} must be a scalar, have ${size} elements, or have the dims [${full}]`,
    tensor.dims,
  );
  return { matrix: size, element: 1 };
}

interface Operands {
  a: Tensor;
  b: Tensor;
  aZero: Tensor | null;
  bZero: Tensor | null;
}

interface Requantization {
  constant: string;
  y: Tensor['dtype'];
  zeroPoint: number;
  words: Uint32Array;
  /** Strides over output matrices, rows and columns. */
  strides: readonly [number, number, number];
}

async function multiply(
  runtime: Runtime,
  operator: string,
  { a, b, aZero, bZero }: Operands,
  shape: Shape,
  requantization: Requantization | null,
): Promise<Tensor> {
  const { M, N, K, pairs, outputDims } = shape;
  const aStrides = stridesOf(operator, 'a_zero_point', aZero, shape.aBatch, { rows: M, columns: 1 });
  const bStrides = stridesOf(operator, 'b_zero_point', bZero, shape.bBatch, { rows: 1, columns: N });
  const zeros = (tensor: Tensor | null, dtype: Tensor['dtype']) =>
    Int32Array.from(tensor?.data ?? [0], (zero) => zero + zeroShift(dtype));
  const count = (pairs.length / 2) * M * N;
  const [low, high] = requantization ? CODE_RANGE[requantization.y]! : [0, 0];
  const strides = requantization?.strides ?? [0, 0, 0];
  const kernel = await matmulInteger.create(
    runtime.device,
    requantization ? { OUTPUT: '1u', REQUANTIZE: requantization.constant } : { OUTPUT: '0u' },
  );
  return runtime.scope(async ({ upload, empty, keep }) => {
    const byteLength = requantization ? count : count * 4;
    const output = empty(byteLength, 'matmul output');
    const call = kernel.bind(
      {
        a: upload(a.data, 'matmul a'),
        b: upload(b.data, 'matmul b'),
        pairs: upload(pairs),
        aZeros: upload(zeros(aZero, a.dtype)),
        bZeros: upload(zeros(bZero, b.dtype)),
        multipliers: upload(requantization?.words ?? new Uint32Array(2)),
        output,
      },
      {
        count,
        M,
        N,
        K,
        aFlip: byteFlip(a.dtype),
        bFlip: byteFlip(b.dtype),
        aZeroMatrixStride: aStrides.matrix,
        aZeroRowStride: aStrides.element,
        bZeroMatrixStride: bStrides.matrix,
        bZeroColumnStride: bStrides.element,
        multiplierMatrixStride: strides[0],
        multiplierRowStride: strides[1],
        multiplierColumnStride: strides[2],
        zeroPoint: requantization?.zeroPoint ?? 0,
        low,
        high,
      },
    );
    runtime.submit([keep(call)]);
    return tensorOf(requantization?.y ?? 'int32', outputDims, await runtime.read(output, byteLength));
  });
}

/** ONNX MatMulInteger: A, B, a_zero_point?, b_zero_point? to int32. */
export async function runMatMulInteger(
  runtime: Runtime,
  inputs: Inputs,
  attributes: Attributes,
): Promise<Tensor[]> {
  const operator = 'MatMulInteger';
  checkAttributes(operator, attributes, []);
  const read = inputReader(operator, inputs, ['A', 'B', 'a_zero_point', 'b_zero_point']);
  const a = read.required('A', BYTE_TYPES);
  const b = read.required('B', BYTE_TYPES);
  const aZero = read.optional('a_zero_point', [a.dtype]);
  const bZero = read.optional('b_zero_point', [b.dtype]);
  return [await multiply(runtime, operator, { a, b, aZero, bZero }, shapeOf(operator, a, b), null)];
}

/** ONNX QLinearMatMul, requantized by `rule`. */
export async function runQLinearMatMul(
  runtime: Runtime,
  inputs: Inputs,
  attributes: Attributes,
  rule: RequantizeRule,
): Promise<Tensor[]> {
  const operator = 'QLinearMatMul';
  checkAttributes(operator, attributes, []);
  const names = ['a', 'a_scale', 'a_zero_point', 'b', 'b_scale', 'b_zero_point', 'y_scale', 'y_zero_point'];
  const read = inputReader(operator, inputs, names);
  const a = read.required('a', BYTE_TYPES);
  const b = read.required('b', BYTE_TYPES);
  const aScale = read.required('a_scale', ['float32', 'float16']);
  const [bScale, yScale] = ['b_scale', 'y_scale'].map((name) => read.required(name, [aScale.dtype]));
  const aZero = read.required('a_zero_point', [a.dtype]);
  const bZero = read.required('b_zero_point', [b.dtype]);
  const yZero = read.required('y_zero_point', BYTE_TYPES);
  const shape = shapeOf(operator, a, b);
  const scales = {
    a: {
      values: scalesOf(operator, 'a_scale', aScale),
      strides: stridesOf(operator, 'a_scale', aScale, shape.aBatch, { rows: shape.M, columns: 1 }),
    },
    b: {
      values: scalesOf(operator, 'b_scale', bScale),
      strides: stridesOf(operator, 'b_scale', bScale, shape.bBatch, { rows: 1, columns: shape.N }),
    },
  };
  scalarOf(operator, 'y_scale', yScale);
  const y = scalesOf(operator, 'y_scale', yScale)[0];
  const zeroPoint = scalarOf(operator, 'y_zero_point', yZero);
  const table = multiplierTable(rule, shape, scales.a, scales.b, y);
  checkRequantized(operator, { data: a.data, zeroPoints: aZero.data }, shape.K, null, () =>
    columnsOf(b, shape, bZero),
  );
  const constant = await requantizeConstant(runtime, rule);
  const requantization = { constant, y: yZero.dtype, zeroPoint, ...table };
  return [await multiply(runtime, operator, { a, b, aZero, bZero }, shape, requantization)];
}

/** Every matrix of b transposed, as weights by output column. */
function* columnsOf({ data }: Tensor, { K, N }: Shape, bZero: Tensor) {
  const zeros = bZero.data;
  for (let matrix = 0; matrix < data.length / (K * N); matrix++) {
    const columns = new Int32Array(K * N);
    for (let i = 0; i < K * N; i++) columns[(i % N) * K + Math.floor(i / N)] = data[matrix * K * N + i];
    const first = zeros.length > N ? matrix * N : 0;
    yield { data: columns, channels: N, zeroPoints: zeros.slice(first, first + Math.min(N, zeros.length)) };
  }
}

interface Scales {
  values: Float32Array;
  strides: Strides;
}

/** The multipliers of every (matrix, row, column) that differ, and the strides that find them. */
function multiplierTable(rule: RequantizeRule, { M, N, pairs }: Shape, a: Scales, b: Scales, y: number) {
  const rows = a.strides.element ? M : 1;
  const columns = b.strides.element ? N : 1;
  const matrices = a.strides.matrix || b.strides.matrix ? pairs.length / 2 : 1;
  const words = new Uint32Array(matrices * rows * columns * 2);
  for (let matrix = 0; matrix < matrices; matrix++) {
    const first = pairs[matrix * 2 + 1] * b.strides.matrix;
    const columnScales = b.values.subarray(first, first + columns);
    for (let row = 0; row < rows; row++) {
      const scale = a.values[pairs[matrix * 2] * a.strides.matrix + row];
      words.set(prepareMultipliers(rule, scale, columnScales, y), (matrix * rows + row) * columns * 2);
    }
  }
  const strides = [matrices > 1 ? rows * columns : 0, rows > 1 ? columns : 0, columns > 1 ? 1 : 0] as const;
  return { words, strides };
}
