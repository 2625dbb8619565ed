import { eachOf, spatial } from './convolution.ts';
import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/**
 * CPU twin of shaders/pool.wgsl, in float64.
 *
 * @example
 * poolReference({ input, output }, params, { OP: 1 });
 */
export function poolReference(
  { input, output }: TwinBuffers,
  params: TwinParams,
  { OP = 1, COUNT_PADS = 0 }: TwinSpecialization,
): void {
  const [size, places, kernel] = ['input', 'output', 'kernel'].map((name) => spatial(params, name));
  const [strides, dilations, pads] = ['stride', 'dilation', 'pad'].map((name) => spatial(params, name));
  const [ends, indexStrides] = ['end', 'indexStride'].map((name) => spatial(params, name));
  const [inputSize, outputSize] = [size, places].map(([d, h, w]) => d * h * w);
  for (let plane = 0; plane < params.count / outputSize; plane++) {
    eachOf(places, (place, index) => {
      const inside: { value: number; at: number }[] = [];
      let counted = 0;
      eachOf(kernel, (tap) => {
        const padded = tap.map((own, d) => place[d] * strides[d] + own * dilations[d]);
        if (padded.every((own, d) => own < ends[d])) counted++;
        const at = padded.map((own, d) => own - pads[d]);
        if (!at.every((own, d) => own >= 0 && own < size[d])) return;
        const value = input[plane * inputSize + (at[0] * size[1] + at[1]) * size[2] + at[2]];
        inside.push({ value, at: at.reduce((sum, own, d) => sum + own * indexStrides[d], 0) });
      });
      const values = inside.map(({ value }) => value);
      const largest = values.some(Number.isNaN) ? Number.NaN : Math.max(...values);
      const results = [
        values.reduce((a, b) => a + b, 0) / Math.max(1, COUNT_PADS === 1 ? counted : values.length),
        largest,
        plane * inputSize +
          (inside.find(({ value }) => Object.is(value, largest) || value === largest)?.at ?? 0),
      ];
      output[plane * outputSize + index] = results[OP as number];
    });
  }
}
