import { expect } from 'vitest';
import type { Runtime } from '../../src/gpu/runtime.ts';
import { runTwin } from '../../src/graph/ops/execute-twin.ts';
import type { NodeSpec } from '../../src/graph/ops/node.ts';
import { planOperator } from '../../src/graph/ops/operators.ts';
import type { Operand, Step } from '../../src/graph/ops/plan.ts';
import { type Attributes, type OnnxTensor, sizeOf } from '../../src/graph/ops/tensors.ts';
import { numbersOf, type OnnxDType, toWords, type Value, wordTypeOf } from '../../src/graph/ops/value.ts';
import { type OperatorName, type OperatorOptions, runOperator } from '../../src/onnx/index.ts';
import { define, definitions } from '../../src/reference/interpreter/interpret.ts';
import { type GivenTensor, readTensor } from '../../src/reference/interpreter/value.ts';
import { runOnnxRuntime } from './onnx-runtime.ts';
import { GUARD, guardedOutput, seeded } from './runtime.ts';

const WORDS = { f32: Float32Array, i32: Int32Array, u32: Uint32Array };

/** Where two lists of numbers differ by more than `tolerance` of their size (at least 1), or one only is NaN; or -1. */
export function firstApart(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): number {
  if (actual.length !== expected.length) return Math.min(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++) {
    const [a, b] = [actual[i], expected[i]];
    if (Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    if (!(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)))) return i;
  }
  return -1;
}

/**
 * Runs a plan step by step on the GPU, each output guarded, and each step's twin on what the GPU step before it wrote;
 * the first step that differs from its twin, or null. `wrong` changes what the twin computes.
 */
export async function stepApart(
  runtime: Runtime,
  spec: Omit<NodeSpec, 'opset'> & { opset?: number },
  tolerance = 0,
  wrong: (step: Step) => Step = (step) => step,
): Promise<string | null> {
  const plan = planOperator(spec);
  const types: Record<string, 'f32' | 'i32' | 'u32'> = {};
  const held = new Map<string, ArrayBuffer>();
  const keyOf = (operand: Operand) =>
    'output' in operand ? `output ${operand.output}` : 'scratch' in operand ? operand.scratch : null;
  const typeOf = (operand: Operand, step: Step) =>
    'output' in operand ? wordTypeOf(plan.outputs[operand.output].dtype) : scratchType(step);
  for (const step of plan.steps) {
    const twinBuffers = new Map<Operand, Float64Array>();
    const guards = new Map<string, ReturnType<typeof guardedOutput>>();
    const written = Object.entries(step.kernel.declaration.bindings as Record<string, { access: string }>)
      .filter(([, { access }]) => access === 'write')
      .map(([name]) => name);
    await runtime.scope(async ({ upload, keep }) => {
      const bound: Record<string, unknown> = {};
      for (const [name, operand] of Object.entries(step.buffers)) {
        const key = keyOf(operand);
        if (written.includes(name) && key !== null) {
          const count =
            'output' in operand
              ? sizeOf(plan.outputs[operand.output].dims)
              : (operand as { count: number }).count;
          const guard = guardedOutput(runtime, count * 4);
          types[key] = typeOf(operand, step);
          const before = held.get(key);
          if (before) runtime.device.queue.writeBuffer(guard.slice.buffer, guard.slice.offset, before);
          guards.set(key, guard);
          bound[name] = guard.slice;
          // What no step writes is left as it was on both sides.
          const unwritten = new Uint32Array(count).fill(GUARD).buffer;
          const words = Float64Array.from(new WORDS[types[key]](before ?? unwritten));
          twinBuffers.set(operand, words);
          continue;
        }
        const words =
          key !== null
            ? new WORDS[types[key]](held.get(key)!)
            : 'input' in operand
              ? toWords('input', spec.inputs[operand.input] as OnnxTensor)
              : (operand as { constant: Float32Array }).constant;
        bound[name] = upload(words);
        twinBuffers.set(operand, Float64Array.from(words));
      }
      const compiled = await step.kernel.create(runtime.device, step.specialization);
      runtime.submit([keep(compiled.bind(bound as never, step.params))]);
      for (const [key, guard] of guards) held.set(key, await guard.read());
    });
    runTwin(wrong(step), (operand) => twinBuffers.get(operand)!);
    for (const name of written) {
      const operand = step.buffers[name];
      const key = keyOf(operand)!;
      const got = new WORDS[types[key]](held.get(key)!);
      const at = firstApart(got, twinBuffers.get(operand)!, tolerance);
      if (at >= 0)
        return `${step.kernel.declaration.name} ${name}[${at}]: ${got[at]} against ${twinBuffers.get(operand)![at]}`;
    }
  }
  return null;
}

const FLOAT_KERNELS = ['resample', 'normalize', 'softmax', 'matmul', 'convolution'];
function scratchType({ kernel, specialization }: Step): 'f32' | 'i32' | 'u32' {
  const { name } = kernel.declaration;
  if (name === 'element-wise-integer')
    return specialization.OP === 69 ? 'f32' : specialization.Integer === 'u32' ? 'u32' : 'i32';
  if (name === 'element-wise') return (specialization.OP as number) >= 60 ? 'i32' : 'f32';
  if (specialization.Element === 'i32') return 'i32';
  return FLOAT_KERNELS.includes(name) || specialization.Element === 'f32' ? 'f32' : 'i32';
}

