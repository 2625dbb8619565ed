import { type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import { toWords } from '../graph/ops/value.ts';
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
