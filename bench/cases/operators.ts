import type { Tensor, TensorData } from '../../src/gpu/tensor.ts';
import { type OperatorName, runOperator } from '../../src/onnx/index.ts';
import { operatorReference } from '../../src/reference/onnx-operators.ts';
import { joinBytes } from '../bytes.ts';
import { seeded } from '../random.ts';
import type { BenchCase, BenchContext, Opened, Size } from '../types.ts';
import { hold } from './held.ts';
import { repeated } from './kernel-case.ts';
import { timedCalls } from './timed.ts';

/** An operator on tensors of one size; the kernel that is timed, and what it has to move or compute. */
interface OperatorCase {
  /** The case's name, if not the kernel's. */
  name?: string;
  kernel: string;
  shape: string;
  batch: number;
  operator: OperatorName;
  inputs(): readonly (Tensor | null)[];
  attributes?: Record<string, unknown>;
  /** Which outputs are the timed kernel's. */
  outputs?: readonly number[];
  bytes?: number;
  operations?: number;
}

interface Sizes {
  /** Weights, quantized in blocks of 32 along their rows. */
  weights: readonly [rows: number, columns: number];
  /** A convolution with its 3x3 kernel, NCHW. */
  conv: readonly [N: number, C: number, H: number, O: number];
  matmul: readonly [M: number, N: number, K: number];
}

const SIZES: Record<Size, Sizes> = {
  tiny: { weights: [5, 96], conv: [2, 5, 6, 7], matmul: [9, 13, 11] },
  quick: { weights: [128, 1024], conv: [1, 64, 16, 64], matmul: [64, 128, 256] },
  standard: {
    weights: [1024, 4096],
    conv: [4, 128, 16, 128],
    matmul: [256, 512, 512],
  },
  gpu: {
    weights: [4096, 4096],
    conv: [250, 128, 16, 128],
    matmul: [2048, 2048, 2048],
  },
};

const BLOCK = 32;

/** ONNX's operators on codes, a word each; the twins are the operators' own. */
export function operatorCases(size: Size): BenchCase[] {
  const { weights, conv, matmul } = SIZES[size];
  return [...linear(weights), ...products(conv, matmul)].map(operatorCase);
}

function linear([rows, columns]: Sizes['weights']): OperatorCase[] {
  const dims = [rows, columns];
  const count = rows * columns;
  const blocks = [rows, columns / BLOCK];
  const attributes = { axis: 1, block_size: BLOCK };
  const floats = () =>
    float32(
      dims,
      repeated((n) => seeded(3).floats(n), count),
    );
  const scale = () =>
    float32(
      blocks,
      Float32Array.from(codes(4, count / BLOCK), (code) => (1 + (code & 7)) / 128),
    );
  const zeros = () =>
    int8(
      blocks,
      codes(5, count / BLOCK).map((code) => code >> 4),
    );
  const shape = `(rows=${rows},columns=${columns},block=${BLOCK})`;
  const bytes = count * 8 + (count / BLOCK) * 8;
  return [
    {
      kernel: 'quantize-linear-onnx',
      shape,
      batch: 1,
      operator: 'QuantizeLinear',
      inputs: () => [floats(), scale(), zeros()],
      attributes,
      bytes,
    },
    {
      kernel: 'dequantize-linear-onnx',
      shape,
      batch: 1,
      operator: 'DequantizeLinear',
      inputs: () => [int8(dims, codes(6, count)), scale(), zeros()],
      attributes,
      bytes,
    },
    {
      kernel: 'dynamic-quantize-params',
      shape: `(count=${count})`,
      batch: 1,
      operator: 'DynamicQuantizeLinear',
      inputs: () => [floats()],
      outputs: [1, 2],
      bytes: count * 4,
    },
  ];
}

function products([N, C, H, O]: Sizes['conv'], [M, columns, K]: Sizes['matmul']): OperatorCase[] {
  const scalar = (value: number) => int8([], Int8Array.of(value));
  return [
    {
      name: 'conv-integer',
      kernel: 'convolution',
      shape: `(N=${N},H=${H},C=${C},O=${O},K=3)`,
      batch: N,
      operator: 'ConvInteger',
      inputs: () => [
        int8([N, C, H, H], codes(9, N * C * H * H)),
        int8([O, C, 3, 3], codes(10, O * C * 9)),
        scalar(3),
        null,
      ],
      attributes: { pads: [1, 1, 1, 1] },
      operations: 2 * N * H * H * 9 * C * O,
    },
    {
      name: 'matmul-integer',
      kernel: 'matmul',
      shape: `(M=${M},N=${columns},K=${K})`,
      batch: M,
      operator: 'MatMulInteger',
      inputs: () => [
        int8([M, K], codes(11, M * K)),
        int8([K, columns], codes(12, K * columns)),
        scalar(3),
        scalar(-2),
      ],
      operations: 2 * M * columns * K,
    },
  ];
}

function operatorCase(spec: OperatorCase): BenchCase {
  return {
    name: `${spec.name ?? spec.kernel}${spec.shape}`,
    subjects: [
      {
        implementation: 'lloyd',
        precision: 'int8',
        batch: spec.batch,
        open: (context) => openOperator(context, spec),
      },
    ],
  };
}

async function openOperator(
  { runtime }: BenchContext,
  { kernel, operator, inputs, attributes = {}, outputs = [0], bytes, operations }: OperatorCase,
): Promise<Opened> {
  const tensors = inputs();
  const held = await hold(runtime, new RegExp(`^${kernel}$`), (own) =>
    runOperator(own, operator, tensors as Tensor[], attributes as never),
  );
  const own = held.calls.filter((call) => call.kernel === kernel);
  const { stop, ...timed } = await timedCalls(runtime, own);
  return {
    ...timed,
    ...(operations
      ? { work: { amount: operations, unit: 'GOP/s' }, bound: { ceiling: 'int8Gops', amount: operations } }
      : { work: { amount: bytes!, unit: 'GB/s' }, bound: { ceiling: 'copyGBps', amount: bytes! } }),
    output: async () =>
      joinBytes((await held.release()).filter((_, i) => outputs.includes(i)).map(({ data }) => data)),
    expected: () =>
      joinBytes(
        operatorReference(operator, tensors, attributes, 'ort-f32')
          .filter((_, i) => outputs.includes(i))
          .map(({ dtype, data }) => ARRAYS[dtype].from(data)),
      ),
    async close() {
      stop();
      await held.release();
    },
  };
}

const ARRAYS: Record<string, { from(data: ArrayLike<number>): TensorData }> = {
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  float32: Float32Array,
};

const codes = (seed: number, count: number) => repeated((n) => seeded(seed).int8s(n), count);
const float32 = (dims: readonly number[], data: Float32Array): Tensor => ({ dtype: 'float32', dims, data });
const int8 = (dims: readonly number[], data: Int8Array): Tensor => ({ dtype: 'int8', dims, data });
