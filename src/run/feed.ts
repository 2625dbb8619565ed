import { check } from '../gpu/errors.ts';
import { shapeText } from '../graph/concrete-inputs.ts';
import type { ValueInfo } from '../graph/graph.ts';
import { type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import { checkTensor, toWords } from '../graph/ops/value.ts';
import type { LoweredInput } from '../lower/lower.ts';
import type { Given } from './executor.ts';

/** What a tensor is written as: images channels last, others a word an element. */
export function givenOf(input: LoweredInput, tensor: OnnxTensor): Given {
  const { images, dims } = input;
  if (!images) return toWords(input.name, tensor) as Given;
  const data = tensor.data as Float32Array;
  if (images.axis === dims.length - 1) return data;
  const channels = dims[images.axis];
  const [outer, inner] = [dims.slice(0, images.axis), dims.slice(images.axis + 1)].map(sizeOf);
  const result = new Float32Array(data.length);
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < channels; c++) {
      const from = (o * channels + c) * inner;
      for (let p = 0; p < inner; p++) result[(o * inner + p) * channels + c] = data[from + p];
    }
  }
  return result;
}

/** What all inputs are written as. */
export function feedOf(
  inputs: readonly LoweredInput[],
  tensors: Readonly<Record<string, OnnxTensor>>,
): Given[] {
  return inputs.map((input) => givenOf(input, tensors[input.name]));
}

/**
 * Inputs by name: all of them, each as the graph says.
 *
 * @param of what an error begins with
 */
export function checkFeed(
  inputs: readonly ValueInfo[],
  feed: Readonly<Record<string, OnnxTensor>>,
  of = '',
): void {
  const names = inputs.map(({ name }) => name);
  for (const name of Object.keys(feed)) {
    check(names.includes(name), `${of}inputs must be those of the network: ${names.join(', ')}`, name);
  }
  const symbols = new Map<string, number>();
  for (const input of inputs) {
    const { name, dtype, shape } = input;
    const tensor = feed[name] as Partial<OnnxTensor> | undefined;
    check(
      tensor && typeof tensor === 'object' && 'data' in tensor,
      `${of}${name}: every input must be given, as { dtype, dims, data }`,
      tensor ?? 'none',
    );
    checkTensor(`${of}${name}`, tensor as OnnxTensor);
    check(tensor.dtype === dtype, `${of}${name} must be ${dtype}`, tensor.dtype);
    const dims = tensor.dims!;
    const fits =
      dims.length === shape.length &&
      shape.every((size, i) => {
        if (typeof size === 'number') return size === dims[i];
        const known = symbols.get(size) ?? dims[i];
        symbols.set(size, known);
        return known === dims[i];
      });
    check(fits, `${of}${name} must have the shape that the network says: ${shapeText(input)}`, dims);
  }
}
