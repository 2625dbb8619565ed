import { executeTwin } from '../../src/graph/ops/execute-twin.ts';
import type { OperatorName } from '../../src/graph/ops/operators.ts';
import { planOperator } from '../../src/graph/ops/operators.ts';
import type { Operand, Plan } from '../../src/graph/ops/plan.ts';
import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { isFloat, toWords } from '../../src/graph/ops/value.ts';
import { recurrent } from '../../src/kernels/recurrent.ts';
import { recurrentReference } from '../../src/reference/recurrent.ts';
import { seeded } from '../random.ts';
import type { BenchCase, Size } from '../types.ts';
import { kernelCase, repeated } from './kernel-case.ts';

/** An operator whose plan is one dispatch of the kernel that is timed. */
interface PlannedCase {
  kernel: string;
  shape: string;
  batch: number;
  operator: OperatorName;
  inputs(): (OnnxTensor | null)[];
  attributes?: Attributes;
  /** The binding that is the first output, if not `output`. */
  of?: string;
  /** Which step of the plan. */
  step?: number;
  /** Where arithmetic bounds it. */
  operations?: number;
}

const floats = (seed: number, ...dims: number[]): OnnxTensor => {
  const count = dims.reduce((a, b) => a * b, 1);
  return { dtype: 'float32', dims, data: repeated((n) => seeded(seed).floats(n), count) };
};
const integers = (seed: number, ...dims: number[]): OnnxTensor => {
  const count = dims.reduce((a, b) => a * b, 1);
  return { dtype: 'int32', dims, data: Int32Array.from(repeated((n) => seeded(seed).int8s(n), count)) };
};

const int64s = (...values: number[]): OnnxTensor => ({
  dtype: 'int64',
  dims: [values.length],
  data: BigInt64Array.from(values, BigInt),
});

/** A picture's activation, N x C x H x H, and a smaller one for what is bound by arithmetic. */
const SHAPES: Record<Size, readonly [N: number, C: number, H: number]> = {
  tiny: [2, 6, 5],
  quick: [2, 64, 32],
  standard: [32, 64, 32],
  gpu: [250, 64, 32],
};

/** A convolution's channels and size, and a product of matrices, whose float64 twins have to end. */
const PRODUCTS: Record<
  Size,
  { conv: readonly [n: number, c: number, h: number]; matmul: readonly [number, number, number] }
> = {
  tiny: { conv: [1, 5, 6], matmul: [9, 13, 11] },
  quick: { conv: [1, 32, 16], matmul: [64, 128, 256] },
  standard: { conv: [4, 64, 16], matmul: [256, 512, 512] },
  gpu: { conv: [32, 128, 16], matmul: [1024, 1024, 1024] },
};

/** Kernels of float and integer ONNX operators of any shape. */
export function plannedCases(size: Size): BenchCase[] {
  const [N, C, H] = SHAPES[size];
  const {
    conv: [n, c, h],
    matmul: [M, columns, K],
  } = PRODUCTS[size];
  const shape = `(N=${N},H=${H},C=${C})`;
  const common = { shape, batch: N };
  const cases: PlannedCase[] = [
    {
      ...common,
      kernel: 'element-wise',
      operator: 'Mul',
      inputs: () => [floats(60, N, C, H, H), floats(61, C, 1, 1)],
    },
    {
      ...common,
      kernel: 'element-wise-integer',
      operator: 'Add',
      inputs: () => [integers(62, N, C, H, H), integers(63, C, 1, 1)],
    },
    {
      ...common,
      kernel: 'strided-copy',
      operator: 'Transpose',
      inputs: () => [floats(64, N, C, H, H)],
      attributes: { perm: [0, 2, 3, 1] },
    },
    {
      ...common,
      kernel: 'reduce',
      operator: 'ReduceMean',
      inputs: () => [floats(65, N, C, H, H), int64s(2, 3)],
    },
    {
      ...common,
      kernel: 'softmax',
      operator: 'Softmax',
      inputs: () => [floats(66, N, C, H, H)],
      attributes: { axis: 1 },
    },
    {
      ...common,
      kernel: 'pool',
      operator: 'AveragePool',
      inputs: () => [floats(67, N, C, H, H)],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
    },
    {
      ...common,
      kernel: 'normalize',
      operator: 'LayerNormalization',
      inputs: () => [floats(73, N, C, H, H), floats(74, H, H), floats(75, H, H)],
      attributes: { axis: 2 },
    },
    {
      ...common,
      kernel: 'resample',
      operator: 'Resize',
      inputs: () => [floats(76, N, C, H, H), null, { dtype: 'float32', dims: [1], data: Float32Array.of(2) }],
      attributes: { mode: 'linear', axes: [3] },
    },
    {
      ...common,
      kernel: 'grid-sample',
      operator: 'GridSample',
      inputs: () => [floats(83, N, C, H, H), floats(84, N, H, H, 2)],
    },
    {
      ...common,
      kernel: 'scatter',
      operator: 'ScatterElements',
      // Every element of a row to a place of its own: whatever lay there, and however often it runs.
      inputs: () => [
        { dtype: 'float32', dims: [N, C, H, H], data: new Float32Array(N * C * H * H) },
        {
          dtype: 'int32',
          dims: [N, C, H, H],
          data: Int32Array.from({ length: N * C * H * H }, (_, i) => (i * 7) % H),
        },
        floats(78, N, C, H, H),
      ],
      attributes: { axis: 3 },
      step: 1,
    },
    {
      ...common,
      kernel: 'top-k',
      operator: 'TopK',
      inputs: () => [floats(79, N, C, H, H), int64s(4)],
      of: 'values',
    },
    {
      shape: `(N=${n},H=${h},C=${c},O=${c},K=3)`,
      batch: n,
      kernel: 'convolution',
      operator: 'Conv',
      inputs: () => [floats(68, n, c, h, h), floats(69, c, c, 3, 3), floats(70, c)],
      attributes: { pads: [1, 1, 1, 1] },
      operations: 2 * n * c * c * h * h * 9,
    },
    {
      shape: `(M=${M},N=${columns},K=${K})`,
      batch: M,
      kernel: 'matmul',
      operator: 'MatMul',
      inputs: () => [floats(71, M, K), floats(72, K, columns)],
      operations: 2 * M * columns * K,
    },
  ];
  return [...cases.map(plannedCase), recurrentCase(n, h, c)];
}

