import { type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import { toWords } from '../graph/ops/value.ts';
import type { Given } from './executor.ts';
import type { LoweredInput } from './lower.ts';

/** What a tensor is written as: images channels last, others a word an element. */
export function givenOf(input: LoweredInput, tensor: OnnxTensor): Given {
  const { images, dims } = input;
  if (!images) return toWords(input.name, tensor) as Given;
  const data = tensor.data as Float32Array;
  if (images.axis === dims.length - 1) return data;
  const [batch, channels] = dims;
  const pixels = sizeOf(dims.slice(2));
  const result = new Float32Array(data.length);
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      const from = (n * channels + c) * pixels;
      for (let p = 0; p < pixels; p++) result[(n * pixels + p) * channels + c] = data[from + p];
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
