import type { Runtime } from '../gpu/runtime.ts';
import type { Operand, Plan } from '../graph/ops/plan.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { fromWords, toWords, type Words, wordTypeOf } from '../graph/ops/value.ts';

/**
 * Runs a plan on tensors: uploads what its steps read, dispatches them in one submit and reads the outputs back.
 *
 * @param names the operator and its inputs, for messages.
 */
export async function execute(
  runtime: Runtime,
  plan: Plan,
  inputs: readonly (OnnxTensor | null | undefined)[],
  operator: string,
): Promise<OnnxTensor[]> {
  const kernels = await Promise.all(
    plan.steps.map(({ kernel, specialization }) => kernel.create(runtime.device, specialization)),
  );
  // Every input is turned into words before anything is allocated: a value that doesn't fit refuses the whole.
  const read = new Set(plan.steps.flatMap(({ buffers }) => Object.values(buffers).map((o) => inputOf(o))));
  const words = new Map<number, Words>();
  for (const index of read)
    if (index !== null) words.set(index, toWords(`${operator}: input ${index}`, inputs[index]!));
  return runtime.scope(async ({ upload, empty, keep }) => {
    const buffers = new Map<string, GPUBuffer>();
    const once = (key: string, make: () => GPUBuffer) => {
      const made = buffers.get(key) ?? make();
      buffers.set(key, made);
      return made;
    };
    const bufferOf = (operand: Operand): GPUBuffer => {
      if ('input' in operand) {
        return once(`input ${operand.input}`, () =>
          upload(words.get(operand.input)!, `${operator}: input ${operand.input}`),
        );
      }
      if ('output' in operand) {
        const { dims } = plan.outputs[operand.output];
        return once(`output ${operand.output}`, () =>
          empty(wordCount(dims) * 4, `${operator}: output ${operand.output}`),
        );
      }
      if ('constant' in operand) return upload(operand.constant, `${operator}: a constant`);
      return once(`scratch ${operand.scratch}`, () =>
        empty(operand.count * 4, `${operator}: what lies between its steps`),
      );
    };
    const calls = plan.steps.map((step, i) => {
      const bound = Object.entries(step.buffers).map(([name, operand]) => [name, bufferOf(operand)]);
      return keep(kernels[i].bind(Object.fromEntries(bound), step.params));
    });
    if (calls.length > 0) runtime.submit(calls);
    const results: OnnxTensor[] = [];
    for (const [i, { dtype, dims, data, from }] of plan.outputs.entries()) {
      if (from !== undefined) results.push(copyOf(inputs[from]!, dims));
      else if (data) results.push(copyOf({ dtype, dims, data } as OnnxTensor, dims));
      else {
        const bytes =
          wordCount(dims) === 0 ? new ArrayBuffer(0) : await runtime.read(bufferOf({ output: i }));
        results.push(fromWords(dtype, dims, new WORD_ARRAYS[wordTypeOf(dtype)](bytes, 0, wordCount(dims))));
      }
    }
    return results;
  });
}

const WORD_ARRAYS = { f32: Float32Array, i32: Int32Array, u32: Uint32Array };
const wordCount = (dims: readonly number[]) => dims.reduce((product, size) => product * size, 1);
const inputOf = (operand: Operand) => ('input' in operand ? operand.input : null);
const copyOf = (tensor: OnnxTensor, dims: readonly number[]) =>
  ({ dtype: tensor.dtype, dims: [...dims], data: tensor.data.slice() }) as OnnxTensor;
