import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/** Three params of one name, depth first. */
export const spatial = (params: TwinParams, name: string) =>
  ['Depth', 'Height', 'Width'].map((axis) => params[name + axis]);

/** Calls `visit` with every coordinate of a box. */
export function eachOf(
  [depth, height, width]: readonly number[],
  visit: (at: number[], index: number) => void,
): void {
  let index = 0;
  for (let z = 0; z < depth; z++) {
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) visit([z, y, x], index++);
  }
}

/**
 * CPU twin of shaders/convolution.wgsl, in float64 or in 32-bit integers: each output by the definition, every
 * tap looked at.
 *
 * @example
 * convolutionReference({ input, weights, bias, output }, params, { TRANSPOSED: 0, HAS_BIAS: 1 });
 */
export function convolutionReference(
  { input, weights, bias, output }: TwinBuffers,
  params: TwinParams,
  { TRANSPOSED = 0, HAS_BIAS = 1, Element = 'f32' }: TwinSpecialization,
): void {
  const added =
    Element === 'i32'
      ? (sum: number, x: number, w: number) => (sum + Math.imul(x, w)) | 0
      : (sum: number, x: number, w: number) => sum + x * w;
  const { channels, outputs, groupChannels, groupOutputs } = params;
  const [size, places, kernel] = ['input', 'output', 'kernel'].map((name) => spatial(params, name));
  const [strides, dilations, pads] = ['stride', 'dilation', 'pad'].map((name) => spatial(params, name));
  const volume = (dims: readonly number[]) => dims[0] * dims[1] * dims[2];
  const taps = volume(kernel);
  const images = output.length / (outputs * volume(places));
  /** Where a tap reads along axis d, or null. */
  const reads = (d: number, place: number, tap: number): number | null => {
    const moved =
      TRANSPOSED === 1
        ? place + pads[d] - tap * dilations[d]
        : place * strides[d] + tap * dilations[d] - pads[d];
    const at = TRANSPOSED === 1 ? moved / strides[d] : moved;
    return Number.isInteger(at) && at >= 0 && at < size[d] ? at : null;
  };
  for (let image = 0; image < images; image++) {
    for (let o = 0; o < outputs; o++) {
      const group = Math.floor(o / groupOutputs);
      eachOf(places, (place, index) => {
        let sum = HAS_BIAS === 1 ? bias[o] : 0;
        eachOf(kernel, (tap, t) => {
          const at = tap.map((own, d) => reads(d, place[d], own));
          if (at.includes(null)) return;
          const [z, y, x] = at as number[];
          for (let c = 0; c < groupChannels; c++) {
            const channel = group * groupChannels + c;
            const weight =
              TRANSPOSED === 1
                ? (channel * groupOutputs + (o % groupOutputs)) * taps + t
                : (o * groupChannels + c) * taps + t;
            const pixel = (((image * channels + channel) * size[0] + z) * size[1] + y) * size[2] + x;
            sum = added(sum, input[pixel], weights[weight]);
          }
        });
        output[(image * outputs + o) * volume(places) + index] = sum;
      });
    }
  }
}