/** A case that ONNX Runtime can run, too. */
export interface PeerCase {
  operator: OperatorName;
  inputs: readonly (OnnxTensor | null)[];
  attributes?: Attributes;
  options?: OperatorOptions;
  domain?: string;
  /** Indices of inputs that ONNX Runtime wants constant. */
  initializers?: readonly number[];
}

/** Whether an operator gives what ONNX Runtime's CPU provider gives: null, or how it differs. */
export async function peerApart(
  runtime: Runtime,
  { operator, inputs, attributes = {}, options = {}, domain = '', initializers }: PeerCase,
  tolerance = 2e-6,
): Promise<string | null> {
  const received = await runOperator(runtime, operator, inputs, attributes, options);
  const exactly = () =>
    operator in definitions
      ? define(
          operator,
          options.opset ?? 23,
          inputs.map((tensor) => tensor && readTensor(tensor as GivenTensor)),
          attributes,
          received.length,
        )
      : undefined;
  const expected = await runOnnxRuntime({
    opType: operator.slice(operator.lastIndexOf('.') + 1),
    domain,
    opset: options.opset ?? 23,
    inputs: inputs as never,
    outputs: received.map(({ dtype }) => dtype as never),
    attributes: attributes as never,
    ...(initializers && { initializers }),
  });
  for (const [i, got] of received.entries()) {
    const want = expected[i] as OnnxTensor;
    if (got.dims.join() !== want.dims.join()) return `output ${i} has dims [${got.dims}], not [${want.dims}]`;
    const [a, b] = [numbersOf(got), numbersOf({ ...want, dtype: got.dtype } as Value)];
    const at = firstApart(a, b, got.dtype === 'float16' ? 2e-3 : got.dtype === 'float32' ? tolerance : 0);
    if (at < 0) continue;
    const exact = got.dtype === 'float32' ? exactly() : undefined;
    // The peer computes in float32 too, by approximations of its own; where a recurrence amplifies them, float64 decides.
    if (exact && firstApart(a, exact[i].data, tolerance) < 0) {
      console.log(
        `${operator}: ONNX Runtime itself is off, ${b[at]} where float64 gives ${exact[i].data[at]}`,
      );
      continue;
    }
    return `output ${i} [${got.dims}] has ${a[at]} at ${at}, not ${b[at]}`;
  }
  return null;
}

/** Every case against ONNX Runtime; prints how many outputs that was. */
export async function expectPeer(
  runtime: Runtime,
  cases: readonly PeerCase[],
  tolerance?: number,
): Promise<void> {
  const wrong: string[] = [];
  for (const made of cases) {
    const apart = await peerApart(runtime, made, tolerance).catch((error) => String(error.message));
    const shapes = made.inputs.map((tensor) => tensor && `${tensor.dtype}[${tensor.dims}]`);
    if (apart)
      wrong.push(
        `${made.operator}(${shapes}) ${JSON.stringify(made.attributes)} ${JSON.stringify(made.options)}: ${apart}`,
      );
  }
  expect(wrong).toEqual([]);
}

/** A seeded tensor: floats over several sizes, small integers. */
export function randomTensor(
  random: ReturnType<typeof seeded>,
  dtype: OnnxDType,
  dims: readonly number[],
  scale = 2,
): OnnxTensor {
  const count = sizeOf(dims);
  const whole = (low: number, high: number) => Array.from({ length: count }, () => random.integer(low, high));
  switch (dtype) {
    case 'float32':
      return { dtype, dims, data: random.floats(count, scale) };
    case 'float16':
      // 2^-3 to 2^3 with either sign.
      return {
        dtype,
        dims,
        data: Uint16Array.from(whole(0x3000, 0x4bff), (bits) => bits | (random.integer(0, 1) << 15)),
      };
    case 'int64':
      return { dtype, dims, data: BigInt64Array.from(whole(-50, 50), BigInt) };
    case 'int32':
      return { dtype, dims, data: Int32Array.from(whole(-50, 50)) };
    case 'uint32':
      return { dtype, dims, data: Uint32Array.from(whole(0, 100)) };
    case 'int8':
      return { dtype, dims, data: Int8Array.from(whole(-128, 127)) };
    case 'uint8':
      return { dtype, dims, data: Uint8Array.from(whole(0, 255)) };
    case 'int16':
      return { dtype, dims, data: Int16Array.from(whole(-300, 300)) };
    case 'uint16':
      return { dtype, dims, data: Uint16Array.from(whole(0, 600)) };
    default:
      return { dtype, dims, data: Uint8Array.from(whole(0, 1)) } as OnnxTensor;
  }
}

/** Lists as the tensors that shapes and axes come in. */
export const int64s = (...values: (number | bigint)[]): OnnxTensor => ({
  dtype: 'int64',
  dims: [values.length],
  data: BigInt64Array.from(values, BigInt),
});
export const int64 = (value: number): OnnxTensor => ({ ...int64s(value), dims: [] }) as OnnxTensor;