/** An LSTM's steps, whose states begin somewhere: what they become is where the next run would begin. */
function recurrentCase(batches: number, times: number, hidden: number): BenchCase {
  return kernelCase(`recurrent(N=${batches},T=${times},H=${hidden})`, 'fp32', batches, () => {
    const width = 4 * hidden;
    const drawn = (seed: number, ...dims: number[]) => floats(seed, ...dims).data as Float32Array;
    const weights = drawn(81, width, hidden).map((x) => x / Math.sqrt(hidden));
    const content = { inputs: drawn(80, times, batches, width), weights, extra: new Float32Array(hidden) };
    const states = drawn(82, 4, batches, hidden);
    const lengths = Int32Array.of(times);
    const params = {
      ...{ times, batches, hidden, inputTime: batches * width, inputBatch: width },
      ...{
        weightOffset: 0,
        extraOffset: 0,
        outputTime: batches * hidden,
        outputBatch: hidden,
        outputOffset: 0,
      },
      ...{ clip: 0, fAlpha: 0, fBeta: 0, gAlpha: 0, gBeta: 0, hAlpha: 0, hBeta: 0 },
    };
    const near = () => {
      const output = new Float64Array(times * batches * hidden);
      const doubles = Object.entries({ ...content, states, lengths }).map(([name, data]) => [
        name,
        Float64Array.from(data),
      ]);
      recurrentReference({ ...Object.fromEntries(doubles), output }, params, {});
      return output;
    };
    return {
      kernel: recurrent,
      buffers: { ...content, lengths, states, output: times * batches * hidden * 4 },
      params,
      of: 'output',
      operations: 2 * times * batches * width * hidden,
      near,
    };
  });
}

function plannedCase(made: PlannedCase): BenchCase {
  return kernelCase(`${made.kernel}${made.shape}`, 'fp32', made.batch, () => {
    const { operator, attributes = {}, step: index = 0 } = made;
    const inputs = made.inputs();
    const plan: Plan = planOperator({ operator, inputs, attributes });
    const step = plan.steps[index];
    const names = new Map<string, string>();
    const contentOf = (name: string, operand: Operand) => {
      const key = JSON.stringify(operand, (_, value) => (ArrayBuffer.isView(value) ? name : value));
      const before = names.get(key);
      names.set(key, name);
      if (before) return before;
      if ('input' in operand) return toWords(operator, inputs[operand.input]!);
      if ('constant' in operand) return operand.constant;
      return plan.outputs[0].dims.reduce((a, b) => a * b, 4);
    };
    const buffers = Object.fromEntries(
      Object.entries(step.buffers).map(([name, operand]) => [name, contentOf(name, operand)]),
    );
    const twin = () => executeTwin(plan, inputs)[0].data;
    return {
      kernel: step.kernel,
      specialization: step.specialization,
      buffers,
      params: step.params,
      of: made.of ?? 'output',
      ...(made.operations && { operations: made.operations }),
      ...(isFloat(plan.outputs[0].dtype) ? { near: twin } : { exact: () => Int32Array.from(twin()) }),
    };
  });
}
